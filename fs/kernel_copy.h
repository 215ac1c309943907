/*
 * kernel_copy.h - the copies of our pages that the kernel keeps, and how they
 * are taken back.
 *
 * What the kernel reads through its own page cache (files opened with
 * cache=kernel, and everything that is mapped), or writes through it, it keeps.
 * Those copies are memory of ours all the same: each is charged here when its
 * request arrives, and stands for a frame in the balloon (mm/balloon.h). When
 * the balloon cannot grow, or others want its frames, copies are taken back,
 * those that came first first.
 *
 * Nobody in this process ever waits inside the kernel for a copy to go: that is
 * for a process of its own, which holds no FUSE descriptor (fs/copy_taker.h).
 *
 * The ledger is an upper bound. It is kept per extent of 2 MiB of a file: pages
 * charged since the kernel was last asked what it has there. The kernel drops
 * copies without saying so; that is found out when they are to be taken back.
 */
#ifndef FS_KERNEL_COPY_H
#define FS_KERNEL_COPY_H

#include "mm/list.h"
#include "mm/lock.h"
#include "mm/mm.h"

struct copy_taker;
struct inode;
struct volume;

#define COPY_EXTENT_PAGES 512

/* (K) guarded by kernel_copies.lock. */
struct copy_extent {
	struct list_head queue;	   /* in kernel_copies.queue, or alone (K) */
	struct list_head hash;	   /* (K) */
	struct list_head of_inode; /* (K) */
	struct inode *inode;
	uint64_t index;		/* which 2 MiB of the file */
	unsigned long nr;	/* pages, at most (K) */
	unsigned long fresh;	/* charged since it is being taken back (K) */
	bool taking;		/* (K) */
	unsigned int nr_failed; /* tries that left some behind (K) */
};

/* What an inode has in the ledger; embedded in it. */
struct inode_copies {
	/*
	 * The first extent, so that a small file needs no memory; and all the
	 * others for which there was none ("all": it stands for the file).
	 */
	struct copy_extent first; /* (K) */
	bool all;		  /* (K) */
	/* What is in vain taken from it is mapped; until its last close (K). */
	bool mapped;
	uint16_t nr_taking_file; /* orders for all of the file (K) */
	/*
	 * Open files; of them those for writing, and for reading as well, which can
	 * be mapped to be stored into. Changed and read at any time.
	 */
	_Atomic unsigned int nr_open, nr_writers, nr_mappers;
	struct list_head extents; /* the others, by of_inode (K) */
};

enum { COPY_HASH_BITS = 10, COPY_ORDERS = 32 };

/* How far the taker goes. */
enum copy_take {
	COPY_TAKE_IDLE,	 /* what is clean and not mapped */
	COPY_TAKE_RANGE, /* mapped and dirty pages too, by writing to it */
	COPY_TAKE_FILE,	 /* ... of all of the file, by opening it */
};

/* One extent to be taken back. */
struct copy_order {
	uint32_t mount;	     /* number of the volume's mount */
	uint32_t generation; /* with nodeid: which inode */
	uint64_t nodeid;
	uint64_t offset, len; /* bytes; len 0: to the end of the file */
	uint64_t mapping;     /* to find the extent again */
	uint64_t index;	      /* likewise */
	uint32_t how;	      /* enum copy_take */
	uint32_t nr_left;     /* answer: pages that are still there */
};

/*
 * What the kernel has of a part of a file that was not handed over, or not answered
 * yet: the first pages next to each other; start == end: nothing. And the size.
 */
struct kernel_view {
	uint64_t start, end; /* bytes, of whole pages */
	uint64_t size;
};

struct kernel_copies {
	struct mm *mm;
	struct copy_taker *taker; /* NULL: copies are not counted */
	/* copy_taker_take(), or a test's. */
	int (*take)(struct copy_taker *t, struct copy_order *orders,
		    unsigned int nr);
	/* copy_taker_look(), likewise. */
	int (*look)(struct copy_taker *t, const struct copy_order *order,
		    struct kernel_view *view);
	/* copy_taker_push(), likewise. */
	int (*push)(struct copy_taker *t, const struct copy_order *order,
		    uint64_t patience_ns);
	unsigned long max;     /* pages the balloon may have */
	unsigned long min;     /* ... and always has */
	unsigned long transit; /* ... of them for reads not seen yet */
	unsigned long slack;   /* ... and kept ahead of those that come */

