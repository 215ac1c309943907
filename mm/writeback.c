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
 *   (4) A mapping is on the dirty list from its first dirty page until it has
 *       neither dirty pages nor writeback, and "held" for as long.
 */
#include "mm/writeback.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>

/* After an error a mapping rests, so that a dead disk costs no CPU. */
#define RETRY_NS (1 * NSEC_PER_SEC)

/* A pass over one mapping ends after this many pages, for the others' sake. */
enum { PASS_PAGES = 4096 };

/* Looked at again this often, where nothing says when. */
#define WAIT_AGAIN_NS (10 * NSEC_PER_MSEC)

/* 16 MiB under way keep any disk busy; a quarter is kept for fsync(2). */
enum { IN_FLIGHT_MAX = 4096, IN_FLIGHT_SYNC = 1024 };

/* Taken for the first estimate of the rate; corrected within a second. */
enum { FIRST_PAGES_PER_SEC = 25600 };

void writeback_init(struct writeback *wb)
{
	*wb = (struct writeback){ .running = false };
	mutex_init(&wb->lock);
	cond_init(&wb->work);
	list_init(&wb->dirty);
	mutex_init(&wb->progress_lock);
	cond_init(&wb->progress);
	atomic_store(&wb->pages_per_sec, FIRST_PAGES_PER_SEC);
}

/* --- the state of a page ------------------------------------------------ */

/* Returns whether it was not there yet: it must be held then (4). */
static bool put_on_dirty_list(struct address_space *m) must_hold(m->lock)
{
	struct writeback *wb = &m->mm->writeback;
	bool added = false;

	/* It leaves the list with both locks held: no need for the other. */
	if (atomic_load(&m->on_dirty_list))
		return false;
	mutex_lock(&wb->lock);
	if (!m->on_dirty_list) {
		m->on_dirty_list = true;
		m->dirtied_ns = os_now_ns();
		m->retry_ns = m->kicked_ns = 0;
		atomic_store(&m->wb_leave, false);
		/* All it has is newer than every sync that has begun. */
		m->sync_pass = wb->pass;
		list_add_tail(&wb->dirty, &m->dirty_link);
		added = true;
	}
	mutex_unlock(&wb->lock);
	return added;
}

