/*
 * test_watermark.c - marks and reserves against plain arithmetic.
 *
 *	free frames of a zone ──────────────────────────────────► 0
 *	        | ok                          | not ok          |
 *	                       mark + reserve + 2^order
 *
 * A zone is emptied frame by frame; the answer must change at exactly one
 * place.
 */
#include "mm/watermark.h"
#include "tests/unit/unit.h"

static unsigned long mark_of(struct zone *z, enum watermark w)
{
	return atomic_load(&z->wmark[w]);
}

static void check_marks(struct mm *mm)
{
	unsigned long min_free = vm_get(mm, VM_MIN_FREE_KBYTES) / 4;
	unsigned long sum = 0;

	for (int t = 0; t < NR_ZONES; t++) {
		struct zone *z = &mm->zones[t];
		unsigned long min = mark_of(z, WMARK_MIN);
		unsigned long low = mark_of(z, WMARK_LOW);
		unsigned long high = mark_of(z, WMARK_HIGH);

		assert_true(low >= min && low - min == high - low);
		assert_true(min <= z->nr_pages / 4);
		assert_true(high <= z->nr_pages / 2);
		sum += min;
	}
	assert_true(sum <= min_free);
}

/* A zone keeps more the more there is above it, and nothing from itself. */
static void check_reserves(struct mm *mm)
{
	for (int t = 0; t < NR_ZONES; t++) {
		struct zone *z = &mm->zones[t];
		unsigned long last = 0;

		for (int high = 0; high < NR_ZONES; high++) {
			unsigned long r = atomic_load(&z->lowmem_reserve[high]);

			if (high <= t)
				assert_int_equal(r, 0);
			assert_true(r >= last && r <= z->nr_pages / 2);
			last = r;
		}
	}
}

static void marks_follow_the_settings(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < 300; n++) {
		long kib = (long)rnd(mm->arena.size / 1024 / 8 + 1);
		long scale = 1 + (long)rnd(3000);

		assert_int_equal(vm_set(mm, VM_MIN_FREE_KBYTES, kib), 0);
		assert_int_equal(vm_set(mm, VM_WATERMARK_SCALE_FACTOR, scale),
				 0);
		check_marks(mm);
		check_reserves(mm);
	}
}

/* Shares: min in proportion to size, the distance a part of the zone. */
static void marks_have_the_stated_size(void **state)
{
	struct mm *mm = *state;
	struct zone *z = &mm->zones[ZONE_MOVABLE];
	unsigned long total = 0, min;

	for (int t = 0; t < NR_ZONES; t++)
		total += mm->zones[t].nr_pages;
	assert_int_equal(vm_set(mm, VM_MIN_FREE_KBYTES, 400), 0);
	assert_int_equal(vm_set(mm, VM_WATERMARK_SCALE_FACTOR, 1000), 0);
	min = 100 * z->nr_pages / total;
	assert_int_equal(mark_of(z, WMARK_MIN), min);
	assert_int_equal(mark_of(z, WMARK_LOW), min + z->nr_pages / 10);
	assert_int_equal(mark_of(z, WMARK_HIGH), min + 2 * (z->nr_pages / 10));
	assert_int_equal(vm_set(mm, VM_WATERMARK_SCALE_FACTOR, 1), 0);
	assert_int_equal(mark_of(z, WMARK_LOW), min + min / 4);
}

static void default_is_four_roots(void **state)
{
	(void)state;
	for (int n = 0; n < 20000; n++) {
		unsigned long kib = rnd(1ul << (1 + rnd(40)));
		unsigned long r = watermark_default_min_free_kbytes(kib);

		assert_true(r >= 128);
		if (r == 128)
			assert_true(kib * 16 < 129 * 129);
		else
			assert_true(r * r <= kib * 16 &&
				    kib * 16 < (r + 1) * (r + 1));
	}
}

static bool model_ok(struct zone *z, unsigned int order, enum watermark w,
		     enum zone_type highest, unsigned long nr_free)
{
	unsigned long keep = mark_of(z, w);

	if ((int)highest > (int)z->type)
		keep += atomic_load(&z->lowmem_reserve[highest]);
	return nr_free >= keep + (1ul << order);
}

static void check_answers(struct zone *z, unsigned long nr_free)
{
	for (unsigned int order = 0; order < 4; order++)
		for (int w = 0; w < NR_WMARKS; w++)
			for (int h = 0; h < NR_ZONES; h++)
				assert_int_equal(
					watermark_ok(z, order,
						     (enum watermark)w,
						     (enum zone_type)h),
					model_ok(z, order, (enum watermark)w,
						 (enum zone_type)h, nr_free));
}

static void answer_changes_at_the_mark(void **state)
{
	struct mm *mm = *state;

	page_alloc_drain(mm);
	for (int t = 0; t < NR_ZONES; t++) {
		struct zone *z = &mm->zones[t];
		unsigned long nr_free = zone_nr_free(z);
		struct page *page, *n;
		struct list_head taken;

		list_init(&taken);
		mutex_lock(&z->buddy.lock);
		do {
			check_answers(z, nr_free--);
			page = buddy_alloc(&z->buddy, 0);
			if (page)
				list_add(&taken, &page->lru);
		} while (page);
		list_for_each_entry_safe(page, n, &taken, struct page, lru)
		{
			list_del(&page->lru);
			buddy_free(&z->buddy, page, 0);
		}
		mutex_unlock(&z->buddy.lock);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(marks_follow_the_settings),
		unit_test_mm(marks_have_the_stated_size),
		cmocka_unit_test(default_is_four_roots),
		unit_test_mm(answer_changes_at_the_mark),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
