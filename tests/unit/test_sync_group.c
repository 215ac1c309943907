/*
 * test_sync_group.c - threads that write and sync one file, a number each.
 *
 * A write makes "written" one more. A sync makes durable what was written when
 * it began; some fail, and that is told once, as the kernel tells it. Who is
 * told 0 must find its own write durable, and no sync that began after its call
 * and ended before its answer may have failed.
 */
#include "fs/sync_group.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_THREADS = 6, NR_SYNCS = 600, FAIL_ONE_IN = 16 };

static struct sync_group group;
static _Atomic uint64_t written;
/* Of syncs, which one thread at a time changes. */
static _Atomic int under_way;
static _Atomic uint64_t durable, begun, begun_whole;
static uint64_t sync_seed;
/* By the number of the sync: did it fail? */
static _Atomic bool failed[NR_THREADS * NR_SYNCS + 1];
static _Atomic uint64_t nr_failed, nr_told;

static int one_sync(void *arg, bool data_only)
{
	uint64_t number, what;
	bool fails;

	(void)arg;
	assert_int_equal(atomic_fetch_add(&under_way, 1), 0);
	what = atomic_load(&written);
	number = atomic_fetch_add(&begun, 1) + 1;
	if (!data_only)
		atomic_store(&begun_whole, number);
	if (rnd_of(&sync_seed) % 2)
		sched_yield();
	fails = rnd_of(&sync_seed) % FAIL_ONE_IN == 0;
	atomic_store(&failed[number], fails);
	if (fails)
		atomic_fetch_add(&nr_failed, 1);
	else
		atomic_store(&durable, what);
	assert_int_equal(atomic_fetch_sub(&under_way, 1), 1);
	return fails ? -EIO : 0;
}

/* What "before" syncs had begun then, "after" by now. */
static bool one_failed(uint64_t before, uint64_t after)
{
	for (uint64_t i = before + 1; i <= after; i++)
		if (atomic_load(&failed[i]))
			return true;
	return false;
}

static void writer(void *arg)
{
	uint64_t state = *(uint64_t *)arg;

	for (int i = 0; i < NR_SYNCS; i++) {
		bool whole = rnd_of(&state) % 4 == 0;
		uint64_t mine = atomic_fetch_add(&written, 1) + 1;
		uint64_t before = atomic_load(&begun);
		int err = sync_group_sync(&group, one_sync, NULL, !whole);
		uint64_t after = atomic_load(&begun);

		if (err) {
			assert_int_equal(err, -EIO);
			assert_true(one_failed(before, after));
			atomic_fetch_add(&nr_told, 1);
			continue;
		}
		assert_true(atomic_load(&durable) >= mine);
		assert_true(after > before);
		/* The first that is ours: one may have been under way. */
		if (after == before + 1)
			assert_false(one_failed(before, after));
		if (whole)
			assert_true(atomic_load(&begun_whole) > before);
	}
}

static void all_are_synced_and_told(void **state)
{
	struct os_thread threads[NR_THREADS];
	uint64_t seeds[NR_THREADS];

	(void)state;
	sync_group_init(&group);
	sync_seed = rnd(UINT64_MAX);
	for (int i = 0; i < NR_THREADS; i++) {
		seeds[i] = rnd(UINT64_MAX);
		assert_int_equal(os_thread_start(&threads[i], "writer", writer,
						 &seeds[i]),
				 0);
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&threads[i]);
	printf("%" PRIu64 " syncs for %d callers, %" PRIu64
	       " failed, told to %" PRIu64 "\n",
	       atomic_load(&begun), NR_THREADS * NR_SYNCS,
	       atomic_load(&nr_failed), atomic_load(&nr_told));
	assert_true(atomic_load(&begun) <= NR_THREADS * NR_SYNCS);
	assert_true(atomic_load(&nr_told) >= atomic_load(&nr_failed));
}

/* One after the other: each has a sync of its own, and hears of that alone. */
static void alone_each_has_its_own(void **state)
{
	(void)state;
	sync_group_init(&group);
	for (int i = 0; i < NR_SYNCS; i++) {
		uint64_t before = atomic_load(&begun);
		int err = sync_group_sync(&group, one_sync, NULL, true);

		assert_int_equal(atomic_load(&begun), before + 1);
		assert_int_equal(err,
				 atomic_load(&failed[before + 1]) ? -EIO : 0);
	}
}

static int reset(void **state)
{
	(void)state;
	atomic_store(&begun, 0);
	atomic_store(&nr_failed, 0);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_are_synced_and_told, reset),
		cmocka_unit_test_setup(alone_each_has_its_own, reset),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
