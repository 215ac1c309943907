/*
 * disk_watch.h - a thread of each file volume that looks after what is not on the
 * disk yet: once a second, while room is only counted on, at what others have
 * left of it (fs/space.h); and at what cannot be written (fs/unwritten.h).
 *
 * It holds nothing and nobody waits for it: a device that does not answer keeps
 * the watch of its own volume.
 */
#ifndef FS_DISK_WATCH_H
#define FS_DISK_WATCH_H

#include "mm/lock.h"

struct file_volume;

/* (L) guarded by lock. */
struct disk_watch {
	struct mutex lock;
	struct cond work;
	struct os_thread thread;
	_Atomic bool on; /* it looks once a second; changed with (L) */
	bool stop;	 /* (L) */
};

/* 0 or -errno. */
int disk_watch_start(struct file_volume *fv);
void disk_watch_stop(struct file_volume *fv);

/* There is something to look after, or may be. Does not block. */
void disk_watch_wake(struct file_volume *fv);

#endif
