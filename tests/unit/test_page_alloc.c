/*
 * test_page_alloc.c - who gets a frame, from which zone, and when no more.
 *
 *	movable:    MOVABLE ──► NORMAL ──► DMA
 *	unmovable:              NORMAL ──► DMA
 *	I/O buffer: DMA ──► NORMAL
 *
 *	what each zone is left with:  low + reserve   growth
 *	                              min + reserve   everybody else
 *	                              nothing         GFP_RESERVE
 *
 * The memory is quiet: nothing is reclaimed, so that where an allocator stops
 * is a matter of its flags alone. The model is that table.
 */
#include "mm/page_alloc.h"
#include "tests/unit/unit.h"

enum { FRAMES_MAX = MM_SIZE_MIN / 4096, NR_STEPS = 20000 };

static struct page *taken[FRAMES_MAX];
static unsigned int nr_taken;

static enum zone_type zone_of(struct mm *mm, struct page *page)
{
	int t = 0;

	while (!zone_contains(&mm->zones[t], page_to_pfn(&mm->arena, page)))
		t++;
	assert_true(t < NR_ZONES);
	return (enum zone_type)t;
}

static struct page *take(struct mm *mm, gfp_t gfp)
{
	struct page *page = page_alloc(mm, gfp, 0);

	if (page) {
		assert_true(nr_taken < FRAMES_MAX);
		taken[nr_taken++] = page;
	}
	return page;
}

static void give_all_back(struct mm *mm)
{
	while (nr_taken > 0)
		page_put(mm, taken[--nr_taken]);
	page_alloc_drain(mm);
}

static void nr_free_of(struct mm *mm, unsigned long nr_free[NR_ZONES])
{
	slab_reap(mm);
	page_alloc_drain(mm);
	for (int t = 0; t < NR_ZONES; t++)
		nr_free[t] = zone_nr_free(&mm->zones[t]);
}

/* The first drawing. */
static const enum zone_type *zonelist_of(gfp_t gfp)
{
	static const enum zone_type movable[] = { ZONE_MOVABLE, ZONE_NORMAL,
						  ZONE_DMA, NR_ZONES };
	static const enum zone_type buffer[] = { ZONE_DMA, ZONE_NORMAL,
						 NR_ZONES };

	if (gfp & GFP_DMA)
		return buffer;
	return gfp & GFP_MOVABLE ? movable : movable + 1;
}

/* A zone's reserve is kept from those who could have used a higher one. */
static enum zone_type highest_of(gfp_t gfp)
{
	if (gfp & GFP_DMA)
		return ZONE_DMA;
	return gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL;
}

static bool on_list(gfp_t gfp, enum zone_type t)
{
	const enum zone_type *list = zonelist_of(gfp);

	while (*list != NR_ZONES && *list != t)
		list++;
	return *list == t;
}

/* The table in the drawing. */
static unsigned long left_over(struct zone *z, gfp_t gfp, unsigned long before)
{
	enum zone_type highest = highest_of(gfp);
	enum watermark mark = gfp & GFP_GROWTH ? WMARK_LOW : WMARK_MIN;
	unsigned long keep = atomic_load(&z->wmark[mark]);

	if (!on_list(gfp, z->type))
		return before;
	if (gfp & GFP_RESERVE)
		return 0;
	if (highest > z->type)
		keep += atomic_load(&z->lowmem_reserve[highest]);
	return min_of(keep, before);
}

static void stops_where_its_flags_say(struct mm *mm, gfp_t gfp)
{
	unsigned long before[NR_ZONES], now[NR_ZONES];

	nr_free_of(mm, before);
	while (take(mm, gfp))
		;
	nr_free_of(mm, now);
	for (int t = 0; t < NR_ZONES; t++)
		assert_int_equal(now[t],
				 left_over(&mm->zones[t], gfp, before[t]));
	give_all_back(mm);
	nr_free_of(mm, now);
	assert_memory_equal(now, before, sizeof(now));
}

static void every_flag_has_its_limit(void **state)
{
	static const gfp_t how[] = { GFP_NOWAIT, GFP_NOIO, GFP_KERNEL,
				     GFP_MEMALLOC };
	static const gfp_t what[] = { 0, GFP_MOVABLE, GFP_DMA };
	struct mm *mm = *state;

	for (size_t h = 0; h < ARRAY_SIZE(how); h++)
		for (size_t w = 0; w < ARRAY_SIZE(what); w++) {
			stops_where_its_flags_say(mm, how[h] | what[w]);
			if (how[h] != GFP_MEMALLOC)
				stops_where_its_flags_say(
					mm, how[h] | what[w] | GFP_GROWTH);
		}
}

