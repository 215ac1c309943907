/*
 * test_lru.c - the lists against arrays of page numbers.
 *
 *	order[l] = { newest, ..., oldest }	for each list l
 *	bits[i]  = referenced, active		for each page i
 *
 * Batches are emptied after each step, so that both sides can be compared at
 * any time; what happens within a batch has tests of its own.
 */
#include "mm/lru.h"
#include "mm/reclaim.h"
#include "tests/unit/unit.h"

enum { NR_PAGES = 250, NR_STEPS = 20000, ALL_ZONES = 7 };

static struct page *pages[NR_PAGES];
static struct {
	bool referenced, active, anon, unevictable;
} bits[NR_PAGES];
static int order[NR_LRU_LISTS][NR_PAGES];
static int length[NR_LRU_LISTS];

static int list_of(int i)
{
	if (bits[i].unevictable)
		return LRU_UNEVICTABLE;
	return (bits[i].anon ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE) +
	       (bits[i].active ? LRU_ACTIVE : 0);
}

static void model_insert(int i, bool at_tail)
{
	int l = list_of(i), at = at_tail ? length[l] : 0;

	memmove(&order[l][at + 1], &order[l][at],
		(size_t)(length[l] - at) * sizeof(int));
	order[l][at] = i;
	length[l]++;
}

static void model_remove(int i)
{
	int l = list_of(i), at = 0;

	while (order[l][at] != i)
		at++;
	length[l]--;
	memmove(&order[l][at], &order[l][at + 1],
		(size_t)(length[l] - at) * sizeof(int));
}

static int number_of(const struct page *page)
{
	int i = 0;

	while (pages[i] != page)
		i++;
	return i;
}

static void check_all(struct mm *mm)
{
	lru_check(mm);
	mutex_lock(&mm->lru.lock);
	for (int l = 0; l < NR_LRU_LISTS; l++) {
		struct page *page;
		int n = 0;

		assert_int_equal(lru_size(&mm->lru, (enum lru_list)l),
				 length[l]);
		assert_int_equal(
			vmstat_read(mm, NR_INACTIVE_ANON + (unsigned int)l),
			length[l]);
		list_for_each_entry(page, &mm->lru.lists[l], struct page, lru)
			assert_int_equal(number_of(page), order[l][n++]);
	}
	mutex_unlock(&mm->lru.lock);
	for (int i = 0; i < NR_PAGES; i++)
		if (pages[i])
			assert_int_equal(page_test(pages[i], PG_referenced),
					 bits[i].referenced);
}

/* --- steps ---------------------------------------------------------------- */

static void add_step(struct mm *mm, int i, uint32_t flags)
{
	pages[i] = page_alloc(mm, GFP_KERNEL | (rnd(2) ? GFP_MOVABLE : 0), 0);
	assert_non_null(pages[i]);
	page_set(pages[i], flags);
	bits[i].referenced = false;
	bits[i].active = flags & PG_active;
	bits[i].anon = flags & PG_anon;
	bits[i].unevictable = flags & PG_unevictable;
	lru_add(mm, pages[i]);
	lru_drain(mm);
	model_insert(i, false);
}

static void drop_step(struct mm *mm, int i)
{
	model_remove(i);
	assert_int_equal(page_refs(pages[i]), 1);
	page_put(mm, pages[i]);
	pages[i] = NULL;
}

/* The drawing in lru.h. */
static void access_step(struct mm *mm, int i)
{
	page_mark_accessed(mm, pages[i]);
	lru_drain(mm);
	if (!bits[i].referenced) {
		bits[i].referenced = true;
	} else if (!bits[i].active && !bits[i].unevictable) {
		model_remove(i);
		bits[i].active = true;
		bits[i].referenced = false;
		model_insert(i, false);
	}
}

static void rotate_step(struct mm *mm, int i)
{
	lru_rotate(mm, pages[i]);
	if (bits[i].active || bits[i].unevictable)
		return;
	model_remove(i);
	model_insert(i, true);
}

/*
 * The oldest leave, and come back as the newest in the order they had, some of
 * them to another list.
 */
