/*
 * test_page_io_local.c - two users of a ring, each of whom gets what is his.
 *
 * "The others" are played by no-ops whose user data is a number; the file has in
 * each page the page's number. Nobody else submits or reaps.
 */
#include "mm/page_io_local.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>

enum { FILE_PAGES = 64, NR_READS = 48, NR_OTHERS = 5, NR_ROUNDS = 200 };

struct read {
	struct page_io io;
	struct iovec iov[8];
	unsigned int nr; /* pages */
	pgoff_t first;
	char *buffer;
	bool busy, fails;
	_Atomic pid_t done_by;
};

static struct read reads[NR_READS];
static int fd;

static void read_done(struct page_io *io)
{
	struct read *r = container_of(io, struct read, io);

	atomic_store(&r->done_by, gettid());
}

static int open_file(void)
{
	static char page[PAGE_SIZE];
	char path[] = "build/plimsoll-local.XXXXXX";
	int file = mkstemp(path);

	assert_true(file >= 0);
	unlink(path);
	for (unsigned int i = 0; i < FILE_PAGES; i++) {
		memset(page, (int)i + 1, PAGE_SIZE);
		assert_int_equal(
			pwrite(file, page, PAGE_SIZE, (off_t)i << PAGE_SHIFT),
			PAGE_SIZE);
	}
	return file;
}

static void begin(struct page_io_engine *e, struct read *r, unsigned int nr)
{
	r->nr = nr;
	r->first = rnd(FILE_PAGES - nr);
	r->busy = true;
	memset(r->buffer, 0xff, nr * PAGE_SIZE);
	for (unsigned int i = 0; i < nr; i++)
		r->iov[i] =
			(struct iovec){ r->buffer + i * PAGE_SIZE, PAGE_SIZE };
	r->io = (struct page_io){
		.op = PAGE_IO_READ,
		.fd = r->fails ? -1 : fd,
		.offset = r->first << PAGE_SHIFT,
		.iov = r->iov,
		.nr_iov = nr,
		.nr_bytes = nr * PAGE_SIZE,
		.done = read_done,
	};
	atomic_store(&r->done_by, 0);
	page_io_queue(e, &r->io);
	page_io_kick(e);
}

/* Those that have ended: by whom, and with what. Returns how many. */
static unsigned int check_ended(bool here)
{
	unsigned int nr = 0;

	for (int i = 0; i < NR_READS; i++) {
		struct read *r = &reads[i];
		pid_t by = atomic_load(&r->done_by);

		if (!r->busy || by == 0)
			continue;
		assert_int_equal(by == gettid(), here);
		r->busy = false;
		nr++;
		if (r->fails) {
			assert_int_equal(r->io.result, -EBADF);
			continue;
		}
		assert_int_equal(r->io.result, r->nr * PAGE_SIZE);
		for (unsigned int p = 0; p < r->nr; p++)
			for (size_t b = 0; b < PAGE_SIZE; b += 511)
				assert_int_equal(r->buffer[p * PAGE_SIZE + b],
						 (char)(r->first + p + 1));
	}
	return nr;
}

/* The others: each of their completions once, and no other but void ones. */
static unsigned int others_reap(struct io_uring *ring, bool seen[NR_OTHERS])
{
	unsigned int head, nr = 0, all = 0;
	struct io_uring_cqe *cqe;

	io_uring_for_each_cqe(ring, head, cqe)
	{
		all++;
		if (cqe->res == -ENOTCONN) {
			assert_int_equal(cqe->user_data, 0);
			continue;
		}
		assert_int_equal(cqe->res, 0);
		assert_in_range(cqe->user_data, 1, NR_OTHERS);
		assert_false(seen[cqe->user_data - 1]);
		seen[cqe->user_data - 1] = true;
		nr++;
	}
	io_uring_cq_advance(ring, all);
	return nr;
}

static void others_begin(struct io_uring *ring, bool seen[NR_OTHERS])
{
	for (unsigned int i = 0; i < NR_OTHERS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		assert_non_null(sqe); /* there is always room for them */
		io_uring_prep_nop(sqe);
		io_uring_sqe_set_data64(sqe, i + 1);
		seen[i] = false;
	}
}

