/*
 * page_io.c - operations on their way to a device, some of which fail on
 * purpose.
 *
 *   (1) An operation that is to fail is changed before the device sees it: cut
 *       short, or made into one that transfers nothing. page_io_end() changes it
 *       back, and gives it the result it is to have. So failures arrive on the
 *       same threads as successes.
 *   (2) What is delayed, or hangs, and must not block its caller is in a list;
 *       one thread, which holds nothing and waits for nothing else, hands it to
 *       the device when it is time.
 *   (3) A hang, or a delay, ends: when the probability or the error is written to; when who
 *       waits for everything has lost patience; after HANG_MAX_NS in any case,
 *       which is before the kernel cuts a mount off. No more than HANGS_MAX
 *       operations hang at a time, the others go on: a request that hangs
 *       occupies an entry of the transport, and somebody has to be able to say
 *       that it is enough.
 */
#include "mm/page_io.h"

#include "mm/bug.h"
#include "mm/mm.h"
#include "mm/page_io_device.h"

#include <errno.h>
#include <stdlib.h>

/* A sector is written as a whole, or not at all. */
enum { SECTOR = 512 };

enum { HANGS_MAX = 4 };
#define HANG_MAX_NS (300 * NSEC_PER_SEC)

/* How long it takes at most to see that a hang is to end. */
#define LOOK_AGAIN_NS (10 * NSEC_PER_MSEC)
#define IDLE_NS	      (60 * NSEC_PER_SEC)

struct page_io_engine {
	struct mm *mm;
	struct page_io_device *device;
	struct mutex lock;
	struct cond more;	 /* in the list, or stop */
	struct page_io *held;	 /* (lock) */
	unsigned int nr_hanging; /* in the list, or not (lock) */
	unsigned int nr_limits;	 /* (lock) */
	uint64_t limit_ns;	 /* no hang after that, if nr_limits (lock) */
	bool stop;		 /* (lock) */
	struct os_thread holder;
};

static struct fault_attr *attr_of(struct page_io_engine *e, bool swap)
{
	return swap ? &e->mm->fail_swap_io : &e->mm->fail_io;
}

/* --- what is changed, and changed back (1) --------------------------------- */

static void note_before(struct page_io *io)
{
	io->fault = (struct page_io_fault){
		.any = true,
		.drop_behind = io->drop_behind,
		.op = (uint8_t)io->op,
		.nr_iov = io->nr_iov,
		.iov_len = io->iov[io->nr_iov - 1].iov_len,
		.nr_bytes = io->nr_bytes,
	};
}

static void force(struct page_io *io, int64_t result)
{
	io->fault.forced = true;
	io->fault.result = result;
}

/* Transfer no more than the first "bytes". */
static void cut(struct page_io *io, uint64_t bytes)
{
	uint64_t left = bytes;
	unsigned int last = 0;

	if (bytes == 0) {
		io->op = PAGE_IO_NONE;
		io->drop_behind = false;
		return;
	}
	while (left > io->iov[last].iov_len)
		left -= io->iov[last++].iov_len;
	io->fault.iov_len = io->iov[last].iov_len;
	io->iov[last].iov_len = left;
	io->nr_iov = last + 1;
	io->nr_bytes = bytes;
}

void page_io_end(struct page_io *io)
{
	const struct page_io_fault *f = &io->fault;

	if (f->any) {
		io->iov[io->nr_iov - 1].iov_len = f->iov_len;
		io->op = (enum page_io_op)f->op;
		io->drop_behind = f->drop_behind;
		io->nr_iov = f->nr_iov;
		io->nr_bytes = f->nr_bytes;
		if (f->forced)
			io->result = f->result;
	}
	io->done(io);
}

/* How many bytes of n a part is: whole sectors, and never all. */
static uint64_t part_of(uint64_t n, uint64_t random, uint64_t least)
{
	uint64_t sectors = n / SECTOR + (n % SECTOR > 0);

	if (sectors <= least)
		return 0;
	return (least + random % (sectors - least)) * SECTOR;
}

static void shoot(struct page_io *io, const struct fault_shot *shot)
{
	note_before(io);
	io->fault.told = shot->told;
	switch (shot->kind) {
	case FAULT_EIO:
	case FAULT_ENOSPC:
	case FAULT_EDQUOT:
		cut(io, 0);
		force(io, fault_errno(shot->kind));
		break;
	case FAULT_SHORT:
		cut(io, part_of(io->nr_bytes, shot->random, 1));
		break;
	case FAULT_TORN:
	case FAULT_LOST:
		force(io,
		      shot->kind == FAULT_TORN ? -EIO : (int64_t)io->nr_bytes);
		cut(io, part_of(io->nr_bytes, shot->random, 0));
		break;
	case FAULT_DELAY:
		io->fault.until_ns = os_now_ns() + shot->delay_ns;
		break;
	case FAULT_HANG:
		io->fault.until_ns = os_now_ns() + HANG_MAX_NS;
		io->fault.hangs = true;
		break;
	case NR_FAULT_KINDS:
		break;
	}
}

