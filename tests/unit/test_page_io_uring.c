/*
 * test_page_io_uring.c - real I/O on a real file, against a copy in memory.
 *
 *	iov[0..n] ──writev──► file, O_DIRECT ──readv──► iov[0..n]
 *	    └──────memcpy──► model[]   ◄──memcmp───────────┘
 *
 * The file is made in TMPDIR, or in build/, or here, and unlinked at once.
 * Where there is no O_DIRECT, those tests are skipped.
 */
#include "mm/page_io.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { NR_FILE = 256, IOV_PAGES = 8, NR_OPS = 12, NR_ROUNDS = 60 };

#define FILE_SIZE (NR_FILE * PAGE_SIZE)

static char *model; /* what the file has */
static int direct_fd, buffered_fd;

/* An operation, and somebody who waits for it. */
struct op {
	struct page_io io;
	struct iovec iov[IOV_PAGES];
	char *buffer; /* IOV_PAGES pages */
	_Atomic int nr_done;
	_Atomic pid_t done_by;
	bool here; /* on the thread that waits */
};

static struct op ops[NR_OPS];

static void op_done(struct page_io *io)
{
	struct op *op = container_of(io, struct op, io);

	atomic_store(&op->done_by, gettid());
	atomic_fetch_add(&op->nr_done, 1);
}

static void op_wait(struct op *op)
{
	while (atomic_load(&op->nr_done) == 0)
		unit_nap();
	assert_int_equal(atomic_load(&op->nr_done), 1);
	if (op->here)
		assert_int_equal(atomic_load(&op->done_by), gettid());
	else
		assert_int_not_equal(atomic_load(&op->done_by), gettid());
}

/* One way or the other: they do the same. */
static void start(struct page_io_engine *e, struct op *op)
{
	op->here = rnd(2);
	if (op->here) {
		page_io_do(e, &op->io);
		assert_int_equal(atomic_load(&op->nr_done), 1);
	} else {
		page_io_submit(e, &op->io);
	}
}

/* The pages of the buffer in an order of their own: a vector that matters. */
static void op_map(struct op *op, unsigned int nr)
{
	unsigned int shift = (unsigned int)rnd(nr);

	for (unsigned int i = 0; i < nr; i++)
		op->iov[i] = (struct iovec){
			op->buffer + (i + shift) % nr * PAGE_SIZE, PAGE_SIZE
		};
}

static void op_prepare(struct op *op, enum page_io_op kind, pgoff_t first,
		       unsigned int nr)
{
	op_map(op, nr);
	op->io = (struct page_io){
		.op = kind,
		.fd = direct_fd,
		.offset = first << PAGE_SHIFT,
		.iov = op->iov,
		.nr_iov = nr,
		.nr_bytes = nr * PAGE_SIZE,
		.done = op_done,
	};
	atomic_store(&op->nr_done, 0);
	op->here = false;
	for (size_t i = 0; i < nr * PAGE_SIZE; i += sizeof(uint64_t)) {
		uint64_t word = rnd(UINT64_MAX);

		memcpy(op->buffer + i, &word, sizeof(word));
	}
}

/* Between the vector and the model. */
static void model_write(const struct op *op)
{
	char *at = model + op->io.offset;

	for (unsigned int i = 0; i < op->io.nr_iov; i++) {
		memcpy(at, op->iov[i].iov_base, op->iov[i].iov_len);
		at += op->iov[i].iov_len;
	}
}

static void model_compare(const struct op *op)
{
	const char *at = model + op->io.offset;

	for (unsigned int i = 0; i < op->io.nr_iov; i++) {
		assert_memory_equal(at, op->iov[i].iov_base,
				    op->iov[i].iov_len);
		at += op->iov[i].iov_len;
	}
}

static void op_end(struct op *op)
{
	op_wait(op);
	assert_int_equal(op->io.result, op->io.nr_bytes);
	if (op->io.op == PAGE_IO_WRITE)
		model_write(op);
	else
		model_compare(op);
}

static int run(struct mm *mm, struct op *op)
{
	page_io_submit(mm->io, &op->io);
	op_wait(op);
	return (int)op->io.result;
}

/* --- set-up --------------------------------------------------------------- */

static int open_test_file(void)
{
	const char *dirs[] = { getenv("TMPDIR"), "build", "." };
	char path[4096];

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int fd;

		if (!dirs[i])
			continue;
		snprintf(path, sizeof(path), "%s/test_page_io.XXXXXX", dirs[i]);
		fd = mkstemp(path);
		if (fd < 0)
			continue;
		direct_fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		unlink(path);
		return fd;
	}
	return -1;
}

