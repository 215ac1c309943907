/*
 * page_io_uring.c - io_uring does the I/O, one thread takes the completions.
 *
 *   (1) Submission entries are taken and submitted with the ring's lock held.
 *   (2) One operation is one to four entries, linked: the transfer, and for
 *       drop_behind what pushes the pages out, forgets them, and closes (5). nr_pending
 *       counts those whose completions are still to come; only the completion
 *       thread counts it down, and calls done() at 0.
 *   (3) What is to transfer nothing is sent as a no-op.
 *   (4) What the submitter wrote is published by nr_pending: that the kernel
 *       hands it on is a thing no compiler and no checker knows.
 *   (5) The kernel tells an error of write-back once to each open file
 *       description. Two that wait for their pages through one would take each
 *       other's, and fsync(2) theirs: so a write that is pushed out has one of
 *       its own for as long as it lasts. Closing may take a file system on the
 *       network as long as it likes, so that is an entry too.
 *   (6) An entry that is queued waits for a kick, but never for more than
 *       SUBMIT_BATCH others: the device works while the rest is prepared.
 */
#include "mm/page_io_device.h"

#include "mm/bug.h"
#include "mm/io_cred.h"
#include "mm/mm.h"
#include "mm/page_io_local.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Writeback has 4096 pages in flight, some more where there are very many
 * volumes, of at most four steps each; readers add less. The completion thread
 * also submits: it must never find the submission side waiting for completions
 * to be taken.
 */
enum { CQ_ENTRIES = 32768 };

#define STALL_NS NSEC_PER_MSEC

/* Handed over in one system call; a guess. */
enum { SUBMIT_BATCH = 32 };

/* Completions taken from the ring in one go; 16 bytes each on the stack. */
enum { TAKE_BATCH = 64 };

/* The three low bits of a completion's user data: which step it ends. */
enum step {
	STEP_TRANSFER,
	STEP_PUSH,
	STEP_FORGET,
	STEP_CLOSE,
	STEP_STOP,
	STEP_MASK = 7
};
_Static_assert(_Alignof(struct page_io) > STEP_MASK, "bits of its address");

struct page_io_device {
	struct mm *mm;
	struct mutex lock; /* of the submission side */
	struct io_uring ring;
	char *fixed_base; /* the registered range */
	size_t fixed_size;
	int personality;      /* of mm/io_cred.h, for writes */
	_Atomic bool stalled; /* the kernel took no more, for now */
	struct os_thread completer;
};

static void *step_data(struct page_io *io, enum step step)
{
	return (void *)((uintptr_t)io | step);
}

/*
 * Hand over all that is queued. What the kernel does not take now (it is short
 * of memory) the completion thread offers again.
 */
static void submit_all(struct page_io_device *e) must_hold(e->lock)
{
	while (io_uring_sq_ready(&e->ring) > 0) {
		int n = io_uring_submit(&e->ring);

		if (n < 0 && n != -EINTR) {
			ASSERT(n == -EAGAIN || n == -EBUSY);
			atomic_store(&e->stalled, true);
			return;
		}
	}
	atomic_store(&e->stalled, false);
}

/* Room for a whole chain: a chain is cut where a submission ends. */
static void make_room(struct page_io_device *e, unsigned int nr)
	must_hold(e->lock)
{
	while (io_uring_sq_space_left(&e->ring) < nr) {
		submit_all(e);
		if (atomic_load(&e->stalled))
			os_sleep_ns(STALL_NS);
	}
}

/* An entry of the submission queue; make_room() has seen to it. */
static struct io_uring_sqe *get_sqe(struct page_io_device *e) must_hold(e->lock)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring);

	ASSERT(sqe != NULL);
	return sqe;
}

/*
 * (5). Where there is none to be had (no /proc, a file that could be opened
 * only as it was made) the caller's serves.
 */
static int open_again(int fd)
{
	char path[sizeof("/proc/self/fd/") + 10];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* ThreadSanitizer follows open(2), and not who closes it here. */
	return openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
}

