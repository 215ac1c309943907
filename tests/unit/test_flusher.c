/*
 * test_flusher.c - what is written back when, by whom, and in which order.
 */
#include "tests/unit/dirty_file.h"

static void flusher_writes_what_is_asked_for(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);
	struct fake_file *other = fake_create(mm, NR_INDICES);

	(void)state;
	set_up(mm);
	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 360000), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_RATIO, 100), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_BACKGROUND_RATIO, 100), 0);
	assert_int_equal(fake_write(other, 1, 11), 0);
	write_some();
	write_page(8);
	flusher_kick(&f->mapping);
	while (atomic_load(&f->held) > 0)
		unit_nap();
	memset(dirty, 0, sizeof(dirty));
	for (pgoff_t i = 0; i < NR_INDICES; i++)
		assert_int_equal(atomic_load(&f->disk[i]), word[i]);
	assert_int_equal(other->nr_log, 0);
	flusher_wake(mm);
	while (atomic_load(&other->held) > 0)
		unit_nap();
	assert_int_equal(atomic_load(&other->disk[1]), 11);
	fake_destroy(other);
	fake_destroy(f);
	mm_destroy(mm);
}

static void flusher_writes_what_is_old(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);

	(void)state;
	set_up(mm);
	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 1), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_WRITEBACK_CENTISECS, 1), 0);
	write_page(3);
	while (atomic_load(&f->held) > 0)
		unit_nap();
	assert_int_equal(atomic_load(&f->disk[3]), word[3]);
	fake_destroy(f);
	mm_destroy(mm);
}

/* A device hangs, with all that may be dirty; a second one has its own flusher. */
static void a_device_that_hangs_holds_only_its_own(void **state)
{
	struct mm_config config = { .size = MM_SIZE_MIN,
				    .io_depth = 16,
				    .nr_flushers = 2 };
	struct mm *mm = unit_mm_of(&config);
	struct fake_file *hung = fake_create(mm, MM_SIZE_MIN / PAGE_SIZE);
	struct fake_file *too = fake_create(mm, NR_INDICES);
	struct fake_file *well = fake_create(mm, MM_SIZE_MIN / PAGE_SIZE);
	pgoff_t nr = 0;

	(void)state;
	atomic_store(&hung->mode, FAKE_HANGS);
	atomic_store(&too->mode, FAKE_HANGS);
	too->mapping.group = &hung->group; /* on the same device */
	assert_int_equal(fake_write(too, 0, 9), 0);
	while (!dirty_limit_reached(&hung->group)) {
		assert_int_equal(fake_write(hung, nr, nr + 1), 0);
		lru_drain(mm);
		nr++;
	}
	flusher_kick(&hung->mapping);
	while (!atomic_load(&hung->hanging) && !atomic_load(&too->hanging))
		unit_nap();
	for (int n = 0; n < 20; n++) {
		flusher_kick(&too->mapping);
		assert_true(balance_dirty_pages(&hung->group, 1) > 0);
		assert_int_equal(balance_dirty_pages(&well->group, 1), 0);
		assert_false(dirty_limit_reached(&well->group));
		assert_int_equal(fake_write(well, (pgoff_t)n, 7), 0);
		flusher_kick(&well->mapping);
		while (atomic_load(&well->held) > 0)
			unit_nap();
		assert_int_equal(dirty_list_sync(mm, &well->group), 0);
		assert_false(dirty_list_busy(mm, &well->group));
	}
	/* But not as much as it likes. */
	for (pgoff_t n = 0; !dirty_limit_reached(&well->group); n++) {
		assert_true(n < nr);
		atomic_store(&well->mode, FAKE_QUEUED);
		assert_int_equal(fake_write(well, 100 + n, 8), 0);
	}
	atomic_store(&well->mode, FAKE_INLINE);
	atomic_store(&hung->mode, FAKE_INLINE);
	atomic_store(&too->mode, FAKE_INLINE);
	assert_int_equal(dirty_list_sync(mm, &hung->group), 0);
	assert_int_equal(atomic_load(&too->disk[0]), 9);
	for (pgoff_t i = 0; i < nr; i++)
		assert_int_equal(atomic_load(&hung->disk[i]), i + 1);
	fake_destroy(well);
	fake_destroy(too);
	fake_destroy(hung);
	mm_destroy(mm);
}

/* Young pages go out, too, if there are too many of them. */
static void flusher_writes_above_the_background_mark(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);

	(void)state;
	set_up(mm);
	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 360000), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_BACKGROUND_RATIO, 10), 0);
	for (pgoff_t i = 0; i < NR_INDICES; i++)
		write_page(i);
	balance_dirty_pages(&f->group, NR_INDICES);
	while (atomic_load(&f->held) > 0)
		unit_nap();
	memset(dirty, 0, sizeof(dirty));
	check_states();
	fake_destroy(f);
	mm_destroy(mm);
}

/*
 * A page that is written to again while its file is being flushed, in more than
 * one pass, is not written again before the rest of the file was.
 */
static void flusher_goes_round_a_hot_file(void **state)
{
	enum { NR_HOT = 9000 };
	struct mm *mm = unit_mm(64ul << 20);
	struct fake_file *hot = fake_create(mm, NR_HOT);
	unsigned int nr_first = 0, nr_last = 0;

	(void)state;
	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 360000), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_RATIO, 100), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_BACKGROUND_RATIO, 99), 0);
	atomic_store(&hot->mode, FAKE_QUEUED);
	for (pgoff_t i = 0; i < NR_HOT; i++)
		assert_int_equal(fake_write(hot, i, i + 1), 0);
	flusher_kick(&hot->mapping);
	for (unsigned int seen = 0; nr_last == 0;) {
		mutex_lock(&hot->lock);
		for (; seen < hot->nr_log; seen++) {
			const struct fake_log *l = &hot->log[seen];

			nr_first += l->first == 0;
			nr_last += l->first + l->nr == NR_HOT;
		}
		mutex_unlock(&hot->lock);
		if (!fake_complete(hot))
			unit_nap();
		assert_int_equal(fake_write(hot, 0, 1), 0);
	}
	assert_int_equal(nr_first, 1);
	atomic_store(&hot->mode, FAKE_INLINE);
	while (fake_complete(hot))
		;
	assert_int_equal(dirty_list_sync(mm, NULL), 0);
	for (pgoff_t i = 0; i < NR_HOT; i++)
		assert_int_equal(atomic_load(&hot->disk[i]), i ? i + 1 : 1);
	fake_destroy(hot);
	mm_destroy(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flusher_writes_what_is_asked_for),
		cmocka_unit_test(flusher_writes_what_is_old),
		cmocka_unit_test(a_device_that_hangs_holds_only_its_own),
		cmocka_unit_test(flusher_writes_above_the_background_mark),
		cmocka_unit_test(flusher_goes_round_a_hot_file),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
