/*
 * sysctl.h - what can be set while mounted, under the kernel's names in
 * .plimsoll/sys/vm (Linux: kernel/sysctl.c).
 */
#ifndef MM_SYSCTL_H
#define MM_SYSCTL_H

#include "mm/types.h"

struct mm;

/*
 * Name, default, least, most. min_free_kbytes is set from the size of the
 * arena. The two times add up to the five seconds that dirty data may be old.
 */
#define VM_SETTINGS(X)                                                       \
	X(VM_DIRTY_BACKGROUND_RATIO, dirty_background_ratio, 20, 0, 100)     \
	X(VM_DIRTY_RATIO, dirty_ratio, 50, 1, 100)                           \
	X(VM_DIRTY_EXPIRE_CENTISECS, dirty_expire_centisecs, 400, 1, 360000) \
	X(VM_DIRTY_WRITEBACK_CENTISECS, dirty_writeback_centisecs, 100, 1,   \
	  360000)                                                            \
	X(VM_MIN_FREE_KBYTES, min_free_kbytes, 0, 0, 1l << 40)               \
	X(VM_WATERMARK_SCALE_FACTOR, watermark_scale_factor, 10, 1, 3000)    \
	X(VM_VFS_CACHE_PRESSURE, vfs_cache_pressure, 100, 0, 10000)          \
	X(VM_SWAPPINESS, swappiness, 60, 0, 200)                             \
	X(VM_OVERCOMMIT_MEMORY, overcommit_memory, 0, 0, 2)

enum vm_setting {
#define X(item, name, def, least, most) item,
	VM_SETTINGS(X)
#undef X
		NR_VM_SETTINGS
};

/* Values of overcommit_memory; the kernel's numbers. */
enum vm_overcommit {
	OVERCOMMIT_HEURISTIC,
	OVERCOMMIT_ALWAYS,
	OVERCOMMIT_NEVER
};

const char *vm_setting_name(enum vm_setting s);

/* All at their defaults. */
void vm_settings_init(struct mm *mm);

/* 0, or -EINVAL if the setting cannot have that value. */
int vm_set(struct mm *mm, enum vm_setting s, long value);

#endif
