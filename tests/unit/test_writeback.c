/*
 * test_writeback.c - from dirty to clean, against what the disk should have.
 *
 * First with no daemon, so that only the test writes back; then races that
 * need two threads in a certain order; then flusher, writers, syncers and a
 * disk that fails at random, all at once.
 */
#include "tests/unit/dirty_file.h"

#include <errno.h>

/*
 * The runs in the log must be the dirty stretches of [first, last], in order,
 * each as long as it can be.
 */
static void check_log(pgoff_t first, pgoff_t last)
{
	unsigned int r = 0;
	pgoff_t i = first;

	while (i <= last && i < NR_INDICES) {
		unsigned int nr = 0;

		while (i + nr <= last && i + nr < NR_INDICES && dirty[i + nr] &&
		       nr < PAGE_RUN_MAX)
			nr++;
		if (nr > 0) {
			assert_true(r < f->nr_log);
			assert_int_equal(f->log[r].first, i);
			assert_int_equal(f->log[r].nr, nr);
			r++;
		}
		i += nr ? nr : 1;
	}
	assert_int_equal(r, f->nr_log);
}

static void sync_range(pgoff_t first, pgoff_t last)
{
	f->nr_log = 0;
	assert_int_equal(mapping_sync(&f->mapping, first, last), 0);
	check_log(first, last);
	for (pgoff_t i = first; i <= last && i < NR_INDICES; i++)
		dirty[i] = false;
}

static void sync_writes_the_range(void **state)
{
	set_up(*state);
	for (int n = 0; n < NR_ROUNDS; n++) {
		pgoff_t first = rnd(NR_INDICES);

		write_some();
		check_states();
		if (rnd(3))
			sync_range(first, first + rnd(200));
		else
			sync_range(rnd(2) ? 0 : first, UINT64_MAX);
		check_states();
	}
	fake_destroy(f);
}

static void flush_writes_all_in_order(void **state)
{
	set_up(*state);
	for (int n = 0; n < NR_ROUNDS; n++) {
		write_some();
		f->nr_log = 0;
		mapping_flush(&f->mapping);
		check_log(0, UINT64_MAX);
		memset(dirty, 0, sizeof(dirty));
		check_states();
	}
	fake_destroy(f);
}

/* Void pages are neither written nor counted. */
static void truncated_pages_are_not_written(void **state)
{
	set_up(*state);
	for (int n = 0; n < NR_ROUNDS; n++) {
		pgoff_t first = rnd(NR_INDICES);

		write_some();
		page_cache_truncate(&f->mapping, first);
		for (pgoff_t i = first; i < NR_INDICES; i++) {
			dirty[i] = false;
			word[i] = atomic_load(&f->disk[i]);
		}
		check_states();
		sync_range(0, UINT64_MAX);
		check_states();
	}
	fake_destroy(f);
}

static void failed_runs_leave_pages_dirty(void **state)
{
	uint32_t first, second;

	set_up(*state);
	first = second = errseq_sample(&f->mapping.wb_err);
	write_some();
	write_page(7);
	for (int n = 0; n < 3; n++) {
		atomic_store(&f->error, -EIO);
		assert_int_equal(mapping_sync(&f->mapping, 0, UINT64_MAX),
				 -EIO);
		check_states(); /* all of it dirty, the disk untouched */
		assert_int_equal(
			errseq_check_and_advance(&f->mapping.wb_err, &first),
			-EIO);
		assert_int_equal(
			errseq_check_and_advance(&f->mapping.wb_err, &first),
			0);
	}
	assert_int_equal(errseq_check_and_advance(&f->mapping.wb_err, &second),
			 -EIO);
	atomic_store(&f->error, 0);
	sync_range(0, UINT64_MAX);
	check_states();
	assert_int_equal(errseq_check_and_advance(&f->mapping.wb_err, &first),
			 0);
	fake_destroy(f);
}