static void isolate_step(struct mm *mm)
{
	int l = (int)rnd(NR_LRU_LISTS), nr = (int)rnd(50);
	struct list_head taken;
	unsigned long scanned = 0;
	int want = min_of(nr, length[l]);
	int gone[50];

	list_init(&taken);
	assert_int_equal(lru_isolate(mm, (enum lru_list)l, (unsigned int)nr,
				     ALL_ZONES, &taken, &scanned),
			 want);
	assert_int_equal(scanned, want);
	for (int n = 0; n < want; n++) {
		gone[n] = order[l][length[l] - 1];
		model_remove(gone[n]);
	}
	check_all(mm);
	for (int n = 0; n < want; n++) {
		struct page *page = pages[gone[n]];

		assert_false(page_test(page, PG_lru));
		assert_int_equal(page_refs(page), 2);
		if (bits[gone[n]].active && rnd(2)) {
			page_clear(page, PG_active);
			bits[gone[n]].active = false;
		}
		model_insert(gone[n], false);
	}
	lru_putback(mm, &taken);
	assert_true(list_empty(&taken));
}

static void step(struct mm *mm)
{
	static const uint32_t kinds[] = {
		0, 0, 0, PG_active, PG_anon, PG_anon | PG_active, PG_unevictable
	};
	int i = (int)rnd(NR_PAGES);

	if (!pages[i])
		add_step(mm, i, kinds[rnd(ARRAY_SIZE(kinds))]);
	else if (rnd(4) == 0)
		drop_step(mm, i);
	else if (rnd(4) == 0)
		rotate_step(mm, i);
	else
		access_step(mm, i);
	if (rnd(10) == 0)
		isolate_step(mm);
}

static void forget_all(struct mm *mm)
{
	for (int i = 0; i < NR_PAGES; i++)
		if (pages[i])
			drop_step(mm, i);
}

static void random_steps(void **state)
{
	struct mm *mm = *state;

	for (int n = 0; n < NR_STEPS; n++) {
		step(mm);
		if (n % 10 == 0)
			check_all(mm);
	}
	forget_all(mm);
	mm_check_all_free(mm);
}

/* --- one access is not enough --------------------------------------------- */

static void two_accesses_activate(void **state)
{
	struct mm *mm = *state;

	add_step(mm, 0, 0);
	assert_false(page_check_referenced(pages[0]));
	page_mark_accessed(mm, pages[0]);
	lru_drain(mm);
	assert_int_equal(lru_size(&mm->lru, LRU_ACTIVE_FILE), 0);
	assert_true(page_test(pages[0], PG_referenced));
	page_mark_accessed(mm, pages[0]);
	lru_drain(mm);
	assert_int_equal(lru_size(&mm->lru, LRU_ACTIVE_FILE), 1);
	assert_int_equal(lru_size(&mm->lru, LRU_INACTIVE_FILE), 0);
	assert_false(page_test(pages[0], PG_referenced));
	assert_int_equal(vmstat_read(mm, PGACTIVATE), 1);
	page_mark_accessed(mm, pages[0]);
	assert_true(page_check_referenced(pages[0]));
	assert_false(page_check_referenced(pages[0]));
	page_put(mm, pages[0]);
	pages[0] = NULL;
	memset(length, 0, sizeof(length));
}

/* A scan between two accesses: they count as one. */
static void a_scan_forgets_an_access(void **state)
{
	struct mm *mm = *state;

	add_step(mm, 0, 0);
	for (int n = 0; n < 10; n++) {
		page_mark_accessed(mm, pages[0]);
		assert_true(page_check_referenced(pages[0]));
	}
	lru_drain(mm);
	assert_int_equal(lru_size(&mm->lru, LRU_INACTIVE_FILE), 1);
	drop_step(mm, 0);
}

/* --- batches, zones, threads ---------------------------------------------- */

/* A page that is gone before its batch is emptied is freed by that. */
static void batches_hold_a_reference(void **state)
{
	struct mm *mm = *state;
	unsigned long nr_free = page_alloc_nr_free(mm);

	unit_pin(0);
	for (int i = 0; i < LRU_BATCH - 1; i++) {
		pages[i] = page_alloc(mm, GFP_KERNEL, 0);
		lru_add(mm, pages[i]);
		assert_int_equal(page_refs(pages[i]), 2);
		assert_false(page_test(pages[i], PG_lru));
		page_put(mm, pages[i]);
		pages[i] = NULL;
	}
	assert_int_equal(page_alloc_nr_free(mm), nr_free - LRU_BATCH + 1);
	lru_drain(mm);
	assert_int_equal(page_alloc_nr_free(mm), nr_free);
	lru_check(mm);
}

