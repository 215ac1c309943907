/*
 * page_io_sim.c - a disk that is as unhelpful as a disk may be.
 *
 *   (1) An operation ends after a random time, whatever was submitted before
 *       it. Nothing of it happens before
 *       page_io_device_kick().
 *   (2) It is cut into a few ranges of sectors; each is copied at a moment of
 *       its own between submission and end, in random order. What the pages
 *       hold then is what is written: a page that was changed under way and is
 *       taken for clean all the same differs from the disk.
 *   (3) A transfer that fails has copied some of its ranges, or none. What a
 *       read leaves behind the bytes it says it read is garbage.
 *   (4) Two transfers of the same sectors at a time, one of them a write, are
 *       a bug of the caller.
 *   (5) What was written is cached until page_io_device_sync(); sim_file_crash()
 *       keeps or loses each sector of it.
 *   (6) A file has a block from when something is first written there, or it
 *       was allocated. What does not fit is not written.
 *   (7) Of a write that is lost on purpose the device knows what it was before: the
 *       sectors that it does not get are marked until something is written there.
 */
#include "tests/sim/sim.h"

#include "mm/bug.h"
#include "mm/mm.h"
#include "mm/page_io_device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 192, FIRST_FD = 100, RANGES_MAX = 4, GARBAGE = 0xdb };
enum { FDS_MAX = 1 << 17 };

#define FILE_SIZE_MAX (64ull << 20)

/* data and durable have room for "room" bytes; behind the sizes: zeroes. */
struct fake_file {
	bool used;
	unsigned char *data, *durable;
	uint64_t size, durable_size, room;
	unsigned int nr_io; /* under way */
	bool *has_block;    /* of "room" bytes (6) */
	bool *lost;	    /* sectors of "room" bytes (7) */
	uint64_t nr_blocks;
	struct timespec mtime, ctime;
	uint64_t nr_changes;
};

/* Of sim_fd_open(). */
struct fake_fd {
	bool open, direct;
	struct fake_file *file; /* NULL: of none */
	unsigned int nr_io;	/* under way with this number */
};

static struct {
	struct fake_file files[FILES_MAX];
	struct fake_fd *fds;
	unsigned int nr_fds; /* ever open */
	uint64_t nr_blocks;  /* in use (6) */
	uint64_t blocks_max; /* UINT64_MAX: there is always room */
	struct sim_disk_options options;
	int write_error;
	void (*on_lost)(int fd, uint64_t from, uint64_t to, void *arg);
	void *on_lost_arg;
} disk;

/* One operation under way; in a list of the engine. */
struct op {
	struct op *next;
	struct page_io *io;
	struct fake_file *file;
	uint64_t event_ns;    /* the next copy, or the end */
	uint64_t end_ns;      /* when it ends */
	uint64_t limit;	      /* bytes that are transferred */
	int error;	      /* and then it fails with this */
	unsigned int nr_left; /* ranges to copy */
	struct {
		uint64_t from, to;
	} ranges[RANGES_MAX];
};

struct page_io_device {
	struct mm *mm;
	struct mutex lock;
	struct cond work;
	struct op *queued; /* not kicked yet (lock) */
	struct op *active; /* (lock) */
	bool stop;	   /* (lock) */
	struct os_thread thread;
};

/* --- files ----------------------------------------------------------------- */

static bool is_direct(int fd)
{
	if (fd >= SIM_FD_FIRST)
		return disk.fds[fd - SIM_FD_FIRST].direct;
	return (fd - FIRST_FD) % 2 == 0;
}

static struct fake_file *file_of(int fd)
{
	struct fake_file *f;
	unsigned int n = (unsigned int)(fd - SIM_FD_FIRST);