/* Once refused, the more modest are refused too, the less modest are not. */
static void readers_go_on_when_growth_is_refused(void **state)
{
	struct mm *mm = *state;

	while (take(mm, GFP_KERNEL | GFP_MOVABLE | GFP_GROWTH))
		;
	assert_null(take(mm, GFP_NOWAIT | GFP_MOVABLE | GFP_GROWTH));
	assert_non_null(take(mm, GFP_NOWAIT | GFP_MOVABLE));
	while (take(mm, GFP_NOWAIT | GFP_MOVABLE))
		;
	assert_null(take(mm, GFP_KERNEL | GFP_MOVABLE));
	/* The reserve of NORMAL is for those who can go nowhere else. */
	assert_non_null(take(mm, GFP_KERNEL));
	while (take(mm, GFP_KERNEL))
		;
	assert_non_null(take(mm, GFP_MEMALLOC));
	while (take(mm, GFP_MEMALLOC | GFP_MOVABLE))
		;
	assert_int_equal(page_alloc_nr_free(mm), 0);
	assert_null(take(mm, GFP_MEMALLOC));
	assert_true(vmstat_read(mm, PGALLOC_RESERVE) > 0);
	give_all_back(mm);
}

/*
 * The first of the list that is above the mark. Frames in per-CPU lists do not
 * count as free; when no zone has enough there is no prediction.
 */
static int predict(struct mm *mm, gfp_t gfp)
{
	const enum zone_type *list = zonelist_of(gfp);
	enum zone_type highest = highest_of(gfp);

	for (int mark = WMARK_LOW; mark >= WMARK_MIN; mark--) {
		for (int i = 0; list[i] != NR_ZONES; i++) {
			struct zone *z = &mm->zones[list[i]];
			unsigned long keep = atomic_load(&z->wmark[mark]);

			if (highest > list[i])
				keep += atomic_load(
					&z->lowmem_reserve[highest]);
			if (zone_nr_free(z) > keep)
				return (int)list[i];
		}
		if (gfp & GFP_GROWTH)
			break;
	}
	return -1;
}

static void falls_back_in_order(void **state)
{
	static const gfp_t gfps[] = { GFP_NOWAIT, GFP_NOWAIT | GFP_MOVABLE,
				      GFP_NOWAIT | GFP_DMA,
				      GFP_NOWAIT | GFP_MOVABLE | GFP_GROWTH };
	struct mm *mm = *state;

	for (int n = 0; n < NR_STEPS; n++) {
		gfp_t gfp = gfps[rnd(ARRAY_SIZE(gfps))];
		int zone = predict(mm, gfp);
		unsigned int i;

		if (nr_taken == 0 || rnd(20) < (n / 4000 % 2 ? 8 : 13)) {
			struct page *page = take(mm, gfp);

			if (zone >= 0)
				assert_int_equal(zone_of(mm, page), zone);
			continue;
		}
		i = (unsigned int)rnd(nr_taken);
		page_put(mm, taken[i]);
		taken[i] = taken[--nr_taken];
	}
	give_all_back(mm);
}

/* --- folios of all sizes, against an owner a frame ------------------------ */

enum { NR_FOLIOS = 300 };

static bool owned[FRAMES_MAX];
static struct page *folios[NR_FOLIOS];

static void model_mark(struct mm *mm, struct page *page, bool value)
{
	pfn_t pfn = page_to_pfn(&mm->arena, page);

	assert_int_equal(pfn % page_nr(page), 0);
	for (pfn_t i = pfn; i < pfn + page_nr(page); i++) {
		assert_int_equal(owned[i], !value);
		owned[i] = value;
	}
}

static void check_new(struct mm *mm, struct page *page, unsigned int order,
		      gfp_t gfp)
{
	const char *p = page_address(&mm->arena, page);

	assert_int_equal(page_refs(page), 1);
	assert_int_equal(page->flags, 0);
	assert_int_equal(page->order, order);
	assert_int_equal(page->mapping, 0);
	assert_true(list_empty(&page->lru));
	for (unsigned int i = 1; i < 1u << order; i++) {
		assert_true(page_test(page + i, PG_tail));
		assert_ptr_equal(page[i].head, page);
	}
	for (size_t i = 0; gfp & GFP_ZERO && i < PAGE_SIZE << order; i += 64)
		assert_int_equal(p[i], 0);
}

