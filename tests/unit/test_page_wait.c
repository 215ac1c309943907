/*
 * test_page_wait.c - the page lock excludes, and no waiter is forgotten.
 *
 *	thread 0 ─┐
 *	thread 1 ─┼─► page_lock ─► counter++ (not atomic) ─► page_unlock
 *	thread n ─┘
 *
 *	waiter[i] ─► (page, bit) set ─ cleared by a thread ─► wake, once
 *
 * There are more pages than wait queues, so that pages share a queue.
 */
#include "mm/page_wait.h"
#include "tests/unit/unit.h"

enum {
	NR_THREADS = 4,
	NR_LOCKED = 3,
	NR_TURNS = 4000,
	NR_PAGES = 400,
	NR_WAITERS = 2000,
};

static struct page_wait_table table;
static struct page pages[NR_PAGES];

static void set_up(void)
{
	memset(pages, 0, sizeof(pages));
	page_wait_init(&table);
	for (int i = 0; i < NR_PAGES; i++)
		atomic_store(&pages[i].refs, 1);
}

/* --- the lock ------------------------------------------------------------- */

static unsigned long counter[NR_LOCKED]; /* each guarded by its page's lock */

static void lock_main(void *arg)
{
	uint64_t state = (uintptr_t)arg;

	for (int n = 0; n < NR_TURNS; n++) {
		unsigned int i = (unsigned int)(rnd_of(&state) % NR_LOCKED);

		if (rnd_of(&state) % 4 == 0) {
			if (!page_trylock(&pages[i]))
				continue;
		} else {
			page_lock(&table, &pages[i]);
		}
		counter[i]++;
		if (n % 8 == 0) /* let the others queue up */
			sched_yield();
		counter[i]--;
		counter[i]++;
		atomic_fetch_add(&pages[i].refs, 1);
		page_unlock(&table, &pages[i]);
	}
}

static void lock_excludes(void **state)
{
	struct os_thread threads[NR_THREADS];

	(void)state;
	set_up();
	memset(counter, 0, sizeof(counter));
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(os_thread_start(&threads[i], "locker",
						 lock_main,
						 (void *)(uintptr_t)rnd(1000)),
				 0);
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&threads[i]);
	for (int i = 0; i < NR_LOCKED; i++) {
		assert_int_equal(counter[i] + 1, page_refs(&pages[i]));
		assert_false(page_test(&pages[i], PG_locked));
		assert_true(page_trylock(&pages[i]));
		assert_false(page_trylock(&pages[i]));
		page_unlock(&table, &pages[i]);
	}
}

/* --- waiters without a thread --------------------------------------------- */

struct waiter {
	struct page_waiter w;
	_Atomic int woken;
	bool queued;
};

static struct waiter waiters[NR_WAITERS];
static const uint32_t bits[] = { PG_locked, PG_writeback };

static void note_wake(struct page_waiter *w)
{
	atomic_fetch_add(&container_of(w, struct waiter, w)->woken, 1);
}

static void queue_one(struct waiter *wt, struct page *page, uint32_t bit)
{
	atomic_store(&wt->woken, 0);
	wt->w.wake = note_wake;
	wt->queued = page_wait_async(&table, page, bit, &wt->w);
}

/* Woken are exactly those whose bit has been cleared. */
static void check_woken(void)
{
	for (int i = 0; i < NR_WAITERS; i++) {
		struct waiter *wt = &waiters[i];
		bool waits = wt->queued && page_test(wt->w.page, wt->w.bit);

		assert_int_equal(atomic_load(&wt->woken),
				 wt->queued && !waits ? 1 : 0);
	}
}

static void clear_both_ways(struct page *page, uint32_t bit)
{
	if (!page_test(page, bit))
		return;
	if (rnd(2)) {
		page_clear_and_wake(&table, page, bit);
	} else {
		page_clear(page, bit);
		page_wake(&table, page);
	}
}

static void waiters_hear_of_their_bit(void **state)
{
	(void)state;
	set_up();
	for (int i = 0; i < NR_PAGES; i++)
		page_set(&pages[i], (uint32_t)rnd(2) * PG_locked |
					    (uint32_t)rnd(2) * PG_writeback);
	for (int i = 0; i < NR_WAITERS; i++) {
		struct page *page = &pages[rnd(NR_PAGES)];
		uint32_t bit = bits[rnd(2)];

		queue_one(&waiters[i], page, bit);
		assert_int_equal(waiters[i].queued, page_test(page, bit));
	}
	for (int n = 0; n < 4 * NR_PAGES; n++) {
		clear_both_ways(&pages[rnd(NR_PAGES)], bits[rnd(2)]);
		if (n % 50 == 0)
			check_woken();
	}
	for (int i = 0; i < NR_PAGES; i++) {
		clear_both_ways(&pages[i], PG_locked);
		clear_both_ways(&pages[i], PG_writeback);
	}
	check_woken();
	for (unsigned int i = 0; i < PAGE_WAIT_NR_QUEUES; i++)
		assert_true(list_empty(&table.queues[i].waiters));
}

/* --- and against each other ----------------------------------------------- */

static _Atomic bool stop_clearing;

static void clear_main(void *arg)
{
	struct page *page = arg;

	while (!atomic_load(&stop_clearing)) {
		page_lock(&table, page);
		page_unlock(&table, page);
	}
}

static void queue_main(void *arg)
{
	struct waiter *w = arg;

	for (int i = 0; i < NR_WAITERS / 2; i++)
		queue_one(&w[i], &pages[i % 2], PG_locked);
}

static void nobody_is_lost_in_a_race(void **state)
{
	struct os_thread clearers[2], queuers[2];

	(void)state;
	set_up();
	atomic_store(&stop_clearing, false);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(os_thread_start(&clearers[i], "clearer",
						 clear_main, &pages[i]),
				 0);
		assert_int_equal(os_thread_start(&queuers[i], "queuer",
						 queue_main,
						 &waiters[i * NR_WAITERS / 2]),
				 0);
	}
	for (int i = 0; i < 2; i++)
		os_thread_join(&queuers[i]);
	atomic_store(&stop_clearing, true);
	for (int i = 0; i < 2; i++)
		os_thread_join(&clearers[i]);
	check_woken();
}

static void sleep_main(void *arg)
{
	page_wait(&table, arg, PG_writeback);
}

static void sleepers_wake(void **state)
{
	struct os_thread threads[NR_THREADS];

	(void)state;
	set_up();
	for (int n = 0; n < 100; n++) {
		page_set(&pages[0], PG_writeback);
		for (int i = 0; i < NR_THREADS; i++)
			assert_int_equal(os_thread_start(&threads[i], "sleeper",
							 sleep_main, &pages[0]),
					 0);
		if (rnd(2))
			unit_nap();
		page_clear_and_wake(&table, &pages[0], PG_writeback);
		for (int i = 0; i < NR_THREADS; i++)
			os_thread_join(&threads[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_excludes),
		cmocka_unit_test(waiters_hear_of_their_bit),
		cmocka_unit_test(nobody_is_lost_in_a_race),
		cmocka_unit_test(sleepers_wake),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
