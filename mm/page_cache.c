/*
 * page_cache.c - who may put a page in, and who may take it out.
 *
 *   (1) page->mapping and ->index are set before the page can be found, and
 *       change only with the page locked and the mapping's lock held.
 *   (2) The cache's own reference is dropped by whoever takes the page out.
 *   (3) A page that is not up to date is locked by its reader, or about to be
 *       filled or removed by the one who has it locked.
 */
#include "mm/page_cache.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_wait.h"
#include "mm/writeback.h"

#include <errno.h>
#include <string.h>

struct page *page_cache_find(struct address_space *m, pgoff_t index)
{
	struct page *page;

	mutex_lock(&m->lock);
	page = xa_load(&m->pages, index);
	if (page && xa_is_value(page))
		page = NULL;
	if (page && !page_get_unless_zero(page))
		page = NULL;
	mutex_unlock(&m->lock);
	return page;
}

/* Of an entry of an anon mapping: there is nothing to be read. */
static bool reads_as_zeroes(struct address_space *m, const void *entry)
{
	return !entry || (xa_is_value(entry) &&
			  m->ops->value_is_zero(xa_to_value(entry)));
}

unsigned int page_cache_find_run(struct address_space *m, pgoff_t first,
				 unsigned int nr, struct page **pages)
{
	unsigned int n;

	mutex_lock(&m->lock);
	for (n = 0; n < nr; n++) {
		struct page *page = xa_load(&m->pages, first + n);

		if (m->anon && reads_as_zeroes(m, page))
			page = m->mm->zero_page;
		if (!page || xa_is_value(page) || !page_test(page, PG_uptodate))
			break;
		if (!page_get_unless_zero(page))
			break;
		pages[n] = page;
	}
	mutex_unlock(&m->lock);
	return n;
}

/*
 * Returns -ENOMEM if the tree needs nodes that are not in the stash. *orphan: a
 * value it took the place of, which the caller has to free; else untouched.
 */
static int add_locked(struct address_space *m, struct page *page, pgoff_t index,
		      struct xa_stash *stash, void **orphan) must_hold(m->lock)
{
	void *old = xa_load(&m->pages, index);
	int err;

	if (old && !xa_is_value(old))
		return -EEXIST;
	page->mapping = m->id; /* (1) */
	page->index = index;
	err = xa_store(&m->pages, index, page, stash);
	if (err) {
		page->mapping = 0;
		return err;
	}
	page_get(page);
	if (m->anon)
		page_set(page, PG_anon);
	m->nr_pages++;
	if (old) {
		m->nr_values--;
		if (m->ops->value_taken)
			m->ops->value_taken(m, page, xa_to_value(old));
		else if (m->ops->free_value)
			*orphan = old;
	}
	return 0;
}

static int try_add(struct address_space *m, struct page *page, pgoff_t index,
		   struct xa_stash *stash)
{
	void *orphan = NULL;
	int err;

	mutex_lock(&m->lock);
	err = add_locked(m, page, index, stash, &orphan);
	mutex_unlock(&m->lock);
	if (orphan)
		m->ops->free_value(m, index, xa_to_value(orphan));
	return err;
}

int page_cache_add(struct address_space *m, struct page *page, pgoff_t index,
		   gfp_t gfp)
{
	/* At first only nodes that are free at once; growth stops at low. */
	struct xa_stash stash = { .gfp = GFP_WAKE | (gfp & GFP_GROWTH) };
	int err;

	VM_ASSERT(page_test(page, PG_locked) && page->mapping == 0);
	err = try_add(m, page, index, &stash);
	if (err == -ENOMEM && (gfp & (GFP_RECLAIM | GFP_RESERVE))) {
		gfp &= ~(GFP_MOVABLE | GFP_ZERO);
		if (xa_stash_fill(&m->pages, &stash, gfp) == 0)
			err = try_add(m, page, index, &stash);
		xa_stash_drain(&m->pages, &stash);
	}
	if (err)
		return err;
	vmstat_inc(m->mm, m->anon ? NR_ANON_PAGES : NR_FILE_PAGES);
	lru_add(m->mm, page);
	return 0;
}

/* The page at index, locked: 1; there is none: 0; or -EAGAIN. */
static int grab_old(struct address_space *m, pgoff_t index, gfp_t gfp,
		    struct page **result)
{
	struct page *page = page_cache_find(m, index);

