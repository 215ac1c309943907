/*
 * reclaim.c - the scan (Linux: vmscan.c).
 *
 *   (1) A page being looked at is off its list, with a reference of ours; it
 *       goes back to the list its flags say, or is freed.
 *   (2) Its mapping is there for as long as the page is locked and names it.
 *   (3) Nothing here allocates, and nothing waits but reclaim_direct() at its
 *       end, for writeback to get on.
 *   (4) Anon pages that swap has no room for wait on the unevictable list, so
 *       that what can be dropped is found among them; they are rescued when
 *       there is room again.
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

/*
 * So many pages to be pushed out are worth waking a helper: 10 us each, and as
 * long again until it has woken.
 */
enum { HELP_PAGES_MIN = 8 };

unsigned int reclaim_zone_mask(enum zone_type highest)
{
	return (1u << (highest + 1)) - 1;
}

/* Push a dirty page out. True: it is clean now. */
static bool clean_page(struct mm *mm, struct address_space *m,
		       struct page *page, struct scan_control *sc)
{
	sc->nr_dirty++;
	if (!sc->may_io || page_test(page, PG_reclaim))
		return false; /* not now, or on its way */
	if (m->anon && sc->busy)
		return false;
	vmstat_inc(mm, NR_VMSCAN_WRITE);
	switch (m->ops->pageout(m, page)) {
	case PAGEOUT_STARTED:
		sc->nr_pageout++;
		page_set(page, PG_reclaim);
		break;
	case PAGEOUT_CLEAN:
		sc->nr_pageout++;
		break;
	case PAGEOUT_BUSY:
		sc->busy = true;
		break;
	case PAGEOUT_KEEP:
		/* Nowhere to go: out of the way until there is (4). */
		if (m->anon)
			page_set(page, PG_unevictable);
		break;
	}
	return !page_test(page, PG_dirty | PG_writeback);
}

static enum page_fate try_drop(struct mm *mm, struct address_space *m,
			       struct page *page, struct scan_control *sc)
{
	if (page_test(page, PG_writeback)) {
		page_set(page, PG_reclaim);
		sc->nr_writeback++;
		return FATE_KEEP;
	}
	if (page_test(page, PG_dirty) && !clean_page(mm, m, page, sc))
		return FATE_KEEP;
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

static enum lru_kind kind_of(enum lru_list list)
{
	return list <= LRU_ACTIVE_ANON ? LRU_ANON : LRU_FILE;
}

static struct page *next_of_batch(struct scan_batch *b)
{
	struct page *page = NULL;

	mutex_lock(&b->lock);
	if (!list_empty(&b->pages)) {
		page = list_last_entry(&b->pages, struct page, lru);
		list_del_init(&page->lru);
	}
	mutex_unlock(&b->lock);
	return page;
}

void reclaim_scan_batch(struct mm *mm, struct scan_batch *b)
{
	struct scan_control sc = b->what;
	unsigned long freed = 0;
	struct list_head keep;
	struct page *page;

	list_init(&keep);
	while ((page = next_of_batch(b))) {
		if (look_at(mm, page, &sc) == FATE_FREED) {
			page_free(mm, page, true);
			freed++;
		} else {
			list_add(&keep, &page->lru);
		}
	}
	mutex_lock(&b->lock);
	list_splice(&b->keep, &keep);
	b->sc->nr_reclaimed += freed;
	b->sc->nr_dirty += sc.nr_dirty;
	b->sc->nr_writeback += sc.nr_writeback;
	b->sc->nr_pageout += sc.nr_pageout;
	b->sc->busy |= sc.busy;
	mutex_unlock(&b->lock);
}

/* Is there so much to be pushed out that others should be woken? */
static bool wants_help(const struct scan_batch *b)
{
	unsigned int nr_dirty = 0;
	struct page *page;

	list_for_each_entry(page, &b->pages, struct page, lru)
		nr_dirty += page_test(page, PG_dirty);
	return nr_dirty >= HELP_PAGES_MIN;
}

static void shrink_inactive(struct mm *mm, enum lru_list list, unsigned int nr,
			    struct scan_control *sc)
{
	unsigned long reclaimed = sc->nr_reclaimed, pageout = sc->nr_pageout;
	unsigned long scanned = 0, freed, taken;
	unsigned int nr_helpers = atomic_load(&mm->scan_crew.nr);
	bool crew = sc->kswapd && list == LRU_INACTIVE_ANON && nr_helpers > 0;
	struct scan_batch b = {
		.sc = sc,
		.what = { .priority = sc->priority,
			  .may_io = sc->may_io,
			  .busy = sc->busy },
	};

	mutex_init(&b.lock);
	list_init(&b.pages);
	list_init(&b.keep);
	taken = lru_isolate(mm, list, crew ? nr * (1 + nr_helpers) : nr,
			    sc->zone_mask, &b.pages, &scanned);
	crew = crew && wants_help(&b);
	if (crew)
		scan_crew_offer(mm, &b);
	reclaim_scan_batch(mm, &b);
	if (crew)
		scan_crew_end(mm);
	lru_putback(mm, &b.keep);
	freed = sc->nr_reclaimed - reclaimed;
	if (taken > 0)
		lru_note_cost(mm, kind_of(list), sc->nr_pageout - pageout,
			      taken - freed);
	sc->nr_scanned += scanned;
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

/* One kind of pages, and how much of it is to be looked at. */
struct kind_scan {
	enum lru_list inactive;
	unsigned long want, want_active; /* pages */
	bool barren; /* the inactive list has nothing for us */
};

/* A batch of each list; sets want to 0 when there is nothing to be had. */
static void scan_batch(struct mm *mm, struct kind_scan *k,
		       struct scan_control *sc)
{
	unsigned long batch = RECLAIM_CLUSTER, scanned = sc->nr_scanned;

