/*
 * writeback.c - from dirty to clean.
 *
 *   (1) A page is PG_dirty exactly when it has the tag XA_DIRTY, PG_writeback
 *       exactly when it has XA_WRITEBACK; both change together, with the
 *       mapping's lock held, and nr_dirty and nr_writeback count them.
 *   (2) dirty -> writeback happens with the page locked, and clears PG_dirty
 *       before the contents are read: a write that comes later makes the page
 *       dirty again, and it is written once more.
 *   (3) A page that could not be written becomes dirty before its writeback
 *       ends: it is never clean in between.
 *   (4) A mapping is held by its place on the dirty list (mm/dirty_list.c) from
 *       its first dirty page until it has neither dirty pages nor writeback.
 */
#include "mm/writeback.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>

void writeback_init(struct writeback *wb)
{
	*wb = (struct writeback){ .nr_runs_ended = 0 };
	mutex_init(&wb->lock);
	cond_init(&wb->progress);
}

/* --- the state of a page ------------------------------------------------ */

static void dirty_locked(struct address_space *m, struct page *page)
	must_hold(m->lock)
{
	page_set(page, PG_dirty);
	xa_set_tag(&m->pages, page->index, XA_DIRTY);
	m->nr_dirty++;
	atomic_fetch_add(&writeback_group_of(m)->nr_dirty, 1);
	vmstat_inc(m->mm, NR_FILE_DIRTY);
}

void page_set_dirty(struct address_space *m, struct page *page)
{
	bool listed;

	VM_ASSERT(page_test(page, PG_locked) && page->mapping == m->id);
	if (page_test(page, PG_dirty))
		return;
	mutex_lock(&m->lock);
	if (page_test(page, PG_dirty)) {
		mutex_unlock(&m->lock);
		return;
	}
	dirty_locked(m, page);
	listed = dirty_list_add(m);
	mutex_unlock(&m->lock);
	/* It cannot become clean before the caller unlocks the page. */
	if (listed)
		m->ops->hold(m);
	vmstat_inc(m->mm, NR_DIRTIED);
}

void page_cancel_dirty(struct address_space *m, struct page *page)
{
	VM_ASSERT(page_test(page, PG_locked));
	mutex_lock(&m->lock);
	if (page_test_and_clear(page, PG_dirty)) {
		xa_clear_tag(&m->pages, page->index, XA_DIRTY);
		xa_clear_tag(&m->pages, page->index, XA_TOWRITE);
		m->nr_dirty--;
		atomic_fetch_sub(&writeback_group_of(m)->nr_dirty, 1);
		vmstat_dec(m->mm, NR_FILE_DIRTY);
	}
	mutex_unlock(&m->lock);
}

/* dirty -> writeback (2). False: frozen, or not dirty any more. */
static bool begin_locked(struct address_space *m, struct page *page)
	must_hold(m->lock)
{
	if (m->nr_freezers > 0)
		return false;
	xa_clear_tag(&m->pages, page->index, XA_TOWRITE);
	if (!page_test(page, PG_dirty))
		return false;
	page_clear(page, PG_dirty);
	page_set(page, PG_writeback);
	xa_clear_tag(&m->pages, page->index, XA_DIRTY);
	xa_set_tag(&m->pages, page->index, XA_WRITEBACK);
	m->nr_dirty--;
	m->nr_writeback++;
	return true;
}

/* In this order: whoever reads both sees a page in one at least. */
static void count_begun(struct address_space *m, unsigned int nr)
{
	struct writeback_group *g = writeback_group_of(m);

	atomic_fetch_add(&g->nr_writeback, nr);
	atomic_fetch_sub(&g->nr_dirty, nr);
	vmstat_add(m->mm, NR_WRITEBACK, (long)nr);
	vmstat_add(m->mm, NR_FILE_DIRTY, -(long)nr);
}

static bool begin_writeback(struct address_space *m, struct page *page)
{
	bool begun;

	mutex_lock(&m->lock);
	begun = begin_locked(m, page);
	if (begun)
		count_begun(m, 1);
	mutex_unlock(&m->lock);
	return begun;
}