	*result = page;
	if (!page)
		return 0;
	if (gfp & GFP_RECLAIM) {
		page_lock(&m->mm->page_waits, page);
	} else if (!page_trylock(page)) {
		page_put(m->mm, page);
		return -EAGAIN;
	}
	if (page->mapping == m->id && page->index == index)
		return 1;
	/* Taken out before we had the lock: look again. */
	page_unlock(&m->mm->page_waits, page);
	page_put(m->mm, page);
	return grab_old(m, index, gfp, result);
}

struct page *page_cache_grab(struct address_space *m, pgoff_t index, gfp_t gfp,
			     int *err)
{
	struct page *page;

	for (;;) {
		*err = grab_old(m, index, gfp, &page);
		if (*err > 0) {
			*err = 0;
			return page;
		}
		if (*err < 0)
			return NULL;
		page = page_alloc(m->mm, gfp | GFP_MOVABLE, 0);
		*err = -ENOMEM;
		if (!page)
			return NULL;
		page_set(page, PG_locked);
		*err = page_cache_add(m, page, index, gfp);
		if (*err == 0)
			return page;
		page_clear(page, PG_locked);
		page_put(m->mm, page);
		if (*err != -EEXIST)
			return NULL;
	}
}

void page_cache_patch(struct address_space *m, uint64_t pos, const void *data,
		      size_t len)
{
	struct mm *mm = m->mm;
	struct page *page;
	char *to;

	if (grab_old(m, pos >> PAGE_SHIFT, GFP_KERNEL, &page) != 1)
		return;
	to = (char *)page_address(&mm->arena, page) + (pos & PAGE_MASK);
	if (page_test(page, PG_uptodate) && data)
		memcpy(to, data, len);
	else if (page_test(page, PG_uptodate))
		memset(to, 0, len);
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
}

/*
 * Out of the tree, with the lock held. The cache's reference is the caller's.
 * The value that stays behind needs no memory: its place is there.
 */
static void erase(struct address_space *m, struct page *page) must_hold(m->lock)
{
	pgoff_t index = page->index;
	uint64_t value = 0;
	int err;

	VM_ASSERT(xa_load(&m->pages, index) == page);
	if (m->ops->value_left)
		value = m->ops->value_left(m, page);
	if (value) {
		err = xa_store(&m->pages, index, xa_mk_value(value), NULL);
		ASSERT(err == 0);
		m->nr_values++;
	} else {
		xa_erase(&m->pages, index);
	}
	m->nr_pages--;
}

static void dropped(struct address_space *m, struct page *page)
{
	vmstat_dec(m->mm, m->anon ? NR_ANON_PAGES : NR_FILE_PAGES);
	if (page_test(page, PG_ahead))
		vmstat_inc(m->mm, READAHEAD_UNUSED);
	if (m->ops->page_dropped)
		m->ops->page_dropped(m, page);
}

void page_cache_remove(struct address_space *m, struct page *page)
{
	struct mm *mm = m->mm;

	ASSERT(page_test(page, PG_locked));
	ASSERT(!page_test(page, PG_dirty | PG_writeback));
	/* While page->mapping is set the owner cannot go away under us. */
	dropped(m, page);
	mutex_lock(&m->lock);
	erase(m, page);
	page->mapping = 0;
	mutex_unlock(&m->lock);
	/* From here on m may be gone. */
	page_put(mm, page); /* (2) */
}

bool page_cache_remove_unused(struct address_space *m, struct page *page)
{
	bool removed = false;

	VM_ASSERT(page_test(page, PG_locked));
	mutex_lock(&m->lock);
	/* Nobody finds it while we hold the lock: the count can only fall. */
	if (!page_test(page, PG_dirty | PG_writeback) &&
	    page_freeze_refs(page, 2)) {
		dropped(m, page);
		erase(m, page);
		page->mapping = 0;
		removed = true;
	}
	mutex_unlock(&m->lock);
	return removed;
}

/* The next entry at or after *index: a page (locked) or a value (erased). */
static struct page *next_locked(struct address_space *m, pgoff_t *index,
				pgoff_t last, bool *found)
{
	struct page *page;

	mutex_lock(&m->lock);
	page = xa_find(&m->pages, index, last, XA_PRESENT);
	*found = page != NULL;
	if (page && xa_is_value(page)) {
		uint64_t value = xa_to_value(page);

		xa_erase(&m->pages, *index);
		m->nr_values--;
		mutex_unlock(&m->lock);
		if (m->ops->free_value)
			m->ops->free_value(m, *index, value);
		return NULL;
	}
	if (page)
		page_get(page);
	mutex_unlock(&m->lock);
	if (page)
		page_lock(&m->mm->page_waits, page);
	return page;
}

