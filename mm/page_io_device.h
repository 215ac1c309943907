/*
 * page_io_device.h - who does the I/O: io_uring (mm/page_io_uring.c), or a fake
 * disk (tests/sim/page_io_sim.c).
 *
 * Each function does what that of mm/page_io.h without "device" in its name
 * says, but for one thing: where an operation ends the device calls
 * page_io_end(), not done(). An operation may be PAGE_IO_NONE: nothing is
 * transferred, the result is 0, and it ends as others do.
 */
#ifndef MM_PAGE_IO_DEVICE_H
#define MM_PAGE_IO_DEVICE_H

#include "mm/page_io.h"

struct page_io_device;

struct page_io_device *page_io_device_start(struct mm *mm, unsigned int depth,
					    int *err);
void page_io_device_stop(struct page_io_device *d);
int page_io_device_register(struct page_io_device *d, void *base, size_t size);
void page_io_device_queue(struct page_io_device *d, struct page_io *io);
void page_io_device_kick(struct page_io_device *d);
void page_io_device_do(struct page_io_device *d, struct page_io *io);
int page_io_device_fallocate(struct page_io_device *d, int fd, uint64_t offset,
			     uint64_t len);
int page_io_device_allocate(struct page_io_device *d, int fd, uint64_t offset,
			    uint64_t len);
int page_io_device_truncate(struct page_io_device *d, int fd, uint64_t size);
int page_io_device_sync(struct page_io_device *d, int fd, bool data_only);

/* The operation has ended, with its result: tell whoever waits for it. */
void page_io_end(struct page_io *io);

#endif
