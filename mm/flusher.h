/*
 * flusher.h - the threads that write back (Linux: fs/fs-writeback.c).
 *
 * They take the mappings whose dirty pages are old enough, or all of them above
 * the background mark (mm/dirty_limit.h). One at a time is at one group: a
 * device that takes nothing holds one of them.
 */
#ifndef MM_FLUSHER_H
#define MM_FLUSHER_H

#include "mm/address_space.h"

/* For the 17th group and later ones: as soon as one of them is free. */
enum { FLUSHERS_MAX = 16 };

/* (L) guarded by lock. */
struct flusher {
	struct mutex lock;
	struct cond work; /* something to do */
	struct os_thread threads[FLUSHERS_MAX];
	unsigned int nr;       /* that run */
	bool stop;	       /* (L) */
	_Atomic bool wanted;   /* set with (L), read at any time */
	_Atomic bool want_all; /* not only what is old enough (likewise) */
};

void flusher_init(struct flusher *fl);
/* "nr" of them, or FLUSHERS_MAX. 0 or -errno. */
int flusher_start(struct mm *mm, unsigned int nr);
/* Dirty pages stay dirty. */
void flusher_stop(struct mm *mm);

/* Start writing now: of everything, or of one mapping (its last close). */
void flusher_wake(struct mm *mm);
void flusher_kick(struct address_space *m);
/* Something may leave the list, or is due. */
void flusher_look(struct mm *mm);

#endif
