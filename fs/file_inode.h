/*
 * file_inode.h - an inode of a file volume.
 *
 * With neither a kernel ref nor one of ours, an inode that has pages stays on
 * the idle list until reclaim wants them. The file itself is opened again by its
 * file handle, or, where the file system has none and on other mounts than that
 * of the backing directory, by an O_PATH descriptor that the inode keeps.
 */
#ifndef FS_FILE_INODE_H
#define FS_FILE_INODE_H

#include "fs/backing.h"
#include "fs/file_privs.h"
#include "fs/inode.h"
#include "fs/file_blocks.h"
#include "fs/sync_group.h"
#include "fs/unwritten.h"

struct file_volume;
struct space;

/*
 * (C) constant, (T) guarded by inode_table.lock, (A) by attr_lock, (S) by
 * inode.time_lock.
 */
struct file_inode {
	struct inode inode;
	struct backing_id id;	    /* (C) */
	uint64_t way;		    /* the mount it is opened through (A) */
	uint64_t number;	    /* what st_ino shows (C) */
	struct other_fs *other;	    /* it lies on, or NULL: SOURCE's (C) */
	struct list_head hash_link; /* (T) */
	struct list_head ino_link;  /* if it has no handle (T) */
	/* A name in this directory led to another mount or file system. */
	_Atomic bool leads_out;

	/* regular files --------------------------------------------------- */
	struct space *space; /* where its blocks come from (C) */
	struct file_blocks blocks;
	struct unwritten unwritten;
	struct mutex attr_lock;
	struct file_privs privs;
	_Atomic uint64_t backing_size; /* what the backing file has (A) */
	_Atomic bool maybe_sparse;     /* may have holes below that (A) */
	/*
	 * The backing file is longer than what was acknowledged, and could not
	 * be cut: to be tried again. Set and cleared with io_lock held alone.
	 */
	_Atomic bool too_long;
	_Atomic bool append_only; /* as last opened for writing */
	bool unlinked;		  /* no name is left (A) */
	mode_t mode_once_open; /* with its type; to be set then; 0: none (A) */
	bool times_dirty;      /* mtime here is newer than the backing's (S) */
	bool unstamped;	       /* the last change was not of the backing (S) */
	bool times_shown;      /* somebody was told since the last change (S) */
	bool ctime_known;      /* ours_ctime stands for backing_ctime (S) */
	struct timespec mtime; /* of the last write(2) (A) */
	struct timespec ours_ctime;    /* what we told (A) */
	struct timespec backing_ctime; /* ... while the backing said this (A) */
	struct timespec seen_mtime;    /* of the backing when last closed (A) */
	struct timespec seen_ctime;    /* likewise (A) */
	uint64_t seen_size;	       /* likewise; for close-to-open (A) */
	_Atomic bool changed_by_us;    /* since those were noted */
	_Atomic unsigned int users;    /* of the descriptors (A) */
	struct list_head left_link;    /* in file_volume.left; see fs/file.h */
	/* of fs/crash.h: (K) guarded by crash.lock, (T) */
	struct list_head grown_link;   /* (K) */
	bool grown;		       /* longer than what was synced (K) */
	bool grown_since;	       /* ... since the last sync began (K) */
	uint64_t durable_size;	       /* then: what was synced (K) */
	uint64_t sync_size;	       /* ... is when that sync has ended (K) */
	uint64_t crash_pass;	       /* the last that saw it (T) */
	_Atomic unsigned int nr_syncs; /* under way */
	_Atomic bool no_fallocate;     /* it was refused for this file once */
	_Atomic unsigned int nr_reads; /* under way, through the descriptors */
	struct backing_fds
		fds; /* constant while there are users or reads (A) */
	struct sync_group syncs; /* of fds.buffered */
};

static inline struct file_inode *file_inode(struct inode *inode)
{
	return container_of(inode, struct file_inode, inode);
}

static inline struct file_inode *file_inode_of_mapping(struct address_space *m)
{
	return file_inode(container_of(m, struct inode, mapping));
}

enum { FILE_INODE_HASH_BITS = 12, FILE_INODE_INO_BITS = 10 };

struct file_inode_buckets {
	unsigned int bits;
	struct page *page; /* where the buckets are */
	struct list_head *buckets;
};

/*
 * From identity to inode, and from device and number to those that have no
 * handle; guarded by the lock of the volume's inode_table.
 */
struct file_inode_hash {
	struct file_inode_buckets by_id, by_ino;
};

/* The hash, and fv->inode_cache. 0 or -ENOMEM. */
int file_inode_hash_init(struct file_volume *fv);
void file_inode_hash_destroy(struct file_volume *fv);

/*
 * The inode of an open O_PATH descriptor with status st, which is taken over
 * (kept or closed), with one more kernel ref if "lookup", and one ref of ours
 * in any case. NULL and *err = -ENOMEM (after asking the kernel for some back,
 * and waiting) or -errno.
 */
struct file_inode *file_inode_get(struct file_volume *fv, int path_fd,
				  const struct statx *st, bool lookup,
				  int *err);

/*
 * Memory or descriptors have run out: drop idle inodes, ask the kernel for
 * others, and sleep for a moment.
 */
void file_inode_make_room(struct file_volume *fv);

/* Drop up to nr idle inodes, pages and all. Returns how many. */
unsigned long file_inode_evict_idle(struct file_volume *fv, unsigned long nr);

/* As volume_ops. */
bool file_inode_unused(struct inode *inode);
void file_inode_destroy(struct inode *inode);

/*
 * A descriptor for the path-like system calls (O_PATH, or better), good until
 * file_inode_path_put(). Returns it or -errno.
 */
int file_inode_path_get(struct file_inode *fi);
void file_inode_path_put(struct file_inode *fi, int fd);

/* Put what is not in the backing file yet into its status. */
void file_inode_merge_attr(struct file_inode *fi, struct stat *st);

/* Attributes as the mount shows them. 0 or -errno. */
int file_inode_getattr(struct inode *inode, struct stat *st);

#endif
