/*
 * test_xarray.c - the tree against a table of the indices that are used.
 *
 *	0 .. 200, 4000 .. 4100    a small file
 *	2^k - 1, 2^k, 2^k + 1     where the tree grows and shrinks
 *	2^64 - 70 .. 2^64 - 1     the far end
 *
 *	table[i] = { index, entry or NULL, tags }, by ascending index
 *
 * Every question to the tree is answered by a walk over the table as well.
 */
#include "mm/slab.h"
#include "mm/xarray.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { TABLE_MAX = 700, NR_STEPS = 60000, FOR_EVER = -1 };

struct row {
	uint64_t index;
	void *entry;
	bool tags[XA_NR_TAGS];
};

static struct row table[TABLE_MAX];
static unsigned int nr_rows;
static unsigned int nr_used; /* rows above stay empty, for now */
static struct kmem_cache nodes;
static struct xarray xa;
static uint64_t objects[1000]; /* to point at */

static void add_row(uint64_t index)
{
	assert_true(nr_rows < TABLE_MAX);
	table[nr_rows++] = (struct row){ .index = index };
}

static int by_index(const void *a, const void *b)
{
	uint64_t x = ((const struct row *)a)->index;
	uint64_t y = ((const struct row *)b)->index;

	return (x > y) - (x < y);
}

static void make_table(void)
{
	unsigned int n = 0;

	nr_rows = 0;
	for (uint64_t i = 0; i <= 200; i++)
		add_row(i);
	for (uint64_t i = 4000; i <= 4100; i++)
		add_row(i);
	for (int k = 8; k < 64; k++)
		for (int d = -1; d <= 1; d++)
			add_row((1ull << k) + (uint64_t)(int64_t)d);
	for (uint64_t i = 0; i < 70; i++)
		add_row(UINT64_MAX - i);
	qsort(table, nr_rows, sizeof(table[0]), by_index);
	for (unsigned int i = 1; i < nr_rows; i++)
		if (table[i].index != table[n].index)
			table[++n] = table[i];
	nr_rows = n + 1;
}

static void set_up(struct mm *mm)
{
	assert_int_equal(
		kmem_cache_init(mm, &nodes, "test", xa_node_size(), true), 0);
	xa_init(&xa, &nodes);
	make_table();
	nr_used = nr_rows;
}

static void take_down(void)
{
	for (unsigned int i = 0; i < nr_rows; i++)
		assert_ptr_equal(xa_erase(&xa, table[i].index), table[i].entry);
	assert_null(xa.root);
	assert_int_equal(kmem_cache_stat(&nodes).nr_active, 0);
	kmem_cache_destroy(&nodes);
}

/* Rows near each other are chosen together, to make dense and empty nodes. */
static struct row *any_row(void)
{
	static unsigned int around;

	if (rnd(50) == 0)
		around = (unsigned int)rnd(nr_used);
	return &table[(around + rnd(rnd(4) ? 80 : nr_used)) % nr_used];
}

static void *any_entry(void)
{
	uint64_t value = rnd(1ull << 62) >> rnd(62);
	void *entry = xa_mk_value(value);

	if (rnd(2))
		return &objects[rnd(ARRAY_SIZE(objects))];
	assert_true(xa_is_value(entry));
	assert_int_equal(xa_to_value(entry), value);
	return entry;
}

static void row_put(struct row *r, void *entry)
{
	*r = (struct row){ .index = r->index, .entry = entry };
}

static void store_step(void)
{
	struct row *r = any_row();
	void *entry = any_entry();

	bool reserved = r->entry && r->tags[XA_RESERVED];

	assert_int_equal(xa_store(&xa, r->index, entry, NULL), 0);
	row_put(r, entry);
	r->tags[XA_RESERVED] = reserved; /* the index's, not the entry's */
}

static void erase_step(void)
{
	struct row *r = any_row();

	assert_ptr_equal(xa_erase(&xa, r->index), r->entry);
	row_put(r, NULL);
}

static void tag_step(void)
{
	struct row *r = any_row();
	enum xa_tag tag = (enum xa_tag)rnd(XA_NR_TAGS);

	if (rnd(3)) {
		xa_set_tag(&xa, r->index, tag);
		r->tags[tag] = r->entry != NULL;
	} else {
		xa_clear_tag(&xa, r->index, tag);
		r->tags[tag] = false;
	}
}

static void order_two(uint64_t *a, uint64_t *b)
{
	uint64_t t = *a;

	if (*a > *b) {
		*a = *b;
		*b = t;
	}
}

static void tag_range_step(void)
{
	uint64_t first = any_row()->index, last = any_row()->index;
	enum xa_tag from = (enum xa_tag)rnd(XA_NR_TAGS);
	enum xa_tag to = (enum xa_tag)rnd(XA_NR_TAGS);

	order_two(&first, &last);
	xa_tag_range(&xa, first, last, from, to);
	for (unsigned int i = 0; i < nr_rows; i++)
		if (table[i].index >= first && table[i].index <= last)
			table[i].tags[to] |= table[i].tags[from];
}

static bool row_matches(const struct row *r, unsigned int tag)
{
	return r->entry && (tag == XA_PRESENT || r->tags[tag]);
}

