/*
 * lru.c - which list a page is on follows from its flags.
 *
 *   (1) PG_lru is set exactly while the page is on a list; it is set and
 *       cleared with the lock held.
 *   (2) PG_active, PG_anon and PG_unevictable of a page on a list change only
 *       with the lock held: they say which list.
 *   (3) A page without references is on a list only until lru_del(), by the
 *       one who dropped the last.
 */
#include "mm/lru.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"

static enum lru_list list_of(const struct page *page)
{
	enum lru_list list = LRU_INACTIVE_FILE;

	if (page_test(page, PG_unevictable))
		return LRU_UNEVICTABLE;
	if (page_test(page, PG_anon))
		list = LRU_INACTIVE_ANON;
	return page_test(page, PG_active) ? list + LRU_ACTIVE : list;
}

void lruvec_init(struct lruvec *v)
{
	*v = (struct lruvec){ .cost = { 0 } };
	mutex_init(&v->lock);
	for (int i = 0; i < NR_LRU_LISTS; i++) {
		list_init(&v->lists[i]);
		atomic_store(&v->nr[i], 0);
	}
}

void lru_batch_init(struct lru_batch *b, unsigned int cpu, int32_t rseq)
{
	*b = (struct lru_batch){ .nr_add = 0 };
	cpu_lock_init(&b->lock, cpu, rseq);
}

static void count(struct mm *mm, enum lru_list list, long delta)
{
	struct lruvec *v = &mm->lru;

	atomic_store_explicit(&v->nr[list],
			      lru_size(v, list) + (unsigned long)delta,
			      memory_order_relaxed);
	vmstat_add(mm, NR_INACTIVE_ANON + list, delta);
}

static void link_page(struct mm *mm, struct page *page, bool at_tail)
	must_hold(mm->lru.lock)
{
	enum lru_list list = list_of(page);

	VM_ASSERT(!page_test(page, PG_lru));
	page_set(page, PG_lru); /* (1) */
	if (at_tail)
		list_add_tail(&mm->lru.lists[list], &page->lru);
	else
		list_add(&mm->lru.lists[list], &page->lru);
	count(mm, list, 1);
}

static void unlink_page(struct mm *mm, struct page *page)
	must_hold(mm->lru.lock)
{
	count(mm, list_of(page), -1);
	page_clear(page, PG_lru);
	list_del_init(&page->lru);
}

/* Move to the active list, unless that has been done meanwhile. */
static void activate(struct mm *mm, struct page *page) must_hold(mm->lru.lock)
{
	if (!page_test(page, PG_lru)) {
		/* Being looked at: the scan shall know of it. */
		page_set(page, PG_referenced);
		return;
	}
	if (page_test(page, PG_active | PG_unevictable))
		return;
	unlink_page(mm, page);
	page_set(page, PG_active);
	link_page(mm, page, false);
	vmstat_inc(mm, PGACTIVATE);
}

static unsigned int queued(_Atomic unsigned int *nr)
{
	return atomic_load_explicit(nr, memory_order_relaxed);
}

/* Put page into an array of a batch; returns whether that is full now. */
static bool queue(struct page **pages, _Atomic unsigned int *nr,
		  struct page *page)
{
	unsigned int n = queued(nr);

	page_get(page);
	pages[n] = page;
	atomic_store_explicit(nr, n + 1, memory_order_relaxed);
	return n + 1 == LRU_BATCH;
}

/*
 * Put a batch where it belongs. The references are dropped afterwards, as the
 * last one frees the page and takes it off its list again.
 */
static void batch_flush(struct mm *mm, struct lru_batch *b) must_hold(b->lock)
{
	struct page *done[2 * LRU_BATCH];
	unsigned int nr = 0;

	mutex_lock(&mm->lru.lock);
	for (unsigned int i = 0; i < queued(&b->nr_add); i++) {
		if (!page_test(b->add[i], PG_lru))
			link_page(mm, b->add[i], false);
		done[nr++] = b->add[i];
	}
	for (unsigned int i = 0; i < queued(&b->nr_activate); i++) {
		activate(mm, b->activate[i]);
		done[nr++] = b->activate[i];
	}
	mutex_unlock(&mm->lru.lock);
	for (unsigned int i = 0; i < nr; i++)
		page_put(mm, done[i]);
	/* Now a drain that finds it empty needs not wait for it. */
	atomic_store_explicit(&b->nr_add, 0, memory_order_relaxed);
	atomic_store_explicit(&b->nr_activate, 0, memory_order_relaxed);
}

