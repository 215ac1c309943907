/*
 * fuse_uring.c - who may touch a ring's submission queue, and when.
 *
 * libfuse 3.18.3 lets another thread than the ring's fill in an entry of the
 * submission queue while the ring's thread hands the queue to the kernel (its
 * issue 1443, fixed after 3.18.3): entries get lost, or go out half filled.
 * Therefore the two calls of liburing by which it does that are ours (linked
 * with --wrap): with the libfuse that has the fix, both can go.
 *
 * A reply that was submitted by a worker would have a second price. The kernel
 * hands the entry's next request over in the context of the thread that
 * submitted last, so that it waits while that worker is busy: an fsync of one
 * file would hold up the reads of others. So a worker only fills in the entry,
 * and wakes the ring's thread to submit it.
 *
 *   (1) The submission queue is touched by: the ring's thread inside a handler,
 *       under libfuse's lock; a worker, under ours and then libfuse's; the
 *       ring's thread when it submits, under ours. Any two exclude each other.
 *   (2) Inside a handler, with libfuse's lock held, ours is never taken.
 *   (3) Only the ring's thread submits.
 *   (4) "asleep" is set, with the lock held, by the thread that has just taken
 *       everything there was to submit. Whoever adds an entry and finds it set
 *       wakes the thread; whoever finds it clear knows that the thread will
 *       look once more.
 *   (5) A ring's thread is not cancelled: libfuse would do so anywhere in a
 *       handler. It is woken, and ends by itself.
 *   (6) Short reads begun in a handler are in the same ring, and end on the
 *       ring's thread between two rounds of handlers (mm/page_io_local.h); it
 *       then holds no lock of libfuse's, and may reply as a worker does. It
 *       does not end before they have.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)
#include "fs/fuse_uring.h"

#include "mm/mm.h"
#include "mm/page_io_local.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What headers of its time did not know: Linux 6.13. */
enum { REGISTER_SEND_MSG_RING = 31 };

#define QUIET_POLL_NS (1 * NSEC_PER_MSEC)

enum uring_state {
	URING_RUNS,
	URING_DRAINS, /* replies go out, nothing is received */
	URING_ENDS,
};

/* One ring. (L) guarded by lock. */
struct uring_queue {
	_Alignas(CACHE_LINE) struct mutex lock; /* the submission queue (1) */
	struct io_uring *_Atomic ring;		/* NULL: not claimed yet */
	struct uring *uring;
	_Atomic bool asleep;	    /* (4) */
	_Atomic bool quiet;	    /* its thread calls no handler any more */
	struct page_io_local local; /* its thread's (6) */
	struct request_lane lane;
};

struct uring {
	unsigned int nr;		 /* rings there may be */
	_Atomic unsigned int nr_claimed; /* rings there are */
	unsigned int depth;		 /* requests of each */
	_Atomic enum uring_state state;
	struct uring_queue queues[];
};

/* Whose rings come up now. */
static struct uring *_Atomic expected;

/* The ring in whose handler this thread is. */
static _Thread_local struct uring_queue *here;
/* The ring whose thread this is. */
static _Thread_local struct uring_queue *mine;
/* The ring that this thread adds a reply to. */
static _Thread_local struct uring_queue *replying;

int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int nr);

/* --- replies from workers -------------------------------------------------- */

static struct uring_queue *queue_of(const struct request *rq)
{
	return rq->lane ? container_of(rq->lane, struct uring_queue, lane)
			: NULL;
}

struct request_lane *uring_lane(void)
{
	return here ? &here->lane : NULL;
}

bool uring_can_reply(const struct request *rq)
{
	return !here || !rq->lane || rq->lane == &here->lane;
}

void uring_reply_begin(const struct request *rq) unchecked
{
	struct uring_queue *q = queue_of(rq);

	if (!q || q == here)
		return;
	ASSERT(!here && !replying); /* (2) */
	mutex_lock(&q->lock);
	replying = q;
}

/* Called by libfuse when a worker replied; the same for everybody else. */
int __wrap_io_uring_submit(struct io_uring *ring)
{
	if (replying && replying->ring == ring)
		return 0; /* (3) */
	return __real_io_uring_submit(ring);
}

/*
 * An event of which libfuse takes no notice: the error is one that it expects
 * when a mount ends.
 */
static void wake(struct uring_queue *q) unchecked
{
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_MSG_RING,
		.fd = q->ring->ring_fd,
		.len = (uint32_t)-ENOTCONN,
	};

	if (syscall(SYS_io_uring_register, -1, REGISTER_SEND_MSG_RING, &sqe,
		    1) == 0)
		return;
	/* No memory for the event: better from here than not at all. */
	mutex_lock(&q->lock);
	__real_io_uring_submit(q->ring);
	mutex_unlock(&q->lock);
}