	if (fd >= SIM_FD_FIRST && n < disk.nr_fds && disk.fds[n].open &&
	    disk.fds[n].file)
		return disk.fds[n].file;
	if (fd < FIRST_FD || fd >= FIRST_FD + 2 * FILES_MAX)
		sim_fail("I/O with descriptor %d, which is not open", fd);
	f = &disk.files[(fd - FIRST_FD) / 2];
	if (!f->used)
		sim_fail("I/O with descriptor %d, which is not open", fd);
	return f;
}

static void make_room(struct fake_file *f, uint64_t size)
{
	uint64_t room = max_of(2 * f->room, (size + 65535) & ~65535ull);

	ASSERT(size <= FILE_SIZE_MAX);
	if (size <= f->room)
		return;
	sim_ignore_races_begin();
	f->data = realloc(f->data, room);
	f->durable = realloc(f->durable, room);
	f->has_block = realloc(f->has_block, room / SIM_BLOCK);
	f->lost = realloc(f->lost, room / SIM_SECTOR);
	ASSERT(f->data && f->durable && f->has_block && f->lost);
	memset(f->lost + f->room / SIM_SECTOR, 0,
	       (room - f->room) / SIM_SECTOR);
	memset(f->has_block + f->room / SIM_BLOCK, 0,
	       (room - f->room) / SIM_BLOCK);
	memset(f->data + f->room, 0, room - f->room);
	memset(f->durable + f->room, 0, room - f->room);
	sim_ignore_races_end();
	f->room = room;
}

/* (6): of [first, last). */
static void drop_blocks(struct fake_file *f, uint64_t first, uint64_t last)
{
	for (; first < min_of(last, f->room / SIM_BLOCK); first++)
		if (f->has_block[first]) {
			f->has_block[first] = false;
			f->nr_blocks--;
			disk.nr_blocks--;
		}
}

/* All of them, or none: -ENOSPC. */
static int take_blocks(struct fake_file *f, uint64_t first, uint64_t last)
{
	uint64_t need = 0;

	make_room(f, last * SIM_BLOCK);
	for (uint64_t i = first; i < last; i++)
		need += !f->has_block[i];
	if (need > sim_disk_room())
		return -ENOSPC;
	for (uint64_t i = first; i < last; i++)
		f->has_block[i] = true;
	f->nr_blocks += need;
	disk.nr_blocks += need;
	return 0;
}

/* (7): of all sectors that lie within, but for what is behind the end. */
static void not_lost(struct fake_file *f, uint64_t from, uint64_t to)
{
	if (to >= f->size)
		to = f->room;
	for (uint64_t at = (from + SIM_SECTOR - 1) / SIM_SECTOR;
	     at < to / SIM_SECTOR; at++)
		f->lost[at] = false;
}

static uint64_t block_after(uint64_t offset)
{
	return (offset + SIM_BLOCK - 1) / SIM_BLOCK;
}

static void touch(struct fake_file *f)
{
	f->mtime = f->ctime = sim_file_now();
	f->nr_changes++;
}

static void set_size(struct fake_file *f, uint64_t size)
{
	make_room(f, size);
	/* What was allocated behind the end stays when that moves on. */
	if (size <= f->size)
		drop_blocks(f, block_after(size), UINT64_MAX);
	touch(f);
	sim_ignore_races_begin();
	if (size < f->size)
		memset(f->data + size, 0, f->size - size);
	sim_ignore_races_end();
	f->size = size;
	not_lost(f, size, f->room);
}

void sim_disk_reset(void)
{
	for (int i = 0; i < FILES_MAX; i++)
		if (disk.files[i].used)
			sim_file_remove(FIRST_FD + 2 * i);
	disk.options = (struct sim_disk_options){ 0 };
	disk.write_error = 0;
	disk.nr_fds = 0;
	disk.nr_blocks = 0;
	disk.blocks_max = UINT64_MAX;
	disk.on_lost = NULL;
}

void sim_disk_on_lost(void (*fn)(int fd, uint64_t from, uint64_t to, void *arg),
		      void *arg)
{
	disk.on_lost = fn;
	disk.on_lost_arg = arg;
}

