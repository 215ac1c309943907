/*
 * test_swap.c - anonymous pages through reclaim to a real file and back.
 *
 *	write ──► page ──reclaim──► object ──► cluster ──io_uring──► file
 *	model[] ◄──memcmp── page or buffer ◄── object ◄─────────────────┘
 *	                                                damaged: -EIO
 */
#include "tests/unit/swap_file.h"

enum { PATTERN = 0x77 };

static int write_page(struct test *t, pgoff_t i)
{
	return write_seed(t, i, new_seed());
}

/* Returns how many could be written. */
static pgoff_t write_pages(struct test *t, pgoff_t first, pgoff_t last)
{
	for (pgoff_t i = first; i <= last; i++)
		if (write_page(t, i) != 0)
			return i - first;
	return last - first + 1;
}

static void push_all(struct test *t)
{
	for (pgoff_t i = 0; i < NR_PAGES; i++)
		if (push_page(t, i) == PAGEOUT_KEEP)
			break;
	settle(t);
}

/* --- there and back -------------------------------------------------------------- */

static void pages_come_back(void **state)
{
	struct test *t = *state;

	add_area(t, 300, NULL, 0);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(write_pages(t, 0, NR_PAGES - 1), NR_PAGES);
		assert_true(vmstat_read(t->mm, PSWPOUT) > 0);
		assert_int_equal(read_all(t), 0);
		for (int n = 0; n < 1000; n++) {
			assert_int_equal(write_page(t, rnd(NR_PAGES)), 0);
			assert_int_equal(read_page(t, rnd(NR_PAGES)), 0);
		}
	}
	assert_int_equal(read_all(t), 0);
	assert_true(vmstat_read(t->mm, SWAP_READ_IO) > 0);
	assert_int_equal(vmstat_read(t->mm, SWPIN_DAMAGED), 0);
	assert_int_equal(vmstat_read(t->mm, SWAP_WRITE_ERROR), 0);
}

/* Runs of neighbours, several at once: another thread unpacks them. */
static void neighbours_are_handed_on(void **state)
{
	struct test *t = *state;
	enum { NR = 1200, RUN = 100 };

	t->noise_percent = 10;
	add_area(t, 300, NULL, 0);
	assert_int_equal(write_pages(t, 0, NR - 1), NR);
	push_all(t);
	for (pgoff_t i = 0; i < NR; i += RUN)
		page_cache_read(&t->m, i, RUN, UINT64_MAX, GFP_KERNEL);
	assert_int_equal(read_all(t), 0);
	assert_true(vmstat_read(t->mm, SWPIN_HANDED_ON) > 0);
	assert_true(vmstat_read(t->mm, SWPIN_HANDED_ON) <=
		    vmstat_read(t->mm, SWAP_READ_IO));
}

static void areas_are_filled_in_turn(void **state)
{
	struct test *t = *state;
	uint64_t total, used, all, all_used;

	t->noise_percent = 100;
	add_area(t, 20, NULL, 0);
	add_area(t, 150, NULL, 0);
	write_pages(t, 0, NR_PAGES - 1);
	assert_int_equal(read_all(t), 0);
	swap_area_usage(t->swap, 0, &total, &used);
	assert_int_equal(total, 19ull << SWAP_CLUSTER_SHIFT);
	assert_int_equal(used, total);
	all = total;
	all_used = used;
	swap_area_usage(t->swap, 1, &total, &used);
	assert_true(used > 0 && used <= total);
	all += total;
	all_used += used;
	swap_usage(t->swap, &total, &used);
	assert_int_equal(total, all);
	/* The compactor may be at it. */
	assert_true(used <= all && all_used <= all);
}

/* Bad clusters, and the first one, are never written. */
static void bad_clusters_are_left_alone(void **state)
{
	struct test *t = *state;
	uint32_t bad[] = { 0, 1, 5, 6, 7, 5, 59, 60, 99999, 30 };
	static char pattern[SWAP_CLUSTER_SIZE], is[SWAP_CLUSTER_SIZE];
	uint64_t total, used;

	t->noise_percent = 100;
	memset(pattern, PATTERN, sizeof(pattern));
	add_area(t, 60, bad, ARRAY_SIZE(bad));
	for (uint32_t n = 0; n < 60; n++)
		assert_int_equal(pwrite(t->buffered_fd[0], pattern,
					sizeof(pattern),
					(off_t)n << SWAP_CLUSTER_SHIFT),
				 sizeof(pattern));
	assert_int_equal(fsync(t->buffered_fd[0]), 0);
	swap_usage(t->swap, &total, &used);
	assert_int_equal(total, 53ull << SWAP_CLUSTER_SHIFT);
	assert_true(write_pages(t, 0, NR_PAGES - 1) < NR_PAGES);
	settle(t);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (bad[i] >= 60)
			continue;
		assert_int_equal(pread(t->buffered_fd[0], is, sizeof(is),
				       (off_t)bad[i] << SWAP_CLUSTER_SHIFT),
				 sizeof(is));
		assert_memory_equal(is, pattern, sizeof(is));
	}
	assert_int_equal(read_all(t), 0);
}

