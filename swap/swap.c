/*
 * swap.c - boot, areas, and the users of what is stored.
 *
 *   (1) An entry of type STORED has its object as user of its cluster for as
 *       long as a tree or a page has the entry; a reader is one more.
 *   (2) A cluster without users is free, or will be when its buffer is.
 *   (3) garbage is what clusters in state FULL have void, summed up.
 */
#include "swap/swap.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "swap/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One buffer for each so many bytes of the arena; at least so many. */
enum { BUFFER_SHARE = 2 << 20, BUFFERS_MIN = 4 };
enum { READ_SHARE = 4 << 20, READS_MIN = 4 };

enum { CLUSTER_ORDER = SWAP_CLUSTER_SHIFT - PAGE_SHIFT };

/* --- room ------------------------------------------------------------------ */

void swap_update_room(struct swap *s)
{
	long room = (long)s->nr_free - SWAP_RESERVED_CLUSTERS;
	const struct swap_buffer *b = s->open[SWAP_OUT];
	bool compact;

	s->barren = min_of(s->barren, s->garbage);
	compact = swap_compact_wanted(s);
	room = max_of(room, 0l) * (long)SWAP_CLUSTER_PAGES;
	if (b)
		room += (SWAP_CLUSTER_SIZE - b->fill) / SWAP_OBJECT_MAX;
	/* Everybody reads these: written only when they change. */
	if (atomic_load(&s->mm->nr_swap_free) != room)
		atomic_store(&s->mm->nr_swap_free, room);
	if (atomic_load(&s->mm->swap_compacting) != (compact || s->moving))
		atomic_store(&s->mm->swap_compacting, compact || s->moving);
	if (compact)
		cond_signal(&s->compact_wake);
}

static void area_usage(struct swap *s, const struct swap_area *a,
		       uint64_t *total, uint64_t *used) must_hold(s->lock)
{
	uint32_t usable = a->map.nr - a->map.nr_bad;

	(void)s;
	*total = (uint64_t)usable << SWAP_CLUSTER_SHIFT;
	*used = (uint64_t)(usable - a->map.nr_free) << SWAP_CLUSTER_SHIFT;
}

unsigned int swap_nr_areas(struct swap *s)
{
	unsigned int nr;

	mutex_lock(&s->lock);
	nr = s->nr_areas;
	mutex_unlock(&s->lock);
	return nr;
}

const char *swap_area_name(struct swap *s, unsigned int area)
{
	return s->areas[area].name; /* areas stay */
}

void swap_area_usage(struct swap *s, unsigned int area, uint64_t *total,
		     uint64_t *used)
{
	mutex_lock(&s->lock);
	ASSERT(area < s->nr_areas);
	area_usage(s, &s->areas[area], total, used);
	mutex_unlock(&s->lock);
}

void swap_usage(struct swap *s, uint64_t *total, uint64_t *used)
{
	*total = *used = 0;
	mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->nr_areas; i++) {
		uint64_t t, u;

		area_usage(s, &s->areas[i], &t, &u);
		*total += t;
		*used += u;
	}
	mutex_unlock(&s->lock);
}

/* --- users ----------------------------------------------------------------- */

void swap_get(struct swap *s, swap_entry_t entry)
{
	struct swap_place p = swap_entry_place(entry);
	struct swap_cluster *c;

	if (swap_entry_type(entry) != SWAP_STORED)
		return;
	mutex_lock(&s->lock);
	c = swap_map_at(&s->areas[p.area].map, p.cluster);
	ASSERT(c->users > 0 && c->users < UINT16_MAX);
	c->users++;
	mutex_unlock(&s->lock);
}

void swap_give_cluster(struct swap *s, unsigned int area, uint32_t cluster)
{
	swap_map_give(&s->areas[area].map, cluster);
	s->nr_free++;
}

void swap_cluster_full(struct swap *s, struct swap_cluster *c)
{
	c->state = CLUSTER_FULL;
	s->garbage += SWAP_CLUSTER_SIZE - c->live; /* (3) */
}

/* Nobody uses it any more (2). */
static void cluster_unused(struct swap *s, const struct swap_place *p)
	must_hold(s->lock)
{
	struct swap_map *map = &s->areas[p->area].map;
	struct swap_cluster *c = swap_map_at(map, p->cluster);
	struct swap_buffer *b = &s->buffers[c->buffer];

	ASSERT(c->live == 0);
	switch ((enum cluster_state)c->state) {
	case CLUSTER_FULL:
		s->garbage -= SWAP_CLUSTER_SIZE; /* (3) */
		swap_give_cluster(s, p->area, p->cluster);
		break;
	case CLUSTER_STUCK:
		s->nr_stuck--;
		swap_give_cluster(s, p->area, p->cluster);
		break;
	case CLUSTER_OPEN: /* to be filled anew, if anything is moved at all */
		b->fill = 0;
		if (b == s->open[SWAP_MOVE]) {
			s->open[SWAP_MOVE] = NULL;
			b->used = false;
			swap_give_cluster(s, p->area, p->cluster);
		}
		break;
	case CLUSTER_WRITING: /* by who writes it; or it failed, and waits */
		if (!b->writing && b->nr_failed > 0)
			swap_drop_if_unused(s, b);
		break;
	case CLUSTER_MOVING: /* by the compactor */
		break;
	case CLUSTER_FREE:
	case CLUSTER_BAD:
		bug("an object in no cluster", __FILE__, __LINE__, __func__);
	}
}

