/*
 * file_append.h - append-only files (chattr +a) of a file volume.
 *
 * The backing file takes nothing but appends, and so it is here. There are no
 * descriptors that pages could be written back through, and where a write belongs
 * is decided by the backing file, to which others may append as well. So what is
 * written goes there at once, in order and around the cache; what is cached of the
 * end is given it. It never becomes dirty.
 *
 * Immutable files (chattr +i) are never opened for writing.
 */
#ifndef FS_FILE_APPEND_H
#define FS_FILE_APPEND_H

#include "fs/file_inode.h"

/*
 * The file, which is in use, is being opened for writing with flags: may it be?
 * Sets whether it is append-only; then there is a descriptor for that. 0 or
 * -errno, what open(2) of the backing file says. Takes attr_lock.
 */
int file_append_open(struct file_inode *fi, int flags);
/* It is to be cut: the same. */
int file_append_may_cut(struct file_inode *fi);

/* A descriptor of a file in use that can be written to, or -errno. */
int file_append_fd(struct file_inode *fi);

/* As volume_ops. */
bool file_is_append_only(struct inode *inode);
ssize_t file_append(struct inode *inode, const void *from, size_t len);

#endif