static int set_up(void **state)
{
	struct mm_config config = { .size = MM_SIZE_MIN, .io_depth = 8 };
	int err;
	struct mm *mm = mm_create(&config, &err);

	if (!mm)
		return -1;
	buffered_fd = open_test_file();
	model = calloc(1, FILE_SIZE);
	if (buffered_fd < 0 || !model || ftruncate(buffered_fd, FILE_SIZE) < 0)
		return -1;
	for (int i = 0; i < NR_OPS; i++) {
		ops[i].buffer = aligned_alloc(PAGE_SIZE, IOV_PAGES * PAGE_SIZE);
		if (!ops[i].buffer)
			return -1;
	}
	*state = mm;
	return 0;
}

static int take_down(void **state)
{
	for (int i = 0; i < NR_OPS; i++)
		free(ops[i].buffer);
	free(model);
	close(buffered_fd);
	if (direct_fd >= 0)
		close(direct_fd);
	mm_destroy(*state);
	return 0;
}

/* --- transfers ------------------------------------------------------------ */

/* Several at a time, each in a part of the file that is its own. */
static void batch(struct mm *mm, int fd, bool drop_behind)
{
	const pgoff_t share = NR_FILE / NR_OPS;

	for (unsigned int i = 0; i < NR_OPS; i++) {
		unsigned int nr = 1 + (unsigned int)rnd(IOV_PAGES);

		op_prepare(&ops[i], rnd(2) ? PAGE_IO_READ : PAGE_IO_WRITE,
			   i * share + rnd(share - nr + 1), nr);
		ops[i].io.fd = fd;
		ops[i].io.drop_behind = drop_behind;
		if (rnd(3))
			page_io_queue(mm->io, &ops[i].io);
		else
			page_io_submit(mm->io, &ops[i].io);
	}
	page_io_kick(mm->io);
	for (int i = 0; i < NR_OPS; i++)
		op_end(&ops[i]);
}

static void direct_io_reads_what_was_written(void **state)
{
	if (direct_fd < 0)
		skip();
	for (int n = 0; n < NR_ROUNDS; n++)
		batch(*state, direct_fd, false);
}

static void reads_end_where_the_file_ends(void **state)
{
	struct op *op = &ops[0];

	if (direct_fd < 0)
		skip();
	op_prepare(op, PAGE_IO_READ, NR_FILE - 3, 8);
	assert_int_equal(run(*state, op), 3 * PAGE_SIZE);
	op_prepare(op, PAGE_IO_READ, NR_FILE, 1);
	assert_int_equal(run(*state, op), 0);
}

static void errors_come_from_the_system(void **state)
{
	struct op *op = &ops[0];

	op_prepare(op, PAGE_IO_READ, 0, 1);
	op->io.fd = -1;
	assert_int_equal(run(*state, op), -EBADF);
}

static void a_thread_can_wait_for_one(void **state)
{
	struct mm *mm = *state;
	struct op *op = &ops[0];

	op_prepare(op, PAGE_IO_WRITE, 5, 4);
	op->io.fd = buffered_fd;
	model_write(op);
	assert_int_equal(page_io_submit_wait(mm->io, &op->io), 4 * PAGE_SIZE);
	op_prepare(op, PAGE_IO_READ, 5, 4);
	op->io.fd = buffered_fd;
	assert_int_equal(page_io_submit_wait(mm->io, &op->io), 4 * PAGE_SIZE);
	model_compare(op);
}

/* Frames of the DMA zone, registered where the system lets us. */
static void fixed_buffers_work_the_same(void **state)
{
	struct mm *mm = *state;
	struct zone *z = &mm->zones[ZONE_DMA];
	struct page *page = page_alloc(mm, GFP_KERNEL | GFP_DMA, 0);
	char *own = ops[0].buffer;

	if (direct_fd < 0)
		skip();
	page_io_register(mm->io,
			 mm->arena.base + ((size_t)z->start_pfn << PAGE_SHIFT),
			 (size_t)z->nr_pages << PAGE_SHIFT);
	ops[0].buffer = page_address(&mm->arena, page);
	for (int n = 0; n < NR_ROUNDS; n++) {
		op_prepare(&ops[0], n % 2 ? PAGE_IO_READ : PAGE_IO_WRITE,
			   rnd(NR_FILE), 1);
		page_io_submit(mm->io, &ops[0].io);
		op_end(&ops[0]);
	}
	ops[0].buffer = own;
	page_put(mm, page);
}