void swap_put(struct swap *s, swap_entry_t entry, bool object)
{
	struct swap_place p = swap_entry_place(entry);
	struct swap_cluster *c;

	if (swap_entry_type(entry) != SWAP_STORED) {
		if (object)
			vmstat_dec(s->mm, NR_SWAPPED_SAME);
		return;
	}
	mutex_lock(&s->lock);
	c = swap_map_at(&s->areas[p.area].map, p.cluster);
	ASSERT(c->users > 0);
	c->users--;
	if (object) {
		ASSERT(c->live >= p.size);
		c->live -= p.size;
		if (c->state == CLUSTER_FULL)
			s->garbage += p.size; /* (3) */
	}
	if (c->users == 0)
		cluster_unused(s, &p);
	swap_update_room(s);
	mutex_unlock(&s->lock);
	if (object) {
		vmstat_dec(s->mm, NR_SWAPPED);
		vmstat_add(s->mm, NR_SWAP_STORED, -(long)p.size);
	}
}

/* --- boot ------------------------------------------------------------------ */

static struct page *alloc_buffer(struct mm *mm, unsigned int order, char **mem)
{
	struct page *page = swap_frames_alloc(mm, GFP_DMA, order);

	if (page)
		*mem = page_address(&mm->arena, page);
	return page;
}

static int alloc_buffers(struct swap *s)
{
	struct mm *mm = s->mm;
	unsigned int buffers = (unsigned int)min_of(
		max_of(mm->arena.size / BUFFER_SHARE, (size_t)BUFFERS_MIN),
		(size_t)SWAP_BUFFERS_MAX);
	unsigned int reads = (unsigned int)min_of(
		max_of(mm->arena.size / READ_SHARE, (size_t)READS_MIN),
		(size_t)SWAP_READS_MAX);

	for (; s->nr_buffers < buffers; s->nr_buffers++) {
		struct swap_buffer *b = &s->buffers[s->nr_buffers];

		b->swap = s;
		b->page = alloc_buffer(mm, CLUSTER_ORDER, &b->mem);
		if (!b->page)
			return -ENOMEM;
	}
	for (; s->nr_reads < reads; s->nr_reads++) {
		struct swap_read *r = &s->reads[s->nr_reads];

		r->swap = s;
		r->page = alloc_buffer(mm, SWAP_READ_ORDER, &r->mem);
		if (!r->page)
			return -ENOMEM;
		list_add(&s->reads_free, &r->link);
	}
	s->victim_page = alloc_buffer(mm, CLUSTER_ORDER, &s->victim);
	return s->victim_page ? 0 : -ENOMEM;
}

static void swap_free_memory(struct swap *s)
{
	struct mm *mm = s->mm;

	for (unsigned int i = 0; i < s->nr_buffers; i++)
		swap_frames_free(mm, s->buffers[i].page);
	for (unsigned int i = 0; i < s->nr_reads; i++)
		swap_frames_free(mm, s->reads[i].page);
	swap_frames_free(mm, s->victim_page);
	for (unsigned int i = 0; i < s->nr_areas; i++) {
		swap_map_destroy(&s->areas[i].map);
		free(s->areas[i].name);
	}
	if (s->compressor)
		compressor_destroy(s->compressor);
	free(s);
}

/* A compressor's, each; measured, zstd 1.5: 72 KiB out, 94 KiB in. */
#define WORKSPACE_BYTES (176ul << 10)

/* What a thread of ours has used of its stack: two objects, and zstd. */
#define STACK_BYTES (32ul << 10)

static unsigned int nr_workspaces(void)
{
	return min_of(os_nr_cpus(), 8u) + 1;
}

size_t swap_overhead(void)
{
	return sizeof(struct swap) + nr_workspaces() * WORKSPACE_BYTES +
	       (SWAP_UNPACKERS_MAX + SCAN_CREW_MAX) * STACK_BYTES;
}