/*
 * Returns whether the mapping may leave the list, and soon. If it was a sync
 * that wrote it, it is in use, and dirty again in no time: it leaves at the
 * flusher's next round, or when somebody asks for it.
 */
static bool end_writeback(struct page_run *run, int err)
{
	struct address_space *m = run->mapping;
	bool may_leave;

	mutex_lock(&m->lock);
	/* Before anybody who waits for one of them can look. */
	if (err)
		atomic_fetch_add(&m->nr_write_errors, run->nr);
	for (unsigned int i = 0; i < run->nr; i++) {
		struct page *page = run->pages[i];

		if (err && !page_test(page, PG_dirty))
			dirty_locked(m, page); /* (3) */
		xa_clear_tag(&m->pages, page->index, XA_WRITEBACK);
		page_clear(page, PG_writeback);
	}
	m->nr_writeback -= run->nr;
	may_leave = m->nr_writeback == 0 &&
		    (!run->here || atomic_load(&m->wb_leave));
	atomic_fetch_sub(&writeback_group_of(m)->nr_writeback, run->nr);
	vmstat_add(m->mm, NR_WRITEBACK, -(long)run->nr);
	mutex_unlock(&m->lock);
	return may_leave;
}

/* Tell those who wait for it; the mapping may be gone. */
static void release_written(struct mm *mm, struct page *page, int err)
{
	page_wake(&mm->page_waits, page);
	if (page_test(page, PG_reclaim) &&
	    page_test_and_clear(page, PG_reclaim) && !err)
		lru_rotate(mm, page);
	page_put(mm, page);
}

/* --- runs ---------------------------------------------------------------- */

void writeback_note_progress(struct mm *mm)
{
	struct writeback *wb = &mm->writeback;

	mutex_lock(&wb->lock);
	wb->nr_runs_ended++;
	cond_broadcast(&wb->progress);
	mutex_unlock(&wb->lock);
}

void writeback_wait_progress(struct mm *mm, uint64_t timeout_ns)
{
	struct writeback *wb = &mm->writeback;
	uint64_t until = os_now_ns() + timeout_ns, seen, now;

	mutex_lock(&wb->lock);
	seen = wb->nr_runs_ended;
	while (seen == wb->nr_runs_ended && (now = os_now_ns()) < until)
		cond_timedwait(&wb->progress, &wb->lock, until - now);
	mutex_unlock(&wb->lock);
}

void page_run_write_done(struct page_run *run, int err)
{
	struct address_space *m = run->mapping;
	struct mm *mm = m->mm;
	struct writeback_group *g = writeback_group_of(m);
	bool may_leave;

	if (err) {
		vmstat_inc(mm, WRITE_IO_ERROR);
		errseq_set(&m->wb_err, err);
		dirty_list_retry_later(m);
	} else {
		vmstat_add(mm, NR_WRITTEN, run->nr);
		atomic_store(&g->stuck, false);
	}
	/* Held by its place on the dirty list, so m stays (4). */
	may_leave = end_writeback(run, err);
	for (unsigned int i = 0; i < run->nr; i++)
		release_written(mm, run->pages[i], err);
	writeback_group_run_free(g, run);
	writeback_note_progress(mm);
	if (may_leave)
		flusher_look(mm);
}

static struct page *next_tagged(struct address_space *m, pgoff_t *index,
				pgoff_t last, enum xa_tag tag)
{
	struct page *page;

	mutex_lock(&m->lock);
	page = xa_find(&m->pages, index, last, tag);
	if (page)
		page_get(page);
	mutex_unlock(&m->lock);
	return page;
}

static void run_submit(struct page_run *run)
{
	struct address_space *m = run->mapping;

	vmstat_inc(m->mm, WRITE_IO);
	if (run->here) /* others go on while we wait for it */
		page_io_kick(m->mm->io);
	m->ops->write_run(m, run);
}