void uring_reply_end(const struct request *rq) unchecked
{
	struct uring_queue *q = queue_of(rq);
	bool asleep;

	if (!q || q == here)
		return;
	asleep = atomic_exchange(&q->asleep, false); /* (4) */
	replying = NULL;
	mutex_unlock(&q->lock);
	if (asleep)
		wake(q);
}

/* --- the ring's thread ------------------------------------------------------ */

static void submit_and_wait(struct uring_queue *q);

/* What came in is cut off with the connection. */
static void cut_off(struct uring_queue *q)
{
	io_uring_cq_advance(q->ring, io_uring_cq_ready(q->ring));
}

/* The thread ends: at the latest now (6). */
static void end_reads(void *arg)
{
	struct uring_queue *q = arg;

	page_io_local_close(&q->local);
	here = NULL;
	while (q->local.nr > 0) {
		cut_off(q);
		submit_and_wait(q);
	}
	atomic_store(&q->quiet, true);
}

static struct uring_queue *claim(struct io_uring *ring)
{
	struct uring *u = atomic_load(&expected);
	struct uring_queue *q;
	unsigned int n;

	ASSERT(u);
	n = atomic_fetch_add(&u->nr_claimed, 1);
	ASSERT(n < u->nr);
	q = &u->queues[n];
	q->ring = ring;
	/* The order in which libfuse fills them, once and for all. */
	for (unsigned int i = 0; i < ring->sq.ring_entries; i++)
		ring->sq.array[i] = i;
	page_io_local_init(&q->local, ring, u->depth);
	os_thread_adopt(end_reads, q); /* (5) */
	return q;
}

/* Show the kernel what was added; returns how many entries it has to take. */
static unsigned int publish(struct uring_queue *q)
{
	struct io_uring_sq *sq = &q->ring->sq;
	unsigned int tail;

	mutex_lock(&q->lock);
	tail = sq->sqe_tail;
	sq->sqe_head = tail;
	io_uring_smp_store_release(sq->ktail, tail);
	atomic_store(&q->asleep, true);
	mutex_unlock(&q->lock);
	return tail - io_uring_smp_load_acquire(sq->khead);
}

/* In one system call; without the lock, as nobody else submits (3). */
static void submit_and_wait(struct uring_queue *q)
{
	unsigned int nr = publish(q);

	/* -EINTR and the like: libfuse calls again. */
	syscall(SYS_io_uring_enter, q->ring->ring_fd, nr, 1,
		IORING_ENTER_GETEVENTS, NULL, 0);
	atomic_store_explicit(&q->asleep, false, memory_order_relaxed);
	page_io_reap(&q->local);
}

static enum uring_state state_of(const struct uring_queue *q)
{
	return atomic_load(&q->uring->state);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int nr)
{
	struct uring_queue *q = mine;

	(void)nr;
	if (!q)
		q = mine = claim(ring);
	ASSERT(q->ring == ring);
	here = NULL;
	page_io_local_close(&q->local);
	submit_and_wait(q);
	while (state_of(q) != URING_RUNS) {
		atomic_store(&q->quiet, true);
		if (state_of(q) == URING_ENDS)
			os_thread_exit();
		cut_off(q);
		submit_and_wait(q);
	}
	page_io_local_open(&q->local);
	here = q;
	return 0;
}

/* --- from beginning to end --------------------------------------------------- */

struct uring *uring_create(unsigned int nr, unsigned int depth)
{
	struct uring *u = aligned_alloc(CACHE_LINE,
					sizeof(*u) + nr * sizeof(u->queues[0]));

	if (!u)
		return NULL;
	*u = (struct uring){ .nr = nr, .depth = depth };
	for (unsigned int i = 0; i < nr; i++) {
		u->queues[i] = (struct uring_queue){
			.uring = u,
			.lane = { .nr_parked_max = depth / 2 },
		};
		mutex_init(&u->queues[i].lock);
	}
	atomic_store(&expected, u);
	return u;
}

static void set_state(struct uring *u, enum uring_state state)
{
	atomic_store(&u->state, state);
	for (unsigned int i = 0; i < atomic_load(&u->nr_claimed); i++)
		if (atomic_load(&u->queues[i].ring))
			wake(&u->queues[i]);
}

void uring_drain(struct uring *u)
{
	set_state(u, URING_DRAINS);
	for (unsigned int i = 0; i < atomic_load(&u->nr_claimed); i++)
		while (!atomic_load(&u->queues[i].quiet))
			os_sleep_ns(QUIET_POLL_NS);
}

void uring_destroy(struct uring *u, struct fuse_session *se)
{
	set_state(u, URING_ENDS);
	if (se) {
		/* Its loop, not begun: at the end of that it frees the rings. */
		fuse_session_exit(se);
		fuse_session_loop(se);
	}
	atomic_store(&expected, NULL);
	free(u);
}
