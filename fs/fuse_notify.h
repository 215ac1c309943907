/*
 * fuse_notify.h - asking the kernel to let go of inodes.
 *
 * FUSE_NOTIFY_PRUNE (protocol 7.45) takes a list of inodes and drops the names
 * and inodes of those that are not in use; a FORGET comes back for each. One
 * thread sends it, which holds nothing and which nobody waits for.
 */
#ifndef FS_FUSE_NOTIFY_H
#define FS_FUSE_NOTIFY_H

#include "fs/volume.h"

struct session;
struct notifier;

/* NULL if there is no memory or no thread. Sets vol->prune, forget_copies. */
struct notifier *notifier_start(struct session *s);
/* What is wanted afterwards has no effect; its memory stays until the end. */
void notifier_stop(struct notifier *n);

#endif
