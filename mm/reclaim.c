/*
 * reclaim.c - the scan (Linux: vmscan.c).
 *
 *   (1) A page being looked at is off its list, with a reference of ours; it
 *       goes back to the list its flags say, or is freed.
 *   (2) Its mapping is there for as long as the page is locked and names it.
 *   (3) Nothing here allocates, and nothing waits but reclaim_direct() at its
 *       end, for writeback to get on.
 */
#include "mm/reclaim.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "mm/slab.h"
#include "mm/writeback.h"

enum page_fate {
	FATE_KEEP,  /* back to a list */
	FATE_FREED, /* no references any more, unlocked, not yet freed */
};

/* A round of priority below this takes pages even if they were used. */
enum { RECLAIM_REFERENCED_BELOW = RECLAIM_DEF_PRIORITY - 6 };

/* Direct reclaim that freed nothing waits so long for writeback to get on. */
#define CONGESTION_WAIT_NS (20 * NSEC_PER_MSEC)

unsigned int reclaim_zone_mask(enum zone_type highest)
{
	return (1u << (highest + 1)) - 1;
}

static enum page_fate try_drop(struct mm *mm, struct address_space *m,
			       struct page *page, struct scan_control *sc)
{
	if (page_test(page, PG_writeback)) {
		page_set(page, PG_reclaim);
		sc->nr_writeback++;
		return FATE_KEEP;
	}
	if (page_test(page, PG_dirty)) {
		sc->nr_dirty++;
		if (!sc->may_io || page_test(page, PG_reclaim))
			return FATE_KEEP; /* not now, or on its way */
		vmstat_inc(mm, NR_VMSCAN_WRITE);
		if (m->ops->pageout(m, page) == PAGEOUT_STARTED)
			page_set(page, PG_reclaim);
		if (page_test(page, PG_dirty | PG_writeback))
			return FATE_KEEP;
	}
	return page_cache_remove_unused(m, page) ? FATE_FREED : FATE_KEEP;
}

/* Decide about one page (1). */
static enum page_fate look_at(struct mm *mm, struct page *page,
			      struct scan_control *sc)
{
	enum page_fate fate = FATE_KEEP;
	struct address_space *m;

	if (page_test(page, PG_unevictable) || !page_trylock(page))
		return FATE_KEEP;
	m = page->mapping ? address_space_find(mm, page->mapping) : NULL;
	if (!m) {
		/* Truncated: ours may be the last reference. */
		page_unlock(&mm->page_waits, page);
		return FATE_KEEP;
	}
	if (!page_check_referenced(page) ||
	    sc->priority < RECLAIM_REFERENCED_BELOW)
		fate = try_drop(mm, m, page, sc); /* (2) */
	page_unlock(&mm->page_waits, page);
	return fate;
}

static void shrink_inactive(struct mm *mm, enum lru_list list, unsigned int nr,
			    struct scan_control *sc)
{
	struct list_head pages, keep;
	unsigned long scanned = 0, freed = 0;

	list_init(&pages);
	list_init(&keep);
	lru_isolate(mm, list, nr, sc->zone_mask, &pages, &scanned);
	while (!list_empty(&pages)) {
		struct page *page = list_last_entry(&pages, struct page, lru);

		list_del_init(&page->lru);
		if (look_at(mm, page, sc) == FATE_FREED) {
			page_free(mm, page, true);
			freed++;
		} else {
			list_add(&keep, &page->lru);
		}
	}
	lru_putback(mm, &keep);
	sc->nr_scanned += scanned;
	sc->nr_reclaimed += freed;
	vmstat_add(mm, sc->kswapd ? PGSCAN_KSWAPD : PGSCAN_DIRECT,
		   (long)scanned);
	vmstat_add(mm, sc->kswapd ? PGSTEAL_KSWAPD : PGSTEAL_DIRECT,
		   (long)freed);
}

/* Take down what was not used, give the rest another round. */
static void shrink_active(struct mm *mm, enum lru_list list, unsigned int nr,
			  struct scan_control *sc)
{
	struct list_head pages;
	unsigned long scanned = 0;
	struct page *page;
	long down = 0;

	list_init(&pages);
	lru_isolate(mm, list, nr, sc->zone_mask, &pages, &scanned);
	list_for_each_entry(page, &pages, struct page, lru)
		if (!page_check_referenced(page) ||
		    sc->priority < RECLAIM_REFERENCED_BELOW) {
			page_clear(page, PG_active);
			down++;
		}
	lru_putback(mm, &pages);
	vmstat_add(mm, PGREFILL, (long)scanned);
	vmstat_add(mm, PGDEACTIVATE, down);
}