/*
 * An empty run; waits for others to end, if need be. A sync does not wait behind
 * the flusher.
 */
static struct page_run *run_open(struct address_space *m,
				 const struct write_pass *p)
{
	struct writeback_group *g = writeback_group_of(m);
	unsigned long max = writeback_group_in_flight_max(g, p->wait);
	struct mm *mm = m->mm;
	struct page_run *run;

	while (atomic_load(&g->nr_writeback) > max) {
		page_io_kick(mm->io);
		writeback_wait_progress(mm, WRITEBACK_WAIT_NS);
	}
	run = writeback_group_run(g);
	run->mapping = m;
	run->nr = 0;
	run->here = false;
	return run;
}

/*
 * One page of a run, which begins at index: dirty -> writeback, if that needs
 * no waiting. The page is then locked, and the run's. NULL: the run ends here.
 */
static struct page *gather_one(struct address_space *m, pgoff_t index,
			       const struct write_pass *p) must_hold(m->lock)
{
	struct page *page;

	if (index > p->last || !xa_get_tag(&m->pages, index, p->tag))
		return NULL;
	page = xa_load(&m->pages, index);
	/* Both only change with the lock we hold. */
	if (m->nr_freezers > 0 || page_test(page, PG_writeback) ||
	    !page_test(page, PG_dirty) || !page_trylock(page))
		return NULL;
	begin_locked(m, page);
	page_get(page);
	return page;
}

/*
 * Fill the run with what is tagged at *index or next, and what follows it
 * without a gap; all that can be had without waiting, under one lock. Sets
 * *index to the first that is tagged, in the run or not.
 */
static void gather(struct page_run *run, pgoff_t *index,
		   const struct write_pass *p)
{
	struct address_space *m = run->mapping;
	unsigned long room =
		min_of((unsigned long)PAGE_RUN_MAX, p->quota - p->nr);
	struct page *page;

	mutex_lock(&m->lock);
	page = xa_find(&m->pages, index, p->last, p->tag);
	run->first = *index;
	while (page && run->nr < room &&
	       (page = gather_one(m, run->first + run->nr, p)))
		run->pages[run->nr++] = page;
	if (p->wait && run->nr > 0) {
		pgoff_t next = run->first + run->nr;

		/* The last of all: whoever waits might as well do it. */
		run->here = next > p->last ||
			    !xa_find(&m->pages, &next, p->last, p->tag);
	}
	if (run->nr > 0)
		count_begun(m, run->nr);
	mutex_unlock(&m->lock);
	for (unsigned int i = 0; i < run->nr; i++)
		page_unlock(&m->mm->page_waits, run->pages[i]);
}

/* Lock a page, and wait for its earlier writeback, if the pass waits at all. */
static bool lock_page(struct address_space *m, struct page *page,
		      const struct write_pass *p)
{
	struct page_wait_table *waits = &m->mm->page_waits;

	if (!page_trylock(page)) {
		if (!p->wait)
			return false;
		page_lock(waits, page);
	}
	if (p->wait)
		page_wait(waits, page, PG_writeback);
	return true;
}

/* dirty -> writeback for one page that was in the way. False: not now. */
static bool take_page(struct address_space *m, struct page *page,
		      const struct write_pass *p)
{
	bool taken = false, frozen = false;

	/* Before any waiting all is sent off: others may wait for it. */
	if (p->wait)
		page_io_kick(m->mm->io);
	do {
		if (frozen) /* by somebody who holds no page */
			writeback_wait_progress(m->mm, WRITEBACK_WAIT_NS);
		if (!lock_page(m, page, p))
			return false;
		if (page->mapping == m->id && !page_test(page, PG_writeback))
			taken = begin_writeback(m, page);
		frozen = !taken && page->mapping == m->id &&
			 page_test(page, PG_dirty);
		page_unlock(&m->mm->page_waits, page);
	} while (p->wait && frozen);
	return taken;
}

static void note_skipped(struct write_pass *p, pgoff_t index)
{
	if (!p->skipped)
		p->skipped_first = index; /* they come in order */
	p->skipped_last = index;
	p->skipped = true;
}

