/* ctl_sync.h - wait until what was written to a mount is in its SOURCE. */
#ifndef TOOLS_CTL_SYNC_H
#define TOOLS_CTL_SYNC_H

#include "tools/ctl_mount.h"

/*
 * 0 or -errno: what could not be written stays dirty, and is tried again; the
 * files are printed, as in .plimsoll/unwritten.
 */
int ctl_sync(const struct ctl_mount *m);

#endif