/* The active list shall not be longer than the inactive one. */
static bool inactive_is_low(struct mm *mm, enum lru_list inactive)
{
	return lru_size(&mm->lru, inactive) <
	       lru_size(&mm->lru, inactive + LRU_ACTIVE);
}

static void shrink_kind(struct mm *mm, enum lru_list inactive,
			struct scan_control *sc)
{
	bool barren = false; /* the inactive list has nothing for us */
	unsigned long active = inactive + LRU_ACTIVE;
	unsigned long want = lru_size(&mm->lru, inactive) >> sc->priority;
	unsigned long want_active =
		lru_size(&mm->lru, (enum lru_list)active) >> sc->priority;

	want = max_of(want, (unsigned long)RECLAIM_CLUSTER);
	want_active = max_of(want_active, (unsigned long)RECLAIM_CLUSTER);
	while (want > 0 && sc->nr_reclaimed < sc->nr_to_reclaim) {
		unsigned long scanned = sc->nr_scanned;

		/* Low, or of zones that would not help. */
		if (want_active > 0 &&
		    (barren || inactive_is_low(mm, inactive))) {
			shrink_active(mm, (enum lru_list)active,
				      RECLAIM_CLUSTER, sc);
			want_active -= min_of(want_active,
					      (unsigned long)RECLAIM_CLUSTER);
		}
		shrink_inactive(mm, inactive, RECLAIM_CLUSTER, sc);
		barren = sc->nr_scanned == scanned;
		if (barren && want_active == 0)
			break; /* nothing left to look at */
		want -= min_of(want, sc->nr_scanned - scanned);
	}
}

static void twolist_shrink_node(struct mm *mm, struct scan_control *sc)
{
	shrink_kind(mm, LRU_INACTIVE_FILE, sc);
}

const struct reclaim_policy reclaim_policy_twolist = {
	.name = "twolist",
	.shrink_node = twolist_shrink_node,
};

void reclaim_round(struct mm *mm, struct scan_control *sc)
{
	/* New pages wait in batches, where no scan finds them. */
	if (sc->priority == RECLAIM_DEF_PRIORITY || sc->priority == 0)
		lru_drain(mm);
	mm->policy->shrink_node(mm, sc);
	shrinker_scan_all(mm, sc->priority);
	if (sc->nr_reclaimed < sc->nr_to_reclaim)
		sc->nr_reclaimed += slab_reap(mm);
	if (sc->nr_dirty > 0 && !atomic_load(&mm->writeback.stuck))
		writeback_wake(mm);
}

unsigned long reclaim_direct(struct mm *mm, gfp_t gfp)
{
	struct scan_control sc = {
		.nr_to_reclaim = RECLAIM_CLUSTER,
		.zone_mask = reclaim_zone_mask(gfp_zone(gfp)),
		.may_io = gfp & GFP_IO,
	};

	for (int prio = RECLAIM_DEF_PRIORITY; prio >= 0; prio--) {
		sc.priority = (unsigned int)prio;
		reclaim_round(mm, &sc);
		if (sc.nr_reclaimed >= sc.nr_to_reclaim)
			break;
	}
	if (sc.nr_reclaimed == 0 && sc.may_io &&
	    vmstat_read(mm, NR_WRITEBACK) > 0) {
		writeback_wait_progress(mm, CONGESTION_WAIT_NS);
		sc.priority = 0;
		reclaim_round(mm, &sc);
	}
	return sc.nr_reclaimed;
}

unsigned long reclaim_drop_pagecache(struct mm *mm)
{
	struct scan_control sc = {
		.nr_to_reclaim = UINT64_MAX,
		.zone_mask = reclaim_zone_mask(ZONE_MOVABLE),
	};

	lru_drain(mm);
	for (enum lru_list l = LRU_INACTIVE_FILE; l <= LRU_ACTIVE_FILE; l++) {
		unsigned long left = lru_size(&mm->lru, l);

		while (left > 0) {
			unsigned long before = sc.nr_scanned;

			shrink_inactive(mm, l, RECLAIM_CLUSTER, &sc);
			if (sc.nr_scanned == before)
				break;
			left -= min_of(left, sc.nr_scanned - before);
		}
	}
	return sc.nr_reclaimed;
}