void page_cache_truncate_range(struct address_space *m, pgoff_t first,
			       pgoff_t last)
{
	pgoff_t index = first;
	bool found = true;

	while (found) {
		struct page *page = next_locked(m, &index, last, &found);

		if (!page)
			continue;
		if (page->mapping == m->id && page->index >= first) {
			page_wait(&m->mm->page_waits, page, PG_writeback);
			if (m->ops->page_truncated)
				m->ops->page_truncated(m, page);
			else
				page_cancel_dirty(m, page);
			page_cache_remove(m, page);
		}
		page_unlock(&m->mm->page_waits, page);
		page_put(m->mm, page);
	}
}

void page_cache_truncate(struct address_space *m, pgoff_t first)
{
	page_cache_truncate_range(m, first, UINT64_MAX);
}

/*
 * One page that was found: drop it if nobody else uses it. Whose it is is asked
 * with its lock: then the mapping stays.
 */
static bool invalidate_page(struct mm *mm, struct page *page)
{
	struct address_space *m;
	bool removed;

	if (!page_trylock(page)) {
		page_put(mm, page);
		return false;
	}
	m = page->mapping ? address_space_find(mm, page->mapping) : NULL;
	removed = m && page_cache_remove_unused(m, page);
	page_unlock(&mm->page_waits, page);
	if (!removed) {
		page_put(mm, page);
		return false;
	}
	if (page_test(page, PG_lru))
		lru_del(mm, page);
	page_free(mm, page, true);
	return true;
}

void page_cache_put_unused(struct mm *mm, struct page *page)
{
	invalidate_page(mm, page);
}

unsigned long page_cache_invalidate(struct address_space *m, pgoff_t first,
				    pgoff_t last)
{
	unsigned long nr = 0;
	struct page *page;

	/* Pages in a batch of lru.c are used by it. */
	lru_drain(m->mm);
	do {
		mutex_lock(&m->lock);
		page = xa_find(&m->pages, &first, last, XA_PRESENT);
		if (page && !xa_is_value(page))
			page_get(page);
		mutex_unlock(&m->lock);
		if (page && !xa_is_value(page))
			nr += invalidate_page(m->mm, page);
	} while (page && first++ != last);
	return nr;
}

void page_run_map(struct page_run *run, unsigned int from, unsigned int to)
{
	struct arena *a = &run->mapping->mm->arena;

	for (unsigned int i = from; i < to; i++)
		run->iov[i] = (struct iovec){ page_address(a, run->pages[i]),
					      PAGE_SIZE };
}

/* Is it for somebody to bring what belongs there into memory? */
static bool must_read(struct address_space *m, pgoff_t index) must_hold(m->lock)
{
	const void *entry = xa_load(&m->pages, index);

	if (m->anon)
		return !reads_as_zeroes(m, entry) && xa_is_value(entry);
	return !entry || xa_is_value(entry);
}

/* The first run of indices that must be read in [*first, last]; how many. */
static unsigned int next_gap(struct address_space *m, pgoff_t *first,
			     pgoff_t last)
{
	unsigned int nr = 0;

	mutex_lock(&m->lock);
	while (*first <= last && !must_read(m, *first))
		++*first;
	while (nr < PAGE_RUN_MAX && nr <= last - *first && *first <= last &&
	       must_read(m, *first + nr))
		nr++;
	mutex_unlock(&m->lock);
	return nr;
}

/* Frames for a run, locked. Returns how many there are. */
static unsigned int alloc_pages(struct mm *mm, struct page **pages,
				unsigned int nr, gfp_t gfp)
{
	for (unsigned int i = 0; i < nr; i++) {
		pages[i] = page_alloc(mm, gfp | GFP_MOVABLE | GFP_COLD, 0);
		if (!pages[i])
			return i;
		page_set(pages[i], PG_locked);
	}
	return nr;
}

static void free_pages(struct mm *mm, struct page **pages, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		page_clear(pages[i], PG_locked | PG_readahead | PG_ahead);
		page_put(mm, pages[i]);
	}
}

/*
 * Put the first nr pages of the run into the tree, under one lock. Returns how
 * many got there before one was in the way, or nodes were not free at once.
 */