bool sim_file_is_lost(int fd, uint64_t offset, uint64_t len)
{
	struct fake_file *f = file_of(fd);

	make_room(f, offset + len);
	for (uint64_t at = offset / SIM_SECTOR; at * SIM_SECTOR < offset + len;
	     at++)
		if (f->lost[at])
			return true;
	return false;
}

void sim_disk_set(const struct sim_disk_options *options)
{
	disk.options = *options;
}

void sim_disk_fail_writes(int err)
{
	ASSERT(err <= 0);
	disk.write_error = err;
}

int sim_file_create(uint64_t size)
{
	for (int i = 0; i < FILES_MAX; i++) {
		struct fake_file *f = &disk.files[i];

		if (f->used)
			continue;
		*f = (struct fake_file){ .used = true };
		set_size(f, size);
		f->durable_size = size;
		return FIRST_FD + 2 * i;
	}
	sim_fail("too many files");
}

int sim_file_buffered(int fd)
{
	ASSERT(is_direct(fd));
	return fd + 1;
}

int sim_fd_open(int fd, bool direct)
{
	if (!disk.fds)
		disk.fds = calloc(FDS_MAX, sizeof(*disk.fds));
	ASSERT(disk.fds && disk.nr_fds < FDS_MAX);
	disk.fds[disk.nr_fds] = (struct fake_fd){
		.open = true,
		.direct = direct,
		.file = fd < 0 ? NULL : file_of(fd),
	};
	return SIM_FD_FIRST + (int)disk.nr_fds++;
}

static struct fake_fd *fake_fd(int fd)
{
	unsigned int n = (unsigned int)(fd - SIM_FD_FIRST);

	if (fd < SIM_FD_FIRST || n >= disk.nr_fds || !disk.fds[n].open)
		sim_fail("descriptor %d is not open", fd);
	return &disk.fds[n];
}

void sim_fd_replace(int number, int fd)
{
	unsigned int nr_io = fake_fd(number)->nr_io;

	*fake_fd(number) = *fake_fd(fd);
	fake_fd(number)->nr_io = nr_io;
}

/* The number may be another file's before what is under way has come to it. */
void sim_fd_close(int fd)
{
	if (fake_fd(fd)->nr_io > 0)
		sim_fail("descriptor %d is closed with I/O under way", fd);
	fake_fd(fd)->open = false;
}

static void count_io(const struct op *op, int change)
{
	op->file->nr_io += (unsigned int)change;
	if (op->io->fd >= SIM_FD_FIRST)
		fake_fd(op->io->fd)->nr_io += (unsigned int)change;
}

void sim_disk_set_room(uint64_t blocks)
{
	disk.blocks_max = blocks;
}

uint64_t sim_disk_room(void)
{
	return disk.blocks_max > disk.nr_blocks
		       ? disk.blocks_max - disk.nr_blocks
		       : 0;
}

uint64_t sim_file_blocks(int fd)
{
	return file_of(fd)->nr_blocks;
}

bool sim_file_has_block(int fd, uint64_t block)
{
	struct fake_file *f = file_of(fd);

	return block < f->room / SIM_BLOCK && f->has_block[block];
}

uint64_t sim_file_nr_changes(int fd)
{
	return file_of(fd)->nr_changes;
}

struct timespec sim_file_mtime(int fd)
{
	return file_of(fd)->mtime;
}

struct timespec sim_file_ctime(int fd)
{
	return file_of(fd)->ctime;
}

void sim_file_set_times(int fd, const struct timespec *mtime)
{
	struct fake_file *f = file_of(fd);

	if (mtime)
		f->mtime = *mtime;
	f->ctime = sim_file_now();
}

struct timespec sim_file_now(void)
{
	return os_realtime_coarse();
}

