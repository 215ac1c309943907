/*
 * test_reclaim.c - who is evicted, and in what order.
 *
 *	active[]    newest ... oldest ─┐ not referenced: down
 *	                               ▼
 *	inactive[]  newest ... oldest ─► referenced: another round
 *	                               ─► dirty, or in use: kept
 *	                               ─► gone, in the order of f->dropped
 *
 * The model is those two arrays of indices, scanned 32 at a time. Then one
 * test for each kind of page that must stay, and streams larger than memory.
 */
#include "mm/reclaim.h"
#include "mm/oom.h"
#include "tests/unit/fake_file.h"

enum {
	NR_INDICES = 1200,
	NR_STEPS = 6000,
	CLUSTER = 32,
	HARD = 6, /* below this priority referenced pages go as well */
	ALL_ZONES = 7,
	NO_LIMIT = 1 << 30,
};

static struct fake_file *f;

/* --- model ---------------------------------------------------------------- */

static struct {
	bool here, referenced, active, stays;
} model[NR_INDICES];
static int lists[2][NR_INDICES]; /* [active] */
static int length[2];
static int gone[NR_INDICES]; /* by the last scan */
static int nr_gone;

static void push(int active, int i)
{
	memmove(&lists[active][1], &lists[active][0],
		(size_t)length[active] * sizeof(int));
	lists[active][0] = i;
	length[active]++;
	model[i].active = active;
}

static void take_out(int i)
{
	int *list = lists[model[i].active], at = 0;

	while (list[at] != i)
		at++;
	memmove(&list[at], &list[at + 1],
		(size_t)(--length[model[i].active] - at) * sizeof(int));
}

/* Up to a cluster of the oldest; oldest first. */
static int pop_oldest(int active, int *out)
{
	int nr = min_of(length[active], (int)CLUSTER);

	for (int n = 0; n < nr; n++)
		out[n] = lists[active][--length[active]];
	return nr;
}

static void model_age_active(unsigned int priority)
{
	int page[CLUSTER], nr = pop_oldest(1, page);

	for (int n = 0; n < nr; n++) {
		bool referenced = model[page[n]].referenced;

		model[page[n]].referenced = false;
		push(referenced && priority >= HARD, page[n]);
	}
}

static int model_scan_inactive(unsigned int priority)
{
	int page[CLUSTER], nr = pop_oldest(0, page);

	for (int n = 0; n < nr; n++) {
		bool referenced = model[page[n]].referenced;

		model[page[n]].referenced = false;
		if (model[page[n]].stays || (referenced && priority >= HARD)) {
			push(0, page[n]);
		} else {
			model[page[n]].here = false;
			gone[nr_gone++] = page[n];
		}
	}
	return nr;
}

static void model_shrink(unsigned int priority, int nr_to_reclaim)
{
	int want = max_of(length[0] >> priority, (int)CLUSTER);
	int want_active = max_of(length[1] >> priority, (int)CLUSTER);
	int scanned = 1;

	nr_gone = 0;
	while (want > 0 && nr_gone < nr_to_reclaim &&
	       (scanned > 0 || want_active > 0)) {
		if (want_active > 0 &&
		    (scanned == 0 || length[0] < length[1])) {
			model_age_active(priority);
			want_active -= CLUSTER;
		}
		scanned = model_scan_inactive(priority);
		want -= scanned;
	}
}

/* --- the real thing ------------------------------------------------------- */

static void set_up(struct mm *mm)
{
	f = fake_create(mm, NR_INDICES);
	atomic_store(&f->pageout, PAGEOUT_KEEP);
	memset(model, 0, sizeof(model));
	memset(length, 0, sizeof(length));
}

static void read_page(int i)
{
	struct mm *mm = f->mapping.mm;

	assert_int_equal(page_cache_read(&f->mapping, (pgoff_t)i, 1, UINT64_MAX,
					 GFP_KERNEL),
			 1);
	lru_drain(mm);
	model[i].here = true;
	model[i].referenced = model[i].stays = false;
	push(0, i);
}

static void access_page(int i)
{
	struct mm *mm = f->mapping.mm;
	struct page *page = page_cache_find(&f->mapping, (pgoff_t)i);

	assert_non_null(page);
	page_mark_accessed(mm, page);
	lru_drain(mm);
	page_put(mm, page);
	if (!model[i].referenced) {
		model[i].referenced = true;
	} else if (!model[i].active) {
		take_out(i);
		model[i].referenced = false;
		push(1, i);
	}
}

static void dirty_page(int i)
{
	assert_int_equal(fake_write(f, (pgoff_t)i, (uint64_t)i), 0);
	model[i].stays = true;
}

