/*
 * test_vmstat.c - counters of many slots against one sum each.
 *
 *	slot 0   | 3 | -7 | ...
 *	slot 1   | 2 |  9 | ...
 *	         ─────────────
 *	read     | 5 |  2 | ...     sum[item], at least 0
 */
#include "mm/vmstat.h"
#include "tests/unit/unit.h"

enum { NR_STEPS = 50000, NR_THREADS = 4 };

/* Levels that a quiet memory keeps, whatever the test adds. */
static long base[NR_VMSTAT_ITEMS];

static void learn_base(struct mm *mm)
{
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		base[i] = (long)vmstat_read(mm, (enum vmstat_item)i);
}

static void check_sums(struct mm *mm, const long *sum)
{
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		assert_int_equal(vmstat_read(mm, (enum vmstat_item)i),
				 max_of(base[i] + sum[i], 0l));
}

/* What was added must not count when the memory is taken down. */
static void undo(struct mm *mm, const long *sum)
{
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		vmstat_add(mm, (enum vmstat_item)i, -sum[i]);
}

static void sum_over_slots(void **state)
{
	struct mm *mm = *state;
	long sum[NR_VMSTAT_ITEMS] = { 0 };

	learn_base(mm);
	for (int n = 0; n < NR_STEPS; n++) {
		enum vmstat_item item = (enum vmstat_item)rnd(NR_VMSTAT_ITEMS);
		long delta = (long)rnd(2001) - 1000;

		if (n % 500 == 0) {
			unit_pin((unsigned int)rnd(mm->nr_slots));
			check_sums(mm, sum);
		}
		if (rnd(3) == 0)
			delta = rnd(2) ? 1 : -1;
		if (delta == 1)
			vmstat_inc(mm, item);
		else if (delta == -1)
			vmstat_dec(mm, item);
		else
			vmstat_add(mm, item, delta);
		sum[item] += delta;
	}
	check_sums(mm, sum);
	undo(mm, sum);
}

/* Each CPU counts for itself; one may be below zero, the sum is right. */
static void slots_are_separate(void **state)
{
	struct mm *mm = *state;
	long sum = 0;

	for (unsigned int i = 0; i < mm->nr_slots; i++) {
		long part = (long)rnd(1000) - 500;

		atomic_store(&mm->vmstat[i].count[NR_PARKED], part);
		sum += part;
	}
	assert_int_equal(vmstat_read(mm, NR_PARKED), max_of(sum, 0l));
}

static void never_below_zero(void **state)
{
	struct mm *mm = *state;

	vmstat_dec(mm, NR_PARKED);
	assert_int_equal(vmstat_read(mm, NR_PARKED), 0);
	vmstat_add(mm, NR_PARKED, 3);
	assert_int_equal(vmstat_read(mm, NR_PARKED), 2);
}

static void names_are_different(void **state)
{
	(void)state;
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++) {
		const char *name = vmstat_name((enum vmstat_item)i);

		assert_non_null(name);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"),
				 strlen(name));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				name, vmstat_name((enum vmstat_item)j));
	}
}

/* The levels of the lists are found by the list's number. */
static void lists_are_in_order(void **state)
{
	(void)state;
	assert_int_equal(NR_ACTIVE_ANON, NR_INACTIVE_ANON + LRU_ACTIVE_ANON);
	assert_int_equal(NR_INACTIVE_FILE,
			 NR_INACTIVE_ANON + LRU_INACTIVE_FILE);
	assert_int_equal(NR_ACTIVE_FILE, NR_INACTIVE_ANON + LRU_ACTIVE_FILE);
	assert_int_equal(NR_UNEVICTABLE, NR_INACTIVE_ANON + LRU_UNEVICTABLE);
	assert_int_equal(PGALLOC_NORMAL, PGALLOC_DMA + ZONE_NORMAL);
	assert_int_equal(PGALLOC_MOVABLE, PGALLOC_DMA + ZONE_MOVABLE);
}

static void count_main(void *arg)
{
	for (int n = 0; n < NR_STEPS; n++) {
		vmstat_inc(arg, CACHE_HIT);
		vmstat_add(arg, NR_PARKED, n % 2 ? -5 : 5);
	}
}

static void threads_lose_no_count(void **state)
{
	struct os_thread threads[NR_THREADS];

	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(os_thread_start(&threads[i], "counter",
						 count_main, *state),
				 0);
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&threads[i]);
	assert_int_equal(vmstat_read(*state, CACHE_HIT), NR_THREADS * NR_STEPS);
	assert_int_equal(vmstat_read(*state, NR_PARKED), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(threads_lose_no_count),
		unit_test_mm(slots_are_separate),
		unit_test_mm(never_below_zero),
		cmocka_unit_test(names_are_different),
		cmocka_unit_test(lists_are_in_order),
		unit_test_mm(sum_over_slots),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
