/*
 * test_errseq.c - who has heard of which error, kept as a flag a watcher.
 *
 *	set(err)    all watchers have something to hear; nobody has seen it
 *	check(w)    w hears the last error, if it has not; it is seen now
 *	sample(w)   w has something to hear only if nobody has seen the last
 */
#include "mm/errseq.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_WATCHERS = 12, NR_STEPS = 200000 };

static errseq_t seq;
static uint32_t since[NR_WATCHERS];
static bool pending[NR_WATCHERS];
static int last;
static bool seen;

static void set_step(void)
{
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT, -4095, -1 };

	last = errors[rnd(ARRAY_SIZE(errors))];
	seen = false;
	errseq_set(&seq, last);
	for (int w = 0; w < NR_WATCHERS; w++)
		pending[w] = true;
}

static void check_step(void)
{
	unsigned int w = (unsigned int)rnd(NR_WATCHERS);

	assert_int_equal(errseq_check_and_advance(&seq, &since[w]),
			 pending[w] ? last : 0);
	seen |= pending[w];
	pending[w] = false;
}

static void sample_step(void)
{
	unsigned int w = (unsigned int)rnd(NR_WATCHERS);

	since[w] = errseq_sample(&seq);
	pending[w] = last != 0 && !seen;
}

static void random_steps(void **state)
{
	(void)state;
	atomic_store(&seq, 0);
	last = 0;
	for (int w = 0; w < NR_WATCHERS; w++)
		since[w] = errseq_sample(&seq);
	memset(pending, 0, sizeof(pending));
	for (int n = 0; n < NR_STEPS; n++) {
		switch (rnd(10)) {
		case 0:
			set_step();
			break;
		case 1:
		case 2:
			sample_step();
			break;
		default:
			check_step();
		}
		assert_int_equal(errseq_peek(&seq), last);
	}
}

static void unseen_error_is_told_to_a_newcomer(void **state)
{
	errseq_t s = 0;
	uint32_t first, second;

	(void)state;
	errseq_set(&s, -EIO);
	first = errseq_sample(&s);
	assert_int_equal(errseq_check_and_advance(&s, &first), -EIO);
	assert_int_equal(errseq_check_and_advance(&s, &first), 0);
	second = errseq_sample(&s);
	assert_int_equal(errseq_check_and_advance(&s, &second), 0);
}

/* The same errno again is a new error. */
static void same_error_twice_is_told_twice(void **state)
{
	errseq_t s = 0;
	uint32_t w = errseq_sample(&s);

	(void)state;
	for (int n = 0; n < 1000; n++) {
		errseq_set(&s, -EIO);
		assert_int_equal(errseq_check_and_advance(&s, &w), -EIO);
		assert_int_equal(errseq_check_and_advance(&s, &w), 0);
	}
}

/* --- several threads hear of one error, each of them once ----------------- */

enum { NR_THREADS = 4, NR_ERRORS = 200 };

static errseq_t shared;
static _Atomic int round_now, done_with_round;

static void watch_main(void *arg)
{
	uint32_t w = 0;

	(void)arg;
	for (int r = 1; r <= NR_ERRORS; r++) {
		while (atomic_load(&round_now) < r)
			sched_yield();
		ASSERT(errseq_check_and_advance(&shared, &w) == -r);
		ASSERT(errseq_check_and_advance(&shared, &w) == 0);
		atomic_fetch_add(&done_with_round, 1);
	}
}

static void threads_each_hear_once(void **state)
{
	struct os_thread threads[NR_THREADS];

	(void)state;
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(os_thread_start(&threads[i], "watcher",
						 watch_main, NULL),
				 0);
	for (int r = 1; r <= NR_ERRORS; r++) {
		errseq_set(&shared, -r);
		atomic_store(&round_now, r);
		while (atomic_load(&done_with_round) < r * NR_THREADS)
			sched_yield();
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&threads[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps),
		cmocka_unit_test(unseen_error_is_told_to_a_newcomer),
		cmocka_unit_test(same_error_twice_is_told_twice),
		cmocka_unit_test(threads_each_hear_once),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
