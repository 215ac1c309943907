/*
 * writeback.h - dirty pages of one mapping, and how they go out (Linux:
 * mm/page-writeback.c).
 *
 * Contiguous dirty pages leave in one run. A run that fails makes its pages
 * dirty again; nothing is dropped because of an error. Which mapping is written
 * when is the flusher's (mm/flusher.h), or a sync's (mm/dirty_list.h).
 */
#ifndef MM_WRITEBACK_H
#define MM_WRITEBACK_H

#include "mm/address_space.h"

/* Looked at again this often, where nothing says when. */
#define WRITEBACK_WAIT_NS (10 * NSEC_PER_MSEC)

struct writeback {
	struct mutex lock;
	struct cond progress;	/* a run has ended */
	uint64_t nr_runs_ended; /* (lock) */
};

void writeback_init(struct writeback *wb);

/* Mark a locked page of m dirty. */
void page_set_dirty(struct address_space *m, struct page *page);
/* Its contents are void: not dirty after all. Page locked. */
void page_cancel_dirty(struct address_space *m, struct page *page);

/* A pass over one mapping ends after this many pages, for the others' sake. */
enum { WRITE_PASS_PAGES = 4096 };

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

/* Begin to write what is tagged, next to each other in one run. */
void mapping_write(struct address_space *m, struct write_pass *p);

/*
 * Write the dirty pages of [first, last] that are dirty now, and wait until
 * they are written. Returns 0 or the error of a run, as -errno; the error is
 * also in m->wb_err.
 */
int mapping_sync(struct address_space *m, pgoff_t first, pgoff_t last);
/* Are there pages that could not be written, and have not been since? */
bool mapping_has_failed(const struct address_space *m);
/* All that was dirty when it had so many write errors has been written since. */
void mapping_note_mended(struct address_space *m, uint32_t nr_errors);
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

/* Wake those who sleep in writeback_wait_progress(): something has got on. */
void writeback_note_progress(struct mm *mm);
/* Sleep until a run ends, or swap gets on, at most timeout_ns. */
void writeback_wait_progress(struct mm *mm, uint64_t timeout_ns);

/* By the owner, when a run was written, or was not: err 0 or -errno. */
void page_run_write_done(struct page_run *run, int err);

#endif