static void open_own(struct page_io_device *e, struct page_io *io)
{
	io->own_fd = -1;
	if (io->op != PAGE_IO_WRITE || !io->drop_behind)
		return;
	io->own_fd = open_again(io->fd);
	if (io->own_fd < 0)
		vmstat_inc(e->mm, WRITE_IO_SHARED_FD);
}

static int fd_of(const struct page_io *io)
{
	return io->own_fd >= 0 ? io->own_fd : io->fd;
}

static bool is_fixed(const struct page_io_device *e, const struct page_io *io)
{
	const char *base = io->iov[0].iov_base;

	return e->fixed_size && io->nr_iov == 1 && base >= e->fixed_base &&
	       base + io->iov[0].iov_len <= e->fixed_base + e->fixed_size;
}

/* May it take blocks? Those of swap files are all there. */
static bool allocates(const struct page_io *io)
{
	return io->op == PAGE_IO_WRITE && !io->swap;
}

static void prepare_transfer(struct page_io_device *e, struct page_io *io)
	must_hold(e->lock)
{
	struct io_uring_sqe *sqe = get_sqe(e);

	if (io->op == PAGE_IO_NONE) {
		io_uring_prep_nop(sqe); /* (3) */
	} else if (io->op == PAGE_IO_READ && is_fixed(e, io)) {
		io_uring_prep_read_fixed(sqe, fd_of(io), io->iov[0].iov_base,
					 (unsigned int)io->iov[0].iov_len,
					 io->offset, 0);
	} else if (io->op == PAGE_IO_READ) {
		io_uring_prep_readv(sqe, fd_of(io), io->iov, io->nr_iov,
				    io->offset);
	} else if (is_fixed(e, io)) {
		io_uring_prep_write_fixed(sqe, fd_of(io), io->iov[0].iov_base,
					  (unsigned int)io->iov[0].iov_len,
					  io->offset, 0);
	} else {
		io_uring_prep_writev(sqe, fd_of(io), io->iov, io->nr_iov,
				     io->offset);
	}
	if (io->drop_behind)
		sqe->flags |= IOSQE_IO_HARDLINK;
	if (allocates(io))
		sqe->personality = (uint16_t)e->personality;
	io_uring_sqe_set_data(sqe, step_data(io, STEP_TRANSFER));
}

