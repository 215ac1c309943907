/*
 * scan_crew.h - threads that look at pages together with kswapd.
 *
 * To push an anon page out is to compress it, which takes more of a CPU than
 * all else about it. So what kswapd has taken off a list is a batch from which
 * its helpers take pages too, one at a time. Who offers a batch works on it as
 * well: helpers that get no CPU hold nothing up.
 */
#ifndef MM_SCAN_CREW_H
#define MM_SCAN_CREW_H

#include "mm/lock.h"

#include <stdatomic.h>

struct mm;
struct scan_batch; /* mm/reclaim.h */

#define SCAN_CREW_MAX 3

/* (L) guarded by lock. */
struct scan_crew {
	struct mutex lock;
	struct cond wanted, done;
	struct scan_batch *batch; /* to be worked on (L) */
	unsigned int nr_busy;	  /* who are at it (L) */
	bool stop;		  /* (L) */
	_Atomic unsigned int nr;  /* that are there */
	struct os_thread threads[SCAN_CREW_MAX];
};

void scan_crew_init(struct scan_crew *c);
/* A helper for each CPU but one. 0 or -errno, and there is none. */
int scan_crew_start(struct mm *mm);
void scan_crew_stop(struct mm *mm);

/*
 * Have helpers work on a batch until it is empty; the caller does too, and then
 * waits for them with scan_crew_end(). Only one thread may do this: kswapd.
 */
void scan_crew_offer(struct mm *mm, struct scan_batch *b);
void scan_crew_end(struct mm *mm);

#endif
