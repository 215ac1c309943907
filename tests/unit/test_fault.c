/*
 * test_fault.c - failures on purpose, against the settings read literally.
 *
 *	calls  1 2 3 4 5 6 7 8 9 ...
 *	space  . . .                     let through, by their size
 *	interval 2     x   x   x         every second of the rest may fail
 *	probability    x       x         and some of those do
 *	times 1        x                 until it has been enough
 */
#include "mm/fault.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_CALLS = 5000, NR_ROUNDS = 200 };

static struct fault_attr attr;

static void set(enum fault_field field, int64_t value)
{
	assert_int_equal(fault_set(&attr, field, value), 0);
	assert_int_equal(fault_get(&attr, field), value);
}

static void set_up(int64_t probability, int64_t interval, int64_t times)
{
	fault_attr_init(&attr, "test", FAULT_CLASS_PAGE);
	set(FAULT_INTERVAL, interval);
	set(FAULT_TIMES, times);
	set(FAULT_PROBABILITY, probability);
}

static void off_is_off(void **state)
{
	(void)state;
	fault_attr_init(&attr, "test", FAULT_CLASS_PAGE);
	for (int n = 0; n < NR_CALLS; n++)
		assert_false(should_fail(&attr, rnd(10000)));
	set_up(0, 1, -1);
	for (int n = 0; n < NR_CALLS; n++)
		assert_false(should_fail(&attr, 1));
	assert_int_equal(fault_get(&attr, FAULT_INJECTED), 0);
}

/* With certainty, what remains is arithmetic. */
static void interval_times_and_space(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		int64_t interval = 1 + (int64_t)rnd(9);
		int64_t times = (int64_t)rnd(30) - 1;
		int64_t space = rnd(2) ? 0 : (int64_t)rnd(1000);
		int64_t counted = 0, failed = 0;

		set_up(100, interval, times);
		set(FAULT_SPACE, space);
		for (int i = 0; i < 500; i++) {
			int64_t size = 1 + (int64_t)rnd(20);
			bool want = false;

			if (times >= 0 && failed == times) {
				; /* enough */
			} else if (space > size) {
				space -= size;
			} else if (++counted % interval == 0) {
				want = true;
				failed++;
			}
			assert_int_equal(should_fail(&attr, (size_t)size),
					 want);
		}
		assert_int_equal(fault_get(&attr, FAULT_INJECTED), failed);
		if (times >= 0)
			assert_int_equal(fault_get(&attr, FAULT_TIMES),
					 times - failed);
	}
}

static void record(bool *failed, int64_t seed)
{
	set(FAULT_SEED, seed);
	for (int i = 0; i < NR_CALLS; i++)
		failed[i] = should_fail(&attr, 1);
}

static void same_seed_same_failures(void **state)
{
	static bool first[NR_CALLS], second[NR_CALLS], other[NR_CALLS];

	(void)state;
	for (int n = 0; n < 20; n++) {
		int64_t seed = (int64_t)rnd(1ull << 62);

		set_up(5 + (int64_t)rnd(90), 1 + (int64_t)rnd(3), -1);
		record(first, seed);
		record(second, seed);
		record(other, seed + 1);
		assert_memory_equal(first, second, sizeof(first));
		assert_memory_not_equal(first, other, sizeof(first));
	}
}

/* Ten standard deviations: never by chance. */
static void probability_is_a_percentage(void **state)
{
	const double calls = 100000;

	(void)state;
	for (int64_t p = 0; p <= 100; p += 10) {
		double failed, off, variance;

		set_up(p, 1, -1);
		set(FAULT_SEED, (int64_t)rnd(1ull << 62));
		for (int i = 0; i < (int)calls; i++)
			should_fail(&attr, 1);
		failed = (double)fault_get(&attr, FAULT_INJECTED);
		off = failed - calls * (double)p / 100;
		variance = calls * (double)(p * (100 - p)) / 10000;
		assert_true(off * off <= 100 * variance);
	}
}

static void values_have_bounds(void **state)
{
	static const struct {
		enum fault_field field;
		int64_t value;
		int result;
	} cases[] = {
		{ FAULT_PROBABILITY, -1, -EINVAL },
		{ FAULT_PROBABILITY, 101, -EINVAL },
		{ FAULT_PROBABILITY, 100, 0 },
		{ FAULT_INTERVAL, 0, -EINVAL },
		{ FAULT_INTERVAL, 1, 0 },
		{ FAULT_TIMES, -2, -EINVAL },
		{ FAULT_TIMES, -1, 0 },
		{ FAULT_SPACE, -1, -EINVAL },
		{ FAULT_SPACE, INT64_MAX, 0 },
		{ FAULT_SEED, -1, -EINVAL },
		{ FAULT_SEED, INT64_MAX, 0 },
		{ FAULT_INJECTED, 0, -EINVAL },
	};

	(void)state;
	fault_attr_init(&attr, "test", FAULT_CLASS_PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t before = fault_get(&attr, cases[i].field);

		assert_int_equal(
			fault_set(&attr, cases[i].field, cases[i].value),
			cases[i].result);
		assert_int_equal(fault_get(&attr, cases[i].field),
				 cases[i].result ? before : cases[i].value);
	}
}

