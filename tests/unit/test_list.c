/*
 * test_list.c - two lists against two arrays.
 *
 *	lists[0]  ──► node 7 ──► node 2 ──► ...	order[0] = { 7, 2, ... }
 *	lists[1]  ──► node 4 ──► ...		order[1] = { 4, ... }
 *
 * Each node is on one list or on none. After each random step both lists are
 * walked in both directions.
 */
#include "mm/list.h"
#include "tests/unit/unit.h"

enum { NR_NODES = 40, NR_LISTS = 2, NR_STEPS = 20000, NOWHERE = -1 };

struct item {
	int id;
	struct list_head link;
};

static struct item items[NR_NODES];
static struct list_head lists[NR_LISTS];
static int where[NR_NODES]; /* which list */
static int order[NR_LISTS][NR_NODES];
static int length[NR_LISTS];

static void model_insert(int l, int at, int id)
{
	memmove(&order[l][at + 1], &order[l][at],
		(size_t)(length[l] - at) * sizeof(int));
	order[l][at] = id;
	length[l]++;
	where[id] = l;
}

static void model_remove(int id)
{
	int l = where[id], at = 0;

	while (order[l][at] != id)
		at++;
	length[l]--;
	memmove(&order[l][at], &order[l][at + 1],
		(size_t)(length[l] - at) * sizeof(int));
	where[id] = NOWHERE;
}

static void check(int l)
{
	struct item *it;
	struct list_head *h = &lists[l];
	int n = 0;

	assert_int_equal(list_empty(h), length[l] == 0);
	list_for_each_entry(it, h, struct item, link)
		assert_int_equal(it->id, order[l][n++]);
	assert_int_equal(n, length[l]);
	for (struct list_head *p = h->prev; p != h; p = p->prev)
		assert_int_equal(container_of(p, struct item, link)->id,
				 order[l][--n]);
	assert_int_equal(n, 0);
	if (length[l] == 0)
		return;
	assert_int_equal(list_first_entry(h, struct item, link)->id,
			 order[l][0]);
	assert_int_equal(list_last_entry(h, struct item, link)->id,
			 order[l][length[l] - 1]);
}

static void insert_step(int id, int l)
{
	if (rnd(2)) {
		list_add(&lists[l], &items[id].link);
		model_insert(l, 0, id);
	} else {
		list_add_tail(&lists[l], &items[id].link);
		model_insert(l, length[l], id);
	}
}

static void move_step(int id, int l)
{
	model_remove(id);
	switch (rnd(4)) {
	case 0:
		list_del(&items[id].link);
		break;
	case 1:
		list_del_init(&items[id].link);
		assert_true(list_empty(&items[id].link));
		break;
	case 2:
		list_move(&lists[l], &items[id].link);
		model_insert(l, 0, id);
		break;
	default:
		list_move_tail(&lists[l], &items[id].link);
		model_insert(l, length[l], id);
	}
}

static void splice_step(int to)
{
	int from = !to;

	list_splice(&lists[to], &lists[from]);
	while (length[from] > 0) {
		int id = order[from][length[from] - 1];

		model_remove(id);
		model_insert(to, 0, id);
	}
}

static void random_steps(void **state)
{
	(void)state;
	for (int l = 0; l < NR_LISTS; l++)
		list_init(&lists[l]);
	for (int i = 0; i < NR_NODES; i++) {
		items[i].id = i;
		where[i] = NOWHERE;
	}
	for (int n = 0; n < NR_STEPS; n++) {
		int id = (int)rnd(NR_NODES), l = (int)rnd(NR_LISTS);

		if (rnd(50) == 0)
			splice_step(l);
		else if (where[id] == NOWHERE)
			insert_step(id, l);
		else
			move_step(id, l);
		check(0);
		check(1);
	}
}

/* The body may unlink what it looks at. */
static void safe_walk_unlinks(void **state)
{
	struct list_head head;
	struct item *it, *n;
	int seen = 0;

	(void)state;
	list_init(&head);
	for (int i = 0; i < NR_NODES; i++)
		list_add_tail(&head, &items[i].link);
	list_for_each_entry_safe(it, n, &head, struct item, link)
	{
		assert_int_equal(it->id, seen++);
		list_del(&it->link);
	}
	assert_int_equal(seen, NR_NODES);
	assert_true(list_empty(&head));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps),
		cmocka_unit_test(safe_walk_unlinks),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