	struct mutex lock;
	struct cond more;	/* something to do for the thread */
	struct list_head queue; /* extents, oldest first (lock) */
	struct page *hash_page;
	struct list_head *hash;	  /* (lock) */
	_Atomic unsigned long nr; /* pages charged; changed with the lock */
	_Atomic unsigned long nr_taken; /* ever */
	_Atomic bool off; /* nothing is charged any more: no use */
	bool stop;	  /* (lock) */
	struct os_thread thread;
	bool started;
	struct shrinker shrinker;
	struct kmem_cache extents;
	struct copy_order orders[COPY_ORDERS]; /* the thread's */
};

void inode_copies_init(struct inode_copies *ic, struct inode *inode);

/*
 * Set up the ledger, and start the thread. taker: NULL if there is none; then
 * nothing is charged. 0 or -ENOMEM.
 */
int kernel_copies_start(struct kernel_copies *k, struct mm *mm,
			struct copy_taker *taker);
/* All inodes are gone. */
void kernel_copies_stop(struct kernel_copies *k);

/*
 * Pages [first, first + nr) of the inode are, or are about to be, in the
 * kernel's cache. Never blocks. Returns whether there is room for them: if not,
 * whoever asked for them is to be held back until kernel_copies_fit(), or for a
 * while; they are charged in any case, as they are there in any case.
 */
bool kernel_copies_charge(struct kernel_copies *k, struct inode *inode,
			  uint64_t first, unsigned int nr);
bool kernel_copies_fit(struct kernel_copies *k);
/*
 * There is no room for somebody: have the frames that stand for copies, those that
 * are not always there. They come from the thread. Never blocks.
 */
void kernel_copies_ask(struct kernel_copies *k);
/* The taker turned out to be of no use: nothing is charged from now on. */
void kernel_copies_disable(struct kernel_copies *k);

/*
 * Are some of these being taken back? Then whoever asked for them must not be
 * held back: the taker may be waiting for just that page.
 */
bool kernel_copies_taking(struct kernel_copies *k, struct inode *inode,
			  uint64_t first, unsigned int nr);

/* Has the kernel perhaps copies of some of its pages? */
bool kernel_copies_any(struct kernel_copies *k, struct inode *inode);

/*
 * Can there be pages of it in the kernel that are dirty? Not without somebody who
 * has it open, and may have mapped it, to store there; or, with a write-back cache
 * in front, to write.
 */
bool kernel_copies_may_be_dirty(struct inode *inode);

/*
 * Ask the kernel what it has of [offset, +len) of the inode (len 0: to the end of
 * the file) that we do not have. 0; -EAGAIN if the one who can ask is busy, or
 * -errno: nobody knows. Blocks, for an instant.
 */
int kernel_copies_look(struct kernel_copies *k, const struct inode *inode,
		       uint64_t offset, uint64_t len, struct kernel_view *view);

/*
 * Have the kernel hand over what it has dirty of an inode, and wait for it; inode
 * NULL: of all of the volume, without waiting for all. 0; -ETIMEDOUT; or -errno:
 * nobody can.
 */
int kernel_copies_push(struct kernel_copies *k, const struct volume *vol,
		       const struct inode *inode, uint64_t patience_ns);

/*
 * So many bytes that were dirty in the kernel have arrived, and there is no
 * frame for them: have some of the balloon's, until the kernel's copy, which is
 * clean then, is taken back. Whoever takes copies back waits for such bytes, so
 * they must not wait for him. False: there are none.
 */
bool kernel_copies_receive(struct kernel_copies *k, size_t bytes);

/*
 * The kernel has let go of the inode, and of its pages with it. Takes
 * kernel_copies.lock; the caller may hold inode_table.lock.
 */
void kernel_copies_forget(struct kernel_copies *k, struct inode *inode);

/* One open file of the inode more, or less; O_RDONLY, O_WRONLY or O_RDWR. */
void kernel_copies_opened(struct inode *inode, int mode);
void kernel_copies_closed(struct kernel_copies *k, struct inode *inode,
			  int mode);

#endif