static void fields_have_the_kernels_names(void **state)
{
	(void)state;
	assert_string_equal(fault_field_name(FAULT_PROBABILITY), "probability");
	assert_string_equal(fault_field_name(FAULT_INTERVAL), "interval");
	assert_string_equal(fault_field_name(FAULT_TIMES), "times");
	assert_string_equal(fault_field_name(FAULT_SPACE), "space");
	for (int f = 0; f < NR_FAULT_FIELDS; f++)
		assert_non_null(fault_field_name((enum fault_field)f));
}

/* By order, and by what the caller is ready to do. */
static void allocations_are_chosen(void **state)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_KERNEL,
				      GFP_NOIO | GFP_MOVABLE,
				      GFP_NOWAIT | GFP_MOVABLE, GFP_MEMALLOC };

	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		int64_t least = (int64_t)rnd(11), wait = (int64_t)rnd(2);
		int64_t highmem = (int64_t)rnd(2), injected = 0;

		set_up(100, 1, -1);
		set(FAULT_MIN_ORDER, least);
		set(FAULT_IGNORE_GFP_WAIT, wait);
		set(FAULT_IGNORE_GFP_HIGHMEM, highmem);
		for (int i = 0; i < 50; i++) {
			gfp_t gfp = gfps[rnd(ARRAY_SIZE(gfps))];
			unsigned int order = (unsigned int)rnd(11);
			bool want = order >= least && !(gfp & GFP_RESERVE) &&
				    !(wait && (gfp & GFP_RECLAIM)) &&
				    !(highmem && (gfp & GFP_MOVABLE));

			assert_int_equal(
				should_fail_alloc(&attr, 1, gfp, order), want);
			injected += want;
		}
		assert_int_equal(fault_get(&attr, FAULT_INJECTED), injected);
	}
}

static void classes_have_their_fields(void **state)
{
	static const struct {
		enum fault_class class;
		unsigned int nr;
	} classes[] = {
		{ FAULT_CLASS_PLAIN, 6 }, { FAULT_CLASS_ALLOC, 8 },
		{ FAULT_CLASS_PAGE, 9 },  { FAULT_CLASS_IO, 9 },
		{ FAULT_CLASS_SYNC, 8 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		unsigned int nr = 0;

		fault_attr_init(&attr, "test", classes[i].class);
		for (int f = 0; f < NR_FAULT_FIELDS; f++) {
			bool has = fault_has(&attr, (enum fault_field)f);

			nr += has;
			if (!has)
				assert_int_equal(fault_set(&attr,
							   (enum fault_field)f,
							   0),
						 -EINVAL);
		}
		assert_int_equal(nr, classes[i].nr);
	}
	/* A sync has no parts. */
	assert_int_equal(fault_set(&attr, FAULT_ERROR, FAULT_TORN), -EINVAL);
	assert_int_equal(fault_set(&attr, FAULT_ERROR, FAULT_HANG), 0);
}

static void words_stand_for_values(void **state)
{
	(void)state;
	for (int64_t i = 0; i < NR_FAULT_KINDS; i++)
		assert_int_equal(fault_word_value(FAULT_ERROR,
						  fault_word(FAULT_ERROR, i)),
				 i);
	for (int64_t i = 0; i < NR_FAULT_OPS; i++)
		assert_int_equal(
			fault_word_value(FAULT_OP, fault_word(FAULT_OP, i)), i);
	assert_null(fault_word(FAULT_ERROR, NR_FAULT_KINDS));
	assert_null(fault_word(FAULT_TIMES, 0));
	assert_int_equal(fault_word_value(FAULT_ERROR, "EPERM"), -EINVAL);
	assert_int_equal(fault_word_value(FAULT_OP, ""), -EINVAL);
}

/* However many ask at once, it fails as often as it was told to. */
static _Atomic int nr_failed;

static void ask_main(void *arg)
{
	(void)arg;
	for (int i = 0; i < NR_CALLS; i++)
		nr_failed += should_fail(&attr, 1);
}

static void threads_share_the_times(void **state)
{
	struct os_thread threads[3];

	(void)state;
	set_up(50, 1, 1000);
	nr_failed = 0;
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(
			os_thread_start(&threads[i], "ask", ask_main, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		os_thread_join(&threads[i]);
	assert_int_equal(nr_failed, 1000);
	assert_int_equal(fault_get(&attr, FAULT_TIMES), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_is_off),
		cmocka_unit_test(interval_times_and_space),
		cmocka_unit_test(same_seed_same_failures),
		cmocka_unit_test(probability_is_a_percentage),
		cmocka_unit_test(values_have_bounds),
		cmocka_unit_test(fields_have_the_kernels_names),
		cmocka_unit_test(allocations_are_chosen),
		cmocka_unit_test(classes_have_their_fields),
		cmocka_unit_test(words_stand_for_values),
		cmocka_unit_test(threads_share_the_times),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
