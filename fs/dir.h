/*
 * dir.h - names: what looking them up, making, and listing them takes and
 * gives, whatever the kind of volume (struct volume_ops).
 */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "fs/cred.h"
#include "fs/inode.h"

/* What a name turned out to be: with a kernel ref and a ref of ours. */
struct dir_entry {
	struct inode *inode;
	struct stat attr;
};

/* What mknod(2), mkdir(2), symlink(2) and open(2) want to make. */
struct dir_make {
	const char *name;   /* not with O_TMPFILE */
	mode_t mode;	    /* with the type: S_IFREG, S_IFDIR, S_IFLNK, … */
	dev_t rdev;	    /* for devices */
	const char *target; /* for symbolic links */
	bool exclusive;	    /* S_IFREG: -EEXIST if it is there */
	bool to_open;	    /* S_IFREG: volume_ops.open comes next */
	struct cred caller;
};

/*
 * An open directory; a kind embeds it. dir_open() takes the inode's ref over
 * and puts it into the list; dir_close() takes it out and puts the inode.
 */
struct dir_stream {
	struct list_head link; /* in volume.open_dirs */
	struct inode *inode;
};

/*
 * dir_read() calls emit for each name from offset on ("." and ".." too), until
 * it returns false or the directory ends. next is the offset behind the entry.
 */
struct dir_name {
	const char *name;
	uint64_t ino;
	mode_t type; /* S_IFMT bits; 0: unknown */
	uint64_t next;
};

#endif