static void prepare_drop(struct page_io_device *e, struct page_io *io)
	must_hold(e->lock)
{
	struct io_uring_sqe *sqe;

	if (io->op == PAGE_IO_WRITE) {
		sqe = get_sqe(e);
		io_uring_prep_sync_file_range(
			sqe, fd_of(io), (unsigned int)io->nr_bytes, io->offset,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
		sqe->flags |= IOSQE_IO_HARDLINK;
		/* What is written only now may need blocks only now. */
		sqe->personality = (uint16_t)e->personality;
		io_uring_sqe_set_data(sqe, step_data(io, STEP_PUSH));
	}
	sqe = get_sqe(e);
	/* Whole pages: a part of a page is not dropped. */
	io_uring_prep_fadvise(
		sqe, fd_of(io), io->offset & ~PAGE_MASK,
		(off_t)(pages_of(io->offset + io->nr_bytes) << PAGE_SHIFT) -
			(off_t)(io->offset & ~PAGE_MASK),
		POSIX_FADV_DONTNEED);
	io_uring_sqe_set_data(sqe, step_data(io, STEP_FORGET));
	if (io->own_fd >= 0) {
		sqe->flags |= IOSQE_IO_HARDLINK;
		sqe = get_sqe(e);
		io_uring_prep_close(sqe, io->own_fd);
		io_uring_sqe_set_data(sqe, step_data(io, STEP_CLOSE));
	}
}

static unsigned int nr_steps(const struct page_io *io)
{
	if (!io->drop_behind)
		return 1;
	return io->op == PAGE_IO_WRITE ? 3 + (io->own_fd >= 0) : 2;
}

void page_io_device_queue(struct page_io_device *e, struct page_io *io)
{
	io->result = 0;
	if (page_io_local_takes(io)) {
		page_io_local_queue(io);
		return;
	}
	open_own(e, io);
	mutex_lock(&e->lock);
	make_room(e, nr_steps(io));
	prepare_transfer(e, io);
	if (io->drop_behind)
		prepare_drop(e, io);
	/* (4) */
	atomic_store_explicit(&io->nr_pending, nr_steps(io),
			      memory_order_release);
	if (io_uring_sq_ready(&e->ring) >= SUBMIT_BATCH)
		submit_all(e); /* (6) */
	mutex_unlock(&e->lock);
}

void page_io_device_kick(struct page_io_device *e)
{
	mutex_lock(&e->lock);
	submit_all(e);
	mutex_unlock(&e->lock);
}

/* Account for one completion. Returns false if it was the call to stop. */
static bool complete(uint64_t data, int32_t res)
{
	enum step step = data & STEP_MASK;
	struct page_io *io =
		(struct page_io *)(uintptr_t)(data & ~(uint64_t)STEP_MASK);

	if (step == STEP_STOP)
		return false;
	ASSERT(atomic_load_explicit(&io->nr_pending, memory_order_acquire) > 0);
	if (step == STEP_TRANSFER && io->result == 0)
		io->result = res;
	else if (step == STEP_PUSH && res < 0 && io->result >= 0)
		io->result = res; /* not written after all */
	if (atomic_fetch_sub(&io->nr_pending, 1) == 1)
		page_io_end(io);
	return true;
}

/* What has completed, copied, so that the ring has room again at once. */
static unsigned int take(struct page_io_device *e,
			 struct io_uring_cqe taken[TAKE_BATCH])
{
	struct io_uring_cqe *cqes[TAKE_BATCH];
	unsigned int nr = io_uring_peek_batch_cqe(&e->ring, cqes, TAKE_BATCH);

	for (unsigned int i = 0; i < nr; i++) {
		taken[i].user_data = cqes[i]->user_data;
		taken[i].res = cqes[i]->res;
	}
	io_uring_cq_advance(&e->ring, nr);
	return nr;
}

static void completer_main(void *arg)
{
	struct __kernel_timespec look_again = { .tv_sec = 1 };
	struct io_uring_cqe taken[TAKE_BATCH], *cqe;
	struct page_io_device *e = arg;
	bool go_on = true;

	while (go_on) {
		int err =
			io_uring_wait_cqe_timeout(&e->ring, &cqe, &look_again);

		if (atomic_load(&e->stalled))
			page_io_device_kick(e);
		if (err == -EINTR || err == -EAGAIN || err == -ETIME)
			continue;
		ASSERT(err == 0);
		for (unsigned int i = 0, nr = take(e, taken); i < nr; i++)
			go_on &= complete(taken[i].user_data, taken[i].res);
	}
}

struct page_io_device *page_io_device_start(struct mm *mm, unsigned int depth,
					    int *err)
{
	struct page_io_device *e = calloc(1, sizeof(*e));
	/* Room for all completions there can be; 16 bytes each. */
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};

	*err = -ENOMEM;
	if (!e)
		return NULL;
	e->mm = mm;
	mutex_init(&e->lock);
	*err = io_uring_queue_init_params(depth, &e->ring, &params);
	if (*err)
		goto out_free;
	io_cred_begin();
	e->personality = io_uring_register_personality(&e->ring);
	io_cred_end();
	*err = min_of(e->personality, 0);
	if (*err)
		goto out_ring;
	*err = os_thread_start(&e->completer, "page-io", completer_main, e);
	if (*err)
		goto out_ring;
	return e;

out_ring:
	io_uring_queue_exit(&e->ring);
out_free:
	free(e);
	return NULL;
}

