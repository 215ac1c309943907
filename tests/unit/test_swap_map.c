/*
 * test_swap_map.c - clusters are handed out in the order in which they became
 * free, each once; the model is an array that says what each is, and a queue.
 */
#include "swap/swap_map.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { CLUSTERS_MAX = 3000, NR_STEPS = 20000 };

enum what { GONE, FREE, TAKEN };

static struct {
	enum what what[CLUSTERS_MAX];
	uint32_t queue[CLUSTERS_MAX]; /* oldest first */
	uint32_t nr_free, nr_bad, nr;
} model;

static void model_give(uint32_t n)
{
	model.what[n] = FREE;
	model.queue[model.nr_free++] = n;
}

static void model_remove(uint32_t n)
{
	uint32_t at = 0;

	while (model.queue[at] != n)
		at++;
	memmove(&model.queue[at], &model.queue[at + 1],
		(--model.nr_free - at) * sizeof(model.queue[0]));
}

static void check(const struct swap_map *map)
{
	uint32_t n = map->free_first;

	assert_int_equal(map->nr_free, model.nr_free);
	assert_int_equal(map->nr_bad, model.nr_bad);
	for (uint32_t i = 0; i < model.nr_free; i++) {
		assert_int_equal(n, model.queue[i]);
		assert_int_equal(swap_map_at(map, n)->state, CLUSTER_FREE);
		n = swap_map_at(map, n)->next;
	}
	assert_int_equal(n, 0);
	for (uint32_t i = 0; i < map->nr; i++)
		assert_int_equal(swap_map_at(map, i)->state,
				 model.what[i] == FREE	  ? CLUSTER_FREE
				 : model.what[i] == TAKEN ? CLUSTER_OPEN
							  : CLUSTER_BAD);
}

static void start(struct swap_map *map, struct mm *mm, uint32_t nr)
{
	assert_int_equal(swap_map_init(map, mm, nr), 0);
	memset(&model, 0, sizeof(model));
	model.nr = nr;
	model.nr_bad = 1;
	for (uint32_t n = 1; n < nr; n++)
		model_give(n);
	check(map);
}

static void take(struct swap_map *map)
{
	uint32_t n = swap_map_take(map);

	if (model.nr_free == 0) {
		assert_int_equal(n, 0);
		return;
	}
	assert_int_equal(n, model.queue[0]);
	model_remove(n);
	model.what[n] = TAKEN;
}

/* One of those that are "what", or 0. */
static uint32_t any(enum what what)
{
	uint32_t first = (uint32_t)rnd(model.nr);

	for (uint32_t i = 0; i < model.nr; i++) {
		uint32_t n = (first + i) % model.nr;

		if (n > 0 && model.what[n] == what)
			return n;
	}
	return 0;
}

static void set_bad(struct swap_map *map, uint32_t n)
{
	swap_map_set_bad(map, n);
	if (model.what[n] == FREE)
		model_remove(n);
	model.what[n] = GONE;
	model.nr_bad++;
}

static void random_steps(void **state)
{
	static const uint32_t sizes[] = { 2,   3,   16,	  255,
					  256, 257, 1000, CLUSTERS_MAX };

	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct swap_map map;
		bool filling = true;

		start(&map, *state, sizes[s]);
		for (int i = 0; i < NR_STEPS / 4; i++) {
			uint32_t n = any(TAKEN);

			if (rnd(400) == 0)
				filling = !filling;
			if (rnd(500) == 0 && (n = any(rnd(2) ? FREE : TAKEN)))
				set_bad(&map, n);
			else if (rnd(10) < (filling ? 8u : 2u) || !n)
				take(&map);
			else {
				swap_map_give(&map, n);
				model_give(n);
			}
			if (i % 50 == 0)
				check(&map);
		}
		check(&map);
		swap_map_destroy(&map);
		mm_check_all_free(*state);
	}
}

static void the_first_is_never_handed_out(void **state)
{
	struct swap_map map;

	start(&map, *state, 300);
	for (uint32_t n = 1; n < 300; n++)
		assert_int_equal(swap_map_take(&map), n);
	assert_int_equal(swap_map_take(&map), 0);
	assert_int_equal(map.nr_free, 0);
	swap_map_destroy(&map);
}

/* Too large for the budget: nothing is left behind. */
static void too_large_is_refused(void **state)
{
	struct swap_map map;

	assert_int_equal(swap_map_init(&map, *state, SWAP_CLUSTERS_MAX),
			 -ENOMEM);
	assert_int_equal(swap_map_init(&map, *state, 256 * 1800), -ENOMEM);
	mm_check_all_free(*state);
}

/* Whichever of its allocations fails. */
static void no_memory_leaves_nothing(void **state)
{
	struct mm *mm = *state;
	struct swap_map map;
	int err = -ENOMEM;

	for (int64_t space = 0; err; space++) {
		fault_set(&mm->fail_page_alloc, FAULT_SPACE, space);
		unit_fault(&mm->fail_page_alloc, 100, -1);
		err = swap_map_init(&map, mm, 2000);
		unit_fault(&mm->fail_page_alloc, 0, -1);
		assert_true(space < 50);
		if (err)
			mm_check_all_free(mm);
	}
	swap_map_destroy(&map);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(random_steps),
		unit_test_mm(the_first_is_never_handed_out),
		unit_test_mm(too_large_is_refused),
		unit_test_mm(no_memory_leaves_nothing),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
