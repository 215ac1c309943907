/*
 * test_dirty_limit.c - who is slowed down, and who is refused.
 */
#include "mm/oom.h"
#include "tests/unit/dirty_file.h"

static void limits_are_shares_of_what_can_be_dirty(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < 1000; n++) {
		unsigned long bg, limit, all = page_alloc_nr_free(mm);
		unsigned long ratio = 1 + rnd(100), bg_ratio = rnd(101);

		assert_int_equal(vm_set(mm, VM_DIRTY_RATIO, (long)ratio), 0);
		assert_int_equal(
			vm_set(mm, VM_DIRTY_BACKGROUND_RATIO, (long)bg_ratio),
			0);
		dirty_limits(mm, &bg, &limit);
		assert_int_equal(limit, max_of(all * ratio / 100, 32ul));
		if (all * bg_ratio / 100 < limit)
			assert_int_equal(bg, all * bg_ratio / 100);
		else
			assert_int_equal(bg, limit / 2);
	}
}

static void writers_pause_between_the_middle_and_the_limit(void **state)
{
	struct mm *mm = *state;
	uint64_t last = 0;
	unsigned long nr = 0, limit = 1;
	struct fake_file *big = fake_create(mm, MM_SIZE_MIN / PAGE_SIZE);

	for (nr = 0; nr <= limit; nr++) {
		unsigned long bg, middle;
		uint64_t pause;

		assert_int_equal(fake_write(big, nr, nr), 0);
		lru_drain(mm);
		dirty_limits(mm, &bg, &limit);
		middle = (bg + limit) / 2;
		pause = balance_dirty_pages(&big->group, 1);
		if (nr + 1 <= middle)
			assert_int_equal(pause, 0);
		else if (nr + 1 >= limit)
			assert_int_equal(pause, BALANCE_PAUSE_MAX);
		else
			assert_true(pause > 0 && pause < BALANCE_PAUSE_MAX);
		assert_int_equal(dirty_limit_reached(&big->group),
				 nr + 1 >= limit);
		assert_true(pause + pause / 10 >= last);
		last = pause;
	}
	assert_int_equal(last, BALANCE_PAUSE_MAX);
	/* Waiting would not help: nothing can be written. */
	atomic_store(&big->group.stuck, true);
	assert_false(dirty_limit_reached(&big->group));
	assert_true(vmstat_read(mm, BALANCE_DIRTY_PAUSE) > 0);
	assert_true(vmstat_read(mm, FLUSHER_WAKE) > 0);
	fake_destroy(big);
}

/* What a writer is told that has been told to wait before. */
static enum oom_verdict judge_again(struct mm *mm)
{
	struct oom_patience patience = { 0 };

	oom_judge(mm, &patience);
	return oom_judge(mm, &patience);
}

static void a_writer_is_refused_only_if_waiting_is_in_vain(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	assert_int_equal(judge_again(mm), OOM_REFUSE);
	write_page(1);
	assert_int_equal(judge_again(mm), OOM_WAIT);
	atomic_store(&f->group.stuck, true);
	assert_int_equal(judge_again(mm), OOM_REFUSE);
	atomic_store(&f->mode, FAKE_QUEUED);
	mapping_flush(&f->mapping);
	assert_int_equal(judge_again(mm), OOM_WAIT);
	while (fake_complete(f))
		;
	assert_false(atomic_load(&f->group.stuck));
	fake_destroy(f);
}

/* Others free frames, and take them: wait, but not for ever. */
static void patience_ends(void **state)
{
	struct mm *mm = *state;
	struct oom_patience patience = { 0 };
	int nr_waits = 0;

	do {
		struct page *page = page_alloc(mm, GFP_KERNEL, 0);

		assert_non_null(page);
		page_put(mm, page);
		assert_true(nr_waits++ < 10000);
	} while (oom_judge(mm, &patience) == OOM_WAIT);
	assert_true(nr_waits > 2);
	assert_int_equal(oom_judge(mm, &patience), OOM_REFUSE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(limits_are_shares_of_what_can_be_dirty),
		unit_test_mm(writers_pause_between_the_middle_and_the_limit),
		unit_test_mm(a_writer_is_refused_only_if_waiting_is_in_vain),
		unit_test_mm(patience_ends),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
