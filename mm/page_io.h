/*
 * page_io.h - reading and writing what pages are backed by.
 *
 * The engine makes operations fail that are to (mm/page_io.c), and has the
 * others done by a device (mm/page_io_device.h): io_uring, or a fake disk. A
 * struct page_io is embedded in whatever waits for it, and must stay where it
 * is until its done() is called.
 *
 * done() runs without locks, on the engine's completion thread, or on one that
 * waits in a ring of its own (mm/page_io_local.h), or on that which called
 * page_io_do(). It must not block and must not allocate without GFP_MEMALLOC.
 */
#ifndef MM_PAGE_IO_H
#define MM_PAGE_IO_H

#include "mm/types.h"

#include <sys/uio.h>

struct mm;
struct page_io_engine;

/* PAGE_IO_NONE: only for devices, which transfer nothing then. */
enum page_io_op { PAGE_IO_READ, PAGE_IO_WRITE, PAGE_IO_NONE };

/* What is done to an operation on purpose, and what it was before. */
struct page_io_fault {
	bool any; /* the rest means something */
	bool drop_behind;
	bool forced; /* the result is this: */
	bool hangs;
	uint8_t op;
	unsigned int nr_iov;
	size_t iov_len; /* of the last one that is transferred */
	uint64_t nr_bytes;
	int64_t result;
	uint64_t until_ns; /* held back until then */
	uint32_t told;	   /* fault_attr.told */
};

struct page_io {
	enum page_io_op op;
	int fd;
	/*
	 * The descriptor is a buffered one: leave no copy in the host's page
	 * cache. A write is on its way to the device before it is done.
	 */
	bool drop_behind;
	bool swap; /* the file is a swap file */
	uint64_t offset;
	struct iovec *iov;
	unsigned int nr_iov;
	uint64_t nr_bytes; /* the sum of iov */
	int64_t result;	   /* bytes, or -errno; set before done() */
	void (*done)(struct page_io *io);

	/* the engine's own ------------------------------------------------ */
	struct page_io_fault fault;
	struct page_io *next;		 /* of those held back */
	_Atomic unsigned int nr_pending; /* the device's */
	int own_fd;			 /* the device's; -1: none */
};

/*
 * Start an engine that can have "depth" operations in flight without waiting.
 * NULL and *err = -errno if the system does not provide it.
 */
struct page_io_engine *page_io_start(struct mm *mm, unsigned int depth,
				     int *err);
/* Wait for what is in flight, and stop. What hangs ends with -EIO. */
void page_io_stop(struct page_io_engine *e);

/*
 * Somebody is about to wait for all of it: what hangs on purpose ends with -EIO
 * in patience_ns, and nothing hangs after that; until page_io_unlimit_hangs().
 * They nest; the first one's patience counts.
 */
void page_io_limit_hangs(struct page_io_engine *e, uint64_t patience_ns);
void page_io_unlimit_hangs(struct page_io_engine *e);

/*
 * This range stays where it is and is used for I/O often: register it. 0 or
 * -errno; I/O works all the same.
 */
int page_io_register(struct page_io_engine *e, void *base, size_t size);

/*
 * Begin an operation; done() is called when it has ended, always, and not from
 * here. Does not wait for the device. What is queued may
 * begin at once; the caller ends with page_io_kick(), also before it waits for
 * anything that could wait for this.
 */
void page_io_submit(struct page_io_engine *e, struct page_io *io);
void page_io_queue(struct page_io_engine *e, struct page_io *io);
void page_io_kick(struct page_io_engine *e);

/* The rest is for threads that may block. Each returns 0 or -errno. */

/*
 * Do it now: done() has been called, on this thread, when it returns. What is
 * queued is not kicked. One operation costs less this way, as nobody has to be
 * woken.
 */
void page_io_do(struct page_io_engine *e, struct page_io *io);
/* Do a copy of io: its result, bytes or -errno. */
int64_t page_io_submit_wait(struct page_io_engine *e, const struct page_io *io);

/* Allocate [offset, +len) and make the file at least that long. */
int page_io_fallocate(struct page_io_engine *e, int fd, uint64_t offset,
		      uint64_t len);
/* Allocate [offset, +len), and leave the file as long as it is. */
int page_io_allocate(struct page_io_engine *e, int fd, uint64_t offset,
		     uint64_t len);
int page_io_truncate(struct page_io_engine *e, int fd, uint64_t size);
/* What was written is to survive a power cut. */
int page_io_sync(struct page_io_engine *e, int fd, bool data_only);

#endif