static struct scan_control scan_of(unsigned int priority, int nr_to_reclaim)
{
	return (struct scan_control){
		.nr_to_reclaim = (unsigned long)nr_to_reclaim,
		.priority = priority,
		.zone_mask = ALL_ZONES,
		.may_io = true,
	};
}

static unsigned long shrink(struct mm *mm, unsigned int priority,
			    int nr_to_reclaim)
{
	struct scan_control sc = scan_of(priority, nr_to_reclaim);

	lru_drain(mm);
	mm->policy->shrink_node(mm, &sc);
	return sc.nr_reclaimed;
}

static void check_lists(struct mm *mm)
{
	lru_check(mm);
	assert_int_equal(lru_size(&mm->lru, LRU_INACTIVE_FILE), length[0]);
	assert_int_equal(lru_size(&mm->lru, LRU_ACTIVE_FILE), length[1]);
	for (int i = 0; i < NR_INDICES; i++)
		assert_int_equal(fake_test(f, (pgoff_t)i, PG_uptodate),
				 model[i].here);
}

static void shrink_step(struct mm *mm)
{
	unsigned int priority = (unsigned int)rnd(RECLAIM_DEF_PRIORITY + 1);
	int nr = rnd(2) ? NO_LIMIT : (int)rnd(200);
	unsigned long before = atomic_load(&f->nr_dropped);

	model_shrink(priority, nr);
	assert_int_equal(shrink(mm, priority, nr), nr_gone);
	assert_int_equal(atomic_load(&f->nr_dropped) - before, nr_gone);
	for (int n = 0; n < nr_gone; n++)
		assert_int_equal(
			f->dropped[(before + (unsigned long)n) % FAKE_LOG_MAX],
			gone[n]);
	check_lists(mm);
}

static void evicts_in_the_models_order(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int n = 0; n < NR_STEPS; n++) {
		/* Some pages are more popular than others. */
		int i = (int)rnd(1 + rnd(NR_INDICES));

		if (!model[i].here)
			read_page(i);
		else if (rnd(40) == 0)
			dirty_page(i);
		else
			access_page(i);
		if (rnd(80) == 0)
			shrink_step(mm);
	}
	assert_true(atomic_load(&f->nr_dropped) > 100);
	fake_destroy(f);
}

/* Never used: first in, first out. */
static void unused_pages_go_in_order(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int i = 0; i < NR_INDICES; i++)
		read_page(i);
	while (shrink(mm, RECLAIM_DEF_PRIORITY, CLUSTER) > 0)
		;
	assert_int_equal(atomic_load(&f->nr_dropped), NR_INDICES);
	for (int i = 0; i < NR_INDICES; i++)
		assert_int_equal(f->dropped[i], i);
	fake_destroy(f);
}

static void a_used_page_gets_a_second_chance(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int i = 0; i < 3 * CLUSTER; i++)
		read_page(i);
	access_page(4);
	assert_int_equal(shrink(mm, RECLAIM_DEF_PRIORITY, 1), CLUSTER - 1);
	assert_true(fake_test(f, 4, PG_uptodate));
	assert_int_equal(shrink(mm, RECLAIM_DEF_PRIORITY, 1), CLUSTER);
	assert_int_equal(shrink(mm, RECLAIM_DEF_PRIORITY, 1), CLUSTER);
	assert_true(fake_test(f, 4, PG_uptodate));
	assert_int_equal(shrink(mm, RECLAIM_DEF_PRIORITY, 1), 1);
	fake_destroy(f);
}

/* --- who stays ------------------------------------------------------------ */

static void dirty_pages_are_not_dropped(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int i = 0; i < 100; i++)
		dirty_page(i);
	for (unsigned int n = 0; n < 2 * RECLAIM_DEF_PRIORITY; n++)
		assert_int_equal(shrink(mm, n % RECLAIM_DEF_PRIORITY, NO_LIMIT),
				 0);
	assert_true(atomic_load(&f->nr_pageouts) >= 100);
	assert_int_equal(reclaim_drop_pagecache(mm), 0);
	assert_int_equal(page_cache_invalidate(&f->mapping, 0, UINT64_MAX), 0);
	assert_int_equal(f->mapping.nr_dirty, 100);
	assert_int_equal(mapping_sync(&f->mapping, 0, UINT64_MAX), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(atomic_load(&f->disk[i]), i);
	assert_int_equal(shrink(mm, 0, NO_LIMIT), 100);
	fake_destroy(f);
}

static void no_io_means_no_pageout(void **state)
{
	struct mm *mm = *state;
	struct scan_control sc = scan_of(0, NO_LIMIT);

	set_up(mm);
	dirty_page(0);
	read_page(1);
	sc.may_io = false;
	mm->policy->shrink_node(mm, &sc);
	assert_int_equal(atomic_load(&f->nr_pageouts), 0);
	assert_true(sc.nr_dirty > 0);
	assert_int_equal(sc.nr_reclaimed, 1);
	fake_destroy(f);
}

