/*
 * transport.c - how deep a ring, how large its requests.
 *
 * A ring's memory is there for the worst case, so depth is paid for in size.
 * Misses need depth, each being one that waits for the disk; large requests
 * need size. Size gives way first: at 128 KiB a copy takes longer than what
 * surrounds it.
 */
#include "fs/transport.h"

#include "mm/mm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* All rings together; or mem/8 if that is less. */
#define RINGS_MAX (16ul << 20)

/* Beside the data: the page of its header, and its share of the queues. */
enum { ENTRY_MORE = PAGE_SIZE + 512 };

/* A ring's own: its queues, the stack and other things of its thread. */
enum { RING_MORE = 64 << 10 };

enum {
	/* The value of an extended attribute and its name have to fit. */
	SIZE_MIN = 128 << 10,
	/* A guess: of these half may be throttled writes. */
	DEPTH_WANTED = 12,
	/* More wait in the kernel as well as in a ring. */
	DEPTH_MAX = 32,
	/* One that may wait, and one for those who shall not. */
	DEPTH_MIN = 2,
};

/* How many requests of a size fit into the bytes of one ring. */
static size_t depth_of(size_t ring, size_t size)
{
	return ring <= RING_MORE ? 0 : (ring - RING_MORE) / (size + ENTRY_MORE);
}

static bool reckon(struct transport *t, size_t mem, unsigned int nr_volumes)
{
	size_t nr = (size_t)nr_volumes * t->nr_rings;
	size_t ring = min_of(RINGS_MAX, mem / 8) / nr;
	size_t size = t->request_max;

	while (size > SIZE_MIN && depth_of(ring, size) < DEPTH_WANTED)
		size /= 2;
	t->request_max = max_of(size, (size_t)SIZE_MIN);
	t->depth = (unsigned int)min_of(depth_of(ring, t->request_max),
					(size_t)DEPTH_MAX);
	t->bytes = nr * (RING_MORE + t->depth * (t->request_max + ENTRY_MORE));
	return t->depth >= DEPTH_MIN;
}

/* 'Y' or 'N'; 0: there is none. */
static int read_switch(void)
{
	FILE *f = fopen(TRANSPORT_SWITCH, "re");
	int c = f ? getc(f) : 0;

	if (f)
		fclose(f);
	return c;
}

void transport_choose(struct transport *t, enum transport_wish wish, size_t mem,
		      unsigned int nr_volumes, size_t request_max)
{
	int on;

	*t = (struct transport){ .wish = wish,
				 .nr_rings = os_nr_cpus(),
				 .request_max = request_max };
	if (wish == TRANSPORT_DEV)
		return;
	on = read_switch();
	if (on != 'Y' && on != 'N')
		snprintf(t->why, sizeof(t->why),
			 "FUSE over io_uring needs Linux 6.14");
	else if (!reckon(t, mem, nr_volumes))
		snprintf(t->why, sizeof(t->why),
			 "mem=%zuM is too small for the rings of %u CPUs",
			 mem >> 20, t->nr_rings);
	else if (on == 'N') {
		t->switched_off = true;
		snprintf(t->why, sizeof(t->why), "%s is off", TRANSPORT_SWITCH);
	} else {
		t->uring = true;
		return;
	}
	t->bytes = 0;
	t->request_max = request_max;
}