static void dirty_locked(struct address_space *m, struct page *page)
	must_hold(m->lock)
{
	page_set(page, PG_dirty);
	xa_set_tag(&m->pages, page->index, XA_DIRTY);
	m->nr_dirty++;
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
	listed = put_on_dirty_list(m);
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
static void count_begun(struct mm *mm, unsigned int nr)
{
	vmstat_add(mm, NR_WRITEBACK, (long)nr);
	vmstat_add(mm, NR_FILE_DIRTY, -(long)nr);
}

static bool begin_writeback(struct address_space *m, struct page *page)
{
	bool begun;

	mutex_lock(&m->lock);
	begun = begin_locked(m, page);
	if (begun)
		count_begun(m->mm, 1);
	mutex_unlock(&m->lock);
	return begun;
}

static void wake_flusher(struct mm *mm, bool all)
{
	struct writeback *wb = &mm->writeback;

	/* It will look again, and at what was done before this. */
	if (atomic_load(&wb->wanted) && (!all || atomic_load(&wb->want_all)))
		return;
	mutex_lock(&wb->lock);
	wb->want_all |= all;
	if (!wb->wanted) {
		wb->wanted = true;
		vmstat_inc(mm, FLUSHER_WAKE);
		cond_signal(&wb->work);
	}
	mutex_unlock(&wb->lock);
}

void writeback_wake(struct mm *mm)
{
	wake_flusher(mm, true);
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

	mutex_lock(&wb->progress_lock);
	wb->nr_runs_ended++;
	cond_broadcast(&wb->progress);
	mutex_unlock(&wb->progress_lock);
}

void writeback_wait_progress(struct mm *mm, uint64_t timeout_ns)
{
	struct writeback *wb = &mm->writeback;
	uint64_t until = os_now_ns() + timeout_ns, seen, now;

	mutex_lock(&wb->progress_lock);
	seen = wb->nr_runs_ended;
	while (seen == wb->nr_runs_ended && (now = os_now_ns()) < until)
		cond_timedwait(&wb->progress, &wb->progress_lock, until - now);
	mutex_unlock(&wb->progress_lock);
}

void page_run_write_done(struct page_run *run, int err)
{
	struct address_space *m = run->mapping;
	struct mm *mm = m->mm;
	struct writeback *wb = &mm->writeback;
	bool may_leave;

	if (err) {
		vmstat_inc(mm, WRITE_IO_ERROR);
		errseq_set(&m->wb_err, err);
		mutex_lock(&wb->lock);
		m->kicked_ns = os_now_ns();
		m->retry_ns = m->kicked_ns + RETRY_NS;
		m->wb_now = true; /* then, whatever its age */
		mutex_unlock(&wb->lock);
	} else {
		vmstat_add(mm, NR_WRITTEN, run->nr);
		atomic_store(&wb->stuck, false);
	}
	/* Held by its place on the dirty list, so m stays (4). */
	may_leave = end_writeback(run, err);
	for (unsigned int i = 0; i < run->nr; i++)
		release_written(mm, run->pages[i], err);
	mempool_free(&mm->runs, run);
	writeback_note_progress(mm);
	if (may_leave)
		wake_flusher(mm, false);
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

struct write_pass {
	pgoff_t first, last;
	bool wait;	     /* for locks, and for earlier writeback */
	enum xa_tag tag;     /* which pages */
	unsigned long quota; /* pages */
	unsigned long nr;    /* pages begun */
	pgoff_t next;	     /* to go on with when the quota was used up */
	bool skipped;	     /* some that were locked, from, to: */
	pgoff_t skipped_first, skipped_last;
};

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
	unsigned long max = IN_FLIGHT_MAX - (p->wait ? 0 : IN_FLIGHT_SYNC);
	struct mm *mm = m->mm;
	struct page_run *run;

	while (vmstat_read(mm, NR_WRITEBACK) > max) {
		page_io_kick(mm->io);
		writeback_wait_progress(mm, WAIT_AGAIN_NS);
	}
	run = mempool_alloc(&mm->runs, GFP_MEMALLOC);
	if (!run) {
		page_io_kick(mm->io); /* what we wait for may be ours */
		run = mempool_alloc(&mm->runs, GFP_MEMALLOC | GFP_RECLAIM);
	}
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
		count_begun(m->mm, run->nr);
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
			writeback_wait_progress(m->mm, WAIT_AGAIN_NS);
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

/* Write what is tagged in the range, next to each other in one run. */
static void write_pages(struct address_space *m, struct write_pass *p)
{
	struct mm *mm = m->mm;
	pgoff_t index = p->first;

	for (;;) {
		struct page_run *run = run_open(m, p);

		gather(run, &index, p);
		if (run->nr == 0) {
			/* Waiting with one in hand would keep it from others. */
			mempool_free(&mm->runs, run);
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
				.quota = PASS_PAGES };

	write_pages(m, &p);
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

int mapping_sync(struct address_space *m, pgoff_t first, pgoff_t last)
{
	struct write_pass p = { .first = first,
				.last = last,
				.wait = true,
				.tag = XA_TOWRITE,
				.quota = UINT64_MAX };
	unsigned long errors;

	/* Only what is dirty now: a busy writer does not keep us for ever. */
	mutex_lock(&m->lock);
	errors = atomic_load(&m->nr_write_errors);
	xa_tag_range(&m->pages, first, last, XA_DIRTY, XA_TOWRITE);
	mutex_unlock(&m->lock);
	write_pages(m, &p);
	mapping_wait_writeback(m, first, last);
	if (atomic_load(&m->nr_write_errors) == errors)
		return 0;
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

/* --- the list, and the flusher ------------------------------------------- */

void writeback_kick(struct address_space *m)
{
	struct writeback *wb = &m->mm->writeback;
	bool listed;

	mutex_lock(&wb->lock);
	listed = m->on_dirty_list;
	if (listed) {
		m->wb_now = true;
		m->kicked_ns = os_now_ns();
		atomic_store(&m->wb_leave, true);
	}
	mutex_unlock(&wb->lock);
	if (listed)
		wake_flusher(m->mm, false);
}

static bool over_background(struct mm *mm)
{
	unsigned long background, limit;

	writeback_limits(mm, &background, &limit);
	return vmstat_read(mm, NR_FILE_DIRTY) > background;
}

/* Dirty pages above the middle between the two marks; 0: none. */
static unsigned long pressure(struct mm *mm)
{
	unsigned long background, limit;
	unsigned long dirty = vmstat_read(mm, NR_FILE_DIRTY);

	writeback_limits(mm, &background, &limit);
	limit = (background + limit) / 2;
	return dirty > limit ? dirty - limit : 0;
}

bool writeback_pressed(struct mm *mm)
{
	return pressure(mm) > 0;
}

/* Are its pages to wait for a sync? */
static bool is_held_back(struct address_space *m)
{
	return m->ops->hold_back && m->ops->hold_back(m);
}

/*
 * One that is due and that nobody is at; it is then busy. Or NULL. Says whether
 * some rest after an error, and whether others could be written.
 */
static struct address_space *take_due(struct mm *mm, bool all, uint64_t pass,
				      bool *resting, bool *others)
{
	struct writeback *wb = &mm->writeback;
	uint64_t now = os_now_ns();
	uint64_t expire =
		vm_get(mm, VM_DIRTY_EXPIRE_CENTISECS) * 10 * NSEC_PER_MSEC;
	struct address_space *m, *due = NULL;
	bool pressed = writeback_pressed(mm);

	mutex_lock(&wb->lock);
	list_for_each_entry(m, &wb->dirty, struct address_space, dirty_link) {
		bool clean = m->nr_dirty == 0 && m->nr_writeback == 0;

		if (m->wb_busy || m->flush_pass == pass) {
			*others |= m->wb_busy;
			continue;
		}
		m->flush_pass = pass;
		if (!clean && !pressed && is_held_back(m)) {
			*resting = true;
			continue;
		}
		if (!clean && m->retry_ns > now) {
			*resting = true;
			continue;
		}
		if (clean || all || m->wb_now ||
		    m->dirtied_ns + expire <= now) {
			m->wb_busy = true;
			m->wb_now = false;
			due = m;
			break;
		}
		*others = true;
	}
	mutex_unlock(&wb->lock);
	return due;
}

/*
 * Off the list if it is clean; then its owner hears of it (4). started_ns: all
 * that was dirty then has been begun; 0: not all of it. sync_pass: the
 * writeback_sync() that did it, or 0.
 */
static void put_back(struct address_space *m, uint64_t started_ns,
		     uint64_t sync_pass)
{
	struct mm *mm = m->mm;
	struct writeback *wb = &mm->writeback;
	bool clean;

	mutex_lock(&m->lock);
	mutex_lock(&wb->lock);
	clean = m->nr_dirty == 0 && m->nr_writeback == 0;
	if (clean) {
		list_del(&m->dirty_link);
		m->on_dirty_list = false;
		m->round.under_way = false;
		wb->nr_releasing++;
	} else {
		if (started_ns)
			m->dirtied_ns = started_ns;
		/* The rest, or what came since, at the next pass. */
		if (m->kicked_ns >= started_ns)
			m->wb_now = true;
		list_move_tail(&wb->dirty, &m->dirty_link);
	}
	m->wb_busy = false;
	m->sync_pass = max_of(m->sync_pass, sync_pass);
	mutex_unlock(&wb->lock);
	mutex_unlock(&m->lock);
	if (!clean)
		return;
	m->ops->written(m);
	m->ops->release(m);
	mutex_lock(&wb->lock);
	wb->nr_releasing--;
	mutex_unlock(&wb->lock);
	writeback_note_progress(mm);
}

static void update_rate(struct mm *mm, uint64_t *then_ns, unsigned long *then)
{
	uint64_t now = os_now_ns();
	unsigned long written = vmstat_read(mm, NR_WRITTEN);
	uint64_t rate;

	if (now - *then_ns < 200 * NSEC_PER_MSEC)
		return;
	if (written > *then && vmstat_read(mm, NR_WRITEBACK) > 0) {
		rate = (written - *then) * NSEC_PER_SEC / (now - *then_ns);
		rate = (3 * atomic_load(&mm->writeback.pages_per_sec) + rate) /
		       4;
		atomic_store(&mm->writeback.pages_per_sec, max_of(rate, 64ul));
	}
	*then_ns = now;
	*then = written;
}

/* What the next pass of the round begins with. Returns false: it has ended. */
static bool round_goes_on(struct flush_round *r, const struct write_pass *p)
{
	if (p->skipped) {
		r->skipped_first =
			r->skipped ? min_of(r->skipped_first, p->skipped_first)
				   : p->skipped_first;
		r->skipped_last =
			r->skipped ? max_of(r->skipped_last, p->skipped_last)
				   : p->skipped_last;
		r->skipped = true;
	}
	r->under_way = true;
	if (p->next > 0) {
		r->first = p->next;
	} else if (r->skipped) {
		r->first = r->skipped_first;
		r->last = r->skipped_last;
		r->skipped = false;
	} else {
		r->under_way = false;
	}
	return r->under_way;
}

/* One pass over a mapping that is busy for us. Returns how many pages begun. */
static unsigned long flush_mapping(struct address_space *m)
{
	struct flush_round *r = &m->round;
	struct write_pass p = { .tag = XA_DIRTY, .quota = PASS_PAGES };

	if (!r->under_way)
		*r = (struct flush_round){ .last = UINT64_MAX,
					   .began_ns = os_now_ns() };
	p.first = r->first;
	p.last = r->last;
	if (is_held_back(m)) /* no more than must be */
		p.quota = min_of(p.quota, pressure(m->mm));
	if (p.quota > 0)
		write_pages(m, &p);
	/* From then on m may be gone. */
	put_back(m, round_goes_on(r, &p) ? 0 : r->began_ns, 0);
	return p.nr;
}

static void flusher_pass(struct mm *mm, bool all, uint64_t pass)
{
	bool resting = false, others = false, again = false;
	unsigned long begun = 0;
	struct address_space *m;

	vmstat_inc(mm, FLUSHER_RUN);
	while ((m = take_due(mm, all || over_background(mm), pass, &resting,
			     &others))) {
		unsigned long nr = flush_mapping(m);

		begun += nr;
		again |= nr >= PASS_PAGES;
	}
	if (again)
		wake_flusher(mm, all);
	/* All that is dirty rests after an error: waiting would not help. */
	atomic_store(&mm->writeback.stuck,
		     resting && !others && begun == 0 &&
			     vmstat_read(mm, NR_WRITEBACK) == 0);
}

static void flusher_main(void *arg)
{
	struct mm *mm = arg;
	struct writeback *wb = &mm->writeback;
	uint64_t then_ns = os_now_ns();
	unsigned long then = 0;

	mutex_lock(&wb->lock);
	while (!wb->stop) {
		uint64_t pass;
		bool all;

		if (!wb->wanted)
			cond_timedwait(
				&wb->work, &wb->lock,
				vm_get(mm, VM_DIRTY_WRITEBACK_CENTISECS) * 10 *
					NSEC_PER_MSEC);
		all = wb->want_all;
		wb->wanted = wb->want_all = false;
		pass = ++wb->pass;
		mutex_unlock(&wb->lock);
		flusher_pass(mm, all, pass);
		update_rate(mm, &then_ns, &then);
		mutex_lock(&wb->lock);
	}
	mutex_unlock(&wb->lock);
}

int writeback_start(struct mm *mm)
{
	int err = os_thread_start(&mm->writeback.flusher, "flusher",
				  flusher_main, mm);

	mm->writeback.running = err == 0;
	return err;
}

void writeback_stop(struct mm *mm)
{
	struct writeback *wb = &mm->writeback;

	mutex_lock(&wb->lock);
	wb->stop = true;
	cond_signal(&wb->work);
	mutex_unlock(&wb->lock);
	if (wb->running)
		os_thread_join(&wb->flusher);
	wb->running = false;
}

/* The next of group that no sync of this pass or a later one has done. */
static struct address_space *next_of_group(struct mm *mm, const void *group,
					   uint64_t pass)
{
	struct writeback *wb = &mm->writeback;
	struct address_space *m, *found = NULL;

	mutex_lock(&wb->lock);
	list_for_each_entry(m, &wb->dirty, struct address_space, dirty_link)
		if ((!group || m->group == group) && m->sync_pass < pass &&
		    !m->wb_busy) {
			m->wb_busy = true;
			found = m;
			break;
		}
	mutex_unlock(&wb->lock);
	return found;
}

/* One that another thread is still at. */
static bool any_undone(struct mm *mm, const void *group, uint64_t pass)
{
	struct writeback *wb = &mm->writeback;
	struct address_space *m;
	bool undone;

	mutex_lock(&wb->lock);
	undone = wb->nr_releasing > 0; /* its times are being put back */
	list_for_each_entry(m, &wb->dirty, struct address_space, dirty_link)
		undone |= (!group || m->group == group) && m->sync_pass < pass;
	mutex_unlock(&wb->lock);
	return undone;
}

/* The error of a mapping that could not be written since then, or 0. */
static int error_since(struct mm *mm, const void *group, uint64_t since_ns)
{
	struct writeback *wb = &mm->writeback;
	struct address_space *m;
	int err = 0;

	mutex_lock(&wb->lock);
	list_for_each_entry(m, &wb->dirty, struct address_space, dirty_link)
		if ((!group || m->group == group) && m->nr_dirty > 0 &&
		    m->retry_ns >= since_ns + RETRY_NS)
			err = errseq_peek(&m->wb_err);
	mutex_unlock(&wb->lock);
	return err;
}

/*
 * A sync that began later has a higher pass: what it did after our beginning
 * counts for us as well, its errors too; what an earlier one did does not.
 */
int writeback_sync(struct mm *mm, const void *group)
{
	struct writeback *wb = &mm->writeback;
	uint64_t began = os_now_ns();
	struct address_space *m;
	uint64_t pass;
	int err = 0;

	mutex_lock(&wb->lock);
	pass = ++wb->pass;
	mutex_unlock(&wb->lock);
	do {
		while ((m = next_of_group(mm, group, pass))) {
			uint64_t started = os_now_ns();
			int e = mapping_sync(m, 0, UINT64_MAX);

			err = err ? err : e;
			put_back(m, started, pass);
		}
		if (!any_undone(mm, group, pass))
			break;
		writeback_wait_progress(mm, WAIT_AGAIN_NS);
	} while (true);
	return err ? err : error_since(mm, group, began);
}

void writeback_for_each(struct mm *mm, const void *group,
			void (*fn)(struct address_space *m, void *arg),
			void *arg)
{
	struct writeback *wb = &mm->writeback;
	struct address_space *m;

	mutex_lock(&wb->lock);
	list_for_each_entry(m, &wb->dirty, struct address_space, dirty_link)
		if (!group || m->group == group)
			fn(m, arg);
	mutex_unlock(&wb->lock);
}

static void count_mapping(struct address_space *m, void *arg)
{
	(void)m;
	++*(unsigned int *)arg;
}

bool writeback_busy(struct mm *mm, const void *group)
{
	struct writeback *wb = &mm->writeback;
	unsigned int nr = 0;
	bool releasing;

	writeback_for_each(mm, group, count_mapping, &nr);
	mutex_lock(&wb->lock);
	releasing = wb->nr_releasing > 0;
	mutex_unlock(&wb->lock);
	return nr > 0 || releasing;
}

static void add_bytes(struct address_space *m, void *arg)
{
	*(uint64_t *)arg += (m->nr_dirty + m->nr_writeback) << PAGE_SHIFT;
}

uint64_t writeback_bytes(struct mm *mm, const void *group)
{
	uint64_t bytes = 0;

	writeback_for_each(mm, group, add_bytes, &bytes);
	return bytes;
}

/* --- who is slowed down --------------------------------------------------- */

void writeback_limits(struct mm *mm, unsigned long *background,
		      unsigned long *limit)
{
	unsigned long dirtyable = page_alloc_nr_free(mm) +
				  vmstat_read(mm, NR_INACTIVE_FILE) +
				  vmstat_read(mm, NR_ACTIVE_FILE);
	unsigned long ratio = vm_get(mm, VM_DIRTY_RATIO);
	unsigned long bg_ratio = vm_get(mm, VM_DIRTY_BACKGROUND_RATIO);

	*limit = max_of(dirtyable * ratio / 100, 32ul);
	*background = dirtyable * bg_ratio / 100;
	if (*background >= *limit)
		*background = *limit / 2;
}

bool dirty_limit_reached(struct mm *mm)
{
	unsigned long background, limit;

	writeback_limits(mm, &background, &limit);
	return vmstat_read(mm, NR_FILE_DIRTY) + vmstat_read(mm, NR_WRITEBACK) >=
		       limit &&
	       !atomic_load(&mm->writeback.stuck);
}

uint64_t balance_dirty_pages(struct mm *mm, unsigned long nr)
{
	unsigned long background, limit, dirty, freerun;
	uint64_t rate, pause;

	writeback_limits(mm, &background, &limit);
	dirty = vmstat_read(mm, NR_FILE_DIRTY) + vmstat_read(mm, NR_WRITEBACK);
	if (dirty > background)
		writeback_wake(mm);
	freerun = (background + limit) / 2;
	if (dirty <= freerun)
		return 0;
	vmstat_inc(mm, BALANCE_DIRTY_PAUSE);
	/*
	 * At the middle between freerun and limit a writer gets what the disk
	 * takes, below more, above less; at the limit it waits.
	 */
	if (dirty >= limit)
		return BALANCE_PAUSE_MAX;
	rate = atomic_load(&mm->writeback.pages_per_sec);
	pause = nr * NSEC_PER_SEC / rate * (dirty - freerun) /
		max_of((limit - freerun) / 2, 1ul);
	return min_of(pause, (uint64_t)BALANCE_PAUSE_MAX);
}
