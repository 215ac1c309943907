/*
 * balloon.h - frames given up for memory that is used elsewhere (Linux: the
 * balloon drivers).
 *
 * Copies of pages that the kernel keeps for a mount lie outside the arena, and
 * count in its budget all the same: for each, a frame is taken out of the arena
 * and its memory given back to the system. Frames go in as large blocks where
 * there are any; a block's memory is gone before it counts.
 */
#ifndef MM_BALLOON_H
#define MM_BALLOON_H

#include "mm/gfp.h"
#include "mm/list.h"
#include "mm/lock.h"

#include <stdatomic.h>

struct mm;

/* (L) guarded by lock, (C) constant once there are blocks. */
struct balloon {
	struct mutex lock;
	struct list_head blocks;  /* folios, by page->lru (L) */
	_Atomic unsigned long nr; /* frames in them (L) */
	/*
	 * Frames that its owner was asked for and works at giving back: for
	 * writers it is worth waiting for them (mm/oom.c). The owner's.
	 */
	_Atomic unsigned long nr_asked;
	unsigned long nr_kept; /* in it at all times. The owner's (C) */
	bool populate; /* a frame that is given back has its memory at once (C) */
};

void balloon_init(struct balloon *b);

/*
 * Take up to nr frames more. gfp says how far to go for single frames; larger
 * blocks are taken only where they lie about. Returns how many it were, a block
 * more than nr at most.
 */
unsigned long balloon_inflate(struct mm *mm, unsigned long nr, gfp_t gfp);
/* Give at least nr back, or all. Returns how many. */
unsigned long balloon_deflate(struct mm *mm, unsigned long nr);

static inline unsigned long balloon_size(struct balloon *b)
{
	return atomic_load_explicit(&b->nr, memory_order_relaxed);
}

#endif
