/*
 * cgroup.h - how much memory this process may use.
 */
#ifndef FS_CGROUP_H
#define FS_CGROUP_H

#include <stdint.h>

/*
 * Bytes: the memory of the machine, or less if a control group this process is
 * in, of version 1 or 2, or one above it, has a limit.
 */
uint64_t cgroup_memory_limit(void);

#endif