int sim_file_allocate(int fd, uint64_t offset, uint64_t len, bool keep_size)
{
	struct fake_file *f = file_of(fd);
	int err = take_blocks(f, offset / SIM_BLOCK, block_after(offset + len));

	if (err)
		return err;
	if (!keep_size && offset + len > f->size)
		f->size = offset + len;
	touch(f);
	return 0;
}

void sim_file_punch(int fd, uint64_t offset, uint64_t len)
{
	struct fake_file *f = file_of(fd);

	make_room(f, offset + len);
	sim_ignore_races_begin();
	memset(f->data + offset, 0, len);
	sim_ignore_races_end();
	not_lost(f, offset, offset + len);
	drop_blocks(f, block_after(offset), (offset + len) / SIM_BLOCK);
	touch(f);
}

void sim_file_truncate(int fd, uint64_t size)
{
	set_size(file_of(fd), size);
}

static void make_durable(struct fake_file *f)
{
	sim_ignore_races_begin();
	if (f->room > 0)
		memcpy(f->durable, f->data, f->room); /* (5) */
	sim_ignore_races_end();
	f->durable_size = f->size;
}

void sim_file_sync(int fd)
{
	make_durable(file_of(fd));
}

void sim_file_remove(int fd)
{
	struct fake_file *f = file_of(fd);

	ASSERT(f->nr_io == 0);
	drop_blocks(f, 0, UINT64_MAX);
	free(f->has_block);
	free(f->lost);
	free(f->data);
	free(f->durable);
	*f = (struct fake_file){ .used = false };
}

uint64_t sim_file_size(int fd)
{
	return file_of(fd)->size;
}

const unsigned char *sim_file_data(int fd, uint64_t offset, uint64_t len)
{
	struct fake_file *f = file_of(fd);

	make_room(f, offset + len);
	return f->data + offset;
}

uint64_t sim_file_durable_size(int fd)
{
	return file_of(fd)->durable_size;
}

const unsigned char *sim_file_durable(int fd, uint64_t offset, uint64_t len)
{
	struct fake_file *f = file_of(fd);

	make_room(f, offset + len);
	return f->durable + offset;
}

void sim_file_fill(int fd, uint64_t offset, const void *data, uint64_t len)
{
	struct fake_file *f = file_of(fd);

	make_room(f, offset + len);
	memcpy(f->data + offset, data, len);
	memcpy(f->durable + offset, data, len);
	f->size = max_of(f->size, offset + len);
	f->durable_size = max_of(f->durable_size, offset + len);
}

void sim_file_crash(int fd)
{
	struct fake_file *f = file_of(fd);

	ASSERT(f->nr_io == 0);
	if (sim_chance(50))
		f->durable_size = f->size;
	for (uint64_t at = 0; at < f->room; at += SIM_SECTOR)
		if (sim_chance(50))
			memcpy(f->durable + at, f->data + at, SIM_SECTOR);
	memset(f->durable + f->durable_size, 0, f->room - f->durable_size);
	memcpy(f->data, f->durable, f->room);
	f->size = f->durable_size;
}

/* --- an operation ---------------------------------------------------------- */

static void check_aligned(const struct page_io *io)
{
	uint64_t odd = io->offset;

	for (unsigned int i = 0; i < io->nr_iov; i++)
		odd |= io->iov[i].iov_len | (uintptr_t)io->iov[i].iov_base;
	if (odd % SIM_SECTOR != 0)
		sim_fail("a direct transfer that is not aligned");
	if (io->drop_behind)
		sim_fail("a direct transfer with drop_behind");
}

static void check_iov(const struct page_io *io)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < io->nr_iov; i++)
		sum += io->iov[i].iov_len;
	ASSERT(sum == io->nr_bytes && sum > 0 && io->done);
}