static void folio_step(struct mm *mm)
{
	struct page **slot = &folios[rnd(NR_FOLIOS)];
	unsigned int order = (unsigned int)rnd(6);
	gfp_t gfp = GFP_NOWAIT | (rnd(2) ? GFP_MOVABLE : 0) |
		    (rnd(4) ? 0 : GFP_ZERO);

	if (*slot) {
		model_mark(mm, *slot, false);
		page_get(*slot);
		page_put(mm, *slot);
		page_put(mm, *slot);
		*slot = NULL;
		return;
	}
	*slot = page_alloc(mm, gfp, order);
	if (!*slot)
		return;
	check_new(mm, *slot, order, gfp);
	model_mark(mm, *slot, true);
	memset(page_address(&mm->arena, *slot), 0xff, PAGE_SIZE << order);
}

static void folios_do_not_overlap(void **state)
{
	struct mm *mm = *state;

	memset(owned, 0, sizeof(owned));
	for (int n = 0; n < NR_STEPS / (DEBUG >= 2 ? 4 : 1); n++)
		folio_step(mm);
	for (int i = 0; i < NR_FOLIOS; i++)
		if (folios[i]) {
			model_mark(mm, folios[i], false);
			page_put(mm, folios[i]);
			folios[i] = NULL;
		}
	mm_check_all_free(mm);
}

/* --- refusals ------------------------------------------------------------- */

static void injected_failures_are_refusals(void **state)
{
	struct mm *mm = *state;

	unit_fault(&mm->fail_page_alloc, 100, 3);
	assert_null(take(mm, GFP_KERNEL));
	assert_null(take(mm, GFP_NOWAIT | GFP_MOVABLE));
	assert_non_null(take(mm, GFP_MEMALLOC));
	assert_null(take(mm, GFP_KERNEL | GFP_GROWTH));
	assert_non_null(take(mm, GFP_KERNEL));
	assert_int_equal(vmstat_read(mm, PGALLOC_FAIL_INJECTED), 3);
	give_all_back(mm);
}

static void refusals_are_counted(void **state)
{
	struct mm *mm = *state;
	unsigned long got;

	while (take(mm, GFP_KERNEL | GFP_GROWTH))
		;
	got = nr_taken;
	assert_int_equal(vmstat_read(mm, PGALLOC_FAIL_GROWTH), 1);
	while (take(mm, GFP_KERNEL))
		;
	assert_int_equal(vmstat_read(mm, PGALLOC_FAIL), 1);
	assert_null(take(mm, GFP_NOWAIT));
	assert_int_equal(vmstat_read(mm, PGALLOC_FAIL_NOWAIT), 1);
	assert_true(nr_taken > got);
	assert_true(vmstat_read(mm, ALLOCSTALL) >= 2);
	assert_true(vmstat_read(mm, KSWAPD_WAKE) > 0);
	give_all_back(mm);
}

/* What one CPU hoards is found before another is refused. */
static void other_cpus_lists_count_as_free(void **state)
{
	struct mm *mm = *state;
	struct zone *z = &mm->zones[ZONE_NORMAL];

	while (take(mm, GFP_MEMALLOC | GFP_MOVABLE))
		;
	for (unsigned int i = 0; i < nr_taken; i++) {
		struct page *page = taken[i];

		if (zone_of(mm, page) != ZONE_NORMAL)
			continue;
		unit_pin(mm->nr_slots - 1);
		page_put(mm, page);
		assert_int_equal(zone_nr_pcp(z), 1);
		taken[i] = taken[--nr_taken];
		break;
	}
	assert_int_equal(zone_nr_free(z), 0);
	unit_pin(0);
	assert_non_null(take(mm, GFP_MEMALLOC));
	assert_null(take(mm, GFP_MEMALLOC));
	give_all_back(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(every_flag_has_its_limit),
		unit_test_mm(readers_go_on_when_growth_is_refused),
		unit_test_mm(falls_back_in_order),
		unit_test_mm(folios_do_not_overlap),
		unit_test_mm(injected_failures_are_refusals),
		unit_test_mm(refusals_are_counted),
		unit_test_mm(other_cpus_lists_count_as_free),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