/* More than the ring holds, all of them queued before the first kick. */
static void stopping_waits_for_all(void **state)
{
	enum { NR_MANY = 100 };
	static struct op many[NR_MANY];
	int err;
	struct page_io_engine *e = page_io_start(*state, 4, &err);

	assert_non_null(e);
	for (int i = 0; i < NR_MANY; i++) {
		many[i].buffer = ops[0].buffer;
		op_prepare(&many[i], PAGE_IO_READ, rnd(NR_FILE), 1);
		many[i].io.fd = buffered_fd;
		many[i].io.drop_behind = rnd(2);
		page_io_queue(e, &many[i].io);
	}
	page_io_stop(e);
	for (int i = 0; i < NR_MANY; i++) {
		assert_int_equal(atomic_load(&many[i].nr_done), 1);
		assert_int_equal(many[i].io.result, PAGE_SIZE);
	}
}

/* --- the host's page cache ------------------------------------------------ */

static unsigned int nr_resident(pgoff_t first, unsigned int nr)
{
	unsigned char vec[NR_FILE];
	unsigned int resident = 0;
	void *map =
		mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, buffered_fd, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(mincore(map, FILE_SIZE, vec), 0);
	munmap(map, FILE_SIZE);
	for (pgoff_t i = first; i < first + nr; i++)
		resident += vec[i] & 1;
	return resident;
}

static void forget_file(void)
{
	assert_int_equal(fsync(buffered_fd), 0);
	assert_int_equal(posix_fadvise(buffered_fd, 0, 0, POSIX_FADV_DONTNEED),
			 0);
	/* No readahead of the host's: only what is asked for is read. */
	assert_int_equal(posix_fadvise(buffered_fd, 0, 0, POSIX_FADV_RANDOM),
			 0);
}

static void buffered_io_leaves_a_copy(void **state)
{
	op_prepare(&ops[0], PAGE_IO_WRITE, 10, 4);
	ops[0].io.fd = buffered_fd;
	page_io_submit(((struct mm *)*state)->io, &ops[0].io);
	op_end(&ops[0]);
	assert_int_equal(nr_resident(10, 4), 4);
}

/*
 * The host passes a page by that it has locked at that instant, for its
 * journal: a few in ten thousand. One in fifty is let pass here.
 */
static unsigned int nr_left, nr_touched;

static void start_counting(void)
{
	nr_left = nr_touched = 0;
	forget_file();
}

static void count_left(unsigned int touched)
{
	unsigned int left = nr_resident(0, NR_FILE);

	nr_touched += touched;
	nr_left += left;
	if (left > 0)
		forget_file();
}

static void check_left(void)
{
	assert_true(nr_left <= nr_touched / 50);
}

static void drop_behind_leaves_none(void **state)
{
	start_counting();
	for (int n = 0; n < NR_ROUNDS / 3; n++) {
		batch(*state, buffered_fd, true);
		count_left(NR_OPS);
	}
	check_left();
}

/* Pages that are touched in part, at either end. */
static void drop_behind_at_any_offset(void **state)
{
	start_counting();
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct op *op = &ops[0];
		pgoff_t first = rnd(NR_FILE - IOV_PAGES - 1);

		op_prepare(op, rnd(2) ? PAGE_IO_READ : PAGE_IO_WRITE, first,
			   1 + (unsigned int)rnd(IOV_PAGES));
		op->io.fd = buffered_fd;
		op->io.drop_behind = true;
		op->io.offset += rnd(PAGE_SIZE);
		op->iov[op->io.nr_iov - 1].iov_len = 1 + rnd(PAGE_SIZE);
		op->io.nr_bytes -=
			PAGE_SIZE - op->iov[op->io.nr_iov - 1].iov_len;
		start(((struct mm *)*state)->io, op);
		op_end(op);
		count_left(op->io.nr_iov);
	}
	check_left();
}

/* The partial last block of a file: exactly as long as it is. */
static void drop_behind_keeps_the_length(void **state)
{
	struct mm *mm = *state;
	struct op *op = &ops[0];

	start_counting();
	for (int n = 0; n < NR_ROUNDS; n++) {
		const uint64_t cut = 1 + rnd(PAGE_SIZE - 1);
		struct stat st;

		assert_int_equal(
			page_io_truncate(mm->io, buffered_fd, FILE_SIZE - cut),
			0);
		op_prepare(op, PAGE_IO_WRITE, NR_FILE - 1, 1);
		op->io.fd = buffered_fd;
		op->io.drop_behind = true;
		op->iov[0].iov_len = op->io.nr_bytes = PAGE_SIZE - cut;
		start(mm->io, op);
		op_end(op);
		assert_int_equal(fstat(buffered_fd, &st), 0);
		assert_int_equal(st.st_size, FILE_SIZE - cut);
		count_left(1);
		assert_int_equal(ftruncate(buffered_fd, FILE_SIZE), 0);
		memset(model + FILE_SIZE - cut, 0, cut);
		forget_file();
	}
	check_left();
}