static void check_alone_in(const struct op *list, const struct op *op)
{
	const struct page_io *a = op->io;

	for (; list; list = list->next) {
		const struct page_io *b = list->io;

		if (disk.options.mixed && a->op != b->op)
			continue;
		if (list->file == op->file &&
		    (a->op == PAGE_IO_WRITE || b->op == PAGE_IO_WRITE) &&
		    a->offset < b->offset + b->nr_bytes &&
		    b->offset < a->offset + a->nr_bytes)
			sim_fail("two transfers of one range: %llu+%llu and "
				 "%llu+%llu",
				 (unsigned long long)a->offset,
				 (unsigned long long)a->nr_bytes,
				 (unsigned long long)b->offset,
				 (unsigned long long)b->nr_bytes);
	}
}

/* (1), (2): how long, in which pieces, and in which order. */
static void draw_times(struct op *op)
{
	uint64_t most = disk.options.delay_max_ns;
	uint64_t cuts = sim_between(1, RANGES_MAX), from = 0, scale = 1;

	if (!most)
		most = 5 * NSEC_PER_MSEC;
	/* Each magnitude is as likely as another. */
	while (scale < most && sim_chance(93))
		scale *= 2;
	op->end_ns = os_now_ns() + sim_between(1, min_of(most, 2 * scale));
	for (; cuts > 0 && from < op->limit; cuts--) {
		uint64_t to = op->limit;

		if (cuts > 1)
			to = min_of(to, (sim_between(from, to) / SIM_SECTOR +
					 1) * SIM_SECTOR);
		op->ranges[op->nr_left].from = from;
		op->ranges[op->nr_left++].to = to;
		from = to;
	}
	op->event_ns = sim_between(os_now_ns(), op->end_ns + 1);
}

static void draw_fate(struct op *op)
{
	const struct sim_disk_options *o = &disk.options;
	struct page_io *io = op->io;
	bool write = io->op == PAGE_IO_WRITE;

	op->limit = io->nr_bytes;
	if (!write) {
		uint64_t size = op->file->size;

		op->limit = size > io->offset
				    ? min_of(io->nr_bytes, size - io->offset)
				    : 0;
	}
	if (op->limit > SIM_SECTOR && sim_chance(o->short_percent))
		op->limit = sim_between(1, (op->limit - 1) / SIM_SECTOR) *
			    SIM_SECTOR;
	if (write && disk.write_error)
		op->error = disk.write_error;
	else if (sim_chance(write ? o->write_error_percent
				  : o->read_error_percent))
		op->error = -EIO;
	if (write && !op->error)
		op->error = take_blocks(op->file, io->offset / SIM_BLOCK,
					block_after(io->offset + op->limit));
}

/* (7) */
static void note_lost(struct op *op)
{
	const struct page_io_fault *f = &op->io->fault;
	struct fake_file *file = op->file;
	uint64_t from = op->io->offset, to = from + f->nr_bytes;

	if (!f->any || !f->forced || f->op != PAGE_IO_WRITE || f->result < 0)
		return;
	if (op->io->op != PAGE_IO_NONE && !op->error &&
	    op->limit == op->io->nr_bytes)
		from += op->io->nr_bytes;
	make_room(file, to);
	for (uint64_t at = from / SIM_SECTOR; at * SIM_SECTOR < to; at++)
		file->lost[at] = true;
	if (disk.on_lost)
		disk.on_lost(FIRST_FD + 2 * (int)(file - disk.files), from, to,
			     disk.on_lost_arg);
}

static struct op *op_new(struct page_io *io)
{
	struct op *op = calloc(1, sizeof(*op));

	ASSERT(op);
	check_iov(io);
	if (is_direct(io->fd))
		check_aligned(io);
	op->io = io;
	op->file = file_of(io->fd);
	draw_fate(op);
	if (io->op == PAGE_IO_NONE)
		op->limit = op->error = 0;
	draw_times(op);
	note_lost(op);
	return op;
}