/* Nobody has to ask for it: a full batch empties itself. */
static void full_batches_are_emptied(void **state)
{
	struct mm *mm = *state;

	unit_pin(0);
	for (int i = 0; i < LRU_BATCH; i++) {
		pages[i] = page_alloc(mm, GFP_KERNEL, 0);
		lru_add(mm, pages[i]);
		assert_int_equal(lru_size(&mm->lru, LRU_INACTIVE_FILE),
				 i == LRU_BATCH - 1 ? LRU_BATCH : 0);
	}
	for (int i = 0; i < LRU_BATCH; i++) {
		page_put(mm, pages[i]);
		pages[i] = NULL;
	}
	assert_int_equal(lru_size(&mm->lru, LRU_INACTIVE_FILE), 0);
}

static void other_zones_are_passed_by(void **state)
{
	struct mm *mm = *state;
	unsigned int nr_normal = 0, taken = 0;
	struct list_head list;
	unsigned long scanned = 0;
	struct page *page;

	for (int i = 0; i < NR_PAGES; i++) {
		add_step(mm, i, 0);
		nr_normal += zone_contains(&mm->zones[ZONE_NORMAL],
					   page_to_pfn(&mm->arena, pages[i]));
	}
	assert_true(nr_normal > 0 && nr_normal < NR_PAGES);
	list_init(&list);
	for (int n = 0; n < NR_PAGES; n++)
		taken += lru_isolate(mm, LRU_INACTIVE_FILE, 16,
				     1u << ZONE_NORMAL, &list, &scanned);
	assert_int_equal(taken, nr_normal);
	assert_int_equal(scanned, nr_normal);
	list_for_each_entry(page, &list, struct page, lru)
		assert_true(zone_contains(&mm->zones[ZONE_NORMAL],
					  page_to_pfn(&mm->arena, page)));
	assert_int_equal(lru_size(&mm->lru, LRU_INACTIVE_FILE),
			 NR_PAGES - nr_normal);
	lru_putback(mm, &list);
	lru_check(mm);
	forget_all(mm);
}

enum { NR_THREADS = 3, NR_TURNS = 8000, NR_OWN = 40 };

struct user {
	struct os_thread thread;
	struct mm *mm;
	uint64_t state;
};

static void scan_some(struct mm *mm, uint64_t *state)
{
	struct list_head list;
	unsigned long scanned = 0;

	list_init(&list);
	lru_isolate(mm, (enum lru_list)(rnd_of(state) % NR_LRU_LISTS), 8,
		    ALL_ZONES, &list, &scanned);
	lru_putback(mm, &list);
}

static void user_main(void *arg)
{
	struct user *u = arg;
	struct page *own[NR_OWN] = { NULL };

	for (int n = 0; n < NR_TURNS; n++) {
		struct page **p = &own[rnd_of(&u->state) % NR_OWN];

		if (!*p) {
			*p = page_alloc(u->mm, GFP_NOWAIT | GFP_MOVABLE, 0);
			ASSERT(*p);
			lru_add(u->mm, *p);
		} else if (rnd_of(&u->state) % 4 == 0) {
			page_put(u->mm, *p);
			*p = NULL;
		} else if (rnd_of(&u->state) % 8 == 0) {
			lru_rotate(u->mm, *p);
		} else {
			page_mark_accessed(u->mm, *p);
		}
		if (rnd_of(&u->state) % 16 == 0)
			scan_some(u->mm, &u->state);
	}
	for (int i = 0; i < NR_OWN; i++)
		if (own[i])
			page_put(u->mm, own[i]);
}

static void threads_share_the_lists(void **state)
{
	struct user users[NR_THREADS];

	for (int i = 0; i < NR_THREADS; i++) {
		users[i].mm = *state;
		users[i].state = rnd(UINT64_MAX);
		assert_int_equal(os_thread_start(&users[i].thread, "user",
						 user_main, &users[i]),
				 0);
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&users[i].thread);
	lru_drain(*state);
	lru_check(*state);
	for (int l = 0; l < NR_LRU_LISTS; l++)
		assert_int_equal(
			vmstat_read(*state, NR_INACTIVE_ANON + (unsigned int)l),
			0);
	mm_check_all_free(*state);
}

/* --- anon against file ------------------------------------------------------ */

