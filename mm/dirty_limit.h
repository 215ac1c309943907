/*
 * dirty_limit.h - how much may be dirty, and who is slowed down (Linux:
 * balance_dirty_pages).
 *
 *	          background      (bg + limit) / 2        limit
 *	dirty  ───────┼───────────────────┼─────────────────┼───►
 *	          the flusher       writers pause,     writers wait
 *	          starts            longer and longer
 */
#ifndef MM_DIRTY_LIMIT_H
#define MM_DIRTY_LIMIT_H

#include "mm/types.h"

#include <stdatomic.h>

struct mm;
struct writeback_group;

/* What the disk takes, as seen lately. (F) guarded by flusher.lock. */
struct dirty_rate {
	_Atomic uint64_t pages_per_sec;
	uint64_t then_ns;   /* when last looked at (F) */
	unsigned long then; /* pages written by then (F) */
};

void dirty_rate_init(struct dirty_rate *r);
/* By the flushers, now and then, with flusher.lock held. */
void dirty_rate_update(struct mm *mm);

/* The two marks, in pages. */
void dirty_limits(struct mm *mm, unsigned long *background,
		  unsigned long *limit);
bool dirty_over_background(struct mm *mm);
/* Dirty pages above the middle between the two marks; 0: none. */
unsigned long dirty_pressure(struct mm *mm);
/*
 * Is there so much dirty that writers to g must wait, and would that help? Not
 * while g itself has but little: the others' device may take nothing.
 */
bool dirty_limit_reached(const struct writeback_group *g);

/*
 * For one who has just dirtied nr pages of g: how long to pause, in ns, at most
 * BALANCE_PAUSE_MAX; 0: go on. Wakes the flusher when it is time.
 */
uint64_t balance_dirty_pages(const struct writeback_group *g, unsigned long nr);
#define BALANCE_PAUSE_MAX (200 * NSEC_PER_MSEC) /* as the kernel's */

#endif
