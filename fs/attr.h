/* attr.h - a change of attributes, as setattr asks for it. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include "mm/types.h"

#include <sys/stat.h>

enum attr_valid {
	ATTR_MODE = 1u << 0,
	ATTR_UID = 1u << 1,
	ATTR_GID = 1u << 2,
	ATTR_SIZE = 1u << 3,
	ATTR_ATIME = 1u << 4,
	ATTR_MTIME = 1u << 5,
	ATTR_KILL_SUID = 1u << 6,
	ATTR_TOUCH = 1u << 7, /* both times, and both are now */
};

struct attr_change {
	unsigned int valid; /* enum attr_valid: which of the rest count */
	mode_t mode;	    /* permission bits */
	uid_t uid;
	gid_t gid;
	uint64_t size;
	struct timespec atime, mtime; /* "now" is filled in already */
};

#endif
