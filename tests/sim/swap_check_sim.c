/*
 * swap_check_sim.c - every count of swap/, computed again from the trees.
 *
 * Daemons go on while no client is in an operation, so counts and trees may
 * differ for a moment: what differs for longer is wrong.
 */
#include "tests/sim/anon_world.h"

#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS = 60 };

struct cluster_sum {
	uint32_t live, users;
};

struct sums {
	struct cluster_sum *clusters[AREAS_MAX];
	unsigned long stored, stored_bytes, same, swapcache, pages, reserved;
	uint64_t groups[ANON_GROUPS];
	int64_t demand;
	char what[160]; /* the first difference; "": none */
};

#define FULL ((int64_t)SWAP_OBJECT_MAX)

static void expect(struct sums *s, const char *what, unsigned long has,
		   unsigned long should)
{
	if (has != should && !s->what[0])
		snprintf(s->what, sizeof(s->what), "%s is %lu, should be %lu",
			 what, has, should);
}

/* --- trees ------------------------------------------------------------------ */

static void add_object(struct anon_world *w, struct sums *s, swap_entry_t e)
{
	struct swap_place p = swap_entry_place(e);

	if (swap_entry_type(e) != SWAP_STORED) {
		s->same++;
		return;
	}
	ASSERT(p.area < w->nr_areas);
	ASSERT(p.cluster > 0 && p.cluster < w->swap->areas[p.area].map.nr);
	ASSERT(p.offset + p.size <= SWAP_CLUSTER_SIZE);
	s->clusters[p.area][p.cluster].live += p.size;
	s->clusters[p.area][p.cluster].users++;
	s->stored++;
	s->stored_bytes += p.size;
}

static void add_entry(struct anon_world *w, struct sums *s, struct anon_file *f,
		      pgoff_t at, void *entry)
{
	bool reserved = xa_get_tag(&f->mapping.pages, at, XA_RESERVED);
	bool value = xa_is_value(entry);
	struct page *page = value ? NULL : entry;
	swap_entry_t e = value ? xa_to_value(entry) : page->private;
	bool charged = value || page_test(page, PG_reserved_space);
	bool copy = value || page_test(page, PG_swapcache);

	if (copy)
		add_object(w, s, e);
	s->swapcache += page && page_test(page, PG_swapcache);
	s->pages += page != NULL;
	s->groups[f->group - w->groups] += charged;
	s->reserved += reserved;
	if (reserved && copy)
		s->demand += swap_entry_type(e) != SWAP_STORED
				     ? FULL
				     : FULL - (int64_t)swap_entry_place(e).size;
	if (reserved && !charged)
		snprintf(s->what, sizeof(s->what),
			 "page %llu of mapping %llu is reserved and not "
			 "charged",
			 (unsigned long long)(at - f->base),
			 (unsigned long long)f->mapping.id);
}

static void add_file(struct anon_world *w, struct sums *s, struct anon_file *f)
	must_hold(f->mapping.lock)
{
	unsigned long nr_pages = s->pages, nr_values = 0;
	void *entry;

	for (pgoff_t at = 0;
	     (entry = xa_find(&f->mapping.pages, &at, UINT64_MAX, XA_PRESENT));
	     at++) {
		add_entry(w, s, f, at, entry);
		nr_values += xa_is_value(entry);
	}
	expect(s, "nr_pages", f->mapping.nr_pages, s->pages - nr_pages);
	expect(s, "nr_values", f->mapping.nr_values, nr_values);
}

/* --- clusters --------------------------------------------------------------- */

struct cluster_counts {
	uint64_t garbage;
	uint32_t nr_free, nr_bad, nr_buffered;
};

static void check_cluster(struct anon_world *w, struct sums *s,
			  unsigned int area, uint32_t n,
			  struct cluster_counts *counts)
{
	const struct swap_cluster *c =
		swap_map_at(&w->swap->areas[area].map, n);
	const struct cluster_sum *sum = &s->clusters[area][n];
	const struct swap_buffer *b = &w->swap->buffers[c->buffer];

	expect(s, "live of a cluster", c->live, sum->live);
	expect(s, "users of a cluster", c->users, sum->users);
	switch ((enum cluster_state)c->state) {
	case CLUSTER_FREE:
		counts->nr_free++;
		expect(s, "users of a free cluster", c->users, 0);
		break;
	case CLUSTER_BAD:
		counts->nr_bad++;
		expect(s, "users of a bad cluster", c->users, 0);
		break;
	case CLUSTER_OPEN:
	case CLUSTER_WRITING:
		counts->nr_buffered++;
		ASSERT(c->buffer < w->swap->nr_buffers);
		ASSERT(b->used && b->area == area && b->cluster == n);
		ASSERT(b->fill <= SWAP_CLUSTER_SIZE && c->live <= b->fill);
		break;
	case CLUSTER_FULL:
		counts->garbage += SWAP_CLUSTER_SIZE - c->live;
		expect(s, "a full cluster has users", c->users > 0, 1);
		break;
	case CLUSTER_MOVING:
	case CLUSTER_STUCK:
		break;
	}
}

