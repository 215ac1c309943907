/*
 * test_flusher.c - what is written back when, by whom, and in which order.
 */
#include "mm/page_cache.h"
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

/* Several flushers, and none that looks without being told to. */
static struct mm *patient_mm(unsigned int nr_flushers)
{
	struct mm_config config = { .size = MM_SIZE_MIN,
				    .io_depth = 16,
				    .nr_flushers = nr_flushers };
	struct mm *mm = unit_mm_of(&config);

	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 360000), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_WRITEBACK_CENTISECS, 360000), 0);
	/* They sleep as long as it was before. */
	os_sleep_ns(1100 * NSEC_PER_MSEC);
	return mm;
}

static void wait_until_off_the_list(struct fake_file *file)
{
	while (atomic_load(&file->held) > 0)
		unit_nap();
}

/*
 *	flusher 1   y, and then b, of the same group .......... b ends
 *	writer                   y is dirty again, and closed
 *	flusher 2                    the group is busy
 */
static void what_is_due_meanwhile_is_not_forgotten(void **state)
{
	struct mm *mm = patient_mm(2);
	struct fake_file *y = fake_create(mm, NR_INDICES);
	struct fake_file *b = fake_create(mm, NR_INDICES);

	(void)state;
	b->mapping.group = &y->group;
	atomic_store(&b->mode, FAKE_TOLD_LATE);
	assert_int_equal(fake_write(y, 0, 3), 0);
	assert_int_equal(fake_write(b, 0, 5), 0);
	flusher_wake(mm);
	while (!atomic_load(&b->hanging))
		unit_nap();
	wait_until_off_the_list(y);
	assert_int_equal(fake_write(y, 0, 4), 0);
	flusher_kick(&y->mapping);
	os_sleep_ns(50 * NSEC_PER_MSEC); /* for flusher 2 to have looked */
	atomic_store(&b->mode, FAKE_INLINE);
	wait_until_off_the_list(y);
	assert_int_equal(atomic_load(&y->disk[0]), 4);
	wait_until_off_the_list(b);
	fake_destroy(b);
	fake_destroy(y);
	mm_destroy(mm);
}

/* The first flusher hangs at the first group; the second at the second. */
static void one_wake_is_for_all_groups(void **state)
{
	enum { NR = 4 };
	struct mm *mm = patient_mm(NR);
	struct fake_file *files[NR];

	(void)state;
	for (int i = 0; i < NR; i++) {
		files[i] = fake_create(mm, NR_INDICES);
		atomic_store(&files[i]->mode,
			     i < NR - 1 ? FAKE_HANGS : FAKE_INLINE);
		assert_int_equal(fake_write(files[i], 0, 7), 0);
	}
	flusher_wake(mm);
	wait_until_off_the_list(files[NR - 1]);
	for (int i = 0; i < NR; i++) {
		atomic_store(&files[i]->mode, FAKE_INLINE);
		wait_until_off_the_list(files[i]);
		fake_destroy(files[i]);
	}
	mm_destroy(mm);
}

static _Atomic bool reader_ended;

static void reader_main(void *arg)
{
	struct fake_file *file = arg;

	page_cache_read(&file->mapping, 3, 1, UINT64_MAX, GFP_KERNEL);
	atomic_store(&reader_ended, true);
}

/* Memory is out, and a device keeps all the runs that it can get. */
static void the_last_runs_are_a_groups_own(void **state)
{
	enum { NR_TAKEN = MM_SIZE_MIN / PAGE_SIZE };
	static struct page *taken[NR_TAKEN];
	struct mm *mm = patient_mm(2);
	struct fake_file *hung = fake_create(mm, NR_INDICES);
	struct fake_file *well = fake_create(mm, NR_INDICES);
	struct os_thread reader;
	unsigned int nr = 0;

	(void)state;
	atomic_store(&hung->mode, FAKE_QUEUED);
	assert_int_equal(fake_write(well, 0, 3), 0);
	for (pgoff_t i = 0; i < NR_INDICES; i += 2) /* no two in one run */
		assert_int_equal(fake_write(hung, i, 3), 0);
	kswapd_stop(mm);
	while ((taken[nr] = page_alloc(mm, GFP_NOWAIT, 0)))
		nr++;
	flusher_kick(&hung->mapping);
	while (vmstat_read(mm, MEMPOOL_WAIT) == 0)
		unit_nap();
	flusher_kick(&well->mapping);
	wait_until_off_the_list(well);
	assert_int_equal(atomic_load(&well->disk[0]), 3);
	atomic_store(&reader_ended, false);
	assert_int_equal(os_thread_start(&reader, "reader", reader_main, well),
			 0);
	while (!atomic_load(&reader_ended))
		unit_nap();
	os_thread_join(&reader);
	while (nr > 0)
		page_put(mm, taken[--nr]);
	atomic_store(&hung->mode, FAKE_INLINE);
	while (atomic_load(&hung->held) > 0)
		if (!fake_complete(hung))
			unit_nap();
	fake_destroy(well);
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
		cmocka_unit_test(what_is_due_meanwhile_is_not_forgotten),
		cmocka_unit_test(one_wake_is_for_all_groups),
		cmocka_unit_test(the_last_runs_are_a_groups_own),
		cmocka_unit_test(flusher_writes_above_the_background_mark),
		cmocka_unit_test(flusher_goes_round_a_hot_file),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