/*
 * What the scans of each kind have cost: in whole pages, as the lists count it,
 * and in numbers without an end, which are halved when those are. (Left to
 * halve by themselves they would do so at other steps, and tell nothing.)
 */
struct model_cost {
	unsigned long pages[NR_LRU_KINDS];
	double exact[NR_LRU_KINDS];
};

static void model_note(struct model_cost *c, int kind, unsigned long more,
		       unsigned long size)
{
	c->pages[kind] += more;
	c->exact[kind] += (double)more;
	while (c->pages[0] + c->pages[1] > max_of(size / 4, 1ul))
		for (int i = 0; i < NR_LRU_KINDS; i++) {
			c->pages[i] /= 2;
			c->exact[i] /= 2;
		}
}

/* However often it was halved, less than one page is lost by rounding. */
static void check_cost(struct mm *mm, const struct model_cost *c)
{
	mutex_lock(&mm->lru.lock);
	for (int i = 0; i < NR_LRU_KINDS; i++) {
		assert_int_equal(mm->lru.cost[i], c->pages[i]);
		assert_true((double)c->pages[i] <= c->exact[i]);
		assert_true((double)c->pages[i] > c->exact[i] - 1);
	}
	mutex_unlock(&mm->lru.lock);
}

static void check_shares(struct mm *mm, const struct model_cost *c,
			 long swappiness)
{
	const unsigned long *cost = c->pages;
	double total = (double)(cost[0] + cost[1] + 1), part;
	double anon =
		(double)swappiness * total / (total + (double)cost[LRU_ANON]);
	double file = (double)(200 - swappiness) * total /
		      (total + (double)cost[LRU_FILE]);
	unsigned long share[NR_LRU_KINDS];

	assert_int_equal(vm_set(mm, VM_SWAPPINESS, swappiness), 0);
	lru_shares(mm, share);
	assert_int_equal(share[LRU_ANON] == 0, swappiness == 0);
	assert_int_equal(share[LRU_FILE] == 0, swappiness == 200);
	part = (double)share[LRU_ANON] /
	       (double)(share[LRU_ANON] + share[LRU_FILE]);
	/* The least share is over 100: rounding it is less than a hundredth. */
	assert_true(part - anon / (anon + file) < 0.01);
	assert_true(anon / (anon + file) - part < 0.01);
}

static void shares_follow_swappiness_and_cost(void **state)
{
	struct mm *mm = *state;
	struct model_cost cost = { .pages = { 0, 0 } };
	int nr_pages = (int)rnd(NR_PAGES + 1);

	for (int i = 0; i < nr_pages; i++)
		add_step(mm, i, rnd(2) ? PG_anon : 0);
	for (int n = 0; n < 500; n++) {
		/* For a while it is one kind that costs, then the other. */
		enum lru_kind kind = rnd(8) ? n / 50 % 2 : (int)rnd(2);
		unsigned long io = rnd(2), rotated = rnd(10);

		check_shares(mm, &cost, (long)rnd(201));
		check_shares(mm, &cost, rnd(2) ? 0 : 200);
		lru_note_cost(mm, kind, io, rotated);
		model_note(&cost, (int)kind, io * RECLAIM_CLUSTER + rotated,
			   (unsigned long)nr_pages);
		check_cost(mm, &cost);
	}
	forget_all(mm);
}

/* What is too little for a batch is not forgotten. */
static void scans_are_whole_batches(void **state)
{
	unsigned long want[2] = { 0, 0 }, is[2] = { 0, 0 };

	for (int n = 0; n < 1000; n++) {
		int kind = (int)rnd(2);
		unsigned long nr = rnd(rnd(2) ? 3 : 100), now;

		want[kind] += nr;
		now = lru_scan_now(*state, (enum lru_kind)kind, nr, 32);
		assert_int_equal(now % 32, 0);
		is[kind] += now;
		assert_true(is[kind] <= want[kind] &&
			    want[kind] - is[kind] < 32);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(two_accesses_activate),
		unit_test_mm(a_scan_forgets_an_access),
		unit_test_mm(random_steps),
		unit_test_mm(other_zones_are_passed_by),
		unit_test_mm(threads_share_the_lists),
		unit_test_mm(batches_hold_a_reference),
		unit_test_mm(full_batches_are_emptied),
		unit_test_mm(shares_follow_swappiness_and_cost),
		unit_test_mm(scans_are_whole_batches),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