static unsigned int add_run(struct page_run *run, unsigned int nr, gfp_t gfp)
{
	struct xa_stash stash = { .gfp = GFP_WAKE | (gfp & GFP_GROWTH) };
	struct address_space *m = run->mapping;
	void *orphan = NULL;
	unsigned int n = 0;

	mutex_lock(&m->lock);
	while (n < nr && !orphan &&
	       add_locked(m, run->pages[n], run->first + n, &stash, &orphan) ==
		       0)
		n++;
	mutex_unlock(&m->lock);
	if (orphan)
		m->ops->free_value(m, run->first + n - 1, xa_to_value(orphan));
	vmstat_add(m->mm, m->anon ? NR_ANON_PAGES : NR_FILE_PAGES, (long)n);
	lru_add_run(m->mm, run->pages, n);
	/* With reclaim allowed the next one gets its nodes. */
	if (n == 0 && page_cache_add(m, run->pages[0], run->first, gfp) == 0)
		n = 1;
	return n;
}

static void set_marks(struct page_run *run, unsigned int nr,
		      const struct readahead_plan *plan)
{
	pgoff_t ahead = plan->first + plan->nr_asked;

	for (unsigned int i = 0; i < nr; i++) {
		pgoff_t index = run->first + i;
		uint32_t marks = (index == plan->marker ? PG_readahead : 0) |
				 (index >= ahead ? PG_ahead : 0);

		if (marks)
			page_set(run->pages[i], marks);
	}
}

/*
 * For a run to read with, which may be with a device that takes nothing: who gets
 * none reads without pages.
 */
#define RUN_WAIT_NS (100 * NSEC_PER_MSEC)

/*
 * Begin to read up to nr pages from first on, where none are. Returns how many
 * it was: none for want of memory, or because somebody else has begun.
 */
static unsigned int read_gap(struct address_space *m, pgoff_t first,
			     unsigned int nr, const struct readahead_plan *plan,
			     gfp_t gfp)
{
	struct mm *mm = m->mm;
	struct page_run *run;
	unsigned int nr_pages;

	/* Before waiting for memory: what was queued may be what holds it. */
	if (gfp & GFP_RECLAIM)
		page_io_kick(mm->io);
	run = mempool_alloc_timeout(&mm->runs, gfp & ~GFP_MOVABLE, RUN_WAIT_NS);
	if (!run)
		return 0;
	run->mapping = m;
	run->first = first;
	nr_pages = alloc_pages(mm, run->pages, nr, gfp);
	set_marks(run, nr_pages, plan);
	run->nr = nr_pages > 0 ? add_run(run, nr_pages, gfp) : 0;
	nr = run->nr;
	free_pages(mm, run->pages + nr, nr_pages - nr);
	if (nr == 0) {
		mempool_free(&mm->runs, run);
		return 0;
	}
	vmstat_inc(mm, READ_IO);
	m->ops->read_run(m, run); /* with our references; run may be gone */
	return nr;
}

unsigned int page_cache_read_plan(struct address_space *m,
				  const struct readahead_plan *plan, gfp_t gfp)
{
	pgoff_t first = plan->first, last = plan->first + plan->nr - 1;
	unsigned int started = 0, gap, n;

	while (plan->nr > 0 && first <= last &&
	       (gap = next_gap(m, &first, last)) > 0) {
		n = read_gap(m, first, gap, plan, gfp);
		if (n == 0)
			break;
		started += n;
		first += n;
	}
	page_io_kick(m->mm->io);
	return started;
}

unsigned int page_cache_read(struct address_space *m, pgoff_t first,
			     unsigned int nr, pgoff_t marker, gfp_t gfp)
{
	struct readahead_plan plan = {
		.first = first, .nr = nr, .nr_asked = nr, .marker = marker
	};

	return page_cache_read_plan(m, &plan, gfp);
}

void page_run_read_done(struct page_run *run, uint64_t nr_bytes, int err)
{
	struct address_space *m = run->mapping;
	struct mm *mm = m->mm;

	vmstat_add(mm, PGPGIN, (long)(nr_bytes >> 10));
	if (err)
		vmstat_inc(mm, READ_IO_ERROR);
	for (unsigned int i = 0; i < run->nr; i++) {
		struct page *page = run->pages[i];
		uint64_t start = (uint64_t)i << PAGE_SHIFT;
		size_t have = 0;

		if (nr_bytes > start)
			have = (size_t)min_of(nr_bytes - start,
					      (uint64_t)PAGE_SIZE);
		if (err) {
			page_cache_remove(m, page); /* (3) */
		} else {
			memset((char *)page_address(&mm->arena, page) + have, 0,
			       PAGE_SIZE - have);
			page_set(page, PG_uptodate);
		}
		page_unlock(&mm->page_waits, page);
		page_put(mm, page);
	}
	mempool_free(&mm->runs, run);
}
