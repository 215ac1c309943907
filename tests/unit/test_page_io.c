/*
 * test_page_io.c - operations that fail on purpose, against what the file has
 * then, and what the caller is told.
 *
 *	file before   o o o o o o o o      a sector each
 *	a write of    n n n n n n n n
 *	short         n n n o o o o o      result: 3 sectors
 *	torn          n n n o o o o o      result: -EIO
 *	lost          n n n o o o o o      result: 8 sectors
 *	EIO, ENOSPC   o o o o o o o o
 *	delay, hang   o o o o o o o o  ... and later  n n n n n n n n
 */
#include "mm/page_io.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_IOV = 5, SECTOR = 512, NR_ROUNDS = 150 };

#define SIZE (NR_IOV * PAGE_SIZE)

struct op {
	struct page_io io;
	struct iovec iov[NR_IOV];
	char data[SIZE];
	_Atomic int nr_done;
};

static struct op op;
static char before[SIZE];
static int fd;

static void op_done(struct page_io *io)
{
	atomic_fetch_add(&container_of(io, struct op, io)->nr_done, 1);
}

static void fill(char *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (char)(1 + rnd(255));
}

/* Pieces of any size that are whole sectors, but for the last one. */
static void prepare(enum page_io_op kind)
{
	size_t at = 0, size = 1 + rnd(SIZE);

	fill(op.data, SIZE);
	fill(before, SIZE);
	assert_int_equal(pwrite(fd, before, SIZE, 0), SIZE);
	op.io = (struct page_io){ .op = kind,
				  .fd = fd,
				  .drop_behind = rnd(2),
				  .iov = op.iov,
				  .done = op_done };
	while (at < size && op.io.nr_iov < NR_IOV) {
		size_t n = (1 + rnd(SIZE / SECTOR / NR_IOV)) * SECTOR;

		n = min_of(n, size - at);
		op.iov[op.io.nr_iov++] = (struct iovec){ op.data + at, n };
		at += n;
	}
	op.io.nr_bytes = at;
	atomic_store(&op.nr_done, 0);
}

static bool is_done(void)
{
	return atomic_load(&op.nr_done) > 0;
}

static void wait_done(void)
{
	while (!is_done())
		unit_nap();
	assert_int_equal(atomic_load(&op.nr_done), 1);
}

/* Begin it, one way or the other; the first may not return before it ends. */
static void begin(struct mm *mm, bool here)
{
	struct page_io was = op.io;
	struct iovec iov[NR_IOV];

	memcpy(iov, op.iov, sizeof(iov));
	if (here)
		page_io_do(mm->io, &op.io);
	else
		page_io_submit(mm->io, &op.io);
	if (here) {
		wait_done();
		/* As the caller had made it. */
		assert_int_equal(op.io.op, was.op);
		assert_int_equal(op.io.nr_iov, was.nr_iov);
		assert_int_equal(op.io.nr_bytes, was.nr_bytes);
		assert_int_equal(op.io.drop_behind, was.drop_behind);
		assert_memory_equal(op.iov, iov, sizeof(iov));
	}
}

static void set_kind(struct mm *mm, enum fault_kind kind, int percent,
		     int64_t times)
{
	assert_int_equal(fault_set(&mm->fail_io, FAULT_ERROR, kind), 0);
	assert_int_equal(
		fault_set(&mm->fail_io, FAULT_SEED, (int64_t)rnd(1ull << 40)),
		0);
	unit_fault(&mm->fail_io, percent, times);
}

/* How many bytes of the write are in the file; the rest is as before. */
static size_t written(void)
{
	static char now[SIZE];
	size_t n = 0, size = (size_t)op.io.nr_bytes;

	assert_int_equal(pread(fd, now, SIZE, 0), SIZE);
	while (n < size && memcmp(now + n, op.data + n,
				  min_of((size_t)SECTOR, size - n)) == 0)
		n += SECTOR;
	n = min_of(n, size);
	assert_memory_equal(now, op.data, n);
	assert_memory_equal(now + n, before + n, SIZE - n);
	return n;
}

