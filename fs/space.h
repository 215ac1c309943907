/*
 * space.h - room on the backing file system for what is dirty.
 *
 * A dirty page whose block is not allocated yet has one reserved here, so that
 * the write that does not fit fails at write(2), and not the write-back later.
 * The count is kept against statfs(2), asked again when it matters.
 */
#ifndef FS_SPACE_H
#define FS_SPACE_H

#include "mm/gfp.h"
#include "mm/lock.h"

struct file_volume;

/* (L) guarded by lock. */
struct space {
	struct mutex lock;
	uint64_t reserved;   /* bytes dirty without a block (L) */
	uint64_t spent;	     /* bytes that were, and were written, ever (L) */
	uint64_t avail;	     /* bytes the file system said it had (L) */
	uint64_t spent_then; /* "spent" when it was asked (L) */
	uint64_t asked_ns;   /* when that was; 0: never (L) */
	unsigned int nr_asking; /* who do, without the lock (L) */
};

void space_init(struct space *s);
/*
 * 0, or -ENOSPC if the file system has no room for bytes more. Asking it may
 * take time: without GFP_RECLAIM in gfp, -EAGAIN if that is needed.
 */
int space_reserve(struct file_volume *fv, uint64_t bytes, gfp_t gfp);
/* Give back what was reserved: written (it has its block now), or void. */
void space_release(struct file_volume *fv, uint64_t bytes, bool written);
/* Bytes reserved now. */
uint64_t space_reserved(struct space *s);

#endif
