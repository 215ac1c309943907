/*
 * page_io_local.h - short reads in a ring that the calling thread waits in
 * anyway: it takes their completions itself, and nobody has to be woken.
 *
 *	  the thread's one system call
 *	┌───────────────────────────────┐
 *	│ others' entries │ our reads   │──► submission queue
 *	│ what others see │ our reads   │◄── completion queue
 *	└───────────────────────────────┘
 *
 * The ring is somebody else's (fs/fuse_uring.c). While it is open,
 * page_io_device_queue() on its thread puts short reads there, and page_io_reap() calls
 * their done(). The others find no completion of ours in their queue.
 */
#ifndef MM_PAGE_IO_LOCAL_H
#define MM_PAGE_IO_LOCAL_H

#include "mm/page_io.h"

struct io_uring;

/* Used by the ring's thread alone. */
struct page_io_local {
	struct io_uring *ring;
	unsigned int queued_max; /* so that the others' entries have room */
	unsigned int nr_queued;	 /* that the kernel may not have taken yet */
	unsigned int nr;	 /* begun, and not reaped */
	unsigned int nr_max;
	unsigned int *ktail; /* what the kernel has completed */
	unsigned int tail;   /* how much of it the others may see */
};

/*
 * The others have at most nr_others entries in the ring at a time, each with
 * one completion to come, and perhaps a wake-up or two.
 */
void page_io_local_init(struct page_io_local *l, struct io_uring *ring,
			unsigned int nr_others);

/*
 * From now on, until it is closed, reads of this thread go to the ring, which
 * nobody but this thread may submit, or add entries to.
 */
void page_io_local_open(struct page_io_local *l);
void page_io_local_close(struct page_io_local *l);

/*
 * What has completed: done() is called for what is ours, the rest is for the
 * others to see. Closed.
 */
void page_io_reap(struct page_io_local *l);

/* For page_io_device_queue(): may it go there? Then its result is 0. */
bool page_io_local_takes(const struct page_io *io);
void page_io_local_queue(struct page_io *io);

#endif