void lru_add(struct mm *mm, struct page *page)
{
	lru_add_run(mm, &page, 1);
}

void lru_add_run(struct mm *mm, struct page **pages, unsigned int nr)
{
	struct lru_batch *b = &mm->lru_batches[mm_slot(mm)];

	if (!cpu_trylock(&b->lock)) {
		mutex_lock(&mm->lru.lock);
		for (unsigned int i = 0; i < nr; i++)
			if (!page_test(pages[i], PG_lru))
				link_page(mm, pages[i], false);
		mutex_unlock(&mm->lru.lock);
		return;
	}
	for (unsigned int i = 0; i < nr; i++)
		if (queue(b->add, &b->nr_add, pages[i]))
			batch_flush(mm, b);
	cpu_unlock(&b->lock);
}

static void activate_soon(struct mm *mm, struct page *page)
{
	struct lru_batch *b = &mm->lru_batches[mm_slot(mm)];

	if (!cpu_trylock(&b->lock)) {
		mutex_lock(&mm->lru.lock);
		activate(mm, page);
		mutex_unlock(&mm->lru.lock);
		return;
	}
	if (queue(b->activate, &b->nr_activate, page))
		batch_flush(mm, b);
	cpu_unlock(&b->lock);
}

void page_mark_accessed(struct mm *mm, struct page *page)
{
	if (!page_test(page, PG_referenced)) {
		page_set(page, PG_referenced);
		return;
	}
	if (page_test(page, PG_active | PG_unevictable))
		return;
	/* In a batch still, it will be seen at its first scan. */
	if (!page_test(page, PG_lru))
		return;
	if (page_test_and_clear(page, PG_referenced))
		activate_soon(mm, page);
}

void lru_del(struct mm *mm, struct page *page)
{
	mutex_lock(&mm->lru.lock);
	if (page_test(page, PG_lru))
		unlink_page(mm, page);
	mutex_unlock(&mm->lru.lock);
}

void lru_rotate(struct mm *mm, struct page *page)
{
	mutex_lock(&mm->lru.lock);
	if (page_test(page, PG_lru) &&
	    !page_test(page, PG_active | PG_unevictable)) {
		unlink_page(mm, page);
		link_page(mm, page, true);
		vmstat_inc(mm, PGROTATED);
	}
	mutex_unlock(&mm->lru.lock);
}

void lru_rescue(struct mm *mm, unsigned long nr)
{
	struct list_head *from = &mm->lru.lists[LRU_UNEVICTABLE];
	struct page *rescued[RECLAIM_CLUSTER];
	unsigned int n = 0;

	if (lru_size(&mm->lru, LRU_UNEVICTABLE) == 0)
		return;
	nr = min_of(nr, (unsigned long)RECLAIM_CLUSTER);
	mutex_lock(&mm->lru.lock);
	for (; nr > 0 && !list_empty(from); nr--) {
		struct page *page = list_last_entry(from, struct page, lru);

		/* Without a reference it could be freed in between (3). */
		if (!page_get_unless_zero(page)) {
			list_move(from, &page->lru);
			continue;
		}
		unlink_page(mm, page);
		page_clear(page, PG_unevictable | PG_active);
		link_page(mm, page, true);
		rescued[n++] = page;
	}
	mutex_unlock(&mm->lru.lock);
	while (n > 0)
		page_put(mm, rescued[--n]);
}

void lru_drain(struct mm *mm)
{
	for (unsigned int i = 0; i < mm->nr_slots; i++) {
		struct lru_batch *b = &mm->lru_batches[i];

		if (queued(&b->nr_add) + queued(&b->nr_activate) == 0)
			continue;
		cpu_seize(&b->lock);
		batch_flush(mm, b);
		cpu_unlock(&b->lock);
	}
}

static bool zone_wanted(struct mm *mm, const struct page *page,
			unsigned int zone_mask)
{
	pfn_t pfn = page_to_pfn(&mm->arena, page);

	for (int t = 0; t < NR_ZONES; t++)
		if (zone_contains(&mm->zones[t], pfn))
			return zone_mask & 1u << t;
	return false;
}

