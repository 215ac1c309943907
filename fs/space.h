/*
 * space.h - room on a backing file system for what is dirty.
 *
 * What write(2) has acknowledged is to have a block. One of two ways:
 *
 *	counted    the page has a block reserved here; the count is kept against
 *		   statfs(2). As long as the file system has plenty.
 *	allocated  the block is there before the write is acknowledged
 *		   (fs/file_blocks.h). Where room is scarce, or the count cannot
 *		   know it: others write there as well, and some may have less
 *		   than there is (quotas).
 *
 * Where nothing can be allocated ahead (no fallocate(2)) counting is all there is.
 *
 * Each file system at or below SOURCE has a struct space of its own, by st_dev.
 * What others get while something is counted is looked at every second: by who
 * writes, and by fs/disk_watch.h.
 */
#ifndef FS_SPACE_H
#define FS_SPACE_H

#include "fs/backing.h"
#include "mm/gfp.h"
#include "mm/list.h"
#include "mm/lock.h"
#include "mm/slab.h"

#include <errno.h>

struct mm;

/* (C) constant, (L) guarded by lock, (T) by that of the table. */
struct space {
	struct mm *mm;		   /* (C) */
	struct list_head link;	   /* (T) */
	uint64_t dev;		   /* of its files (C) */
	_Atomic bool blocks_first; /* what was decided last */
	_Atomic bool known;	   /* it was asked */
	_Atomic bool copies;	   /* rewriting takes a block, too */
	_Atomic uint32_t block;	   /* its size, or PAGE_SIZE if that is less */
	struct mutex lock;
	uint64_t reserved; /* bytes dirty without a block (L) */
	uint64_t spent;	   /* bytes that got one, ever (L) */
	/* What it said, and when (L). */
	struct backing_room room;
	uint64_t plenty;     /* with so many bytes left counting will do (L) */
	uint64_t spent_then; /* "spent" when it was asked (L) */
	uint64_t asked_ns;   /* when that was; 0: never (L) */
	unsigned int nr_asking; /* who do, without the lock (L) */
	uint64_t refused_ns; /* when it took less than it said; 0: never (L) */
};

/* Those of all volumes: two on one disk have the same. */
struct space_table {
	struct mm *mm;
	struct mutex lock;
	struct list_head spaces; /* none goes before the table does */
	struct kmem_cache cache; /* struct space */
};

/* 0 or -ENOMEM. */
int space_table_init(struct space_table *t, struct mm *mm);
void space_table_destroy(struct space_table *t);
/* Of the files with that st_dev; made if need be. NULL: no memory. */
struct space *space_of_dev(struct space_table *t, uint64_t dev);
/* The one after s, or the first if s is NULL; NULL: there is none. */
struct space *space_next(struct space_table *t, struct space *s);

/*
 * It has been asked once, at least. 0; asking may take time: -EAGAIN without
 * GFP_RECLAIM in gfp. fd as below.
 */
int space_know(struct space *s, int fd, gfp_t gfp);

/* The block is to be allocated first. */
#define SPACE_ALLOCATE 1

/*
 * fd is any open descriptor on the file system. 0: counted; SPACE_ALLOCATE: not
 * counted, see there; -ENOSPC: there is no room for bytes more. Asking may take
 * time: without GFP_RECLAIM in gfp, -EAGAIN if that is needed.
 */
int space_reserve(struct space *s, int fd, uint64_t bytes, gfp_t gfp);
/* Count on them, whatever is scarce. 0 or -ENOSPC. May block. */
int space_count(struct space *s, int fd, uint64_t bytes);
/* Give back what was reserved: written (it has its block now), or void. */
void space_release(struct space *s, uint64_t bytes, bool written);
/*
 * Is there room for them, to be allocated? What can be known before it is tried:
 * 0 or -ENOSPC. May block.
 */
int space_check(struct space *s, int fd, uint64_t bytes);
/* They were allocated, and are not reserved. */
void space_allocated(struct space *s, uint64_t bytes);
/* Does err say that there was no room, on the disk or in a quota? */
static inline bool space_is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}
/* It had no room, for somebody at least: what it says is not to be believed. */
void space_refused(struct space *s);

/* Look again, if the last look was a while ago. */
void space_look(struct space *s, int fd);

/* Bytes reserved now. */
uint64_t space_reserved(struct space *s);

#endif
