/*
 * fake_file.h - an owner of pages whose disk is an array.
 *
 *	page: its first word is its contents
 *	  │ write_run
 *	  ├── FAKE_INLINE ────────────────────────────► disk[index]
 *	  ├── FAKE_QUEUED ──► queue ──fake_complete()──► disk[index]
 *	  ├── FAKE_HANGS: who writes, until it is another
 *	  └── FAKE_TOLD_LATE: likewise, who tells the owner that it is clean
 *
 * Every run is logged. The owner counts what it is told, and insists that the
 * calls are paired.
 */
#ifndef TESTS_UNIT_FAKE_FILE_H
#define TESTS_UNIT_FAKE_FILE_H

#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "tests/unit/unit.h"

enum fake_mode { FAKE_INLINE, FAKE_QUEUED, FAKE_HANGS, FAKE_TOLD_LATE };
enum { FAKE_LOG_MAX = 65536, FAKE_QUEUE_MAX = 2048 };

struct fake_log {
	pgoff_t first;
	unsigned int nr;
};

/* (L) guarded by lock. */
struct fake_file {
	struct address_space mapping;
	struct writeback_group group;
	pgoff_t nr_pages;
	_Atomic uint64_t *disk; /* a word a page */
	_Atomic int mode;	/* enum fake_mode */
	_Atomic bool hanging;	/* somebody does */
	_Atomic int error;	/* transfers end with it: -errno or 0 */
	_Atomic int pageout;	/* enum pageout_result */

	struct mutex lock;
	struct page_run *queue[FAKE_QUEUE_MAX]; /* (L) */
	unsigned int nr_queued;			/* (L) */
	struct fake_log log[FAKE_LOG_MAX];	/* of writes (L) */
	unsigned int nr_log;			/* (L) */

	_Atomic int held;		       /* hold() without release() */
	_Atomic unsigned long nr_settled;      /* calls of written() */
	_Atomic unsigned long nr_dropped;      /* pages gone */
	_Atomic pgoff_t dropped[FAKE_LOG_MAX]; /* which, in order */
	_Atomic unsigned long nr_pageouts;     /* calls of pageout() */
	_Atomic unsigned long nr_values;       /* calls of free_value() */
	_Atomic uint64_t last_value;	       /* its argument */
};

static inline struct fake_file *fake_of(struct address_space *m)
{
	return container_of(m, struct fake_file, mapping);
}

static inline _Atomic uint64_t *fake_word(struct mm *mm, struct page *page)
{
	return page_address(&mm->arena, page);
}

static inline void fake_read_run(struct address_space *m, struct page_run *run)
{
	struct fake_file *f = fake_of(m);
	int err = atomic_load(&f->error);

	for (unsigned int i = 0; i < run->nr; i++) {
		ASSERT(page_test(run->pages[i], PG_locked));
		ASSERT(run->pages[i]->index == run->first + i);
		atomic_store(fake_word(m->mm, run->pages[i]),
			     atomic_load(&f->disk[run->first + i]));
	}
	page_run_read_done(run, err ? 0 : (uint64_t)run->nr << PAGE_SHIFT, err);
}

static inline void fake_finish(struct fake_file *f, struct page_run *run)
{
	int err = atomic_load(&f->error);

	for (unsigned int i = 0; i < run->nr && !err; i++)
		atomic_store(
			&f->disk[run->first + i],
			atomic_load(fake_word(f->mapping.mm, run->pages[i])));
	page_run_write_done(run, err);
}

/* End the write that has waited longest. False: there is none. */
static inline bool fake_complete(struct fake_file *f)
{
	struct page_run *run = NULL;

	mutex_lock(&f->lock);
	if (f->nr_queued > 0) {
		run = f->queue[0];
		f->nr_queued--;
		memmove(f->queue, f->queue + 1,
			f->nr_queued * sizeof(f->queue[0]));
	}
	mutex_unlock(&f->lock);
	if (run)
		fake_finish(f, run);
	return run != NULL;
}

static inline void fake_check_run(struct page_run *run)
{
	ASSERT(run->nr > 0 && run->nr <= PAGE_RUN_MAX);
	for (unsigned int i = 0; i < run->nr; i++) {
		ASSERT(page_test(run->pages[i], PG_writeback));
		ASSERT(run->pages[i]->mapping == run->mapping->id);
		ASSERT(run->pages[i]->index == run->first + i);
	}
}

static inline void fake_hang(struct fake_file *f, enum fake_mode in)
{
	while (atomic_load(&f->mode) == (int)in) {
		atomic_store(&f->hanging, true);
		unit_nap();
	}
}

