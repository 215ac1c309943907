/* internal.h - what the files of fs/file*.c share with one another alone. */
#ifndef FS_INTERNAL_H
#define FS_INTERNAL_H

#include "fs/inode.h"

/* One more user of the descriptors; the first opens them. 0 or -errno. */
int file_users_get(struct inode *inode);
/* One user less; the last closes them. Takes attr_lock. */
void file_users_put(struct inode *inode);

/* The contents change now: mtime and ctime are this moment's. */
void file_touch(struct inode *inode);
/* Give the backing file the time of the write(2). Takes attr_lock. */
void file_restore_times(struct inode *inode);

/*
 * Is what a read of "want" bytes delivered all there is? 0, or -EIO for a
 * short read before the end, or the error it ended with.
 */
int file_check_short(struct inode *inode, uint64_t offset, uint64_t want,
		     int64_t got);

#endif
