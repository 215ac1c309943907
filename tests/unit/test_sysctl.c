/*
 * test_sysctl.c - settings against the table they are made from.
 *
 *	least ≤ value ≤ most      stored
 *	anything else             -EINVAL, and the old value stays
 *
 * min_free_kbytes is the exception: its default and its upper bound follow
 * from the size of the memory.
 */
#include "mm/sysctl.h"
#include "mm/watermark.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>

enum { NR_STEPS = 20000 };

static const struct {
	const char *name;
	long def, least, most;
} table[NR_VM_SETTINGS] = {
#define X(item, name, def, least, most) [item] = { #name, def, least, most },
	VM_SETTINGS(X)
#undef X
};

static long most_of(struct mm *mm, enum vm_setting s)
{
	if (s == VM_MIN_FREE_KBYTES)
		return (long)(mm->arena.size / 1024 / 8);
	return table[s].most;
}

static void check_set(struct mm *mm, enum vm_setting s, long value)
{
	long before = (long)vm_get(mm, s);
	bool ok = value >= table[s].least && value <= most_of(mm, s);

	assert_int_equal(vm_set(mm, s, value), ok ? 0 : -EINVAL);
	assert_int_equal(vm_get(mm, s), ok ? value : before);
}

static void defaults_are_the_tables(void **state)
{
	struct mm *mm = *state;

	for (int s = 0; s < NR_VM_SETTINGS; s++)
		if (s != VM_MIN_FREE_KBYTES)
			assert_int_equal(vm_get(mm, (enum vm_setting)s),
					 table[s].def);
	assert_int_equal(
		vm_get(mm, VM_MIN_FREE_KBYTES),
		watermark_default_min_free_kbytes(mm->arena.size / 1024));
	/* Data is at most five seconds old when it goes out. */
	assert_true(vm_get(mm, VM_DIRTY_EXPIRE_CENTISECS) +
			    vm_get(mm, VM_DIRTY_WRITEBACK_CENTISECS) <=
		    500);
}

static void bounds_hold_to_the_last(void **state)
{
	struct mm *mm = *state;

	for (int i = 0; i < NR_VM_SETTINGS; i++) {
		enum vm_setting s = (enum vm_setting)i;

		check_set(mm, s, table[s].least);
		check_set(mm, s, table[s].least - 1);
		check_set(mm, s, most_of(mm, s));
		check_set(mm, s, most_of(mm, s) + 1);
		check_set(mm, s, LONG_MAX);
		check_set(mm, s, LONG_MIN);
		if (table[s].def >= table[s].least)
			check_set(mm, s, table[s].def);
	}
}

static void random_steps(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < NR_STEPS; n++) {
		enum vm_setting s = (enum vm_setting)rnd(NR_VM_SETTINGS);
		long value = (long)rnd(1ull << (1 + rnd(62)));

		check_set(mm, s, rnd(4) ? value : -value);
	}
}

static void names_are_different(void **state)
{
	(void)state;
	for (int s = 0; s < NR_VM_SETTINGS; s++) {
		assert_string_equal(vm_setting_name((enum vm_setting)s),
				    table[s].name);
		for (int t = 0; t < s; t++)
			assert_string_not_equal(table[s].name, table[t].name);
	}
}

/* What a change is to set in motion has happened when vm_set() returns. */
static void marks_follow(void **state)
{
	struct mm *mm = *state;
	struct zone *z = &mm->zones[ZONE_NORMAL];
	unsigned long min;

	assert_int_equal(vm_set(mm, VM_MIN_FREE_KBYTES, 0), 0);
	assert_int_equal(atomic_load(&z->wmark[WMARK_MIN]), 0);
	assert_int_equal(vm_set(mm, VM_MIN_FREE_KBYTES, 800), 0);
	min = atomic_load(&z->wmark[WMARK_MIN]);
	assert_true(min > 0);
	assert_int_equal(vm_set(mm, VM_WATERMARK_SCALE_FACTOR, 1000), 0);
	assert_int_equal(atomic_load(&z->wmark[WMARK_LOW]),
			 min + z->nr_pages / 10);
}

/* Two memories have settings of their own. */
static void nothing_is_global(void **state)
{
	struct mm *mm = *state, *other = unit_mm_quiet(MM_SIZE_MIN * 2);

	for (int s = 0; s < NR_VM_SETTINGS; s++)
		assert_int_equal(vm_set(mm, (enum vm_setting)s, table[s].least),
				 0);
	for (int s = 0; s < NR_VM_SETTINGS; s++)
		if (s != VM_MIN_FREE_KBYTES)
			assert_int_equal(vm_get(other, (enum vm_setting)s),
					 table[s].def);
	mm_destroy(other);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(defaults_are_the_tables),
		unit_test_mm(bounds_hold_to_the_last),
		unit_test_mm(random_steps),
		cmocka_unit_test(names_are_different),
		unit_test_mm(marks_follow),
		unit_test_mm(nothing_is_global),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
