/* ctl_umount.h - sync, unmount, and wait until the last page is written. */
#ifndef TOOLS_CTL_UMOUNT_H
#define TOOLS_CTL_UMOUNT_H

#include "tools/ctl_mount.h"

/* Returns an exit status, after a line if it is not CTL_OK. */
int ctl_umount(const struct ctl_mount *m);

#endif
