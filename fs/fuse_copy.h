/*
 * fuse_copy.h - requests that come because of copies of pages in the kernel:
 * its own, and those of the process that takes them back (fs/copy_taker.h).
 */
#ifndef FS_FUSE_COPY_H
#define FS_FUSE_COPY_H

#include "fs/fuse_internal.h"

/*
 * Requests of the taker's open files. True: it was one, and is answered. They
 * need no worker, and wait for nothing.
 */
bool copy_is_takers(const struct fuse_file_info *fi);
bool copy_open(fuse_req_t req, fuse_ino_t ino,
	       const struct fuse_file_info *opened);
bool copy_write(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		const struct fuse_file_info *fi);
bool copy_release(fuse_req_t req, const struct fuse_file_info *fi);

/*
 * Does this READ fill the kernel's cache, or this WRITE leave what it wrote
 * there? A read(2) or write(2) that goes around it names the owner of the
 * descriptor's locks; what the kernel does for itself has none.
 */
static inline bool copy_is_kept(const struct fuse_file_info *fi)
{
	return fi->lock_owner == 0;
}

/* How the kernel is to treat a file that is being opened. */
void copy_choose(struct inode *inode, struct fuse_file_info *fi);

#endif
