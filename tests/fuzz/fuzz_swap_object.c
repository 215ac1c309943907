/*
 * fuzz_swap_object.c - what is read from swap for a page, with any bytes in it.
 *
 *	byte 0: which page; whether the header is that of the page, and the checksum
 *	        right: then the decompressor gets what nobody has compressed
 *	the rest: over what was stored
 *
 * With a wrong checksum it is EIO, or what was stored; with a right one it ends.
 */
#include "mm/mm.h"
#include "swap/swap.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { NR_PAGES = 64, MAPPING = 77, NR_CLUSTERS = 32 };

static struct mm *mm;
static int fd;
static swap_entry_t entries[NR_PAGES];
static char pages[NR_PAGES][PAGE_SIZE];

/* More and more of it is noise. */
static void fill(unsigned int n)
{
	uint64_t x = n + 1;

	for (size_t i = 0; i < PAGE_SIZE; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		pages[n][i] = (char)(i % NR_PAGES < n ? x >> 56 : i % 7);
	}
}

/* Until all that counts is on the disk. */
static bool is_buffered(struct swap *s, swap_entry_t e)
{
	struct swap_place p = swap_entry_place(e);
	struct swap_cluster *c;
	bool buffered;

	mutex_lock(&s->lock);
	c = swap_map_at(&s->areas[p.area].map, p.cluster);
	buffered = c->state == CLUSTER_OPEN || c->state == CLUSTER_WRITING;
	mutex_unlock(&s->lock);
	return buffered;
}

static void store(unsigned int n, swap_entry_t *entry)
{
	int err;

	do {
		err = swap_out_page(mm->swap, MAPPING, n, pages[n], entry);
		page_io_kick(mm->io);
	} while (err == -EBUSY);
	must(err == 0);
}

static void start(void)
{
	struct mm_config config = { .size = MM_SIZE_MIN, .io_depth = 16 };
	int err;

	mm = mm_create(&config, &err);
	must(mm && swap_start(mm) == 0);
	fd = memfd_create("swap", 0);
	must(fd >= 0 &&
	     ftruncate(fd, (off_t)NR_CLUSTERS << SWAP_CLUSTER_SHIFT) == 0);
	must(swap_add_area(mm->swap, fd, 512, NR_CLUSTERS, "fuzz", NULL, 0) ==
	     0);
	for (unsigned int n = 0; n < NR_PAGES; n++) {
		fill(n);
		store(n, &entries[n]);
	}
	/* Others fill its last cluster. */
	while (is_buffered(mm->swap, entries[NR_PAGES - 1])) {
		swap_entry_t more;

		store(NR_PAGES - 1, &more);
		swap_submit(mm->swap);
		os_sleep_ns(NSEC_PER_MSEC);
	}
}

/* As it would be, were it stored by us. */
static void seal(struct swap_object_header *h, const char *data, uint32_t room,
		 unsigned int n, uint32_t seq)
{
	h->magic = SWAP_OBJECT_MAGIC;
	h->mapping = MAPPING;
	h->index = n;
	h->len = (uint16_t)min_of((uint32_t)h->len, room);
	h->check = swap_check(h, swap_data_sum(data, h->len), seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char object[SWAP_OBJECT_MAX + SWAP_UNIT], was[sizeof(object)];
	struct swap_object_header h;
	char got[PAGE_SIZE];
	struct swap_place p;
	bool sealed, changed;
	unsigned int n;
	off_t at;
	int err;

	if (!mm)
		start();
	if (size == 0)
		return 0;
	n = data[0] % NR_PAGES;
	sealed = data[0] & 64;
	p = swap_entry_place(entries[n]);
	must(swap_entry_type(entries[n]) == SWAP_STORED);
	at = (off_t)((uint64_t)p.cluster << SWAP_CLUSTER_SHIFT) + p.offset;
	must(pread(fd, was, p.size, at) == (ssize_t)p.size);
	memcpy(object, was, p.size);
	size = min_of(size - 1, (size_t)p.size);
	/* With its own header, if that is to be right: behind it. */
	memcpy(object + (sealed ? sizeof(h) : 0), data + 1,
	       sealed ? min_of(size, p.size - sizeof(h)) : size);
	memcpy(&h, object, sizeof(h));
	if (sealed) {
		if (data[0] & 128)
			h.len = (uint16_t)min_of(size, sizeof(got));
		seal(&h, object + sizeof(h), p.size - (uint32_t)sizeof(h), n,
		     swap_map_at(&mm->swap->areas[0].map, p.cluster)->seq);
		memcpy(object, &h, sizeof(h));
	}
	changed = memcmp(object, was,
			 sizeof(h) + h.len <= p.size ? sizeof(h) + h.len
						     : p.size) != 0;
	must(pwrite(fd, object, p.size, at) == (ssize_t)p.size);
	err = swap_in_page(mm->swap, MAPPING, n, entries[n], got, true);
	must(err == 0 || err == -EIO);
	if (!changed)
		must(err == 0 && memcmp(got, pages[n], PAGE_SIZE) == 0);
	else if (!sealed)
		must(err == -EIO);
	must(pwrite(fd, was, p.size, at) == (ssize_t)p.size);
	return 0;
}