/* A run of the page at *index or next, which gather() could not have. */
static struct page_run *take_alone(struct address_space *m, pgoff_t *index,
				   struct write_pass *p)
{
	struct page *page = next_tagged(m, index, p->last, p->tag);
	struct page_run *run;

	if (!page) {
		*index = p->last;
		return NULL;
	}
	if (!take_page(m, page, p)) {
		if (page_test(page, PG_dirty))
			note_skipped(p, *index);
		page_put(m->mm, page);
		return NULL;
	}
	run = run_open(m, p);
	run->first = *index;
	run->pages[run->nr++] = page; /* with the reference */
	return run;
}

void mapping_write(struct address_space *m, struct write_pass *p)
{
	struct mm *mm = m->mm;
	pgoff_t index = p->first;

	for (;;) {
		struct page_run *run = run_open(m, p);

		gather(run, &index, p);
		if (run->nr == 0) {
			/* Waiting with one in hand would keep it from others. */
			writeback_group_run_free(writeback_group_of(m), run);
			run = take_alone(m, &index, p);
		}
		if (run) {
			p->nr += run->nr;
			index = run->first + run->nr - 1;
			run_submit(run);
		}
		if (index >= p->last)
			break;
		index++;
		if (p->nr >= p->quota) {
			p->next = index;
			break;
		}
	}
	page_io_kick(mm->io);
}

struct page *mapping_next_dirty(struct address_space *m, pgoff_t *index)
{
	return next_tagged(m, index, UINT64_MAX, XA_DIRTY);
}

void mapping_flush(struct address_space *m)
{
	struct write_pass p = { .last = UINT64_MAX,
				.tag = XA_DIRTY,
				.quota = WRITE_PASS_PAGES };

	mapping_write(m, &p);
}

void mapping_wait_writeback(struct address_space *m, pgoff_t first,
			    pgoff_t last)
{
	pgoff_t index = first;
	struct page *page;

	while ((page = next_tagged(m, &index, last, XA_WRITEBACK))) {
		page_wait(&m->mm->page_waits, page, PG_writeback);
		page_put(m->mm, page);
		if (index++ == last)
			break;
	}
}

bool mapping_has_failed(const struct address_space *m)
{
	return atomic_load(&m->nr_write_errors) !=
	       atomic_load(&m->nr_errors_mended);
}

void mapping_note_mended(struct address_space *m, uint32_t nr_errors)
{
	uint32_t was = atomic_load(&m->nr_errors_mended);

	while ((int32_t)(was - nr_errors) < 0 &&
	       !atomic_compare_exchange_weak(&m->nr_errors_mended, &was,
					     nr_errors))
		;
}

int mapping_sync(struct address_space *m, pgoff_t first, pgoff_t last)
{
	struct write_pass p = { .first = first,
				.last = last,
				.wait = true,
				.tag = XA_TOWRITE,
				.quota = UINT64_MAX };
	uint32_t errors;

	/* Only what is dirty now: a busy writer does not keep us for ever. */
	mutex_lock(&m->lock);
	errors = atomic_load(&m->nr_write_errors);
	xa_tag_range(&m->pages, first, last, XA_DIRTY, XA_TOWRITE);
	mutex_unlock(&m->lock);
	mapping_write(m, &p);
	mapping_wait_writeback(m, first, last);
	if (atomic_load(&m->nr_write_errors) == errors) {
		if (first == 0 && last == UINT64_MAX)
			mapping_note_mended(m, errors);
		return 0;
	}
	return errseq_peek(&m->wb_err);
}

void mapping_freeze(struct address_space *m)
{
	mutex_lock(&m->lock);
	m->nr_freezers++;
	mutex_unlock(&m->lock);
}

void mapping_thaw(struct address_space *m)
{
	mutex_lock(&m->lock);
	ASSERT(m->nr_freezers > 0);
	m->nr_freezers--;
	mutex_unlock(&m->lock);
}
