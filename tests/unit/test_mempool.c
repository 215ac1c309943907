/*
 * test_mempool.c - the reserve, counted by hand.
 *
 *	page_alloc / slab ──ok──► element
 *	        │ fails (injected)
 *	reserve of min_nr ──────► element, min_nr times
 *	        │ empty
 *	wait for mempool_free, or NULL
 */
#include "mm/mempool.h"
#include "mm/slab.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { RESERVE = 7, NR_STEPS = 5000, HELD_MAX = 40, FOR_EVER = -1 };

/* A pool of either kind, and what makes its source fail. */
struct subject {
	struct mempool pool;
	struct kmem_cache cache;
	struct fault_attr *fault;
	bool slab;
};

static struct subject subject;

static void set_up(struct mm *mm, bool slab)
{
	struct subject *s = &subject;

	s->slab = slab;
	s->fault = slab ? &mm->failslab : &mm->fail_page_alloc;
	if (!slab) {
		assert_int_equal(
			mempool_init_pages(mm, &s->pool, GFP_MOVABLE, RESERVE),
			0);
		return;
	}
	assert_int_equal(kmem_cache_init(mm, &s->cache, "test", 300, false), 0);
	assert_int_equal(mempool_init_slab(&s->pool, &s->cache, RESERVE), 0);
}

static void take_down(void)
{
	mempool_destroy(&subject.pool);
	if (subject.slab)
		kmem_cache_destroy(&subject.cache);
}

static void starve(bool on)
{
	unit_fault(subject.fault, on ? 100 : 0, FOR_EVER);
}

static void check_reserve(struct mm *mm, bool slab)
{
	struct mempool *p = &subject.pool;
	void *taken[RESERVE + 1];
	unsigned long used;

	set_up(mm, slab);
	used = vmstat_read(mm, MEMPOOL_RESERVE);
	taken[RESERVE] = mempool_alloc(p, GFP_NOWAIT);
	assert_non_null(taken[RESERVE]);
	assert_int_equal(p->nr, RESERVE);
	starve(true);
	for (int i = 0; i < RESERVE; i++) {
		taken[i] = mempool_alloc(p, i % 2 ? GFP_NOWAIT : GFP_KERNEL);
		assert_non_null(taken[i]);
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(taken[i], taken[j]);
	}
	assert_null(mempool_alloc(p, GFP_NOWAIT));
	assert_int_equal(vmstat_read(mm, MEMPOOL_RESERVE) - used, RESERVE);
	/* What comes back fills the reserve first. */
	for (int i = 0; i <= RESERVE; i++) {
		mempool_free(p, taken[i]);
		assert_int_equal(p->nr, min_of(i + 1, (int)RESERVE));
	}
	starve(false);
	take_down();
	mm_check_all_free(mm);
}

static void reserve_of_pages(void **state)
{
	check_reserve(*state, false);
}

static void reserve_of_objects(void **state)
{
	check_reserve(*state, true);
}

/* --- waiting -------------------------------------------------------------- */

static void *waited_for[3];

static void wait_main(void *arg)
{
	void **got = arg;

	*got = mempool_alloc(&subject.pool, GFP_KERNEL);
}

static void check_waiters(struct mm *mm, bool slab)
{
	struct os_thread threads[ARRAY_SIZE(waited_for)];
	void *taken[RESERVE];
	unsigned long waits;

	set_up(mm, slab);
	starve(true);
	for (int i = 0; i < RESERVE; i++)
		taken[i] = mempool_alloc(&subject.pool, GFP_NOWAIT);
	waits = vmstat_read(mm, MEMPOOL_WAIT);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(os_thread_start(&threads[i], "waiter",
						 wait_main, &waited_for[i]),
				 0);
	while (vmstat_read(mm, MEMPOOL_WAIT) < waits + ARRAY_SIZE(threads))
		unit_nap();
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		mempool_free(&subject.pool, taken[i]);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		os_thread_join(&threads[i]);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		assert_non_null(waited_for[i]);
		mempool_free(&subject.pool, waited_for[i]);
	}
	for (int i = ARRAY_SIZE(threads); i < RESERVE; i++)
		mempool_free(&subject.pool, taken[i]);
	starve(false);
	take_down();
}

static void free_wakes_a_waiter(void **state)
{
	check_waiters(*state, false);
	check_waiters(*state, true);
}

/* --- at random ------------------------------------------------------------ */

static void random_steps(void **state)
{
	void *held[HELD_MAX] = { NULL };
	unsigned int nr = RESERVE; /* model of the reserve */

	set_up(*state, rnd(2));
	for (int n = 0; n < NR_STEPS; n++) {
		void **it = &held[rnd(HELD_MAX)];
		bool starving = rnd(2);

		if (*it) {
			mempool_free(&subject.pool, *it);
			*it = NULL;
			nr = min_of(nr + 1, (unsigned int)RESERVE);
		} else {
			starve(starving);
			*it = mempool_alloc(&subject.pool, GFP_NOWAIT);
			assert_int_equal(*it != NULL, !starving || nr > 0);
			nr -= starving && nr > 0;
		}
		assert_int_equal(subject.pool.nr, nr);
	}
	starve(false);
	for (int i = 0; i < HELD_MAX; i++)
		if (held[i])
			mempool_free(&subject.pool, held[i]);
	take_down();
}

/* Half a reserve is none: what was taken for it goes back. */
static void no_pool_without_its_reserve(void **state)
{
	struct mm *mm = *state;
	struct mempool p;

	assert_int_equal(fault_set(&mm->fail_page_alloc, FAULT_SPACE, RESERVE),
			 0);
	unit_fault(&mm->fail_page_alloc, 100, FOR_EVER);
	assert_int_equal(mempool_init_pages(mm, &p, 0, RESERVE + 3), -ENOMEM);
	unit_fault(&mm->fail_page_alloc, 0, FOR_EVER);
	mm_check_all_free(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(reserve_of_pages),
		unit_test_mm(reserve_of_objects),
		unit_test_mm(free_wakes_a_waiter),
		unit_test_mm(random_steps),
		unit_test_mm(no_pool_without_its_reserve),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
