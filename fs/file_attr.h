/* file_attr.h - changing attributes in a file volume. All are volume_ops. */
#ifndef FS_FILE_ATTR_H
#define FS_FILE_ATTR_H

#include "fs/attr.h"
#include "fs/inode.h"

int file_setattr(struct inode *inode, const struct attr_change *change);

ssize_t file_getxattr(struct inode *inode, const char *name, void *value,
		      size_t size);
ssize_t file_listxattr(struct inode *inode, char *list, size_t size);
int file_setxattr(struct inode *inode, const char *name, const void *value,
		  size_t size, int flags);
int file_removexattr(struct inode *inode, const char *name);

#endif
