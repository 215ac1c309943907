/*
 * xattr_name.h - which extended attributes there are.
 *
 * All that is asked for is done with the rights of this process, and what a
 * backing file system keeps under a name of its own (system.*, btrfs.*) may be
 * anything. So what goes through is what the kernel has checked by a rule of its
 * own: three name spaces, and the two POSIX ACLs where they are kept.
 */
#ifndef FS_XATTR_NAME_H
#define FS_XATTR_NAME_H

#include "mm/types.h"

/* Of a program's capabilities; see fs/privs.h. */
#define XATTR_CAPS "security.capability"

/* 0; -EOPNOTSUPP: none of them; -EINVAL: no name; -ERANGE: too long. */
int xattr_name_check(const char *name, bool acl);

/* Drop the others of a list of names, each with its NUL. What is left. */
size_t xattr_names_filter(char *list, size_t size, bool acl);

#endif
