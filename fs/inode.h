/*
 * inode.h - a file of a volume, while somebody knows it: what every kind has.
 *
 *	kernel refs (nlookup)  the kernel's dentries and inodes; given back by
 *	                       FORGET, asked back by NOTIFY_PRUNE
 *	refs                   ours: open files, requests, and what is dirty
 *	                       and has a home to be written to
 *
 * With neither, the volume's kind decides: volume_ops.inode_unused. A kind
 * embeds this as the first member of its own (struct file_inode, struct
 * anon_inode).
 */
#ifndef FS_INODE_H
#define FS_INODE_H

#include "fs/kernel_copy.h"
#include "mm/address_space.h"

#include <sys/stat.h>

struct volume;

/*
 * (C) constant, (T) guarded by inode_table.lock, (I) changed with io_lock held
 * alone, or shared and time_lock.
 */
struct inode {
	struct volume *vol;    /* (C) */
	mode_t type;	       /* S_IFMT bits (C) */
	_Atomic uint32_t refs; /* to and from 0 only under (T) */
	uint64_t nlookup;      /* (T) */
	struct list_head link; /* in one list of the table (T) */
	bool idle;	       /* on the idle list (T) */
	bool slow_destroy;     /* not for the thread that receives (C) */
	/* The file has changed, and the kernel has not been told. */
	_Atomic bool stale_copies;
	/* overlayfs is making it; see fs/fuse_attr.c. */
	_Atomic bool copying_up;
	struct rwlock io_lock;	/* writers shared, who cuts the file alone */
	struct mutex time_lock; /* size and times; never held for a disk */
	_Atomic uint64_t size;	/* what was acknowledged (I) */
	struct inode_copies copies;
	struct address_space mapping;
};

struct inode_table {
	struct mutex lock;
	struct list_head idle;	 /* without refs of either kind (lock) */
	struct list_head held;	 /* the others, oldest first (lock) */
	struct list_head graves; /* to be destroyed (lock) */
	/* Inodes; of them idle. Changed with the lock, read at any time. */
	_Atomic unsigned long nr, nr_idle;
};

void inode_table_init(struct inode_table *t);

/* The common part of a new inode; on no list, no refs. */
void inode_init(struct inode *inode, struct volume *vol, mode_t type,
		uint64_t size, const struct address_space_ops *aops,
		const void *group);
/*
 * Into its volume's table (held), counted; with one ref, and one lookup if
 * "lookup".
 */
void inode_add(struct inode_table *t, struct inode *inode, bool lookup)
	must_hold(t->lock);
/* One more of both, of one that may have none (idle). */
void inode_join(struct inode_table *t, struct inode *inode, bool lookup)
	must_hold(t->lock);

/* One more ref of an inode that has one, of either kind. */
void inode_ref(struct inode *inode);
void inode_put(struct inode *inode);
/* The same where nothing may block: what comes after the last is left to others. */
void inode_put_later(struct inode *inode);

/* The kernel gives n of its refs back. */
void inode_forget(struct inode *inode, uint64_t n);

/*
 * Do what was left to a thread that may block: destroy what inode_forget() and
 * inode_put_later() did not, and volume_ops.tidy.
 */
void inode_tidy(struct volume *vol);

/*
 * Up to max inodes that only the kernel holds, the oldest first, moved behind
 * the others; for NOTIFY_PRUNE. Returns how many.
 */
unsigned int inode_oldest_held(struct volume *vol, uint64_t *nodeids,
			       unsigned int max);

/* Destroy them all, whoever holds them: the mount is gone. */
void inode_drop_all(struct volume *vol);

/*
 * What stat(2) is to say where nr sectors of 512 bytes are known: not 0 where the
 * kernel may have pages that were not handed over. Who copies files takes one
 * without any for a single hole.
 */
static inline blkcnt_t inode_nr_sectors(struct inode *inode, blkcnt_t nr)
{
	if (nr == 0 && atomic_load(&inode->size) > 0 &&
	    kernel_copies_may_be_dirty(inode))
		nr = PAGE_SIZE / 512;
	return nr;
}

/* What the kernel calls it. */
static inline uint64_t inode_nodeid(const struct inode *inode)
{
	return (uint64_t)(uintptr_t)inode;
}

#endif