static void test_each_gets_his_own(void **state)
{
	struct mm *mm = *state;
	struct page_io_local l;
	struct io_uring ring;

	assert_int_equal(io_uring_queue_init(NR_OTHERS + 1 + rnd(10), &ring, 0),
			 0);
	page_io_local_init(&l, &ring, NR_OTHERS);
	for (int round = 0; round < NR_ROUNDS; round++) {
		unsigned int nr = 0, ended = 0, theirs = 0;
		bool seen[NR_OTHERS], first = rnd(2);

		page_io_local_open(&l);
		if (first)
			others_begin(&ring, seen);
		for (unsigned int n = rnd(l.nr_max + 1); nr < n; nr++) {
			reads[nr].fails = rnd(8) == 0;
			begin(mm->io, &reads[nr], 1 + (unsigned int)rnd(4));
		}
		if (!first)
			others_begin(&ring, seen);
		page_io_local_close(&l);
		assert_int_equal(l.nr, nr);
		while (ended < nr || theirs < NR_OTHERS) {
			assert_true(io_uring_submit_and_wait(&ring, 1) >= 0);
			page_io_reap(&l);
			ended += check_ended(true);
			theirs += others_reap(&ring, seen);
		}
		assert_int_equal(l.nr, 0);
		assert_int_equal(others_reap(&ring, seen), 0);
	}
	io_uring_queue_exit(&ring);
}

/* What completes is shown to nobody before the reap. */
static void test_nothing_is_seen_before(void **state)
{
	struct mm *mm = *state;
	struct page_io_local l;
	struct io_uring ring;

	assert_int_equal(io_uring_queue_init(16, &ring, 0), 0);
	page_io_local_init(&l, &ring, NR_OTHERS);
	page_io_local_open(&l);
	reads[0].fails = false;
	begin(mm->io, &reads[0], 1);
	page_io_local_close(&l);
	assert_int_equal(io_uring_submit_and_wait(&ring, 1), 1);
	assert_int_equal(io_uring_cq_ready(&ring), 0);
	assert_int_equal(check_ended(true), 0);
	page_io_reap(&l);
	assert_int_equal(check_ended(true), 1);
	assert_int_equal(io_uring_cq_ready(&ring), 1);
	io_uring_queue_exit(&ring);
}

/* Long ones, writes, what comes when it is full or closed: the engine's. */
static void test_the_rest_goes_to_the_engine(void **state)
{
	struct mm *mm = *state;
	struct page_io_local l;
	struct io_uring ring;
	unsigned int nr = 0;

	assert_int_equal(io_uring_queue_init(16, &ring, 0), 0);
	page_io_local_init(&l, &ring, NR_OTHERS);
	reads[0].fails = false;
	begin(mm->io, &reads[0], 1); /* before it is open */
	page_io_local_open(&l);
	reads[1].fails = false;
	begin(mm->io, &reads[1], 8);
	assert_int_equal(l.nr, 0);
	while (nr < 2)
		nr += check_ended(false);
	for (nr = 0; nr < l.nr_max; nr++) {
		reads[nr].fails = false;
		begin(mm->io, &reads[nr], 1);
	}
	assert_int_equal(l.nr, nr);
	reads[nr].fails = false;
	begin(mm->io, &reads[nr], 1);
	assert_int_equal(l.nr, nr);
	page_io_local_close(&l);
	while (atomic_load(&reads[nr].done_by) == 0)
		unit_nap();
	assert_int_equal(check_ended(false), 1);
	while (l.nr > 0) {
		io_uring_submit_and_wait(&ring, 1);
		page_io_reap(&l);
	}
	assert_int_equal(check_ended(true), nr);
	io_uring_queue_exit(&ring);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(test_each_gets_his_own),
		unit_test_mm(test_nothing_is_seen_before),
		unit_test_mm(test_the_rest_goes_to_the_engine),
	};
	int failed;

	unit_seed(argc, argv);
	fd = open_file();
	for (int i = 0; i < NR_READS; i++)
		reads[i].buffer = aligned_alloc(PAGE_SIZE, 8 * PAGE_SIZE);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	for (int i = 0; i < NR_READS; i++)
		free(reads[i].buffer);
	close(fd);
	return failed;
}