static void writes_fail_in_each_way(void **state)
{
	struct mm *mm = *state;
	unsigned int nr_parts[NR_FAULT_KINDS] = { 0 };

	for (int n = 0; n < NR_ROUNDS; n++) {
		enum fault_kind kind = (enum fault_kind)rnd(FAULT_DELAY);
		size_t there;

		prepare(PAGE_IO_WRITE);
		set_kind(mm, kind, 100, 1);
		begin(mm, rnd(2));
		wait_done();
		unit_fault(&mm->fail_io, 0, 1);
		there = written();
		nr_parts[kind] += there > 0;
		assert_true(there < op.io.nr_bytes);
		assert_int_equal(op.io.result,
				 kind == FAULT_ENOSPC	? -ENOSPC
				 : kind == FAULT_EDQUOT ? -EDQUOT
				 : kind == FAULT_SHORT	? (int64_t)there
				 : kind == FAULT_LOST ? (int64_t)op.io.nr_bytes
						      : -EIO);
	}
	assert_int_equal(nr_parts[FAULT_EIO] + nr_parts[FAULT_ENOSPC] +
				 nr_parts[FAULT_EDQUOT],
			 0);
	assert_true(nr_parts[FAULT_SHORT] > 0 && nr_parts[FAULT_TORN] > 0 &&
		    nr_parts[FAULT_LOST] > 0);
	assert_int_equal(vmstat_read(mm, IO_FAIL_INJECTED), NR_ROUNDS);
}

/* What only a write can suffer, reads are spared. */
static void reads_fail_where_they_can(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < NR_ROUNDS; n++) {
		enum fault_kind kind = (enum fault_kind)rnd(FAULT_DELAY);
		int64_t injected = fault_get(&mm->fail_io, FAULT_INJECTED);

		prepare(PAGE_IO_READ);
		set_kind(mm, kind, 100, 1);
		begin(mm, rnd(2));
		wait_done();
		unit_fault(&mm->fail_io, 0, 1);
		if (kind == FAULT_EIO) {
			assert_int_equal(op.io.result, -EIO);
		} else if (kind == FAULT_SHORT) {
			assert_true(op.io.result >= 0 &&
				    op.io.result < (int64_t)op.io.nr_bytes);
			assert_memory_equal(op.data, before,
					    (size_t)op.io.result);
		} else {
			assert_int_equal(op.io.result, op.io.nr_bytes);
			assert_memory_equal(op.data, before, op.io.nr_bytes);
			assert_int_equal(
				fault_get(&mm->fail_io, FAULT_INJECTED),
				injected);
		}
	}
}

/* Reads, writes, and those of swap files have nothing to do with each other. */
static void some_are_spared(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < NR_ROUNDS; n++) {
		enum page_io_op kind = rnd(2) ? PAGE_IO_READ : PAGE_IO_WRITE;
		enum fault_op which = (enum fault_op)rnd(NR_FAULT_OPS);
		bool swap = rnd(2);
		bool hit = !swap &&
			   (which == FAULT_ALL ||
			    (which == FAULT_READS) == (kind == PAGE_IO_READ));

		prepare(kind);
		op.io.swap = swap;
		assert_int_equal(fault_set(&mm->fail_io, FAULT_OP, which), 0);
		set_kind(mm, FAULT_EIO, 100, 1);
		begin(mm, rnd(2));
		wait_done();
		assert_int_equal(op.io.result,
				 hit ? -EIO : (int64_t)op.io.nr_bytes);
		unit_fault(&mm->fail_io, 0, 1);
	}
	assert_int_equal(page_io_sync(mm->io, fd, true), 0);
	unit_fault(&mm->fail_fsync, 100, 1);
	assert_int_equal(page_io_sync(mm->io, fd, true), -EIO);
	assert_int_equal(page_io_sync(mm->io, fd, true), 0);
}

static void what_is_delayed_is_done(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < 20; n++) {
		uint64_t start = os_now_ns();

		prepare(PAGE_IO_WRITE);
		assert_int_equal(fault_set(&mm->fail_io, FAULT_DELAY_MS, 3), 0);
		set_kind(mm, FAULT_DELAY, 100, 1);
		begin(mm, rnd(2));
		wait_done();
		assert_true(os_now_ns() - start >= 3 * NSEC_PER_MSEC);
		assert_int_equal(op.io.result, op.io.nr_bytes);
		assert_int_equal(written(), op.io.nr_bytes);
	}
	assert_int_equal(fault_set(&mm->fail_fsync, FAULT_ERROR, FAULT_DELAY),
			 0);
	unit_fault(&mm->fail_fsync, 100, 1);
	assert_int_equal(page_io_sync(mm->io, fd, true), 0);
}

/* As long as nothing is said. */
static void still_hangs(void)
{
	for (int i = 0; i < 100; i++)
		unit_nap();
	assert_false(is_done());
	assert_int_equal(written(), 0);
}