/* Copy [from, to) of the operation, or fill it with garbage. */
static void copy(struct op *op, uint64_t from, uint64_t to, bool garbage)
{
	struct page_io *io = op->io;
	uint64_t start = 0; /* of this iov */

	sim_ignore_races_begin();
	for (unsigned int i = 0; i < io->nr_iov && start < to; i++) {
		uint64_t end = start + io->iov[i].iov_len;
		uint64_t a = max_of(from, start), b = min_of(to, end);

		if (a < b) {
			char *memory = (char *)io->iov[i].iov_base + a - start;
			unsigned char *file = op->file->data + io->offset + a;

			if (garbage)
				memset(memory, GARBAGE, b - a);
			else if (io->op == PAGE_IO_WRITE)
				memcpy(file, memory, b - a);
			else
				memcpy(memory, file, b - a);
		}
		start = end;
	}
	sim_ignore_races_end();
}

static void copy_one_range(struct op *op)
{
	uint64_t i = sim_between(0, op->nr_left - 1);
	uint64_t from = op->ranges[i].from, to = op->ranges[i].to;

	op->ranges[i] = op->ranges[--op->nr_left];
	if (op->io->op == PAGE_IO_WRITE && op->io->offset + to > op->file->size)
		op->file->size = op->io->offset + to;
	if (op->io->op == PAGE_IO_WRITE)
		touch(op->file);
	make_room(op->file, op->io->offset + to);
	copy(op, from, to, false);
	if (op->io->op == PAGE_IO_WRITE)
		not_lost(op->file, op->io->offset + from, op->io->offset + to);
}

/* --- the engine ------------------------------------------------------------ */

void page_io_device_queue(struct page_io_device *e, struct page_io *io)
{
	struct op *op;

	mutex_lock(&e->lock);
	ASSERT(!e->stop);
	op = op_new(io);
	io->result = 0;
	check_alone_in(e->queued, op);
	check_alone_in(e->active, op);
	count_io(op, 1);
	op->next = e->queued;
	e->queued = op;
	mutex_unlock(&e->lock);
}

void page_io_device_kick(struct page_io_device *e)
{
	mutex_lock(&e->lock);
	while (e->queued) {
		struct op *op = e->queued;

		if (file_of(op->io->fd) != op->file)
			sim_fail("a descriptor changed before it was used");
		e->queued = op->next;
		op->next = e->active;
		e->active = op;
	}
	cond_signal(&e->work);
	mutex_unlock(&e->lock);
}

struct waiter {
	struct page_io io;
	struct mutex lock;
	struct cond ended;
	bool done;
};

static void waiter_done(struct page_io *io)
{
	struct waiter *w = container_of(io, struct waiter, io);

	mutex_lock(&w->lock);
	w->done = true;
	cond_signal(&w->ended);
	mutex_unlock(&w->lock);
}

void page_io_device_do(struct page_io_device *e, struct page_io *io)
{
	struct waiter w = { .io = *io };

	mutex_init(&w.lock);
	cond_init(&w.ended);
	w.io.done = waiter_done;
	/* A copy: what others have queued stays queued (1). */
	mutex_lock(&e->lock);
	ASSERT(!e->stop);
	struct op *op = op_new(&w.io);
	check_alone_in(e->queued, op);
	check_alone_in(e->active, op);
	count_io(op, 1);
	op->next = e->active;
	e->active = op;
	cond_signal(&e->work);
	mutex_unlock(&e->lock);
	mutex_lock(&w.lock);
	while (!w.done)
		cond_wait(&w.ended, &w.lock);
	mutex_unlock(&w.lock);
	io->result = w.io.result;
	sim_no_sleep_begin();
	page_io_end(io);
	sim_no_sleep_end();
}

/* Where the operation that is next is linked; NULL if there is none. */
static struct op **next_event(struct page_io_device *e) must_hold(e->lock)
{
	struct op **next = NULL;

	for (struct op **p = &e->active; *p; p = &(*p)->next)
		if (!next || (*p)->event_ns < (*next)->event_ns)
			next = p;
	return next;
}