static inline void fake_write_run(struct address_space *m, struct page_run *run)
{
	struct fake_file *f = fake_of(m);
	bool queued = atomic_load(&f->mode) == FAKE_QUEUED;

	fake_check_run(run);
	fake_hang(f, FAKE_HANGS);
	mutex_lock(&f->lock);
	f->log[f->nr_log++ % FAKE_LOG_MAX] =
		(struct fake_log){ run->first, run->nr };
	if (queued) {
		ASSERT(f->nr_queued < FAKE_QUEUE_MAX);
		f->queue[f->nr_queued++] = run;
	}
	mutex_unlock(&f->lock);
	if (!queued)
		fake_finish(f, run);
}

static inline enum pageout_result fake_pageout(struct address_space *m,
					       struct page *page)
{
	struct fake_file *f = fake_of(m);
	enum pageout_result r = (enum pageout_result)atomic_load(&f->pageout);

	ASSERT(page_test(page, PG_locked) && page_test(page, PG_dirty));
	atomic_fetch_add(&f->nr_pageouts, 1);
	if (r == PAGEOUT_CLEAN) {
		atomic_store(&f->disk[page->index],
			     atomic_load(fake_word(m->mm, page)));
		page_cancel_dirty(m, page);
	}
	return r;
}

static inline void fake_dropped(struct address_space *m, struct page *page)
{
	struct fake_file *f = fake_of(m);
	unsigned long n = atomic_fetch_add(&f->nr_dropped, 1);

	ASSERT(page_test(page, PG_locked));
	atomic_store(&f->dropped[n % FAKE_LOG_MAX], page->index);
}

static inline void fake_free_value(struct address_space *m, pgoff_t index,
				   uint64_t value)
{
	(void)index;
	atomic_store(&fake_of(m)->last_value, value);
	atomic_fetch_add(&fake_of(m)->nr_values, 1);
}

static inline void fake_written(struct address_space *m)
{
	fake_hang(fake_of(m), FAKE_TOLD_LATE);
	atomic_fetch_add(&fake_of(m)->nr_settled, 1);
}

static inline void fake_hold(struct address_space *m)
{
	atomic_fetch_add(&fake_of(m)->held, 1);
}

static inline void fake_release(struct address_space *m)
{
	atomic_fetch_sub(&fake_of(m)->held, 1);
}

static const struct address_space_ops fake_ops = {
	.read_run = fake_read_run,
	.write_run = fake_write_run,
	.pageout = fake_pageout,
	.page_dropped = fake_dropped,
	.free_value = fake_free_value,
	.written = fake_written,
	.hold = fake_hold,
	.release = fake_release,
};

/* A file of nr_pages, all zero, none of them in memory. */
static inline struct fake_file *fake_create(struct mm *mm, pgoff_t nr_pages)
{
	struct fake_file *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->nr_pages = nr_pages;
	f->disk = calloc(nr_pages, sizeof(*f->disk));
	assert_non_null(f->disk);
	mutex_init(&f->lock);
	assert_int_equal(writeback_group_init(&f->group, mm), 0);
	address_space_init(&f->mapping, mm, &fake_ops, &f->group);
	return f;
}

/* Wait until it is off the dirty list, and its owner has been told. */
static inline void fake_settle(struct fake_file *f)
{
	while (atomic_load(&f->held) > 0) {
		while (fake_complete(f))
			;
		dirty_list_sync(f->mapping.mm, &f->group);
		unit_nap();
	}
}

static inline void fake_destroy(struct fake_file *f)
{
	while (fake_complete(f))
		;
	page_cache_truncate(&f->mapping, 0);
	lru_drain(f->mapping.mm);
	atomic_store(&f->mode, FAKE_INLINE);
	fake_settle(f);
	address_space_destroy(&f->mapping);
	writeback_group_destroy(&f->group);
	free(f->disk);
	free(f);
}

/* write(2): the page at index has these contents now. 0 or -errno. */
static inline int fake_write(struct fake_file *f, pgoff_t index, uint64_t word)
{
	struct mm *mm = f->mapping.mm;
	int err;
	struct page *page =
		page_cache_grab(&f->mapping, index, GFP_KERNEL, &err);

	if (!page)
		return err;
	atomic_store(fake_word(mm, page), word);
	page_set(page, PG_uptodate);
	page_set_dirty(&f->mapping, page);
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
	return 0;
}

/* Is the page there, with these flags? */
static inline bool fake_test(struct fake_file *f, pgoff_t index, uint32_t flag)
{
	struct page *page = page_cache_find(&f->mapping, index);
	bool set = page && page_test(page, flag);

	if (page)
		page_put(f->mapping.mm, page);
	return set;
}

#endif