static void check_queue(struct sums *s, const struct swap_map *map)
{
	uint32_t nr = 0, last = 0;

	for (uint32_t n = map->free_first; n && nr <= map->nr;
	     n = swap_map_at(map, n)->next) {
		last = n;
		nr++;
	}
	expect(s, "length of the queue of free clusters", nr, map->nr_free);
	expect(s, "its last", last, map->free_last);
}

static void check_areas(struct anon_world *w, struct sums *s)
	must_hold(w->swap->lock)
{
	struct swap *swap = w->swap;
	struct cluster_counts all = { 0 };
	uint32_t usable = 0, nr_free = 0, nr_used = 0;

	for (unsigned int a = 0; a < swap->nr_areas; a++) {
		const struct swap_map *map = &swap->areas[a].map;
		struct cluster_counts counts = { 0 };

		for (uint32_t n = 0; n < map->nr; n++)
			check_cluster(w, s, a, n, &counts);
		expect(s, "nr_free of an area", map->nr_free, counts.nr_free);
		expect(s, "nr_bad of an area", map->nr_bad, counts.nr_bad);
		check_queue(s, map);
		all.garbage += counts.garbage;
		all.nr_buffered += counts.nr_buffered;
		nr_free += counts.nr_free;
		usable += map->nr - counts.nr_bad;
	}
	for (unsigned int i = 0; i < swap->nr_buffers; i++)
		nr_used += swap->buffers[i].used;
	expect(s, "garbage", swap->garbage, all.garbage);
	expect(s, "nr_free", swap->nr_free, nr_free);
	expect(s, "nr_clusters", swap->nr_clusters, usable);
	expect(s, "buffers in use", nr_used, all.nr_buffered);
}

/* --- all of it -------------------------------------------------------------- */

static void compute(struct anon_world *w, struct sums *s) unchecked
{
	struct mm *mm = w->mm;

	for (unsigned int i = 0; i < w->nr_anon; i++)
		mutex_lock(&w->anon[i]->mapping.lock);
	mutex_lock(&w->swap->lock);
	/* One step from here on. */
	for (unsigned int i = 0; i < w->nr_anon; i++)
		add_file(w, s, w->anon[i]);
	check_areas(w, s);
	for (int g = 0; g < ANON_GROUPS; g++)
		expect(s, "nr_pages of a group", w->groups[g].nr_pages,
		       s->groups[g]);
	expect(s, "reserved_demand", (unsigned long)w->swap->reserved_demand,
	       (unsigned long)s->demand);
	mutex_unlock(&w->swap->lock);
	for (unsigned int i = 0; i < w->nr_anon; i++)
		mutex_unlock(&w->anon[i]->mapping.lock);
	expect(s, "NR_SWAPPED", vmstat_read(mm, NR_SWAPPED), s->stored);
	expect(s, "NR_SWAP_STORED", vmstat_read(mm, NR_SWAP_STORED),
	       s->stored_bytes);
	expect(s, "NR_SWAPPED_SAME", vmstat_read(mm, NR_SWAPPED_SAME), s->same);
	expect(s, "NR_SWAPCACHE", vmstat_read(mm, NR_SWAPCACHE), s->swapcache);
	expect(s, "NR_ANON_PAGES", vmstat_read(mm, NR_ANON_PAGES), s->pages);
	expect(s, "NR_ANON_RESERVED", vmstat_read(mm, NR_ANON_RESERVED),
	       s->reserved);
}

static bool try_check(struct anon_world *w, bool last)
{
	struct sums s = { .what = "" };
	bool ok;

	for (unsigned int a = 0; a < w->nr_areas; a++) {
		s.clusters[a] = calloc(w->swap->areas[a].map.nr,
				       sizeof(*s.clusters[a]));
		ASSERT(s.clusters[a]);
	}
	compute(w, &s);
	for (unsigned int a = 0; a < w->nr_areas; a++)
		free(s.clusters[a]);
	ok = !s.what[0];
	if (!ok && last)
		sim_fail("%s", s.what);
	return ok;
}

void anon_check_counts(struct anon_world *w)
{
	/* Files that were replaced are gone when nobody uses them. */
	ASSERT(w->nr_alive == w->nr_anon);
	for (unsigned int i = 0; i < w->nr_anon; i++)
		anon_check_file(w->anon[i]);
	for (int n = 0; !try_check(w, n == ATTEMPTS); n++)
		os_sleep_ns(sim_between(1, 50 * NSEC_PER_MSEC));
	anon_seen.checks++;
}

void anon_check_empty(struct anon_world *w)
{
	struct swap *s = w->swap;
	uint32_t held;

	for (int n = 0;; n++) {
		held = 0;
		mutex_lock(&s->lock);
		for (unsigned int i = 0; i < s->nr_buffers; i++)
			held += s->buffers[i].used;
		held += s->nr_free;
		if (held == s->nr_clusters && s->garbage == 0 &&
		    s->reserved_demand == 0)
			break;
		mutex_unlock(&s->lock);
		if (n == 200)
			sim_fail("%u clusters of %u, garbage %llu at the end",
				 held, s->nr_clusters,
				 (unsigned long long)s->garbage);
		os_sleep_ns(50 * NSEC_PER_MSEC);
	}
	mutex_unlock(&s->lock);
	for (int g = 0; g < ANON_GROUPS; g++)
		ASSERT(w->groups[g].nr_pages == 0);
}