/* Returns whether that was its end. */
static bool advance(struct op *op)
{
	struct page_io *io = op->io;
	uint64_t started = op->event_ns;

	if (op->nr_left > 0 && !(op->error && sim_chance(30))) {
		copy_one_range(op);
		op->event_ns = max_of(op->event_ns, op->end_ns);
		if (op->nr_left > 0)
			op->event_ns = sim_between(started, op->event_ns);
		return false;
	}
	if (io->op == PAGE_IO_READ) /* (3) */
		copy(op, op->error ? 0 : op->limit, io->nr_bytes, true);
	io->result = op->error ? op->error : (int64_t)op->limit;
	return true;
}

static void engine_main(void *arg)
{
	struct page_io_device *e = arg;
	struct op **next;

	mutex_lock(&e->lock);
	while ((next = next_event(e)) || !e->stop) {
		uint64_t now = os_now_ns();
		struct op *op = next ? *next : NULL;

		if (!op) {
			sim_set_idle(true);
			cond_wait(&e->work, &e->lock);
			sim_set_idle(false);
		} else if (op->event_ns > now) {
			cond_timedwait(&e->work, &e->lock, op->event_ns - now);
		} else if (advance(op)) {
			struct page_io *io = op->io;

			*next = op->next;
			count_io(op, -1);
			free(op);
			mutex_unlock(&e->lock);
			sim_no_sleep_begin();
			page_io_end(io);
			sim_no_sleep_end();
			mutex_lock(&e->lock);
		}
	}
	mutex_unlock(&e->lock);
}

struct page_io_device *page_io_device_start(struct mm *mm, unsigned int depth,
					    int *err)
{
	struct page_io_device *e = calloc(1, sizeof(*e));

	ASSERT(depth > 0);
	*err = -ENOMEM;
	if (!e)
		return NULL;
	e->mm = mm;
	mutex_init(&e->lock);
	cond_init(&e->work);
	*err = os_thread_start(&e->thread, "page-io", engine_main, e);
	if (*err) {
		free(e);
		return NULL;
	}
	return e;
}

void page_io_device_stop(struct page_io_device *e)
{
	page_io_device_kick(e);
	mutex_lock(&e->lock);
	e->stop = true;
	cond_signal(&e->work);
	mutex_unlock(&e->lock);
	os_thread_join(&e->thread);
	free(e);
}

int page_io_device_register(struct page_io_device *e, void *base, size_t size)
{
	ASSERT(e && base && size % PAGE_SIZE == 0);
	return 0;
}

/* --- for threads that may block -------------------------------------------- */

/* It happens at some moment, and takes some time. 0 or -errno. */
static int take_time(const struct page_io_device *e)
{
	ASSERT(!e->stop);
	os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
	return disk.write_error;
}

static int allocate(const struct page_io_device *e, int fd, uint64_t offset,
		    uint64_t len, bool keep_size)
{
	int err = disk.options.no_fallocate ? -EOPNOTSUPP : take_time(e);

	if (!err)
		err = sim_file_allocate(fd, offset, len, keep_size);
	os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
	return err;
}

int page_io_device_fallocate(struct page_io_device *e, int fd, uint64_t offset,
			     uint64_t len)
{
	return allocate(e, fd, offset, len, false);
}

int page_io_device_allocate(struct page_io_device *e, int fd, uint64_t offset,
			    uint64_t len)
{
	return allocate(e, fd, offset, len, true);
}

int page_io_device_truncate(struct page_io_device *e, int fd, uint64_t size)
{
	int err = take_time(e);

	if (!err)
		set_size(file_of(fd), size);
	os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
	return err;
}

int page_io_device_sync(struct page_io_device *e, int fd, bool data_only)
{
	int err = take_time(e);
	struct fake_file *f = file_of(fd);

	(void)data_only; /* the size is needed to find the data */
	if (!err)
		make_durable(f);
	os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
	return err;
}