unsigned int lru_isolate(struct mm *mm, enum lru_list list, unsigned int nr,
			 unsigned int zone_mask, struct list_head *pages,
			 unsigned long *nr_scanned)
{
	struct list_head *from = &mm->lru.lists[list];
	unsigned long left = lru_size(&mm->lru, list);
	unsigned int taken = 0;
	struct list_head passed;

	/*
	 * Pages of other zones do not count as scanned, but looking for the
	 * right ones must end: at most this many are passed in one go.
	 */
	unsigned long budget = max_of(nr * 16ul, left / 4);

	list_init(&passed);
	mutex_lock(&mm->lru.lock);
	while (taken < nr && left-- > 0 && budget-- > 0 && !list_empty(from)) {
		struct page *page = list_last_entry(from, struct page, lru);

		if (!zone_wanted(mm, page, zone_mask)) {
			list_move(&passed, &page->lru);
			continue;
		}
		++*nr_scanned;
		if (!page_get_unless_zero(page)) {
			list_move(&passed, &page->lru); /* (3) */
			continue;
		}
		unlink_page(mm, page);
		list_add(pages, &page->lru);
		taken++;
	}
	list_splice(from, &passed);
	mutex_unlock(&mm->lru.lock);
	return taken;
}

void lru_putback(struct mm *mm, struct list_head *pages)
{
	while (!list_empty(pages)) {
		struct page *batch[2 * LRU_BATCH];
		unsigned int nr = 0;

		mutex_lock(&mm->lru.lock);
		while (nr < ARRAY_SIZE(batch) && !list_empty(pages)) {
			/* The oldest first: it ends up behind the others. */
			struct page *page =
				list_last_entry(pages, struct page, lru);

			list_del_init(&page->lru);
			link_page(mm, page, false);
			batch[nr++] = page;
		}
		mutex_unlock(&mm->lru.lock);
		for (unsigned int i = 0; i < nr; i++)
			page_put(mm, batch[i]);
	}
}

void lru_note_cost(struct mm *mm, enum lru_kind kind, unsigned long nr_io,
		   unsigned long nr_rotated)
{
	struct lruvec *v = &mm->lru;
	unsigned long size = 0;

	mutex_lock(&v->lock);
	/* A transfer costs as much as a batch of pages looked at in vain. */
	v->cost[kind] += nr_io * RECLAIM_CLUSTER + nr_rotated;
	for (int l = 0; l < LRU_UNEVICTABLE; l++)
		size += lru_size(v, (enum lru_list)l);
	while (v->cost[LRU_ANON] + v->cost[LRU_FILE] > size / 4 &&
	       v->cost[LRU_ANON] + v->cost[LRU_FILE] > 1) {
		v->cost[LRU_ANON] /= 2;
		v->cost[LRU_FILE] /= 2;
	}
	mutex_unlock(&v->lock);
}

/* A share of one in two hundred is to be more than nothing. */
enum { SHARE_UNIT = 256 };

void lru_shares(struct mm *mm, unsigned long share[NR_LRU_KINDS])
{
	unsigned long swappiness = vm_get(mm, VM_SWAPPINESS);
	struct lruvec *v = &mm->lru;
	unsigned long anon, file, total;

	mutex_lock(&v->lock);
	anon = v->cost[LRU_ANON];
	file = v->cost[LRU_FILE];
	mutex_unlock(&v->lock);
	/* Neither kind is ever more than twice as dear as both (Linux). */
	total = anon + file;
	share[LRU_ANON] =
		SHARE_UNIT * swappiness * (total + 1) / (total + anon + 1);
	share[LRU_FILE] = SHARE_UNIT * (200 - swappiness) * (total + 1) /
			  (total + file + 1);
}

unsigned long lru_scan_now(struct mm *mm, enum lru_kind kind, unsigned long nr,
			   unsigned int batch)
{
	struct lruvec *v = &mm->lru;
	unsigned long now;

	mutex_lock(&v->lock);
	v->carry[kind] += nr;
	now = v->carry[kind] / batch * batch;
	v->carry[kind] -= now;
	mutex_unlock(&v->lock);
	return now;
}

void lru_check(struct mm *mm)
{
	mutex_lock(&mm->lru.lock);
	for (int i = 0; i < NR_LRU_LISTS; i++) {
		unsigned long nr = 0;
		struct page *page;

		list_for_each_entry(page, &mm->lru.lists[i], struct page, lru) {
			ASSERT(page_test(page, PG_lru));	   /* (1) */
			ASSERT(list_of(page) == (enum lru_list)i); /* (2) */
			nr++;
		}
		ASSERT(nr == lru_size(&mm->lru, (enum lru_list)i));
	}
	mutex_unlock(&mm->lru.lock);
}