/* --- what is held back (2), (3) -------------------------------------------- */

/* May one more hang? It is counted, then. */
static bool hang_begin(struct page_io_engine *e)
{
	bool may;

	mutex_lock(&e->lock);
	may = e->nr_hanging < HANGS_MAX;
	e->nr_hanging += may;
	mutex_unlock(&e->lock);
	return may;
}

/*
 * Is it time? What was told to end goes on, and a delay that is over; a hang that
 * nobody has patience for any more has failed.
 */
static bool is_time(struct page_io_engine *e, struct fault_attr *attr,
		    struct page_io_fault *f) must_hold(e->lock)
{
	uint64_t now = os_now_ns();
	bool told = atomic_load(&attr->told) != f->told;
	bool over = now >= f->until_ns || e->stop ||
		    (e->nr_limits > 0 && now >= e->limit_ns);

	if (!told && !over)
		return false;
	if (f->hangs && !told) {
		f->forced = true;
		f->result = -EIO;
	}
	if (f->hangs)
		e->nr_hanging--;
	return true;
}

/* Wait here until it is time. */
static void hold_here(struct page_io_engine *e, struct fault_attr *attr,
		      struct page_io_fault *f)
{
	mutex_lock(&e->lock);
	while (!is_time(e, attr, f)) {
		mutex_unlock(&e->lock);
		os_sleep_ns(f->hangs ? LOOK_AGAIN_NS
				     : min_of(LOOK_AGAIN_NS,
					      f->until_ns - os_now_ns()));
		mutex_lock(&e->lock);
	}
	mutex_unlock(&e->lock);
}

static void hold(struct page_io_engine *e, struct page_io *io)
{
	mutex_lock(&e->lock);
	io->next = e->held;
	e->held = io;
	cond_signal(&e->more);
	mutex_unlock(&e->lock);
}

/* All whose time it is, out of the list. */
static struct page_io *take_ready(struct page_io_engine *e) must_hold(e->lock)
{
	struct page_io **p = &e->held, *io, *ready = NULL;

	while ((io = *p)) {
		if (is_time(e, attr_of(e, io->swap), &io->fault)) {
			*p = io->next;
			io->next = ready;
			ready = io;
		} else {
			p = &io->next;
		}
	}
	return ready;
}

static void send(struct page_io_engine *e, struct page_io *ready)
{
	while (ready) {
		struct page_io *io = ready;

		ready = io->next;
		if (io->fault.forced)
			cut(io, 0);
		page_io_device_queue(e->device, io);
	}
	page_io_device_kick(e->device);
}

static void holder_main(void *arg)
{
	struct page_io_engine *e = arg;

	mutex_lock(&e->lock);
	while (!e->stop || e->held) {
		struct page_io *ready = take_ready(e);

		if (ready) {
			mutex_unlock(&e->lock);
			send(e, ready);
			mutex_lock(&e->lock);
		} else if (!e->stop) {
			cond_timedwait(&e->more, &e->lock,
				       e->held ? LOOK_AGAIN_NS : IDLE_NS);
		}
	}
	mutex_unlock(&e->lock);
}

void page_io_limit_hangs(struct page_io_engine *e, uint64_t patience_ns)
{
	mutex_lock(&e->lock);
	if (e->nr_limits++ == 0)
		e->limit_ns = os_now_ns() + patience_ns;
	mutex_unlock(&e->lock);
}

void page_io_unlimit_hangs(struct page_io_engine *e)
{
	mutex_lock(&e->lock);
	ASSERT(e->nr_limits > 0);
	e->nr_limits--;
	mutex_unlock(&e->lock);
}

/* --- which fail -------------------------------------------------------------- */

/* True: it is to fail, and was counted. */
static bool draw(struct page_io_engine *e, struct fault_attr *attr,
		 enum fault_op op, bool parts, uint64_t bytes,
		 struct fault_shot *shot)
{
	if (!fault_decide_io(attr, op, parts, bytes, shot))
		return false;
	if (shot->kind == FAULT_HANG && !hang_begin(e)) {
		fault_take_back(attr);
		return false;
	}
	vmstat_inc(e->mm, attr == &e->mm->fail_swap_io ? SWAP_IO_FAIL_INJECTED
			  : attr == &e->mm->fail_fsync ? FSYNC_FAIL_INJECTED
						       : IO_FAIL_INJECTED);
	return true;
}

