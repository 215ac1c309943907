/*
 * anon_inode.h - a file of an anon volume, from its making until neither a
 * name nor anybody who knows it is left.
 *
 * It is in the volume's table of inodes all its life. Its number is never used
 * again.
 */
#ifndef FS_ANON_INODE_H
#define FS_ANON_INODE_H

#include "fs/anon_volume.h"

/* As good as none: a count of 32 bits must not come round. */
#define ANON_LINK_MAX (1u << 30)

/* One extended attribute: its name, a NUL, and its value. (C) */
struct anon_xattr {
	struct anon_xattr *next; /* guarded by the inode's time_lock */
	uint16_t name_len;
	uint16_t size;
	char name[];
};

/*
 * (C) constant, (N) guarded by names_lock, (A) by inode.time_lock, (NA) changed
 * with both, and read with either.
 */
struct anon_inode {
	struct inode inode;
	uint64_t ino;	     /* (C) */
	_Atomic mode_t mode; /* with the type; changed with (A), read freely */
	uid_t uid;	     /* (A) */
	gid_t gid;	     /* (A) */
	/*
	 * Names, for a directory also its own "." and its subdirectories'
	 * "..". Changes only while the one who changes it has a ref (NA).
	 */
	uint32_t nlink;
	uint32_t xattr_bytes;	/* (A) */
	_Atomic bool has_caps;	/* security.capability is set; as mode */
	_Atomic bool atime_due; /* a read may change atime; as mode */
	bool unnamed;		/* made without a name, and has had none (N) */
	struct timespec atime, mtime, ctime; /* (A) */
	struct anon_xattr *xattrs;	     /* (A) */
	union {
		struct {
			struct xarray names;  /* by cookie (N) */
			uint64_t next_cookie; /* (N) */
			uint64_t nr_names;    /* (NA) */
			/* Itself, if it is the root, or removed. (N) */
			struct anon_inode *parent;
		} dir;
		char *target; /* of a symbolic link (C) */
		dev_t rdev;   /* of a device (C) */
		/*
		 * Bytes of its page from here on are garbage, not zeroes: see
		 * fs/anon_file.c. 0: none.
		 */
		_Atomic uint64_t tail_garbage;
	};
};

static inline struct anon_inode *anon_inode_of(struct inode *inode)
{
	return container_of(inode, struct anon_inode, inode);
}

/* What a new inode is to be. */
struct anon_inode_new {
	mode_t mode; /* with the type */
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	const char *target; /* of a symbolic link */
};

/*
 * A new inode with no links, times of now, in no table. Waits for room. NULL
 * and *err = -ENOSPC, or -ENAMETOOLONG for the target.
 */
struct anon_inode *anon_inode_new(struct anon_volume *av,
				  const struct anon_inode_new *new, int *err);

/* See struct volume_ops. The second is also for one that is in no table. */
bool anon_inode_unused(struct inode *inode);
void anon_inode_destroy(struct inode *inode);

#endif
