/*
 * privs.h - what makes a program more than its user: set-id bits, and
 * capabilities (security.capability). Who changes what is in the file takes them
 * away, in the moment of the write(2), not of any write-back:
 *
 *	capabilities  by write(2), truncate(2), fallocate(2), chown(2), always
 *	set-id bits   by chown(2) always, else by who may not keep them
 *
 * and not by stores to a mapping. We are told of it (FUSE_HANDLE_KILLPRIV_V2)
 * where set-id bits go, of chown(2) too. Capabilities the kernel takes by itself,
 * with a request of their own, but for write(2) and O_TRUNC: for what others than
 * those calls change, as overlayfs does, they are not to go. What each kind of
 * volume does for it is in struct volume_ops.
 */
#ifndef FS_PRIVS_H
#define FS_PRIVS_H

#include "mm/types.h"

#include <sys/stat.h>

enum priv {
	PRIV_CAPS = 1u << 0,
	PRIV_SETID = 1u << 1, /* bits that go, see mode_without_setid() */
	PRIV_ALL = PRIV_CAPS | PRIV_SETID,
};

/* What a write takes of somebody who may keep set-id bits, or not. */
static inline unsigned int privs_of_write(bool keeps_setid)
{
	return keeps_setid ? PRIV_CAPS : PRIV_ALL;
}

/* The one rule for set-id bits: without S_IXGRP, S_ISGID is no privilege. */
static inline mode_t mode_without_setid(mode_t mode)
{
	mode_t left = mode & ~(mode_t)S_ISUID;

	return mode & S_IXGRP ? left & ~(mode_t)S_ISGID : left;
}

#endif
