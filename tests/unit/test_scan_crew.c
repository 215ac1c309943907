/*
 * test_scan_crew.c - helpers look at each page of a batch once.
 *
 *	lru ──isolate──► pages ──helpers──► freed:  its value in the tree
 *	                               └──► keep:   back to the list
 *
 * Counted is what went in and what came out; then all is read and compared.
 */
#include "mm/scan_crew.h"
#include "tests/unit/swap_file.h"

enum { NR = 1500, ALL_ZONES = 7 };

static struct scan_control hard(void)
{
	return (struct scan_control){
		.nr_to_reclaim = NR,
		.zone_mask = ALL_ZONES,
		.may_io = true,
		.kswapd = true,
	};
}

static void begin(struct test *t)
{
	kswapd_stop(t->mm); /* the test is kswapd */
	add_area(t, 300, NULL, 0);
	for (pgoff_t i = 0; i < NR; i++)
		assert_int_equal(write_seed(t, i, new_seed()), 0);
	lru_drain(t->mm);
}

static unsigned long length(const struct list_head *list)
{
	unsigned long nr = 0;

	for (const struct list_head *l = list->next; l != list; l = l->next)
		nr++;
	return nr;
}

/* Helpers alone: the one who offers it does nothing. */
static void helpers_do_all_of_it(void **state)
{
	struct test *t = *state;
	struct mm *mm = t->mm;
	struct scan_control sc = hard();
	struct scan_batch b = { .sc = &sc, .what = { .may_io = true } };
	unsigned long pages, taken, scanned = 0, helped;

	if (atomic_load(&mm->scan_crew.nr) == 0)
		skip(); /* one CPU */
	begin(t);
	mutex_init(&b.lock);
	for (int round = 0; round < 20; round++) {
		list_init(&b.pages);
		list_init(&b.keep);
		pages = t->m.nr_pages;
		sc.nr_reclaimed = 0;
		helped = vmstat_read(mm, KSWAPD_HELPED);
		taken = lru_isolate(mm, LRU_INACTIVE_ANON,
				    1 + (unsigned int)rnd(100), ALL_ZONES,
				    &b.pages, &scanned);
		scan_crew_offer(mm, &b);
		while (vmstat_read(mm, KSWAPD_HELPED) == helped)
			unit_nap();
		scan_crew_end(mm);
		assert_true(list_empty(&b.pages));
		assert_int_equal(taken, sc.nr_reclaimed + length(&b.keep));
		assert_int_equal(pages - t->m.nr_pages, sc.nr_reclaimed);
		lru_putback(mm, &b.keep);
		settle(t);
	}
	lru_check(mm);
	assert_true(vmstat_read(mm, PSWPOUT) > 0);
	assert_int_equal(read_all(t), 0);
}

/* As kswapd does it, with and without helpers. */
static void rounds_lose_nothing(void **state)
{
	struct test *t = *state;
	struct mm *mm = t->mm;

	begin(t);
	for (int round = 0; round < 12; round++) {
		struct scan_control sc = hard();
		unsigned long pages = t->m.nr_pages, values = t->m.nr_values;

		if (round == 9)
			scan_crew_stop(mm);
		for (int n = 0; n < 300; n++)
			assert_int_equal(write_seed(t, rnd(NR), new_seed()), 0);
		lru_drain(mm);
		pages = t->m.nr_pages;
		values = t->m.nr_values;
		reclaim_round(mm, &sc);
		assert_int_equal(pages + values,
				 t->m.nr_pages + t->m.nr_values);
		assert_true(sc.nr_reclaimed >= pages - t->m.nr_pages);
		settle(t);
	}
	lru_check(mm);
	assert_int_equal(read_all(t), 0);
}

#define with_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_test(helpers_do_all_of_it),
		with_test(rounds_lose_nothing),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
