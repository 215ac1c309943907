/*
 * page_io_local.c - two users of one ring who do not know of each other.
 *
 *   (1) The ring's field for the tail of the completion queue points to ours,
 *       which moves when page_io_reap() has looked at what came before it. An
 *       entry of ours is changed there into one that the others pass over: the
 *       error is one that libfuse expects when a mount ends.
 *   (2) Of the submission queue we use no more than the others leave when each
 *       of them has an entry in it; with that many in it we submit at once.
 *   (3) What is ours is told by the top bit of the user data, which no address
 *       has.
 */
#include "mm/page_io_local.h"

#include "mm/bug.h"
#include "mm/page_io_device.h"

#include <errno.h>
#include <liburing.h>

/*
 * What is longer is better completed by a thread of its own, while this one
 * goes on: four pages are done as fast as a thread is woken. A guess.
 */
#define SHORT_BYTES (4 * PAGE_SIZE)

/* Completions that belong to no entry of the others. */
enum { NR_WAKES = 2 };

#define OURS (1ull << 63)

static _Thread_local struct page_io_local *local;

void page_io_local_init(struct page_io_local *l, struct io_uring *ring,
			unsigned int nr_others)
{
	unsigned int sq = ring->sq.ring_entries;
	unsigned int cq = ring->cq.ring_entries - NR_WAKES;

	*l = (struct page_io_local){
		.ring = ring,
		.queued_max = sq > nr_others ? sq - nr_others : 0,
		.nr_max = cq > nr_others ? cq - nr_others : 0,
		.ktail = ring->cq.ktail,
		.tail = *ring->cq.khead,
	};
	ring->cq.ktail = &l->tail; /* (1) */
}

void page_io_local_open(struct page_io_local *l)
{
	/* Taken, all of it, by whoever submitted last. */
	if (io_uring_sq_ready(l->ring) == 0)
		l->nr_queued = 0;
	local = l;
}

void page_io_local_close(struct page_io_local *l)
{
	ASSERT(!local || local == l);
	local = NULL;
}

bool page_io_local_takes(const struct page_io *io)
{
	struct page_io_local *l = local;

	return l && io->op == PAGE_IO_READ && !io->drop_behind &&
	       io->nr_bytes <= SHORT_BYTES && l->nr < l->nr_max &&
	       l->nr_queued < l->queued_max;
}

void page_io_local_queue(struct page_io *io)
{
	struct page_io_local *l = local;
	struct io_uring_sqe *sqe = io_uring_get_sqe(l->ring);

	ASSERT(sqe); /* (2) */
	if (io->nr_iov == 1)
		io_uring_prep_read(sqe, io->fd, io->iov[0].iov_base,
				   (unsigned int)io->iov[0].iov_len,
				   io->offset);
	else
		io_uring_prep_readv(sqe, io->fd, io->iov, io->nr_iov,
				    io->offset);
	io_uring_sqe_set_data64(sqe, (uintptr_t)io | OURS); /* (3) */
	l->nr++;
	if (++l->nr_queued < l->queued_max)
		return;
	io_uring_submit(l->ring); /* (2) */
	if (io_uring_sq_ready(l->ring) == 0)
		l->nr_queued = 0;
}

static void end(struct page_io_local *l, struct io_uring_cqe *cqe)
{
	struct page_io *io =
		(struct page_io *)(uintptr_t)(cqe->user_data & ~OURS);

	if (io->result == 0)
		io->result = cqe->res;
	cqe->user_data = 0;
	cqe->res = -ENOTCONN; /* (1) */
	ASSERT(l->nr > 0);
	l->nr--;
	page_io_end(io);
}

void page_io_reap(struct page_io_local *l)
{
	struct io_uring_cq *cq = &l->ring->cq;
	unsigned int tail = io_uring_smp_load_acquire(l->ktail);

	ASSERT(!local);
	for (unsigned int i = l->tail; i != tail; i++) {
		struct io_uring_cqe *cqe = &cq->cqes[i & cq->ring_mask];

		if (cqe->user_data & OURS)
			end(l, cqe);
	}
	io_uring_smp_store_release(&l->tail, tail);
}