static void what_hangs_goes_on_when_told(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < 6; n++) {
		prepare(PAGE_IO_WRITE);
		set_kind(mm, FAULT_HANG, 100, 1);
		begin(mm, false);
		still_hangs();
		/* One or the other, even to what it is. */
		assert_int_equal(
			n % 2 ? fault_set(&mm->fail_io, FAULT_ERROR, FAULT_HANG)
			      : fault_set(&mm->fail_io, FAULT_PROBABILITY, 0),
			0);
		wait_done();
		assert_int_equal(op.io.result, op.io.nr_bytes);
		assert_int_equal(written(), op.io.nr_bytes);
	}
}

static void what_hangs_fails_when_patience_ends(void **state)
{
	struct mm *mm = *state;

	prepare(PAGE_IO_WRITE);
	set_kind(mm, FAULT_HANG, 100, -1);
	begin(mm, false);
	still_hangs();
	page_io_limit_hangs(mm->io, NSEC_PER_MSEC);
	wait_done();
	assert_int_equal(op.io.result, -EIO);
	assert_int_equal(written(), 0);
	/* And nothing hangs any more. */
	prepare(PAGE_IO_WRITE);
	begin(mm, true);
	assert_int_equal(op.io.result, -EIO);
	assert_int_equal(fault_set(&mm->fail_fsync, FAULT_ERROR, FAULT_HANG),
			 0);
	unit_fault(&mm->fail_fsync, 100, -1);
	assert_int_equal(page_io_sync(mm->io, fd, true), -EIO);
	page_io_unlimit_hangs(mm->io);
	/* ... until it may. */
	prepare(PAGE_IO_WRITE);
	begin(mm, false);
	still_hangs();
	unit_fault(&mm->fail_io, 0, 1);
	wait_done();
}

/* Four at a time: the rest go on. */
static void few_hang_at_a_time(void **state)
{
	struct mm *mm = *state;
	static struct op ops[8];
	unsigned int nr = 0;

	set_kind(mm, FAULT_HANG, 100, -1);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		prepare(PAGE_IO_READ);
		memcpy(&ops[i].io, &op.io, sizeof(op.io));
		ops[i].io.iov = ops[i].iov;
		memcpy(ops[i].iov, op.iov, sizeof(op.iov));
		atomic_store(&ops[i].nr_done, 0);
		page_io_submit(mm->io, &ops[i].io);
	}
	for (int tries = 0; tries < 1000 && nr < 4; tries++) {
		unit_nap();
		nr = 0;
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
			nr += (unsigned int)atomic_load(&ops[i].nr_done);
	}
	assert_int_equal(nr, 4);
	assert_int_equal(fault_get(&mm->fail_io, FAULT_INJECTED), 4);
	unit_fault(&mm->fail_io, 0, 1);
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		while (atomic_load(&ops[i].nr_done) == 0)
			unit_nap();
}

/* mm_destroy() does not wait for what hangs. */
static void nothing_hangs_at_the_end(void **state)
{
	struct mm *mm = *state;

	prepare(PAGE_IO_WRITE);
	set_kind(mm, FAULT_HANG, 100, -1);
	begin(mm, false);
}

/* The same seed, the same failures, cut at the same sectors. */
static void same_seed_same_parts(void **state)
{
	struct mm *mm = *state;
	int64_t results[2][100];

	for (int turn = 0; turn < 2; turn++) {
		assert_int_equal(
			fault_set(&mm->fail_io, FAULT_ERROR, FAULT_SHORT), 0);
		assert_int_equal(fault_set(&mm->fail_io, FAULT_SEED, 42), 0);
		unit_fault(&mm->fail_io, 50, -1);
		for (size_t i = 0; i < ARRAY_SIZE(results[0]); i++) {
			prepare(PAGE_IO_READ);
			op.io.nr_iov = 1;
			op.iov[0] = (struct iovec){ op.data, SIZE };
			op.io.nr_bytes = SIZE;
			begin(mm, true);
			results[turn][i] = op.io.result;
		}
	}
	assert_memory_equal(results[0], results[1], sizeof(results[0]));
}

static int open_file(void **state)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/page_io.XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : ".");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	unlink(path);
	return unit_setup(state);
}

static int close_file(void **state)
{
	int err = unit_teardown(state);

	close(fd);
	return err;
}

#define with_file(f) cmocka_unit_test_setup_teardown(f, open_file, close_file)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_file(writes_fail_in_each_way),
		with_file(reads_fail_where_they_can),
		with_file(some_are_spared),
		with_file(what_is_delayed_is_done),
		with_file(what_hangs_goes_on_when_told),
		with_file(what_hangs_fails_when_patience_ends),
		with_file(few_hang_at_a_time),
		with_file(nothing_hangs_at_the_end),
		with_file(same_seed_same_parts),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
