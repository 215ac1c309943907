/*
 * test_shrinker.c - caches that only count, asked for their share.
 *
 *	count ──► nr * pressure / 100 / 2^priority ──► scan(share)
 *
 * The model works the share out in long division and knows the two
 * exceptions: a share below a batch is passed over while priority is above 4,
 * and rounded up to a batch (or to all there is) from there on.
 */
#include "mm/shrinker.h"
#include "tests/unit/unit.h"

#include <limits.h>

enum { NR_CACHES = 3, NR_ROUNDS = 20000, BATCH = 32, GENTLE = 4 };

struct cache {
	struct shrinker s;
	unsigned long nr;    /* objects */
	unsigned long asked; /* in the last call of scan, or NOT_ASKED */
};

#define NOT_ASKED ULONG_MAX

static struct cache caches[NR_CACHES];

static unsigned long cache_count(struct shrinker *s)
{
	return container_of(s, struct cache, s)->nr;
}

static unsigned long cache_scan(struct shrinker *s, unsigned long nr)
{
	struct cache *c = container_of(s, struct cache, s);

	assert_int_equal(c->asked, NOT_ASKED);
	assert_true(nr <= c->nr);
	c->asked = nr;
	c->nr -= nr / 2; /* some of them cannot go */
	return nr / 2;
}

static unsigned long model_share(unsigned long nr, unsigned long pressure,
				 unsigned int priority)
{
	unsigned long share = nr * pressure / 100;

	for (unsigned int i = 0; i < priority; i++)
		share /= 2;
	if (pressure == 0 || nr == 0)
		return NOT_ASKED;
	if (share < BATCH && priority > GENTLE)
		return NOT_ASKED;
	if (share < BATCH)
		share = BATCH;
	return share > nr ? nr : share;
}

static void set_up(struct mm *mm)
{
	for (int i = 0; i < NR_CACHES; i++) {
		caches[i] = (struct cache){
			.s = { .name = "test",
			       .count = cache_count,
			       .scan = cache_scan },
		};
		shrinker_register(mm, &caches[i].s);
	}
}

static void take_down(struct mm *mm)
{
	for (int i = 0; i < NR_CACHES; i++)
		shrinker_unregister(mm, &caches[i].s);
}

static void check_round(struct mm *mm, unsigned long pressure,
			unsigned int priority)
{
	unsigned long want[NR_CACHES], expected = 0, scanned = 0;
	unsigned long before = vmstat_read(mm, SLABS_SCANNED);

	for (int i = 0; i < NR_CACHES; i++) {
		caches[i].nr = rnd(2) ? rnd(100) : rnd(1u << rnd(24));
		caches[i].asked = NOT_ASKED;
		want[i] = model_share(caches[i].nr, pressure, priority);
		if (want[i] == NOT_ASKED)
			continue;
		expected += want[i] / 2;
		scanned += want[i];
	}
	assert_int_equal(shrinker_scan_all(mm, priority), expected);
	for (int i = 0; i < NR_CACHES; i++)
		assert_int_equal(caches[i].asked, want[i]);
	assert_int_equal(vmstat_read(mm, SLABS_SCANNED) - before, scanned);
}

static void asked_in_proportion(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int n = 0; n < NR_ROUNDS; n++) {
		long pressure = rnd(8) ? 100 : (long)rnd(10001);

		if (rnd(50) == 0)
			pressure = 0;
		assert_int_equal(vm_set(mm, VM_VFS_CACHE_PRESSURE, pressure),
				 0);
		check_round(mm, (unsigned long)pressure, (unsigned int)rnd(13));
	}
	take_down(mm);
}

/* Twice the objects or twice the pressure: twice the request. */
static void pressure_scales(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int i = 0; i < NR_CACHES; i++)
		caches[i] =
			(struct cache){ caches[i].s, 64000ul << i, NOT_ASKED };
	assert_int_equal(vm_set(mm, VM_VFS_CACHE_PRESSURE, 50), 0);
	shrinker_scan_all(mm, 4);
	assert_int_equal(caches[0].asked, 2000);
	assert_int_equal(caches[1].asked, 4000);
	assert_int_equal(caches[2].asked, 8000);
	take_down(mm);
}

static void not_asked_once_unregistered(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int i = 0; i < NR_CACHES; i++)
		caches[i] = (struct cache){ caches[i].s, 1000, NOT_ASKED };
	shrinker_unregister(mm, &caches[1].s);
	shrinker_scan_all(mm, 0);
	assert_int_equal(caches[0].asked, 1000);
	assert_int_equal(caches[1].asked, NOT_ASKED);
	assert_int_equal(caches[2].asked, 1000);
	shrinker_register(mm, &caches[1].s);
	take_down(mm);
	assert_int_equal(shrinker_scan_all(mm, 0), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(asked_in_proportion),
		unit_test_mm(pressure_scales),
		unit_test_mm(not_asked_once_unregistered),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