static void sync_leaves_others_alone(void **state)
{
	struct fake_file *other;

	set_up(*state);
	other = fake_create(*state, NR_INDICES);
	write_some();
	assert_int_equal(fake_write(other, 5, 55), 0);
	sync_range(0, UINT64_MAX);
	assert_int_equal(other->nr_log, 0);
	assert_true(fake_test(other, 5, PG_dirty));
	assert_int_equal(dirty_list_sync(*state, &f->group), 0);
	assert_int_equal(other->nr_log, 0);
	assert_int_equal(dirty_list_sync(*state, NULL), 0);
	assert_int_equal(atomic_load(&other->disk[5]), 55);
	fake_destroy(other);
	fake_destroy(f);
}

/* Held from the first dirty page until it is clean and has been told so. */
static void dirty_mappings_are_held(void **state)
{
	set_up(*state);
	for (int n = 0; n < 5; n++) {
		assert_int_equal(f->held, 0);
		write_page(1);
		write_page(2);
		assert_int_equal(f->held, 1);
		assert_int_equal(dirty_list_sync(*state, &f->group), 0);
		assert_int_equal(f->held, 0);
		assert_int_equal(f->nr_settled, n + 1);
		assert_int_equal(dirty_list_bytes(*state, &f->group), 0);
	}
	fake_destroy(f);
}

/* --- in flight ------------------------------------------------------------ */

static void pages_are_clean_when_the_run_ends(void **state)
{
	set_up(*state);
	atomic_store(&f->mode, FAKE_QUEUED);
	write_page(1);
	write_page(2);
	mapping_flush(&f->mapping);
	assert_true(fake_test(f, 1, PG_writeback));
	assert_false(fake_test(f, 1, PG_dirty));
	assert_int_equal(f->mapping.nr_writeback, 2);
	assert_false(address_space_is_clean(&f->mapping));
	assert_int_equal(page_cache_invalidate(&f->mapping, 0, UINT64_MAX), 0);
	write_page(2); /* again, while it is on its way */
	assert_true(fake_complete(f));
	dirty[1] = false;
	check_states();
	mapping_flush(&f->mapping);
	assert_true(fake_complete(f));
	dirty[2] = false;
	check_states();
	fake_destroy(f);
}

static struct os_thread syncer;
static int sync_result;
static _Atomic bool sync_ended;

static void sync_main(void *arg)
{
	(void)arg;
	sync_result = mapping_sync(&f->mapping, 0, UINT64_MAX);
	atomic_store(&sync_ended, true);
}

static void start(void (*fn)(void *))
{
	atomic_store(&sync_ended, false);
	assert_int_equal(os_thread_start(&syncer, "syncer", fn, NULL), 0);
}

static void sync_waits_for_earlier_writeback(void **state)
{
	set_up(*state);
	atomic_store(&f->mode, FAKE_QUEUED);
	write_page(3);
	mapping_flush(&f->mapping);
	write_page(3);
	start(sync_main);
	for (int n = 0; n < 20; n++)
		unit_nap();
	assert_false(atomic_load(&sync_ended));
	while (!atomic_load(&sync_ended))
		if (!fake_complete(f))
			unit_nap();
	os_thread_join(&syncer);
	assert_int_equal(sync_result, 0);
	dirty[3] = false;
	check_states();
	assert_int_equal(f->nr_log, 2);
	fake_destroy(f);
}

/* A sync is not kept by a page that is made dirty for ever. */
static void busy_write_run(struct address_space *m, struct page_run *run)
{
	struct fake_file *ff = fake_of(m);
	pgoff_t first = run->first;

	fake_write_run(m, run);
	assert_int_equal(fake_write(ff, first + 1, 1), 0);
}

