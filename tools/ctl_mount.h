/*
 * ctl_mount.h - one plimsoll mount, as the mount table has it.
 *
 * Nothing here asks the mounted directory anything, so a mount whose process is
 * gone or hangs is found all the same. Paths can change, and something else can be
 * mounted on top: what is opened or unmounted is looked at by its device.
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

/*
 * The topmost mount at path, which may be a symbolic link. False, after one line,
 * if it is none of ours, or not the root of one.
 */
bool ctl_mount_find(const char *path, struct ctl_mount *m);

/*
 * Its root directory, by open(2)'s flags; whoever closes it soon does not keep the
 * mount busy. -1 with errno, ESTALE: at that path there is something else now.
 */
int ctl_mount_open(const struct ctl_mount *m, int flags);
/* Is "fd" on it? */
bool ctl_mount_has(const struct ctl_mount *m, int fd);

/* Is SOURCE its own mount point, and so hidden by the mount? */
bool ctl_mount_in_place(const struct ctl_mount *m);

/* Is it mounted elsewhere too (bound)? Then where, in PATH_MAX bytes. */
bool ctl_mount_remains(const struct ctl_mount *m, char *where);

#endif