void page_io_device_stop(struct page_io_device *e)
{
	struct io_uring_sqe *sqe;

	mutex_lock(&e->lock);
	make_room(e, 1);
	sqe = get_sqe(e);
	io_uring_prep_nop(sqe);
	/* Behind everything that is in flight. */
	sqe->flags |= IOSQE_IO_DRAIN;
	io_uring_sqe_set_data64(sqe, STEP_STOP);
	submit_all(e);
	mutex_unlock(&e->lock);
	os_thread_join(&e->completer);
	io_uring_queue_exit(&e->ring);
	free(e);
}

int page_io_device_register(struct page_io_device *e, void *base, size_t size)
{
	struct iovec iov = { base, size };
	int err = io_uring_register_buffers(&e->ring, &iov, 1);

	if (err)
		return err;
	e->fixed_base = base;
	e->fixed_size = size;
	return 0;
}

static int64_t transfer(const struct page_io *io)
{
	ssize_t n;

	do {
		n = io->op == PAGE_IO_READ
			    ? preadv(fd_of(io), io->iov, (int)io->nr_iov,
				     (off_t)io->offset)
			    : pwritev(fd_of(io), io->iov, (int)io->nr_iov,
				      (off_t)io->offset);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int64_t drop(const struct page_io *io)
{
	uint64_t start = io->offset & ~PAGE_MASK;
	uint64_t end = pages_of(io->offset + io->nr_bytes) << PAGE_SHIFT;
	int err = 0;

	if (io->op == PAGE_IO_WRITE &&
	    sync_file_range(fd_of(io), (off_t)io->offset, (off_t)io->nr_bytes,
			    SYNC_FILE_RANGE_WAIT_BEFORE |
				    SYNC_FILE_RANGE_WRITE |
				    SYNC_FILE_RANGE_WAIT_AFTER) < 0)
		err = -errno;
	posix_fadvise(fd_of(io), (off_t)start, (off_t)(end - start),
		      POSIX_FADV_DONTNEED);
	return err;
}

void page_io_device_do(struct page_io_device *e, struct page_io *io)
{
	int64_t err;

	bool as_nobody = allocates(io);

	open_own(e, io);
	if (as_nobody)
		io_cred_begin();
	io->result = io->op == PAGE_IO_NONE ? 0 : transfer(io);
	if (io->drop_behind) {
		err = drop(io);
		if (io->result >= 0 && err)
			io->result = err; /* not written after all */
	}
	if (as_nobody)
		io_cred_end();
	if (io->own_fd >= 0)
		close(io->own_fd);
	page_io_end(io);
}

static int allocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int err;

	io_cred_begin();
	do
		err = fallocate(fd, mode, (off_t)offset, (off_t)len) < 0
			      ? -errno
			      : 0;
	while (err == -EINTR);
	io_cred_end();
	return err;
}

int page_io_device_fallocate(struct page_io_device *e, int fd, uint64_t offset,
			     uint64_t len)
{
	(void)e;
	return allocate(fd, 0, offset, len);
}

int page_io_device_allocate(struct page_io_device *e, int fd, uint64_t offset,
			    uint64_t len)
{
	(void)e;
	return allocate(fd, FALLOC_FL_KEEP_SIZE, offset, len);
}

/* The kernel has zeroed the rest of a block, in its own page cache. (5) */
static void forget(int fd, uint64_t offset, uint64_t len)
{
	int own = open_again(fd);

	sync_file_range(own >= 0 ? own : fd, (off_t)offset, (off_t)len,
			SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
				SYNC_FILE_RANGE_WAIT_AFTER);
	posix_fadvise(fd, (off_t)offset, (off_t)len, POSIX_FADV_DONTNEED);
	if (own >= 0)
		close(own);
}

int page_io_device_truncate(struct page_io_device *e, int fd, uint64_t size)
{
	int err;

	(void)e;
	io_cred_begin();
	err = ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
	if (!err && (size & PAGE_MASK))
		forget(fd, size & ~PAGE_MASK, PAGE_SIZE);
	io_cred_end();
	return err;
}

int page_io_device_sync(struct page_io_device *e, int fd, bool data_only)
{
	int err;

	(void)e;
	io_cred_begin();
	err = (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
	io_cred_end();
	return err;
}
