/*
 * volume.h - one SOURCE mounted at one MOUNTPOINT.
 *
 * A file volume: its pages live in the files of the backing directory. All
 * volumes of a process share one struct mm, and one set of workers.
 */
#ifndef FS_VOLUME_H
#define FS_VOLUME_H

#include "fs/inode.h"
#include "fs/space.h"
#include "mm/mm.h"

#include <limits.h>

struct fs;
struct control;

/* (C) constant once the volume is open. */
struct volume {
	struct fs *fs;		   /* (C) */
	struct mm *mm;		   /* (C) */
	char source[PATH_MAX];	   /* as resolved (C) */
	char mountpoint[PATH_MAX]; /* as resolved (C) */
	int root_fd;		   /* the backing directory, opened for reading;
				    * file handles are opened through it (C) */
	uint64_t mnt_id;	   /* of the backing mount (C) */
	uid_t owner;		   /* who mounted (C) */
	gid_t owner_gid;	   /* (C) */
	bool read_only;		   /* (C) */
	bool sync;		   /* every write is O_SYNC (C) */
	bool has_handles;	/* inodes are found again by file handle (C) */
	bool has_direct;	/* files can be opened with O_DIRECT (C) */
	uint64_t max_file_size; /* of the backing file system (C) */
	_Atomic bool no_fallocate; /* it was refused once */
	struct space space;
	struct inode_table inodes;
	struct inode *root;
	struct mutex opens_lock;
	struct list_head open_files, open_dirs; /* (opens_lock) */
	struct shrinker shrinker;		/* of idle inodes */
	struct control *control;		/* NULL with control=off (C) */
	/*
	 * Ask the kernel to let go of so many inodes, and call inode_bury(), on
	 * a thread of its own (fs/fuse_notify.c). Never blocks.
	 */
	void (*prune)(struct volume *vol, unsigned long nr);
	void *session; /* fs/fuse_session.c's */
};

/*
 * Open the backing directory and find out what it can do. 0 or -errno.
 * root_fd is taken over.
 */
int volume_open(struct volume *vol, struct fs *fs, int root_fd);

/* Write back all that is dirty and make it durable. 0 or -errno. */
int volume_sync(struct volume *vol);

/*
 * At the end: write back all that is dirty and wait, calling progress with the
 * bytes left now and then. Gives up when nothing was written for patience_s
 * seconds, and returns -EIO after naming the files that are lost.
 */
int volume_drain(struct volume *vol, unsigned int patience_s,
		 void (*progress)(struct volume *vol, uint64_t left));

/* Drop all inodes; nobody uses them any more. */
void volume_close(struct volume *vol);

#endif