static __attribute__((noinline)) void inject(struct page_io_engine *e,
					     struct page_io *io)
{
	enum fault_op op = io->op == PAGE_IO_READ ? FAULT_READS : FAULT_WRITES;
	struct fault_shot shot;

	if (draw(e, attr_of(e, io->swap), op, true, io->nr_bytes, &shot))
		shoot(io, &shot);
}

static bool is_held(const struct page_io *io)
{
	return io->fault.until_ns > 0;
}

/* Of what is not a transfer: 0, or its failure. */
static int inject_call(struct page_io_engine *e, struct fault_attr *attr,
		       uint64_t bytes)
{
	struct page_io_fault f = { .any = true };
	struct fault_shot shot;

	if (!fault_armed(attr) ||
	    !draw(e, attr, FAULT_WRITES, false, bytes, &shot))
		return 0;
	if (shot.kind != FAULT_DELAY && shot.kind != FAULT_HANG)
		return fault_errno(shot.kind);
	f.hangs = shot.kind == FAULT_HANG;
	f.until_ns = os_now_ns() + (f.hangs ? HANG_MAX_NS : shot.delay_ns);
	f.told = shot.told;
	hold_here(e, attr, &f);
	return (int)f.result;
}

/* --- the engine --------------------------------------------------------------- */

struct page_io_engine *page_io_start(struct mm *mm, unsigned int depth,
				     int *err)
{
	struct page_io_engine *e = calloc(1, sizeof(*e));

	*err = -ENOMEM;
	if (!e)
		return NULL;
	e->mm = mm;
	mutex_init(&e->lock);
	cond_init(&e->more);
	e->device = page_io_device_start(mm, depth, err);
	if (!e->device)
		goto out_free;
	*err = os_thread_start(&e->holder, "page-io-held", holder_main, e);
	if (*err)
		goto out_device;
	return e;

out_device:
	page_io_device_stop(e->device);
out_free:
	free(e);
	return NULL;
}

void page_io_stop(struct page_io_engine *e)
{
	mutex_lock(&e->lock);
	e->stop = true;
	cond_signal(&e->more);
	mutex_unlock(&e->lock);
	os_thread_join(&e->holder);
	page_io_device_stop(e->device);
	free(e);
}

int page_io_register(struct page_io_engine *e, void *base, size_t size)
{
	return page_io_device_register(e->device, base, size);
}

void page_io_queue(struct page_io_engine *e, struct page_io *io)
{
	io->fault.any = false;
	if (fault_armed(attr_of(e, io->swap))) {
		inject(e, io);
		if (io->fault.any && is_held(io)) {
			hold(e, io);
			return;
		}
	}
	page_io_device_queue(e->device, io);
}

void page_io_kick(struct page_io_engine *e)
{
	page_io_device_kick(e->device);
}

void page_io_submit(struct page_io_engine *e, struct page_io *io)
{
	page_io_queue(e, io);
	page_io_kick(e);
}

void page_io_do(struct page_io_engine *e, struct page_io *io)
{
	struct fault_attr *attr = attr_of(e, io->swap);

	io->fault.any = false;
	if (fault_armed(attr)) {
		inject(e, io);
		if (io->fault.any && is_held(io)) {
			hold_here(e, attr, &io->fault);
			if (io->fault.forced)
				cut(io, 0);
		}
	}
	page_io_device_do(e->device, io);
}

static void nothing_more(struct page_io *io)
{
	(void)io;
}

int64_t page_io_submit_wait(struct page_io_engine *e, const struct page_io *io)
{
	struct page_io copy = *io;

	copy.done = nothing_more;
	page_io_do(e, &copy);
	return copy.result;
}

int page_io_fallocate(struct page_io_engine *e, int fd, uint64_t offset,
		      uint64_t len)
{
	int err = inject_call(e, &e->mm->fail_io, len);

	return err ? err : page_io_device_fallocate(e->device, fd, offset, len);
}

int page_io_allocate(struct page_io_engine *e, int fd, uint64_t offset,
		     uint64_t len)
{
	int err = inject_call(e, &e->mm->fail_io, len);

	return err ? err : page_io_device_allocate(e->device, fd, offset, len);
}

int page_io_truncate(struct page_io_engine *e, int fd, uint64_t size)
{
	int err = inject_call(e, &e->mm->fail_io, 0);

	return err ? err : page_io_device_truncate(e->device, fd, size);
}

int page_io_sync(struct page_io_engine *e, int fd, bool data_only)
{
	int err = inject_call(e, &e->mm->fail_fsync, 0);

	return err ? err : page_io_device_sync(e->device, fd, data_only);
}
