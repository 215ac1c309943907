/*
 * writeback.h - dirty pages, when they go out, and who is slowed down (Linux:
 * mm/page-writeback.c, fs/fs-writeback.c).
 *
 *	          background      (bg + limit) / 2        limit
 *	dirty  ───────┼───────────────────┼─────────────────┼───►
 *	          the flusher       writers pause,     writers wait
 *	          starts            longer and longer
 *
 * A mapping with dirty pages is on one list, oldest first, until it is clean.
 * The flusher takes those that are old enough, or all of them above the
 * background mark; contiguous dirty pages leave in one run. A run that fails
 * makes its pages dirty again; nothing is dropped because of an error.
 */
#ifndef MM_WRITEBACK_H
#define MM_WRITEBACK_H

#include "mm/address_space.h"

struct writeback {
	struct mutex lock;
	struct list_head dirty; /* mappings, oldest first (lock) */
	struct cond work;	/* something for the flusher */
	struct os_thread flusher;
	bool running;		   /* (lock) */
	bool stop;		   /* (lock) */
	_Atomic bool wanted;	   /* set with (lock), read at any time */
	_Atomic bool want_all;	   /* not only what is old enough (likewise) */
	uint64_t pass;		   /* of writeback_sync() (lock) */
	unsigned int nr_releasing; /* off the list, owner being told (lock) */
	_Atomic bool
		stuck; /* the last pass wrote nothing: errors, or held back */
	_Atomic uint64_t pages_per_sec; /* written lately */

	struct mutex progress_lock;
	struct cond progress;	/* a run has ended */
	uint64_t nr_runs_ended; /* (progress_lock) */
};

void writeback_init(struct writeback *wb);
/* 0 or -errno. */
int writeback_start(struct mm *mm);
/* Stops the flusher; dirty pages stay dirty. */
void writeback_stop(struct mm *mm);

/* Mark a locked page of m dirty. */
void page_set_dirty(struct address_space *m, struct page *page);
/* Its contents are void: not dirty after all. Page locked. */
void page_cancel_dirty(struct address_space *m, struct page *page);

/* Start writing now: of everything, or of one mapping (its last close). */
void writeback_wake(struct mm *mm);
void writeback_kick(struct address_space *m);

/*
 * Write the dirty pages of [first, last] that are dirty now, and wait until
 * they are written. Returns 0 or the error of a run, as -errno; the error is
 * also in m->wb_err.
 */
int mapping_sync(struct address_space *m, pgoff_t first, pgoff_t last);
/* The next dirty page at or after *index, which is set, with a reference. */
struct page *mapping_next_dirty(struct address_space *m, pgoff_t *index);
/* Only begin. Skips pages that are locked. */
void mapping_flush(struct address_space *m);
/* Wait for those of [first, last] that are under writeback. */
void mapping_wait_writeback(struct address_space *m, pgoff_t first,
			    pgoff_t last);

/*
 * No writeback of m begins between the two; what is in flight goes on. For
 * those who change the file under the pages.
 */
void mapping_freeze(struct address_space *m);
void mapping_thaw(struct address_space *m);

/*
 * Write everything that is dirty now in mappings of group (NULL: of all), and
 * wait. Returns 0 or the first error.
 */
int writeback_sync(struct mm *mm, const void *group);
/* Bytes dirty or in flight in mappings of group. */
uint64_t writeback_bytes(struct mm *mm, const void *group);

/* Is anything of group on the list still, if only to be told it is clean? */
bool writeback_busy(struct mm *mm, const void *group);
/* Call fn for each mapping of group with dirty pages; fn must not block. */
void writeback_for_each(struct mm *mm, const void *group,
			void (*fn)(struct address_space *m, void *arg),
			void *arg);

/* The two marks, in pages. */
void writeback_limits(struct mm *mm, unsigned long *background,
		      unsigned long *limit);
/* Is more dirty than writers may make without a pause? */
bool writeback_pressed(struct mm *mm);

/*
 * For one who has just dirtied nr pages: how long to pause, in ns, at most
 * BALANCE_PAUSE_MAX; 0: go on. Wakes the flusher when it is time.
 */
uint64_t balance_dirty_pages(struct mm *mm, unsigned long nr);
#define BALANCE_PAUSE_MAX (200 * NSEC_PER_MSEC) /* as the kernel's */

/* Is there so much dirty that writers must wait, and would that help? */
bool dirty_limit_reached(struct mm *mm);

/* Wake those who sleep in writeback_wait_progress(): something has got on. */
void writeback_note_progress(struct mm *mm);
/* Sleep until a run ends, or swap gets on, at most timeout_ns. */
void writeback_wait_progress(struct mm *mm, uint64_t timeout_ns);

/* By the owner, when a run was written, or was not: err 0 or -errno. */
void page_run_write_done(struct page_run *run, int err);

#endif
