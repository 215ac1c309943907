/*
 * ctl_mount.h - one plimsoll mount, as the mount table has it.
 *
 * Nothing here touches the mounted directory itself, so a mount whose process
 * is gone or hangs is found all the same.
 */
#ifndef TOOLS_CTL_MOUNT_H
#define TOOLS_CTL_MOUNT_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct ctl_mount {
	char path[PATH_MAX];   /* the mount point, resolved */
	char source[PATH_MAX]; /* the SOURCE */
	char dev[32];	       /* MAJOR:MINOR of the mount */
	uid_t uid;	       /* who mounted it */
};

/* The topmost mount at path. False, after one line, if it is none of ours. */
bool ctl_mount_find(const char *path, struct ctl_mount *m);

/* Is SOURCE its own mount point, and so hidden by the mount? */
bool ctl_mount_in_place(const struct ctl_mount *m);

/* Is it mounted elsewhere too (bound)? Then where, in PATH_MAX bytes. */
bool ctl_mount_remains(const struct ctl_mount *m, char *where);

#endif