/* The host zeroes the rest of a block that is cut, in its own cache. */
static void truncating_leaves_none(void **state)
{
	struct mm *mm = *state;
	struct op *op = &ops[0];

	start_counting();
	for (int n = 0; n < NR_ROUNDS; n++) {
		uint64_t size = rnd(FILE_SIZE);

		op_prepare(op, PAGE_IO_WRITE, size >> PAGE_SHIFT, 1);
		op->io.fd = buffered_fd;
		op->io.drop_behind = true;
		start(mm->io, op);
		op_end(op);
		assert_int_equal(page_io_truncate(mm->io, buffered_fd, size),
				 0);
		assert_int_equal(
			page_io_truncate(mm->io, buffered_fd, FILE_SIZE), 0);
		memset(model + size, 0, FILE_SIZE - size);
		count_left(1);
	}
	check_left();
}

/* --- failures on purpose -------------------------------------------------- */

static void injected_failures_arrive_by_done(void **state)
{
	struct mm *mm = *state;

	unit_fault(&mm->fail_io, 50, -1);
	for (int n = 0; n < 10 * NR_ROUNDS; n++) {
		int64_t before = fault_get(&mm->fail_io, FAULT_INJECTED);
		struct op *op = &ops[0];
		bool failed;

		op_prepare(op, rnd(2) ? PAGE_IO_READ : PAGE_IO_WRITE,
			   rnd(NR_FILE - IOV_PAGES),
			   1 + (unsigned int)rnd(IOV_PAGES));
		op->io.fd = buffered_fd;
		op->io.drop_behind = rnd(2);
		start(mm->io, op);
		op_wait(op);
		failed = fault_get(&mm->fail_io, FAULT_INJECTED) > before;
		if (failed)
			assert_int_equal(op->io.result, -EIO);
		else
			op_end(op);
	}
	assert_int_equal(vmstat_read(mm, IO_FAIL_INJECTED),
			 fault_get(&mm->fail_io, FAULT_INJECTED));
	unit_fault(&mm->fail_io, 0, -1);
}

static void blocking_calls_fail_too(void **state)
{
	struct mm *mm = *state;
	int fd = buffered_fd;

	unit_fault(&mm->fail_io, 100, 2);
	unit_fault(&mm->fail_fsync, 100, 1);
	assert_int_equal(page_io_sync(mm->io, fd, true), -EIO);
	assert_int_equal(page_io_truncate(mm->io, fd, 0), -EIO);
	assert_int_equal(page_io_fallocate(mm->io, fd, 0, 4096), -EIO);
	unit_fault(&mm->fail_io, 0, -1);
	unit_fault(&mm->fail_fsync, 0, -1);
	assert_int_equal(page_io_sync(mm->io, fd, true), 0);
	assert_int_equal(page_io_sync(mm->io, fd, false), 0);
	assert_int_equal(page_io_sync(mm->io, -1, false), -EBADF);
	assert_int_equal(page_io_truncate(mm->io, -1, 0), -EBADF);
	assert_int_equal(page_io_fallocate(mm->io, -1, 0, 1), -EBADF);
}

static void files_grow_and_shrink(void **state)
{
	struct mm *mm = *state;
	struct stat st;
	int err = page_io_fallocate(mm->io, buffered_fd, FILE_SIZE, 12345);

	if (err == -EOPNOTSUPP)
		skip();
	assert_int_equal(err, 0);
	assert_int_equal(fstat(buffered_fd, &st), 0);
	assert_int_equal(st.st_size, FILE_SIZE + 12345);
	assert_int_equal(page_io_truncate(mm->io, buffered_fd, FILE_SIZE), 0);
	assert_int_equal(fstat(buffered_fd, &st), 0);
	assert_int_equal(st.st_size, FILE_SIZE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direct_io_reads_what_was_written),
		cmocka_unit_test(reads_end_where_the_file_ends),
		cmocka_unit_test(errors_come_from_the_system),
		cmocka_unit_test(a_thread_can_wait_for_one),
		cmocka_unit_test(stopping_waits_for_all),
		cmocka_unit_test(buffered_io_leaves_a_copy),
		cmocka_unit_test(drop_behind_leaves_none),
		cmocka_unit_test(drop_behind_keeps_the_length),
		cmocka_unit_test(drop_behind_at_any_offset),
		cmocka_unit_test(truncating_leaves_none),
		cmocka_unit_test(injected_failures_arrive_by_done),
		cmocka_unit_test(blocking_calls_fail_too),
		cmocka_unit_test(files_grow_and_shrink),
		cmocka_unit_test(fixed_buffers_work_the_same),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, set_up, take_down);
}
