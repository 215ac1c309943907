/*
 * reclaim.h - choosing pages to give up, and giving them up (Linux: vmscan.c).
 *
 * Scanning goes from the tail of an inactive list. A page found there is
 *
 *	referenced     kept for another round (see lru.h)
 *	being written  kept, and freed when it is clean
 *	dirty          pushed out by its owner: address_space_ops.pageout
 *	clean          dropped
 *
 * Priority says how hard to look: at 12 a list is scanned by 1/4096 of its
 * length, at 0 all of it. What is chosen from which list is a policy.
 *
 * Anon pages are scanned while they can be pushed out (mm->nr_swap_free) or
 * have their contents elsewhere too; and by who finds nothing else at all, as
 * some need no room (they are filled with one value).
 */
#ifndef MM_RECLAIM_H
#define MM_RECLAIM_H

#include "mm/gfp.h"
#include "mm/list.h"
#include "mm/lock.h"
#include "mm/types.h"
#include "mm/zone.h"

struct mm;

#define RECLAIM_DEF_PRIORITY 12
#define RECLAIM_CLUSTER	     32 /* pages; Linux: SWAP_CLUSTER_MAX */

/* What one reclaimer is after, and what it has found. */
struct scan_control {
	unsigned long nr_to_reclaim;
	unsigned int priority;
	unsigned int zone_mask; /* 1 << zone: where pages are wanted */
	bool may_io;
	bool kswapd; /* for the counters */

	unsigned long nr_scanned, nr_reclaimed;
	unsigned long nr_dirty, nr_writeback; /* met on the way */
	unsigned long nr_pageout;	      /* pushed out */
	bool busy; /* the way out of anon pages is full for now */
};

/* Pages taken off a list, for one thread or several to look at. */
struct scan_batch {
	struct mutex lock;
	struct list_head pages;	  /* to be looked at, last first (lock) */
	struct list_head keep;	  /* to go back to their lists (lock) */
	struct scan_control *sc;  /* what was found is added here (lock) */
	struct scan_control what; /* priority, may_io, busy (C) */
};

/* Look at pages of a batch until there are no more. */
void reclaim_scan_batch(struct mm *mm, struct scan_batch *b);

/* How victims are chosen; a mount has one. */
struct reclaim_policy {
	const char *name;
	/* One round over the lists at sc->priority. */
	void (*shrink_node)(struct mm *mm, struct scan_control *sc);
};

/* The kernel's: active and inactive lists, second chance. */
extern const struct reclaim_policy reclaim_policy_twolist;

/*
 * Free some pages for the caller, who may block. Returns how many pages and
 * slab pages were freed.
 */
unsigned long reclaim_direct(struct mm *mm, gfp_t gfp);

/* One round for kswapd: lists, and shrinkers. */
void reclaim_round(struct mm *mm, struct scan_control *sc);

/* The zones a request with this gfp can use, as a mask. */
unsigned int reclaim_zone_mask(enum zone_type highest);

/* drop_caches: every clean page nobody uses. Returns how many. */
unsigned long reclaim_drop_pagecache(struct mm *mm);

#endif
