/*
 * sync_group.h - one fsync(2) of a backing file for all who wait for one
 * (group commit).
 *
 * The kernel tells an error of a descriptor once, to whoever asks first, and all
 * who have a file open here share its descriptor. So there is one sync at a time
 * a file. Who comes while one is under way may have written after it began: all
 * of those wait for the next, which one of them does for all.
 */
#ifndef FS_SYNC_GROUP_H
#define FS_SYNC_GROUP_H

#include "mm/lock.h"

/* (L) guarded by lock. */
struct sync_group {
	struct mutex lock;
	struct cond end;
	uint64_t started; /* syncs (L) */
	uint64_t ended;	  /* of them (L) */
	uint64_t failed;  /* the last that failed; 0: none has (L) */
	int err;	  /* of that one (L) */
	bool whole;	  /* somebody who waits wants more than data (L) */
};

/* 0 or -errno. */
typedef int sync_fn(void *arg, bool data_only);

void sync_group_init(struct sync_group *g);

/*
 * Wait for a call of sync(arg) that began after this was called. 0 or what it
 * said; perhaps what a later one said. Sleeps; call without locks that sync()
 * takes.
 */
int sync_group_sync(struct sync_group *g, sync_fn *sync, void *arg,
		    bool data_only);

#endif