/* --- damage ----------------------------------------------------------------------- */

/* Any byte of the file: that page or none, and nothing is read wrong. */
static void a_flipped_byte_is_no_page(void **state)
{
	struct test *t = *state;
	unsigned int nr_hit = 0;

	add_area(t, 60, NULL, 0);
	write_pages(t, 0, 2999);
	push_all(t);
	for (int n = 0; n < 8; n++) {
		pgoff_t bad;

		for (int k = 0; k < 8; k++)
			flip(t, rnd(60ull << SWAP_CLUSTER_SHIFT));
		fsync(t->buffered_fd[0]);
		push_all(t);
		bad = read_all(t);
		nr_hit += bad > 0;
		assert_true(bad <= 8 * ((pgoff_t)n + 1));
	}
	assert_true(nr_hit > 0);
	assert_true(vmstat_read(t->mm, SWPIN_DAMAGED) > 0);
	/* What cannot be read can be written, and is good again. */
	write_pages(t, 0, 2999);
	push_all(t);
	assert_int_equal(read_all(t), 0);
}

static void a_cut_file_is_not_read_wrong(void **state)
{
	struct test *t = *state;
	pgoff_t bad;

	add_area(t, 100, NULL, 0);
	write_pages(t, 0, NR_PAGES - 1);
	push_all(t);
	assert_int_equal(
		ftruncate(t->buffered_fd[0], 9 * SWAP_CLUSTER_SIZE + 12345), 0);
	bad = read_all(t);
	assert_true(bad > 0 && bad < NR_PAGES);
	assert_true(vmstat_read(t->mm, SWAP_READ_ERROR) > 0);
	/* As long again, but zeroes. */
	assert_int_equal(ftruncate(t->buffered_fd[0], 100 * SWAP_CLUSTER_SIZE),
			 0);
	push_all(t);
	assert_true(read_all(t) > 0);
	/* It grows again by what is written. */
	empty(t);
	assert_int_equal(write_pages(t, 0, 1999), 2000);
	push_all(t);
	assert_int_equal(read_all(t), 0);
}

/* No write ever succeeds: what was taken in stays. */
static void a_read_only_area_loses_nothing(void **state)
{
	struct test *t = *state;
	pgoff_t nr;

	t->noise_percent = 100;
	add_read_only_area(t, 100);
	nr = write_pages(t, 0, NR_PAGES - 1);
	assert_true(nr > 500 && nr < NR_PAGES);
	assert_int_equal(read_all(t), 0);
	os_sleep_ns(1200 * NSEC_PER_MSEC);
	settle(t);
	assert_int_equal(read_all(t), 0);
	assert_true(vmstat_read(t->mm, SWAP_WRITE_ERROR) > 0);
	empty(t);
	assert_true(write_pages(t, 0, 499) == 500);
	assert_int_equal(read_all(t), 0);
}

/* --- making room ------------------------------------------------------------------- */

static void punch_some(struct test *t, unsigned int percent)
{
	for (pgoff_t i = 0; i < NR_PAGES; i++)
		if (rnd(100) < percent) {
			anon_punch(&t->m, i, i);
			t->seeds[i] = 0;
		}
}

static pgoff_t nr_stored(struct test *t)
{
	pgoff_t nr = 0;

	for (pgoff_t i = 0; i < NR_PAGES; i++)
		nr += t->seeds[i] != 0;
	return nr;
}

/* How many more pages can be written, where there are holes. */
static pgoff_t fill_holes(struct test *t)
{
	pgoff_t nr = 0;

	for (pgoff_t i = 0; i < NR_PAGES; i++)
		if (t->seeds[i] == 0) {
			if (write_page(t, i) != 0)
				break;
			nr++;
		}
	return nr;
}

/* As many pages as before are stored again, but for so many. */
static void assert_room(struct test *t, pgoff_t full, pgoff_t less)
{
	pgoff_t now = nr_stored(t);

	if (now + less >= full)
		return;
	print_message("%lu pages were stored, now %lu; garbage %lu, free %u "
		      "of %u clusters\n",
		      full, now, (unsigned long)t->swap->garbage,
		      t->swap->nr_free, t->swap->nr_clusters);
	fail();
}

