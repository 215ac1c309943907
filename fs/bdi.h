/*
 * bdi.h - what the kernel allows a mount of ours: its backing device's settings
 * (/sys/class/bdi).
 *
 * A FUSE mount's dirty mapped pages are held to a strict limit of one percent
 * of the machine's dirty pages, and whoever dirties more is slowed down to a
 * hundredth. We count them in our budget, so we set the limit that is meant.
 */
#ifndef FS_BDI_H
#define FS_BDI_H

#include <stddef.h>

/*
 * At mountpoint at most "dirty" bytes are dirty in the kernel, and up to there
 * nobody is slowed down; "ahead" bytes are read ahead. 0, or -errno: this user
 * may not, or this kernel cannot.
 */
int bdi_setup(const char *mountpoint, size_t dirty, size_t ahead);

#endif
