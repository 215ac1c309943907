/* ctl_stat.h - the counters of a mount, a line an interval, as vmstat(8). */
#ifndef TOOLS_CTL_STAT_H
#define TOOLS_CTL_STAT_H

#include "tools/ctl_mount.h"

/*
 * Print "count" lines (0: until the mount is gone), "interval" seconds apart.
 * Returns an exit status, after a line if it is not CTL_OK.
 */
int ctl_stat(const struct ctl_mount *m, double interval, unsigned long count);

#endif