static void holes_become_room(void **state)
{
	struct test *t = *state;
	pgoff_t full;

	t->noise_percent = 100;
	add_area(t, 60, NULL, 0);
	full = write_pages(t, 0, NR_PAGES - 1);
	assert_true(full < NR_PAGES);
	for (int round = 0; round < 4; round++) {
		pgoff_t left;

		punch_some(t, 70);
		left = nr_stored(t);
		assert_true(left < full * 2 / 3);
		fill_holes(t);
		assert_room(t, full, full / 10);
		assert_int_equal(read_all(t), 0);
	}
	assert_true(vmstat_read(t->mm, SWAP_COMPACT_FREED) > 0);
	assert_true(vmstat_read(t->mm, SWAP_COMPACT_MOVED) > 0);
}

/* One that cannot be compacted is not in the way of the others. */
static void a_lost_cluster_is_passed_by(void **state)
{
	struct test *t = *state;
	static char zeroes[SWAP_CLUSTER_SIZE];
	pgoff_t full;

	t->noise_percent = 100;
	add_area(t, 60, NULL, 0);
	full = write_pages(t, 0, NR_PAGES - 1);
	push_all(t);
	for (uint32_t n = 20; n < 23; n++)
		assert_int_equal(pwrite(t->buffered_fd[0], zeroes,
					sizeof(zeroes),
					(off_t)n << SWAP_CLUSTER_SHIFT),
				 sizeof(zeroes));
	assert_int_equal(fsync(t->buffered_fd[0]), 0);
	punch_some(t, 70);
	fill_holes(t);
	assert_room(t, full, full / 10 + 3 * 31);
	assert_true(read_all(t) <= 3 * 31);
}

/* Nobody waits for it: the end must. */
static void stopping_waits_for_reads(void **state)
{
	struct test *t = *state;

	t->noise_percent = 100;
	add_area(t, 60, NULL, 0);
	write_pages(t, 0, 1999);
	push_all(t);
	for (pgoff_t i = 0; i < 600; i += 16)
		page_cache_read(&t->m, i, 16, UINT64_MAX, GFP_KERNEL);
}

/* --- threads ------------------------------------------------------------------------ */

enum { NR_THREADS = 3 };

struct user {
	struct os_thread thread;
	struct test *t;
	unsigned int nr;
	uint64_t state;
};

/* Each has pages of its own; they share clusters. */
static void user_main(void *arg)
{
	struct user *u = arg;
	struct test *t = u->t;
	char data[PAGE_SIZE], want[PAGE_SIZE];

	for (int n = 0; n < 6000; n++) {
		pgoff_t i = rnd_of(&u->state) % (NR_PAGES / NR_THREADS) *
				    NR_THREADS +
			    u->nr;
		struct page *page;
		int err;

		if (rnd_of(&u->state) % 20 == 0) {
			anon_punch(&t->m, i, i);
			t->seeds[i] = 0;
		} else if (rnd_of(&u->state) % 2) {
			page = page_cache_grab(&t->m, i,
					       GFP_KERNEL | GFP_GROWTH, &err);
			if (!page)
				continue;
			ASSERT(anon_charge(&t->m, page) == 0);
			t->seeds[i] = 1 + (uint32_t)rnd_of(&u->state);
			contents(t, t->seeds[i],
				 page_address(&t->mm->arena, page));
			page_set(page, PG_uptodate);
			anon_set_dirty(&t->m, page);
			page_unlock(&t->mm->page_waits, page);
			page_put(t->mm, page);
		} else {
			if (rnd_of(&u->state) % 2)
				page_cache_read(&t->m, i, 8, UINT64_MAX,
						GFP_NOWAIT);
			ASSERT(anon_read_page(&t->m, i, data) == 0);
			contents(t, t->seeds[i], want);
			ASSERT(memcmp(data, want, PAGE_SIZE) == 0);
		}
	}
}

static void threads_share_clusters(void **state)
{
	struct test *t = *state;
	struct user users[NR_THREADS];

	add_area(t, 100, NULL, 0);
	for (unsigned int i = 0; i < NR_THREADS; i++) {
		users[i].t = t;
		users[i].nr = i;
		users[i].state = rnd(UINT64_MAX);
		assert_int_equal(os_thread_start(&users[i].thread, "user",
						 user_main, &users[i]),
				 0);
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&users[i].thread);
	assert_int_equal(read_all(t), 0);
	assert_true(vmstat_read(t->mm, PSWPOUT) > 0);
}

#define with_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_test(pages_come_back),
		with_test(neighbours_are_handed_on),
		with_test(areas_are_filled_in_turn),
		with_test(bad_clusters_are_left_alone),
		with_test(a_flipped_byte_is_no_page),
		with_test(a_cut_file_is_not_read_wrong),
		with_test(a_read_only_area_loses_nothing),
		with_test(holes_become_room),
		with_test(a_lost_cluster_is_passed_by),
		with_test(stopping_waits_for_reads),
		with_test(threads_share_clusters),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
