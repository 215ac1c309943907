/* anon_attr.h - attributes of an anon inode: see struct volume_ops. */
#ifndef FS_ANON_ATTR_H
#define FS_ANON_ATTR_H

#include "fs/attr.h"
#include "fs/inode.h"

int anon_getattr(struct inode *inode, struct stat *st);
int anon_setattr(struct inode *inode, const struct attr_change *change);
bool anon_has_suid(struct inode *inode);
int anon_kill_suid(struct inode *inode);

ssize_t anon_getxattr(struct inode *inode, const char *name, void *value,
		      size_t size);
ssize_t anon_listxattr(struct inode *inode, char *list, size_t size);
/* -ENOSPC for more than a block of mm/kmalloc.h, or 64 KiB an inode. */
int anon_setxattr(struct inode *inode, const char *name, const void *value,
		  size_t size, int flags);
int anon_removexattr(struct inode *inode, const char *name);

/* The contents or the owner change: file capabilities go. Does not block. */
void anon_drop_caps(struct inode *inode);

#endif