static void pages_on_their_way_out_are_kept(void **state)
{
	struct mm *mm = *state;
	struct scan_control sc = scan_of(0, NO_LIMIT);

	set_up(mm);
	atomic_store(&f->mode, FAKE_QUEUED);
	dirty_page(0);
	mapping_flush(&f->mapping);
	lru_drain(mm);
	mm->policy->shrink_node(mm, &sc);
	assert_int_equal(sc.nr_reclaimed, 0);
	assert_true(sc.nr_writeback > 0);
	assert_true(fake_complete(f));
	assert_int_equal(shrink(mm, 0, NO_LIMIT), 1);
	assert_int_equal(atomic_load(&f->disk[0]), 0);
	fake_destroy(f);
}

static void pages_in_use_are_kept(void **state)
{
	struct mm *mm = *state;
	struct page *used, *locked;

	set_up(mm);
	for (int i = 0; i < 50; i++)
		read_page(i);
	used = page_cache_find(&f->mapping, 5);
	locked = page_cache_find(&f->mapping, 6);
	assert_true(page_trylock(locked));
	assert_int_equal(shrink(mm, 0, NO_LIMIT), 48);
	assert_int_equal(shrink(mm, 0, NO_LIMIT), 0);
	assert_int_equal(used->index, 5);
	page_unlock(&mm->page_waits, locked);
	page_put(mm, locked);
	page_put(mm, used);
	assert_int_equal(shrink(mm, 0, NO_LIMIT), 2);
	fake_destroy(f);
}

static void unevictable_pages_are_never_taken(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (pgoff_t i = 0; i < 40; i++) {
		struct page *page = page_alloc(mm, GFP_KERNEL, 0);

		page_set(page, PG_locked | PG_uptodate |
				       (i % 2 ? PG_unevictable : 0));
		assert_int_equal(
			page_cache_add(&f->mapping, page, i, GFP_KERNEL), 0);
		page_unlock(&mm->page_waits, page);
		page_put(mm, page);
	}
	for (int n = 0; n < 20; n++) {
		shrink(mm, 0, NO_LIMIT);
		reclaim_direct(mm, GFP_KERNEL | GFP_MOVABLE);
		reclaim_drop_pagecache(mm);
	}
	assert_int_equal(lru_size(&mm->lru, LRU_UNEVICTABLE), 20);
	assert_int_equal(f->mapping.nr_pages, 20);
	for (pgoff_t i = 0; i < 40; i++)
		assert_int_equal(fake_test(f, i, PG_uptodate), i % 2);
	fake_destroy(f);
}

/* --- pageout -------------------------------------------------------------- */

static void pages_cleaned_by_pageout_go(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	atomic_store(&f->pageout, PAGEOUT_CLEAN);
	for (int i = 0; i < 60; i++)
		dirty_page(i);
	assert_int_equal(shrink(mm, 0, NO_LIMIT), 60);
	for (int i = 0; i < 60; i++)
		assert_int_equal(atomic_load(&f->disk[i]), i);
	fake_destroy(f);
}

/* Asked to be written for reclaim: once clean they are the next to go. */
static void written_pages_go_next(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	atomic_store(&f->pageout, PAGEOUT_STARTED);
	for (int i = 0; i < 10; i++)
		dirty_page(i);
	for (int i = 10; i < 100; i++)
		read_page(i);
	assert_int_equal(shrink(mm, RECLAIM_DEF_PRIORITY, 1), CLUSTER - 10);
	mapping_flush(&f->mapping);
	assert_int_equal(vmstat_read(mm, PGROTATED), 10);
	assert_int_equal(shrink(mm, RECLAIM_DEF_PRIORITY, 1), CLUSTER);
	for (pgoff_t i = 0; i < 10; i++)
		assert_false(fake_test(f, i, PG_uptodate));
	fake_destroy(f);
}

/* --- the ways in ---------------------------------------------------------- */

static void direct_reclaim_frees_a_cluster(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	for (int i = 0; i < 500; i++)
		read_page(i);
	assert_true(reclaim_direct(mm, GFP_KERNEL | GFP_MOVABLE) >= CLUSTER);
	assert_true(atomic_load(&f->nr_dropped) >= CLUSTER);
	assert_true(atomic_load(&f->nr_dropped) < 200);
	assert_int_equal(vmstat_read(mm, PGSTEAL_DIRECT),
			 atomic_load(&f->nr_dropped));
	assert_true(vmstat_read(mm, PGSCAN_DIRECT) >=
		    vmstat_read(mm, PGSTEAL_DIRECT));
	fake_destroy(f);
	slab_reap(mm);
	assert_int_equal(reclaim_direct(mm, GFP_KERNEL | GFP_MOVABLE), 0);
}