static void find_step(void)
{
	uint64_t from = any_row()->index, max = any_row()->index, index;
	unsigned int tag = (unsigned int)rnd(XA_NR_TAGS + 1), i = 0;
	void *entry;

	if (rnd(8)) /* one time in eight the range may be empty */
		order_two(&from, &max);
	while (i < nr_rows && (table[i].index < from || table[i].index > max ||
			       !row_matches(&table[i], tag)))
		i++;
	index = from;
	entry = xa_find(&xa, &index, max, tag);
	assert_ptr_equal(entry, i < nr_rows ? table[i].entry : NULL);
	if (entry)
		assert_true(index == table[i].index);
}

static void check_all(void)
{
	bool any[XA_NR_TAGS] = { false };

	xa_check(&xa);
	for (unsigned int i = 0; i < nr_rows; i++) {
		const struct row *r = &table[i];

		assert_ptr_equal(xa_load(&xa, r->index), r->entry);
		for (int t = 0; t < XA_NR_TAGS; t++) {
			assert_int_equal(
				xa_get_tag(&xa, r->index, (enum xa_tag)t),
				r->tags[t]);
			any[t] |= r->tags[t];
		}
	}
	for (int t = 0; t < XA_NR_TAGS; t++)
		assert_int_equal(xa_tagged(&xa, (enum xa_tag)t), any[t]);
}

/* A lower tree, to see it grow again; or an empty one. */
static void cut_step(void)
{
	unsigned int keep = (unsigned int)rnd(nr_used);

	for (unsigned int i = keep; i < nr_used; i++) {
		assert_ptr_equal(xa_erase(&xa, table[i].index), table[i].entry);
		row_put(&table[i], NULL);
	}
	nr_used = max_of(keep, 1u);
}

static void random_steps(void **state)
{
	set_up(*state);
	for (int n = 0; n < NR_STEPS; n++) {
		if (rnd(700) == 0)
			cut_step();
		else if (rnd(100) == 0)
			nr_used += (unsigned int)rnd(1 + nr_rows - nr_used);
		/* The tree fills in one phase and empties in the next. */
		unsigned int filling = n / 3000 % 2;

		if (rnd(10) < (filling ? 3u : 1u))
			store_step();
		else if (rnd(10) < (filling ? 1u : 3u))
			erase_step();
		else if (rnd(20) == 0)
			tag_range_step();
		else if (rnd(2))
			tag_step();
		else
			find_step();
		if (n % 40 == 0)
			check_all();
	}
	take_down();
}

/* Out of memory: -ENOMEM, and what was there is still there. */
static void refused_stores_change_nothing(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int n = 0; n < 10000; n++) {
		struct row *r = any_row();
		void *entry = any_entry();
		int err;

		unit_fault(&mm->failslab, (int)rnd(60), FOR_EVER);
		err = xa_store(&xa, r->index, entry, NULL);
		unit_fault(&mm->failslab, 0, FOR_EVER);
		if (err)
			assert_int_equal(err, -ENOMEM);
		else
			row_put(r, entry);
		if (rnd(3) == 0)
			erase_step();
		if (n % 20 == 0)
			check_all();
	}
	take_down();
}

/* --- the stash ------------------------------------------------------------ */

/* With a full stash no insertion fails, from whatever tree it starts. */
static void a_stash_is_enough(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int n = 0; n < 3000; n++) {
		struct xa_stash stash = { .nr = 0 };
		struct row *r = any_row();
		void *entry = any_entry();

		assert_int_equal(xa_stash_fill(&xa, &stash, GFP_KERNEL), 0);
		unit_fault(&mm->failslab, 100, FOR_EVER);
		assert_int_equal(xa_store(&xa, r->index, entry, &stash), 0);
		unit_fault(&mm->failslab, 0, FOR_EVER);
		row_put(r, entry);
		xa_stash_drain(&xa, &stash);
		assert_int_equal(stash.nr, 0);
		while (rnd(8))
			erase_step();
		if (n % 20 == 0)
			check_all();
	}
	take_down();
}

/* The longest way there is: from a tree of one node to the far end. */
static void a_stash_reaches_the_far_end(void **state)
{
	struct xa_stash stash = { .nr = 0 };
	void *entry = xa_mk_value(1);

	set_up(*state);
	assert_int_equal(xa_store(&xa, 0, entry, NULL), 0);
	row_put(&table[0], entry);
	assert_int_equal(xa_stash_fill(&xa, &stash, GFP_KERNEL), 0);
	assert_int_equal(xa_store(&xa, UINT64_MAX, entry, &stash), 0);
	row_put(&table[nr_rows - 1], entry);
	xa_stash_drain(&xa, &stash);
	check_all();
	take_down();
}

static void a_stash_is_all_or_nothing(void **state)
{
	struct mm *mm = *state;
	struct xa_stash stash = { .nr = 0 };

	set_up(mm);
	assert_int_equal(fault_set(&mm->failslab, FAULT_SPACE,
				   (int64_t)(3 * nodes.size + 1)),
			 0);
	unit_fault(&mm->failslab, 100, FOR_EVER);
	assert_int_equal(xa_stash_fill(&xa, &stash, GFP_KERNEL), -ENOMEM);
	assert_int_equal(stash.nr, 0);
	assert_int_equal(kmem_cache_stat(&nodes).nr_active, 0);
	unit_fault(&mm->failslab, 0, FOR_EVER);
	take_down();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(random_steps),
		unit_test_mm(refused_stores_change_nothing),
		unit_test_mm(a_stash_is_enough),
		unit_test_mm(a_stash_reaches_the_far_end),
		unit_test_mm(a_stash_is_all_or_nothing),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
