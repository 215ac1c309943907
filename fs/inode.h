/*
 * inode.h - a file of a volume, while somebody knows it.
 *
 *	kernel refs (nlookup)  the kernel's dentries and inodes; given back by
 *	                       FORGET, asked back by NOTIFY_PRUNE
 *	refs                   ours: open files, requests, dirty pages
 *
 * With neither, an inode that has pages stays on the idle list until reclaim
 * wants them. The file itself is found again by its file handle, or, where the
 * file system has none, by an O_PATH descriptor that the inode keeps.
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "fs/backing.h"
#include "mm/address_space.h"
#include "mm/shrinker.h"
#include "mm/slab.h"

#include <sys/stat.h>

struct volume;

/*
 * (C) constant, (T) guarded by inode_table.lock, (A) by attr_lock, (S) by
 * time_lock, (I) changed with io_lock held alone, or shared and time_lock.
 */
struct inode {
	struct volume *vol;	    /* (C) */
	struct backing_id id;	    /* (C) */
	mode_t type;		    /* S_IFMT bits (C) */
	_Atomic bool has_suid;	    /* set-id bits, when last looked at */
	uint64_t nlookup;	    /* (T) */
	_Atomic uint32_t refs;	    /* to and from 0 only under (T) */
	bool idle;		    /* on the idle list (T) */
	struct list_head hash_link; /* (T) */
	struct list_head lru_link;  /* in table.idle or table.held (T) */

	/* regular files --------------------------------------------------- */
	struct rwlock io_lock; /* writers shared, who cuts the file alone */
	struct mutex attr_lock;
	_Atomic uint64_t size;	       /* what was acknowledged (I) */
	_Atomic uint64_t backing_size; /* what the backing file has (A) */
	_Atomic bool maybe_sparse;     /* may have holes below that (A) */
	bool unlinked;		       /* no name is left (A) */
	bool times_dirty;      /* mtime here is newer than the backing's (S) */
	bool ctime_known;      /* ours_ctime stands for backing_ctime (S) */
	struct timespec mtime; /* of the last write(2) (A) */
	struct timespec ours_ctime;    /* what we told (A) */
	struct timespec backing_ctime; /* ... while the backing said this (A) */
	struct timespec seen_mtime;    /* of the backing when last closed (A) */
	struct timespec seen_ctime;    /* likewise (A) */
	uint64_t seen_size;	       /* likewise; for close-to-open (A) */
	struct mutex time_lock; /* size and times; never held for the disk */
	_Atomic unsigned int users; /* of the descriptors (A) */
	struct backing_fds fds;	    /* constant while users > 0 (A) */
	struct address_space mapping;
};

#define INODE_HASH_BITS 12

struct inode_table {
	struct mutex lock;
	struct kmem_cache cache;
	struct page *hash_page;	 /* where hash is */
	struct list_head *hash;	 /* by backing_id (lock) */
	struct list_head idle;	 /* without refs of either kind (lock) */
	struct list_head held;	 /* known to the kernel, oldest first (lock) */
	struct list_head graves; /* to be destroyed (lock) */
	/* Inodes; of them idle. Changed with the lock, read at any time. */
	_Atomic unsigned long nr, nr_idle;
};

/* 0 or -ENOMEM. */
int inode_table_init(struct volume *vol);
void inode_table_destroy(struct volume *vol);

/*
 * The inode of an open O_PATH descriptor with status st, which is taken over
 * (kept or closed), with one more kernel ref if "lookup", and one ref of ours
 * in any case. NULL and *err = -ENOMEM (after asking the kernel for some back,
 * and waiting) or -errno.
 */
struct inode *inode_get(struct volume *vol, int path_fd, const struct statx *st,
			bool lookup, int *err);

/* One more ref of an inode that has one, of either kind. */
void inode_ref(struct inode *inode);
void inode_put(struct inode *inode);

/* The kernel gives n of its refs back. */
void inode_forget(struct inode *inode, uint64_t n);

/* Destroy what inode_forget() left to a thread that may block. */
void inode_bury(struct volume *vol);

/*
 * Memory or descriptors have run out: drop idle inodes, ask the kernel for
 * others, and sleep for a moment.
 */
void inode_make_room(struct volume *vol);

/*
 * Up to max inodes that only the kernel holds, the oldest first, moved behind
 * the others; for NOTIFY_PRUNE. Returns how many.
 */
unsigned int inode_oldest_held(struct volume *vol, uint64_t *nodeids,
			       unsigned int max);

/* Drop up to nr idle inodes, pages and all. Returns how many. */
unsigned long inode_evict_idle(struct volume *vol, unsigned long nr);

/* Destroy them all, whoever holds them: the mount is gone. */
void inode_drop_all(struct volume *vol);

/* What the kernel calls it. */
static inline uint64_t inode_nodeid(const struct inode *inode)
{
	return (uint64_t)(uintptr_t)inode;
}

/*
 * A descriptor for the path-like system calls (O_PATH, or better), good until
 * inode_path_put(). Returns it or -errno.
 */
int inode_path_get(struct inode *inode);
void inode_path_put(struct inode *inode, int fd);

/* Put what is not in the backing file yet into its status. */
void inode_merge_attr(struct inode *inode, struct stat *st);

/* Attributes as the mount shows them. 0 or -errno. */
int inode_getattr(struct inode *inode, struct stat *st);

#endif
