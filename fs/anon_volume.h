/*
 * anon_volume.h - a volume whose names, inodes and pages live nowhere but in
 * our memory (tmpfs, as it were), and are gone when it is.
 *
 * Names, inodes, targets and attributes are slab objects and stay in memory;
 * pages are swap/anon.h's.
 */
#ifndef FS_ANON_VOLUME_H
#define FS_ANON_VOLUME_H

#include "fs/volume.h"
#include "mm/slab.h"
#include "swap/anon.h"

struct anon_name;

/* What tmpfs gives its root when nobody asks for something else. */
#define ANON_ROOT_MODE 01777u

/* As the options say. */
struct anon_limits {
	uint64_t size;	    /* bytes of contents; 0: no limit */
	uint64_t nr_inodes; /* 0: no limit */
	mode_t mode;	    /* permission bits of the root */
	uid_t uid;	    /* owner of the root */
	gid_t gid;
};

/* (C) constant once the volume is open, (N) guarded by names_lock. */
struct anon_volume {
	struct volume vol;
	struct anon_group group;
	uint64_t max_inodes; /* UINT64_MAX: no limit (C) */
	_Atomic uint64_t nr_inodes, last_ino;
	struct kmem_cache inode_cache; /* struct anon_inode */

	struct mutex names_lock;
	struct page *bucket_page;   /* where the buckets are (C) */
	struct anon_name **buckets; /* all names by directory and name (N) */
	size_t nr_buckets;	    /* a power of two (C) */
	uint64_t hash_seed;	    /* (C) */
	uint64_t nr_names;	    /* (N) */
};

extern const struct volume_ops anon_volume_ops;

/* NULL and *err = -errno. */
struct volume *anon_volume_open(struct fs *fs, const struct anon_limits *limits,
				int *err);

static inline struct anon_volume *anon_volume_of(struct volume *vol)
{
	return container_of(vol, struct anon_volume, vol);
}

/* Growth: an object of size bytes (mm/kmalloc.h), or NULL: -ENOROOM. */
void *anon_kmalloc(struct mm *mm, size_t size);

#endif
