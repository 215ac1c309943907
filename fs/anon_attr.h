/* anon_attr.h - attributes of an anon inode: see struct volume_ops. */
#ifndef FS_ANON_ATTR_H
#define FS_ANON_ATTR_H

#include "fs/attr.h"
#include "fs/inode.h"

int anon_getattr(struct inode *inode, struct stat *st);
int anon_setattr(struct inode *inode, const struct attr_change *change);
/*
 * It has changed: ctime, and what reads may have to do with atime. mtime is the
 * caller's.
 */
void anon_changed(struct inode *inode, struct timespec now)
	must_hold(inode->time_lock);
/*
 * It was read: atime is now, if that is worth it (relatime, see mount(8)). Does
 * not block; nearly always it is one look at a flag.
 */
bool anon_accessed(struct inode *inode);
/* It is being opened: a long time after atime a read is worth it as well. */
void anon_opened(struct inode *inode);

unsigned int anon_privs(struct inode *inode);
/* Does not block. */
int anon_drop_privs(struct inode *inode, unsigned int which);

ssize_t anon_getxattr(struct inode *inode, const char *name, void *value,
		      size_t size);
ssize_t anon_listxattr(struct inode *inode, char *list, size_t size);
/* -ENOSPC for more than a block of mm/kmalloc.h, or 64 KiB an inode. */
int anon_setxattr(struct inode *inode, const char *name, const void *value,
		  size_t size, int flags);
int anon_removexattr(struct inode *inode, const char *name);

#endif