/* A cache with nr empty slabs. */
static void make_empty_slabs(struct mm *mm, struct kmem_cache *c,
			     unsigned long nr)
{
	void *objects[200], **o = objects;

	assert_int_equal(kmem_cache_init(mm, c, "test", PAGE_SIZE, false), 0);
	assert_true(nr <= ARRAY_SIZE(objects));
	while (o < objects + nr)
		assert_non_null(*o++ = kmem_cache_alloc(c, GFP_KERNEL));
	while (o-- > objects)
		kmem_cache_free(c, *o);
	assert_true(c->nr_slabs >= nr);
}

static void empty_slabs_go_before_pages(void **state)
{
	struct mm *mm = *state;
	struct kmem_cache c;

	set_up(mm);
	for (int i = 0; i < 500; i++)
		read_page(i);
	make_empty_slabs(mm, &c, 200);
	assert_true(reclaim_direct(mm, GFP_KERNEL | GFP_MOVABLE) >= 190);
	assert_int_equal(atomic_load(&f->nr_dropped), 0);
	assert_int_equal(c.nr_slabs, 0);
	kmem_cache_destroy(&c);
	fake_destroy(f);
}

static void drop_takes_every_clean_page(void **state)
{
	struct mm *mm = *state;
	unsigned long clean = 0;

	set_up(mm);
	for (int i = 0; i < NR_INDICES; i++) {
		read_page(i);
		for (uint64_t n = rnd(4); n > 0; n--)
			access_page(i);
		if (rnd(5) == 0)
			dirty_page(i);
		else
			clean++;
	}
	assert_int_equal(reclaim_drop_pagecache(mm), clean);
	assert_int_equal(f->mapping.nr_pages, f->mapping.nr_dirty);
	lru_check(mm);
	fake_destroy(f);
}

/* --- streams larger than memory ------------------------------------------- */

enum { NR_STREAM = 4 * MM_SIZE_MIN / 4096 };

static void reads_go_on_for_ever(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);

	(void)state;
	f = fake_create(mm, NR_STREAM);
	for (pgoff_t i = 0; i < NR_STREAM; i++)
		atomic_store(&f->disk[i], i);
	for (pgoff_t i = 0; i < NR_STREAM; i++) {
		int err;
		struct page *page;

		if (page_cache_read(&f->mapping, i, 1, UINT64_MAX,
				    GFP_KERNEL) != 1)
			fail_msg("no frame for page %u", (unsigned int)i);
		page = page_cache_grab(&f->mapping, i, GFP_KERNEL, &err);
		assert_non_null(page);
		if (page_test(page, PG_uptodate))
			assert_int_equal(*fake_word(mm, page), i);
		page_unlock(&mm->page_waits, page);
		page_put(mm, page);
	}
	assert_true(page_alloc_nr_free(mm) > 0);
	lru_drain(mm);
	lru_check(mm);
	fake_destroy(f);
	mm_destroy(mm);
}

static void writes_wait_and_nothing_is_lost(void **state)
{
	struct mm *mm = unit_mm(MM_SIZE_MIN);

	(void)state;
	f = fake_create(mm, NR_STREAM);
	atomic_store(&f->pageout, PAGEOUT_STARTED);
	for (pgoff_t i = 0; i < NR_STREAM; i++) {
		struct oom_patience patience = { 0 };

		while (fake_write(f, i, i + 1) != 0) {
			assert_int_equal(oom_judge(mm, &patience), OOM_WAIT);
			unit_nap();
		}
	}
	assert_int_equal(dirty_list_sync(mm, &f->group), 0);
	for (pgoff_t i = 0; i < NR_STREAM; i++)
		assert_int_equal(atomic_load(&f->disk[i]), i + 1);
	fake_destroy(f);
	mm_destroy(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(a_used_page_gets_a_second_chance),
		unit_test_mm(dirty_pages_are_not_dropped),
		unit_test_mm(no_io_means_no_pageout),
		unit_test_mm(pages_on_their_way_out_are_kept),
		unit_test_mm(pages_in_use_are_kept),
		unit_test_mm(unevictable_pages_are_never_taken),
		unit_test_mm(pages_cleaned_by_pageout_go),
		unit_test_mm(written_pages_go_next),
		unit_test_mm(direct_reclaim_frees_a_cluster),
		unit_test_mm(empty_slabs_go_before_pages),
		unit_test_mm(drop_takes_every_clean_page),
		unit_test_mm(unused_pages_go_in_order),
		unit_test_mm(evicts_in_the_models_order),
		cmocka_unit_test(reads_go_on_for_ever),
		cmocka_unit_test(writes_wait_and_nothing_is_lost),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