static void sync_writes_what_was_dirty_then(void **state)
{
	struct address_space_ops busy = fake_ops;

	set_up(*state);
	busy.write_run = busy_write_run;
	f->mapping.ops = &busy;
	assert_int_equal(fake_write(f, 0, 1), 0);
	assert_int_equal(mapping_sync(&f->mapping, 0, UINT64_MAX), 0);
	assert_int_equal(f->nr_log, 1);
	assert_true(fake_test(f, 1, PG_dirty));
	f->mapping.ops = &fake_ops;
	fake_destroy(f);
}

/* --- freezing ------------------------------------------------------------- */

static bool has_tag(pgoff_t i, enum xa_tag tag)
{
	bool tagged;

	mutex_lock(&f->mapping.lock);
	tagged = xa_get_tag(&f->mapping.pages, i, tag);
	mutex_unlock(&f->mapping.lock);
	return tagged;
}

static void frozen_mappings_are_not_written(void **state)
{
	set_up(*state);
	write_some();
	write_page(0);
	write_page(NR_INDICES - 1);
	mapping_freeze(&f->mapping);
	mapping_freeze(&f->mapping);
	mapping_flush(&f->mapping);
	mapping_thaw(&f->mapping);
	mapping_flush(&f->mapping);
	assert_int_equal(f->nr_log, 0);
	check_states();
	start(sync_main);
	while (!has_tag(NR_INDICES - 1, XA_TOWRITE))
		unit_nap();
	for (int n = 0; n < 20; n++)
		unit_nap();
	assert_int_equal(f->nr_log, 0);
	assert_false(atomic_load(&sync_ended));
	mapping_thaw(&f->mapping);
	os_thread_join(&syncer);
	memset(dirty, 0, sizeof(dirty));
	check_states();
	fake_destroy(f);
}

/*
 *	syncer    tags 1 2 3, waits at 1 .................. thawed: writes 1 2 3
 *	test      freeze            flush: none can go   thaw
 *
 * What the flusher looks at meanwhile must not be lost to the syncer.
 */
static void a_flush_takes_nothing_from_a_sync(void **state)
{
	set_up(*state);
	for (pgoff_t i = 1; i <= 3; i++)
		write_page(i);
	mapping_freeze(&f->mapping);
	start(sync_main);
	while (!has_tag(3, XA_TOWRITE))
		unit_nap();
	mapping_flush(&f->mapping);
	mapping_thaw(&f->mapping);
	os_thread_join(&syncer);
	assert_int_equal(sync_result, 0);
	memset(dirty, 0, sizeof(dirty));
	check_states();
	fake_destroy(f);
}

static void again_and_again_main(void *arg)
{
	(void)arg;
	for (int n = 0; n < 15000; n++) {
		for (pgoff_t i = 0; i < 8; i++)
			ASSERT(fake_write(f, i, (uint64_t)n) == 0);
		ASSERT(mapping_sync(&f->mapping, 0, UINT64_MAX) == 0);
	}
	atomic_store(&sync_ended, true);
}

/*
 * One who freezes and waits for what is in flight gets it. Writing another
 * file wakes the syncer, which looks again whenever a run has ended.
 */
static void freezer_is_not_waited_for(void **state)
{
	struct fake_file *other;

	set_up(*state);
	other = fake_create(*state, 1);
	start(again_and_again_main);
	while (!atomic_load(&sync_ended)) {
		mapping_freeze(&f->mapping);
		mapping_wait_writeback(&f->mapping, 0, UINT64_MAX);
		assert_int_equal(f->mapping.nr_writeback, 0);
		mapping_thaw(&f->mapping);
		assert_int_equal(fake_write(other, 0, 1), 0);
		mapping_flush(&other->mapping);
		/* Until the syncer is anywhere. */
		for (uint64_t n = rnd(40); n > 0; n--)
			fake_test(other, 0, PG_dirty);
	}
	os_thread_join(&syncer);
	fake_destroy(other);
	fake_destroy(f);
}

/* --- races, in a certain order -------------------------------------------- */

static struct page *raced;

static void redirty_main(void *arg)
{
	(void)arg;
	page_set_dirty(&f->mapping, raced);
}