	/* Low, or of zones that would not help. */
	if (k->want_active > 0 &&
	    (k->barren || inactive_is_low(mm, k->inactive))) {
		shrink_active(mm, k->inactive + LRU_ACTIVE, RECLAIM_CLUSTER,
			      sc);
		k->want_active -= min_of(k->want_active, batch);
	}
	shrink_inactive(mm, k->inactive, RECLAIM_CLUSTER, sc);
	k->barren = sc->nr_scanned == scanned;
	if (k->barren && k->want_active == 0)
		k->want = 0;
	else
		k->want -= min_of(k->want, sc->nr_scanned - scanned);
	if (sc->busy && k->inactive == LRU_INACTIVE_ANON)
		k->want = 0;
}

static unsigned long kind_size(struct mm *mm, enum lru_list inactive)
{
	return lru_size(&mm->lru, inactive) +
	       lru_size(&mm->lru, inactive + LRU_ACTIVE);
}

static bool may_scan_anon(struct mm *mm, const struct scan_control *sc)
{
	long room = atomic_load(&mm->nr_swap_free);

	if (room > 0) /* (4) */
		lru_rescue(mm, (unsigned long)room);
	if (kind_size(mm, LRU_INACTIVE_ANON) == 0)
		return false;
	return room > 0 || atomic_load(&mm->swap_compacting) ||
	       vmstat_read(mm, NR_SWAPCACHE) > 0 ||
	       (sc->priority == 0 && !sc->kswapd);
}

static unsigned long at_priority(unsigned long size,
				 const struct scan_control *sc)
{
	return max_of(size >> sc->priority, (unsigned long)RECLAIM_CLUSTER);
}

/*
 * How much of each kind is to be looked at in this round: of both together as
 * much as the priority says, of each in proportion to its size and share. The
 * last round looks at everything, whatever it costs.
 */
static void plan_scan(struct mm *mm, const struct scan_control *sc,
		      struct kind_scan scans[NR_LRU_KINDS])
{
	static const enum lru_list lists[NR_LRU_KINDS] = {
		[LRU_ANON] = LRU_INACTIVE_ANON,
		[LRU_FILE] = LRU_INACTIVE_FILE,
	};
	bool both = may_scan_anon(mm, sc);
	unsigned long share[NR_LRU_KINDS], size[NR_LRU_KINDS], all, weight;

	lru_shares(mm, share);
	for (int kind = 0; kind < NR_LRU_KINDS; kind++)
		size[kind] = kind_size(mm, lists[kind]);
	all = at_priority(size[LRU_ANON] + size[LRU_FILE], sc);
	weight = size[LRU_ANON] * share[LRU_ANON] +
		 size[LRU_FILE] * share[LRU_FILE];
	for (int kind = 0; kind < NR_LRU_KINDS; kind++) {
		enum lru_list list = lists[kind];
		struct kind_scan *k = &scans[kind];

		*k = (struct kind_scan){ .inactive = list };
		if (!both || sc->priority == 0 || weight == 0)
			k->want =
				both || kind == LRU_FILE
					? at_priority(lru_size(&mm->lru, list),
						      sc)
					: 0;
		else
			k->want = lru_scan_now(
				mm, (enum lru_kind)kind,
				(unsigned long)((unsigned __int128)all *
						size[kind] * share[kind] /
						weight),
				RECLAIM_CLUSTER);
		if (k->want > 0)
			k->want_active = at_priority(
				lru_size(&mm->lru, list + LRU_ACTIVE), sc);
	}
}

/* The two kinds in turn, so that neither bears it all. */
static void twolist_shrink_node(struct mm *mm, struct scan_control *sc)
{
	struct kind_scan scans[NR_LRU_KINDS];

	plan_scan(mm, sc, scans);
	while (scans[LRU_ANON].want + scans[LRU_FILE].want > 0)
		for (int kind = 0; kind < NR_LRU_KINDS; kind++) {
			if (sc->nr_reclaimed >= sc->nr_to_reclaim)
				return;
			if (scans[kind].want > 0)
				scan_batch(mm, &scans[kind], sc);
		}
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
	/* Before pages that somebody may want back. */
	if (vmstat_read(mm, NR_SLAB_EMPTY) >= RECLAIM_CLUSTER)
		sc->nr_reclaimed += slab_reap(mm);
	mm->policy->shrink_node(mm, sc);
	shrinker_scan_all(mm, sc->priority);
	if (sc->nr_reclaimed < sc->nr_to_reclaim)
		sc->nr_reclaimed += slab_reap(mm);
	if (sc->nr_dirty > 0 && dirty_list_moves(mm))
		flusher_wake(mm);
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
	    vmstat_read(mm, NR_WRITEBACK) + vmstat_read(mm, NR_SWAP_PENDING) >
		    0) {
		writeback_wait_progress(mm, CONGESTION_WAIT_NS);
		sc.busy = false;
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