int swap_start(struct mm *mm)
{
	struct swap *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s)
		return err;
	s->mm = mm;
	mutex_init(&s->lock);
	mutex_init(&s->read_lock);
	mutex_init(&s->reserve_lock);
	cond_init(&s->read_returned);
	cond_init(&s->compact_wake);
	list_init(&s->reads_free);
	list_init(&s->waiting);
	list_init(&s->to_unpack);
	cond_init(&s->unpack_more);
	s->compressor = compressor_create(nr_workspaces());
	if (s->compressor) {
		ASSERT(compressor_size(s->compressor) <=
		       nr_workspaces() * WORKSPACE_BYTES);
		err = alloc_buffers(s);
	}
	if (!err)
		err = swap_in_start(s);
	if (err)
		goto out_memory;
	err = scan_crew_start(mm);
	if (err)
		goto out_in;
	err = os_thread_start(&s->compactor, "kcompact", swap_compact_main, s);
	if (err)
		goto out_crew;
	mm->swap = s;
	return 0;

out_crew:
	scan_crew_stop(mm);
out_in:
	swap_in_stop(s);
out_memory:
	swap_free_memory(s);
	return err;
}

/* Is nothing on its way? What is in buffers nobody needs any more. */
static bool all_quiet(struct swap *s)
{
	unsigned int nr_reads = 0;
	struct swap_read *r;
	bool quiet;

	mutex_lock(&s->lock);
	quiet = swap_nr_writing(s) == 0;
	mutex_unlock(&s->lock);
	mutex_lock(&s->read_lock);
	list_for_each_entry(r, &s->reads_free, struct swap_read, link)
		nr_reads++;
	mutex_unlock(&s->read_lock);
	return quiet && nr_reads == s->nr_reads;
}

static void check_unused(struct swap *s)
{
	ASSERT(vmstat_read(s->mm, NR_SWAPPED) == 0);
	ASSERT(vmstat_read(s->mm, NR_SWAPPED_SAME) == 0);
	ASSERT(vmstat_read(s->mm, NR_SWAPCACHE) == 0);
	for (unsigned int i = 0; i < s->nr_areas; i++)
		for (uint32_t n = 0; n < s->areas[i].map.nr; n++)
			ASSERT(swap_map_at(&s->areas[i].map, n)->users == 0);
}

void swap_stop(struct mm *mm)
{
	struct swap *s = mm->swap;

	page_io_limit_hangs(mm->io, 0);
	mutex_lock(&s->lock);
	s->stop = true;
	cond_broadcast(&s->compact_wake);
	mutex_unlock(&s->lock);
	os_thread_join(&s->compactor);
	while (!all_quiet(s))
		os_sleep_ns(NSEC_PER_MSEC);
	scan_crew_stop(mm);
	swap_in_stop(s);
	page_io_unlimit_hangs(mm->io);
	check_unused(s);
	mm->swap = NULL;
	atomic_store(&mm->nr_swap_free, 0);
	atomic_store(&mm->swap_compacting, false);
	swap_free_memory(s);
}

static int add_area(struct swap *s, struct swap_area area, uint32_t nr_clusters,
		    const char *name, const uint32_t *bad, unsigned int nr_bad)
{
	int err;

	ASSERT(nr_clusters > 1);
	ASSERT(area.align >= SWAP_UNIT && area.align <= SWAP_READ_SIZE / 4);
	area.name = strdup(name ? name : "");
	err = area.name ? swap_map_init(&area.map, s->mm, nr_clusters)
			: -ENOMEM;
	if (err) {
		free(area.name);
		return err;
	}
	mutex_lock(&s->lock);
	ASSERT(s->nr_areas < SWAP_AREAS_MAX);
	for (unsigned int i = 0; i < nr_bad; i++)
		if (bad[i] > 0 && bad[i] < nr_clusters &&
		    swap_map_at(&area.map, bad[i])->state == CLUSTER_FREE)
			swap_map_set_bad(&area.map, bad[i]);
	s->areas[s->nr_areas++] = area;
	s->unstick_area = s->nr_areas; /* nothing is stuck */
	s->nr_clusters += area.map.nr_free;
	s->nr_free += area.map.nr_free;
	swap_update_room(s);
	mutex_unlock(&s->lock);
	return 0;
}

int swap_add_area(struct swap *s, int fd, uint32_t align, uint32_t nr_clusters,
		  const char *name, const uint32_t *bad, unsigned int nr_bad)
{
	return add_area(
		s,
		(struct swap_area){ .fd = fd, .align = align, .direct = true },
		nr_clusters, name, bad, nr_bad);
}

int swap_add_file(struct swap *s, const struct swap_file *f, const char *name)
{
	return add_area(s,
			(struct swap_area){ .fd = f->fd,
					    .align = f->align,
					    .direct = f->direct },
			(uint32_t)f->header.nr_clusters, name, f->header.bad,
			f->header.nr_bad);
}