static void fail_main(void *arg)
{
	(void)arg;
	fake_complete(f);
}

/*
 *	a run fails: page dirty again ─┐
 *	                               ├─ both wait for the mapping's lock
 *	a writer makes it dirty ───────┘
 *
 * It is one dirty page all the same.
 */
static void a_page_is_counted_once(void **state)
{
	set_up(*state);
	atomic_store(&f->mode, FAKE_QUEUED);
	atomic_store(&f->error, -EIO);
	write_page(0);
	for (int n = 0; n < 20; n++) {
		struct os_thread writer;

		mapping_flush(&f->mapping);
		raced = page_cache_find(&f->mapping, 0);
		assert_true(page_trylock(raced));
		mutex_lock(&f->mapping.lock);
		start(fail_main);
		assert_int_equal(
			os_thread_start(&writer, "writer", redirty_main, NULL),
			0);
		for (int i = 0; i < 10; i++)
			unit_nap();
		mutex_unlock(&f->mapping.lock);
		os_thread_join(&syncer);
		os_thread_join(&writer);
		page_unlock(&f->mapping.mm->page_waits, raced);
		page_put(f->mapping.mm, raced);
		check_states();
	}
	atomic_store(&f->error, 0);
	fake_destroy(f);
}

static void sync_all_main(void *arg)
{
	sync_result = dirty_list_sync(arg, NULL);
	atomic_store(&sync_ended, true);
}

static void sync_second_main(void *arg)
{
	dirty_list_sync(arg, NULL);
}

/*
 *	syncer    pass 1: file 0 ......(the disk is slow)...... file 1
 *	flusher            pass 2: nothing is old enough
 *
 * The flusher looks at file 1, but does not write it; the syncer still must.
 */
static void a_sync_skips_nothing(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);
	struct fake_file *files[2];
	unsigned long passes;

	(void)state;
	kswapd_stop(mm);
	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 360000), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_WRITEBACK_CENTISECS, 1), 0);
	for (int i = 0; i < 2; i++) {
		files[i] = fake_create(mm, 10);
		atomic_store(&files[i]->mode, FAKE_QUEUED);
		assert_int_equal(fake_write(files[i], 0, 7), 0);
	}
	assert_int_equal(os_thread_start(&syncer, "syncer", sync_all_main, mm),
			 0);
	while (vmstat_read(mm, NR_WRITEBACK) == 0)
		unit_nap();
	passes = vmstat_read(mm, FLUSHER_RUN);
	while (vmstat_read(mm, FLUSHER_RUN) < passes + 3)
		unit_nap();
	atomic_store(&sync_ended, false);
	while (!atomic_load(&sync_ended))
		if (!fake_complete(files[0]) && !fake_complete(files[1]))
			unit_nap();
	os_thread_join(&syncer);
	for (int i = 0; i < 2; i++)
		assert_int_equal(atomic_load(&files[i]->disk[0]), 7);
	for (int i = 0; i < 2; i++)
		fake_destroy(files[i]);
	mm_destroy(mm);
}

/*
 *	first     file 0 ....(slow)....  file 1 is the other's: wait for it
 *	second        file 1 ....(slower)....
 */
static void a_sync_waits_for_what_another_began(void **state)
{
	struct mm *mm = *state;
	struct fake_file *files[2];
	struct os_thread second;

	for (int i = 0; i < 2; i++) {
		files[i] = fake_create(mm, 10);
		atomic_store(&files[i]->mode, FAKE_QUEUED);
		assert_int_equal(fake_write(files[i], 0, 7), 0);
	}
	atomic_store(&sync_ended, false);
	assert_int_equal(os_thread_start(&syncer, "first", sync_all_main, mm),
			 0);
	while (vmstat_read(mm, NR_WRITEBACK) < 1)
		unit_nap();
	assert_int_equal(
		os_thread_start(&second, "second", sync_second_main, mm), 0);
	while (vmstat_read(mm, NR_WRITEBACK) < 2)
		unit_nap();
	assert_true(fake_complete(files[0]));
	for (int n = 0; n < 100 && !atomic_load(&sync_ended); n++)
		unit_nap();
	assert_false(atomic_load(&sync_ended));
	assert_true(fake_complete(files[1]));
	os_thread_join(&syncer);
	os_thread_join(&second);
	for (int i = 0; i < 2; i++)
		fake_destroy(files[i]);
}

