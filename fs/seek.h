/*
 * seek.h - lseek(2) with SEEK_DATA and SEEK_HOLE, whatever the kind of volume.
 */
#ifndef FS_SEEK_H
#define FS_SEEK_H

#include "mm/types.h"

struct inode;

/*
 * Where data, or a hole, begins, from offset on; or -ENXIO, -ENOSYS (the kernel
 * knows better: all is data, up to the size it has), or -errno. Blocks.
 */
int64_t seek_find(struct inode *inode, uint64_t offset, int whence);

#endif
