/*
 * buddy.h - power-of-two page frame allocator for one zone.
 *
 * Frames are handed out in blocks of 2^order, each block aligned to its own
 * size. A block's buddy is the neighbour it was split from; the two differ
 * only in bit "order" of their frame number:
 *
 *	order 2  |       0       |       4       |
 *	order 1  |   0   |   2   |   4   |   6   |	buddy of 4 is 6
 *	order 0  | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |	buddy of 4 is 5
 *
 * This is mechanism only. Watermarks, per-thread lists and reclaim are policy
 * and live in page_alloc.c, the only caller outside the tests.
 */
#ifndef MM_BUDDY_H
#define MM_BUDDY_H

#include "mm/list.h"
#include "mm/lock.h"
#include "mm/page.h"

#define BUDDY_MAX_ORDER 10 /* largest block: 1024 frames, 4 MiB */
#define BUDDY_NR_ORDERS (BUDDY_MAX_ORDER + 1)

/* The free blocks of one order. */
struct free_area {
	struct list_head blocks; /* first pages, by page->lru (L) */
	unsigned long nr_blocks; /* length of blocks (L) */
};

/*
 * Each field is (C) constant after buddy_init(), or guarded by (L) lock.
 */
struct buddy {
	struct mutex lock;
	struct page *pages; /* descriptor of frame 0 (C) */
	pfn_t base_pfn;	    /* first frame covered (C) */
	pfn_t nr_pfns;	    /* frames covered, free or not (C) */

	_Atomic unsigned long nr_free; /* frames in free blocks (L) */
	uint32_t nonempty;	       /* bit n: area[n] has a block (L) */
	struct free_area area[BUDDY_NR_ORDERS]; /* by order (L) */
	/* Largest blocks, free, whose descriptors nobody has touched (L). */
	pfn_t untouched, untouched_end;
};

/*
 * Cover [base_pfn, base_pfn + nr_pfns), every frame allocated; pages is the
 * whole array, from frame 0.
 */
void buddy_init(struct buddy *b, struct page *pages, pfn_t base_pfn,
		pfn_t nr_pfns);

/*
 * Give a range of allocated frames to the allocator, in the largest blocks.
 * Those of the highest order are written down one by one as they are needed, so
 * that a large arena is there at once, and the page array becomes resident as
 * its frames are used. One such range at a time.
 */
void buddy_donate(struct buddy *b, pfn_t pfn, pfn_t nr) must_hold(b->lock);

/* First page of a block of 2^order frames, or NULL if none is large enough. */
struct page *buddy_alloc(struct buddy *b, unsigned int order)
	must_hold(b->lock);

/* Return a whole block from buddy_alloc(), merging it with free buddies. */
void buddy_free(struct buddy *b, struct page *page, unsigned int order)
	must_hold(b->lock);

/* Free blocks of exactly this order. */
unsigned long buddy_nr_blocks(const struct buddy *b, unsigned int order)
	must_hold(b->lock);

/* Frames in free blocks, as of a moment ago; needs no lock. */
static inline unsigned long buddy_nr_free(struct buddy *b)
{
	return atomic_load_explicit(&b->nr_free, memory_order_relaxed);
}

/* Abort unless every invariant listed in buddy.c holds. O(frames). */
void buddy_check(const struct buddy *b) must_hold(b->lock);

#endif