/* --- all at once ---------------------------------------------------------- */

enum { NR_WRITERS = 2, NR_WRITES = 4000 };

static _Atomic bool disk_stops;
static uint64_t writer_seed;

static void disk_main(void *arg)
{
	uint64_t state = (uintptr_t)arg;

	while (!atomic_load(&disk_stops)) {
		atomic_store(&f->error, rnd_of(&state) % 8 ? 0 : -EIO);
		if (!fake_complete(f))
			unit_nap();
	}
}

/* Writer k has the indices that are k more than a multiple of NR_WRITERS. */
static void writer_main(void *arg)
{
	uintptr_t k = (uintptr_t)arg;
	uint64_t state = writer_seed + k;

	for (int n = 0; n < NR_WRITES; n++) {
		pgoff_t i = rnd_of(&state) % (NR_INDICES / NR_WRITERS) *
				    NR_WRITERS +
			    k;

		word[i] = 1 + rnd_of(&state) % 1000000;
		ASSERT(fake_write(f, i, word[i]) == 0);
		if (rnd_of(&state) % 200 == 0) {
			int err = mapping_sync(&f->mapping, i, i + 50);

			ASSERT(err == 0 || err == -EIO);
		}
		if (rnd_of(&state) % 100 == 0)
			flusher_kick(&f->mapping);
	}
}

static void nothing_is_lost_when_all_run_at_once(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);
	struct os_thread disk, writers[NR_WRITERS];

	(void)state;
	set_up(mm);
	writer_seed = rnd(UINT64_MAX);
	assert_int_equal(vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, 1), 0);
	assert_int_equal(vm_set(mm, VM_DIRTY_WRITEBACK_CENTISECS, 1), 0);
	atomic_store(&f->mode, FAKE_QUEUED);
	atomic_store(&disk_stops, false);
	assert_int_equal(os_thread_start(&disk, "disk", disk_main,
					 (void *)(uintptr_t)rnd(1000)),
			 0);
	for (uintptr_t k = 0; k < NR_WRITERS; k++)
		assert_int_equal(os_thread_start(&writers[k], "writer",
						 writer_main, (void *)k),
				 0);
	for (int k = 0; k < NR_WRITERS; k++)
		os_thread_join(&writers[k]);
	while (mapping_sync(&f->mapping, 0, UINT64_MAX) != 0)
		;
	atomic_store(&disk_stops, true);
	os_thread_join(&disk);
	atomic_store(&f->error, 0);
	check_states();
	fake_destroy(f);
	mm_destroy(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(sync_writes_the_range),
		unit_test_mm(flush_writes_all_in_order),
		unit_test_mm(truncated_pages_are_not_written),
		unit_test_mm(failed_runs_leave_pages_dirty),
		unit_test_mm(sync_leaves_others_alone),
		unit_test_mm(dirty_mappings_are_held),
		unit_test_mm(pages_are_clean_when_the_run_ends),
		unit_test_mm(sync_waits_for_earlier_writeback),
		unit_test_mm(sync_writes_what_was_dirty_then),
		unit_test_mm(frozen_mappings_are_not_written),
		unit_test_mm(a_flush_takes_nothing_from_a_sync),
		unit_test_mm(freezer_is_not_waited_for),
		unit_test_mm(a_page_is_counted_once),
		cmocka_unit_test(a_sync_skips_nothing),
		unit_test_mm(a_sync_waits_for_what_another_began),
		cmocka_unit_test(nothing_is_lost_when_all_run_at_once),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
