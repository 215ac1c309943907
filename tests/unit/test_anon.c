/*
 * test_anon.c - the table of swap/anon.c, one transition at a time.
 *
 *	HOLE ──► NEW ──► DIRTY ──pageout──► CLEAN ──drop──► SAME / STORED
 *	 ▲                                                        │
 *	 └───────────────── truncate ◄──────── IN ◄───────────────┘
 *
 * The model is a state and a seed of contents for each index. Nothing runs but
 * what the test does: no daemon reclaims, and the swap area is a memory file.
 */
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "swap/anon.h"
#include "swap/anon_reserve.h"
#include "swap/swap.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <sys/mman.h>

enum { NR_INDICES = 150, NR_STEPS = 6000, NR_CLUSTERS = 40 };

/* By what a page is filled with. */
enum contents { ZERO, SAME, SOFT, NOISE, NR_CONTENTS };
enum where { HOLE, VALUE, BLANK, CLEAN, DIRTY };

struct test {
	struct mm *mm;
	struct swap *swap;
	struct anon_group group;
	struct address_space m;
	int fd;
	struct {
		enum where where;
		uint64_t seed; /* % NR_CONTENTS: what; 0: never written */
		bool reserved;
	} model[NR_INDICES];
};

static int set_up(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	*state = t;
	t->mm = unit_mm_quiet(MM_SIZE_MIN);
	assert_int_equal(swap_start(t->mm), 0);
	t->swap = t->mm->swap;
	t->fd = memfd_create("swap", MFD_CLOEXEC);
	assert_true(t->fd >= 0);
	assert_int_equal(
		ftruncate(t->fd, (off_t)NR_CLUSTERS << SWAP_CLUSTER_SHIFT), 0);
	assert_int_equal(
		swap_add_area(t->swap, t->fd, 512, NR_CLUSTERS, NULL, NULL, 0),
		0);
	t->group.max_pages = UINT64_MAX;
	address_space_init(&t->m, t->mm, &anon_aops, &t->group);
	return 0;
}

static int tear_down(void **state)
{
	struct test *t = *state;

	anon_truncate(&t->m, 0, UINT64_MAX);
	address_space_destroy(&t->m);
	assert_int_equal(t->group.nr_pages, 0);
	assert_int_equal(t->swap->reserved_demand, 0);
	assert_int_equal(vmstat_read(t->mm, NR_ANON_RESERVED), 0);
	swap_stop(t->mm);
	mm_destroy(t->mm);
	close(t->fd);
	free(t);
	return 0;
}

/* --- contents --------------------------------------------------------------- */

static void contents(uint64_t seed, void *to)
{
	uint64_t *p = to;
	uint64_t state = seed;

	memset(to, 0, PAGE_SIZE);
	if (seed == 0)
		return;
	switch ((enum contents)(seed % NR_CONTENTS)) {
	case SAME:
		memset(to, (int)(seed % 251) + 1, PAGE_SIZE);
		break;
	case SOFT:
		for (size_t i = 0; i < PAGE_SIZE / 8; i += 4)
			p[i] = rnd_of(&state) & 0xffff;
		break;
	case NOISE:
		for (size_t i = 0; i < PAGE_SIZE / 8; i++)
			p[i] = rnd_of(&state);
		break;
	default:
		break;
	}
}

static uint64_t any_seed(enum contents c)
{
	return (1 + rnd(1u << 30)) * NR_CONTENTS + c;
}

/* --- steps ------------------------------------------------------------------ */

static struct page *grab(struct test *t, pgoff_t index)
{
	int err;
	struct page *page = page_cache_grab(&t->m, index, GFP_KERNEL, &err);

	assert_non_null(page);
	anon_assert_state(&t->m, page);
	return page;
}

static void release(struct test *t, struct page *page)
{
	anon_assert_state(&t->m, page);
	page_unlock(&t->mm->page_waits, page);
	page_put(t->mm, page);
}

/* A page that was not filled is taken out again. */
static void abandon(struct test *t, struct page *page)
{
	if (!page_test(page, PG_uptodate))
		page_cache_remove(&t->m, page);
	page_unlock(&t->mm->page_waits, page);
	page_put(t->mm, page);
}

static int write_seed(struct test *t, pgoff_t index, uint64_t seed)
{
	struct page *page = grab(t, index);
	int err = anon_charge(&t->m, page);

	if (err) {
		abandon(t, page);
		return err;
	}
	contents(seed, page_address(&t->mm->arena, page));
	page_set(page, PG_uptodate);
	anon_set_dirty(&t->m, page);
	assert_int_equal(anon_page_state(page), ANON_DIRTY);
	release(t, page);
	t->model[index].where = DIRTY;
	t->model[index].seed = seed;
	return 0;
}

/* As for a write of a part: nothing of it is changed. */
static void fill_page(struct test *t, pgoff_t index)
{
	struct page *page = grab(t, index);
	enum where *w = &t->model[index].where;

	if (*w == HOLE)
		assert_int_equal(anon_page_state(page), ANON_NEW);
	if (*w == VALUE)
		assert_int_equal(anon_page_state(page), ANON_IN);
	if (!page_test(page, PG_uptodate)) {
		assert_int_equal(anon_fill(&t->m, page, GFP_KERNEL), 0);
		*w = *w == VALUE ? CLEAN : BLANK;
	}
	release(t, page);
}

static void give_up(struct test *t, pgoff_t index)
{
	struct page *page = grab(t, index);

	abandon(t, page);
}

static void page_out(struct test *t, pgoff_t index)
{
	struct page *page = grab(t, index);
	enum pageout_result r;

	while ((r = anon_aops.pageout(&t->m, page)) == PAGEOUT_BUSY)
		unit_nap();
	assert_int_equal(r, PAGEOUT_CLEAN);
	assert_int_equal(anon_page_state(page), ANON_CLEAN);
	release(t, page);
	t->model[index].where = CLEAN;
}

static void drop(struct test *t, pgoff_t index)
{
	struct page *page = grab(t, index);
	enum where *w = &t->model[index].where;

	page_cache_remove(&t->m, page);
	page_unlock(&t->mm->page_waits, page);
	page_put(t->mm, page);
	*w = *w == CLEAN ? VALUE : HOLE;
}

static void cut(struct test *t, pgoff_t first, pgoff_t last, bool punch)
{
	if (punch)
		anon_punch(&t->m, first, last);
	else
		anon_truncate(&t->m, first, last);
	for (pgoff_t i = first; i <= last && i < NR_INDICES; i++) {
		t->model[i].reserved &= punch;
		t->model[i].where = t->model[i].reserved ? VALUE : HOLE;
		t->model[i].seed = 0;
	}
}

static void push_out(struct test *t, pgoff_t index)
{
	page_out(t, index);
	drop(t, index);
}

/* --- checks ----------------------------------------------------------------- */

static bool is_zero(const struct test *t, pgoff_t i)
{
	return t->model[i].seed % NR_CONTENTS == ZERO;
}

static void check_one(struct test *t, pgoff_t i)
{
	void *entry;

	mutex_lock(&t->m.lock);
	entry = xa_load(&t->m.pages, i);
	assert_int_equal(xa_get_tag(&t->m.pages, i, XA_RESERVED),
			 t->model[i].reserved);
	mutex_unlock(&t->m.lock);
	switch (t->model[i].where) {
	case HOLE:
		assert_null(entry);
		break;
	case VALUE:
		assert_true(xa_is_value(entry));
		if (is_zero(t, i))
			assert_int_equal(swap_entry_type(xa_to_value(entry)),
					 SWAP_ZERO);
		else if (t->model[i].seed % NR_CONTENTS == SAME)
			assert_int_equal(swap_entry_type(xa_to_value(entry)),
					 SWAP_SAME);
		else
			assert_int_equal(swap_entry_type(xa_to_value(entry)),
					 SWAP_STORED);
		break;
	case BLANK:
		assert_int_equal(anon_page_state(entry), ANON_BLANK);
		break;
	case CLEAN:
		assert_int_equal(anon_page_state(entry), ANON_CLEAN);
		break;
	case DIRTY:
		assert_int_equal(anon_page_state(entry), ANON_DIRTY);
		break;
	}
}

static void check_contents(struct test *t, pgoff_t i)
{
	uint64_t want[PAGE_SIZE / 8], is[PAGE_SIZE / 8];

	contents(t->model[i].seed, want);
	assert_int_equal(anon_read_page(&t->m, i, is), 0);
	assert_memory_equal(is, want, PAGE_SIZE);
}

static void check_counts(struct test *t)
{
	unsigned long pages = 0, values = 0, charged = 0, cached = 0, same = 0;
	unsigned long objects = 0, reserved = 0;

	for (pgoff_t i = 0; i < NR_INDICES; i++) {
		enum where w = t->model[i].where;
		bool copy = w == VALUE || w == CLEAN;
		bool small = t->model[i].seed % NR_CONTENTS <= SAME;

		pages += w >= BLANK;
		values += w == VALUE;
		charged += w == VALUE || w >= CLEAN;
		cached += w == CLEAN;
		same += copy && small;
		objects += copy && !small;
		reserved += t->model[i].reserved;
	}
	assert_int_equal(t->m.nr_pages, pages);
	assert_int_equal(t->m.nr_values, values);
	assert_int_equal(t->group.nr_pages, charged);
	assert_int_equal(vmstat_read(t->mm, NR_ANON_PAGES), pages);
	assert_int_equal(vmstat_read(t->mm, NR_SWAPCACHE), cached);
	assert_int_equal(vmstat_read(t->mm, NR_SWAPPED_SAME), same);
	assert_int_equal(vmstat_read(t->mm, NR_SWAPPED), objects);
	assert_int_equal(vmstat_read(t->mm, NR_ANON_RESERVED), reserved);
}

static void check_all(struct test *t)
{
	for (pgoff_t i = 0; i < NR_INDICES; i++) {
		check_one(t, i);
		check_contents(t, i);
	}
	check_counts(t);
}

/* --- the table ---------------------------------------------------------------- */

static void every_transition(void **state)
{
	struct test *t = *state;

	for (int c = 0; c < NR_CONTENTS; c++) {
		give_up(t, 0); /* HOLE, NEW, HOLE */
		check_all(t);
		write_seed(t, 0, any_seed(c)); /* DIRTY */
		check_all(t);
		page_out(t, 0); /* CLEAN */
		check_all(t);
		drop(t, 0); /* SAME, STORED */
		check_all(t);
		give_up(t, 0); /* IN and back */
		check_all(t);
		fill_page(t, 0); /* IN, CLEAN */
		check_all(t);
		write_seed(t, 0, any_seed(c)); /* DIRTY: its copy is void */
		check_all(t);
		push_out(t, 0);
		write_seed(t, 0, any_seed(c)); /* IN, DIRTY: written over */
		check_all(t);
		cut(t, 0, 0, false);
		check_all(t);
		fill_page(t, 0); /* BLANK */
		check_all(t);
		drop(t, 0);
		check_all(t);
		fill_page(t, 0);
		write_seed(t, 0, any_seed(c)); /* BLANK, DIRTY */
		push_out(t, 0);
		cut(t, 0, UINT64_MAX, false); /* of a value */
		check_all(t);
	}
}

static void step(struct test *t)
{
	pgoff_t i = rnd(NR_INDICES);
	enum where w = t->model[i].where;
	pgoff_t last = min_of(i + rnd(6), (pgoff_t)NR_INDICES - 1);

	switch (rnd(12)) {
	case 0:
	case 1:
	case 2:
		write_seed(t, i, any_seed((enum contents)rnd(NR_CONTENTS)));
		break;
	case 3:
		fill_page(t, i);
		break;
	case 4:
		if (w == HOLE || w == VALUE)
			give_up(t, i);
		break;
	case 5:
	case 6:
	case 7:
		if (w == DIRTY)
			page_out(t, i);
		break;
	case 8:
	case 9:
		if (w == CLEAN || (w == BLANK && !t->model[i].reserved))
			drop(t, i);
		break;
	case 10:
		cut(t, i, last, rnd(2));
		break;
	default:
		if (rnd(3) || anon_reserve(&t->m, i, last) != 0)
			break;
		for (; i <= last; i++) {
			t->model[i].reserved = true;
			if (t->model[i].where == HOLE)
				t->model[i].where = VALUE;
		}
	}
}

/* A BLANK page that is then reserved has a test of its own. */
static void step_without_blanks(struct test *t)
{
	step(t);
	for (pgoff_t i = 0; i < NR_INDICES; i++)
		if (t->model[i].where == BLANK)
			drop(t, i);
}

static void random_steps(void **state)
{
	struct test *t = *state;

	for (int n = 0; n < NR_STEPS; n++) {
		step_without_blanks(t);
		if (n % 20 == 0)
			check_all(t);
	}
	check_all(t);
}

/* --- limits ------------------------------------------------------------------- */

static void a_group_has_a_limit(void **state)
{
	struct test *t = *state;

	t->group.max_pages = 10;
	for (pgoff_t i = 0; i < 10; i++)
		assert_int_equal(write_seed(t, i, any_seed(SOFT)), 0);
	assert_int_equal(write_seed(t, 10, any_seed(SOFT)), -ENOSPC);
	assert_int_equal(vmstat_read(t->mm, ENOSPC_SIZE), 1);
	/* What is there can be written over, wherever it is. */
	push_out(t, 3);
	page_out(t, 4);
	for (pgoff_t i = 2; i < 6; i++)
		assert_int_equal(write_seed(t, i, any_seed(NOISE)), 0);
	/* Reading takes nothing. */
	fill_page(t, 20);
	check_all(t);
	assert_int_equal(anon_reserve(&t->m, 30, 30), -ENOSPC);
	assert_int_equal(anon_reserve(&t->m, 0, 9), 0);
	for (pgoff_t i = 0; i < 10; i++)
		t->model[i].reserved = true;
	cut(t, 5, 5, false);
	assert_int_equal(write_seed(t, 10, any_seed(SOFT)), 0);
	check_all(t);
}

/* --- reserving ---------------------------------------------------------------- */

#define FULL ((int64_t)SWAP_OBJECT_MAX)

static int64_t demand(struct test *t)
{
	return atomic_load(&t->swap->reserved_demand);
}

static void reserve(struct test *t, pgoff_t first, pgoff_t last)
{
	assert_int_equal(anon_reserve(&t->m, first, last), 0);
	for (pgoff_t i = first; i <= last; i++) {
		t->model[i].reserved = true;
		if (t->model[i].where == HOLE)
			t->model[i].where = VALUE;
	}
}

static void demand_is_what_may_be_missing(void **state)
{
	struct test *t = *state;

	write_seed(t, 1, any_seed(NOISE));
	write_seed(t, 2, any_seed(NOISE));
	push_out(t, 2);
	reserve(t, 0, 2);
	/* 0 has nothing, 1 a frame, 2 all it can need. */
	assert_int_equal(demand(t), FULL);
	reserve(t, 0, 2);
	assert_int_equal(demand(t), FULL);
	check_all(t);
	write_seed(t, 0, any_seed(SAME));
	assert_int_equal(demand(t), 0);
	push_out(t, 0);
	assert_int_equal(demand(t), FULL);
	write_seed(t, 0, any_seed(SOFT));
	push_out(t, 0);
	assert_true(demand(t) > 0 && demand(t) < FULL);
	cut(t, 0, 0, true);
	assert_int_equal(demand(t), FULL);
	cut(t, 1, 1, true);
	cut(t, 2, 2, true);
	assert_int_equal(demand(t), 3 * FULL);
	check_all(t);
	assert_true(anon_is_reserved(&t->m, 1));
	cut(t, 1, 1, false);
	assert_int_equal(demand(t), 2 * FULL);
	assert_false(anon_is_reserved(&t->m, 1));
	check_all(t);
}

static void too_much_is_refused_whole(void **state)
{
	struct test *t = *state;
	uint64_t left = anon_pages_left(t->mm);

	write_seed(t, 5, any_seed(SOFT));
	assert_true(left > 0 && left <= anon_pages_total(t->mm));
	assert_int_equal(anon_reserve(&t->m, 0, left + 100), -ENOSPC);
	assert_int_equal(anon_reserve(&t->m, 0, UINT64_MAX - 1), -ENOSPC);
	assert_int_equal(demand(t), 0);
	check_all(t);
	/* And the next one is not at a loss. */
	reserve(t, 0, 99);
	assert_true(anon_pages_left(t->mm) <= left - 99);
	check_all(t);
}

/*
 * A frame is either what a reserved page has, or what others may take: not
 * both, though the page could be dropped.
 */
static void what_is_promised_is_not_left(void **state)
{
	struct test *t = *state;
	uint64_t before, after;

	reserve(t, 0, NR_INDICES - 1);
	for (pgoff_t i = 0; i < NR_INDICES; i++) {
		write_seed(t, i, any_seed(SAME));
		page_out(t, i);
	}
	before = anon_pages_left(t->mm);
	for (pgoff_t i = 0; i < NR_INDICES; i++)
		drop(t, i);
	lru_drain(t->mm);
	after = anon_pages_left(t->mm);
	assert_true(after + 8 >= before);
	check_all(t);
}

/* A page that was only filled, by a write that was then refused. */
static void a_blank_page_can_be_reserved(void **state)
{
	struct test *t = *state;
	struct page *page;

	fill_page(t, 7);
	assert_int_equal(anon_reserve(&t->m, 5, 9), 0);
	assert_int_equal(t->group.nr_pages, 5);
	assert_int_equal(vmstat_read(t->mm, NR_ANON_RESERVED), 5);
	page = page_cache_find(&t->m, 7);
	if (page) {
		page_lock(&t->mm->page_waits, page);
		page_cache_remove(&t->m, page); /* as reclaim would */
		page_unlock(&t->mm->page_waits, page);
		page_put(t->mm, page);
	}
	assert_true(anon_is_reserved(&t->m, 7));
	anon_punch(&t->m, 0, 20);
	assert_int_equal(t->group.nr_pages, 5);
	assert_int_equal(vmstat_read(t->mm, NR_ANON_RESERVED), 5);
	assert_int_equal(demand(t), 5 * FULL);
}

static void punch_main(void *arg)
{
	struct test *t = arg;

	anon_punch(&t->m, 0, 0);
}

/* The page it waits for cannot be read, and leaves its value behind. */
static void a_punch_outlives_a_failed_read(void **state)
{
	struct test *t = *state;
	struct os_thread thread;
	struct page *page;

	reserve(t, 0, 0);
	write_seed(t, 0, any_seed(SOFT));
	push_out(t, 0);
	page = grab(t, 0);
	assert_int_equal(os_thread_start(&thread, "punch", punch_main, t), 0);
	while (page_refs(page) < 4) /* the cache's, a batch's, ours, its */
		unit_nap();
	abandon(t, page);
	os_thread_join(&thread);
	t->model[0].seed = 0;
	check_all(t);
	assert_int_equal(demand(t), FULL);
}

/* --- seeking ------------------------------------------------------------------ */

static bool is_data(const struct test *t, pgoff_t i)
{
	return t->model[i].where >= BLANK ||
	       (t->model[i].where == VALUE && !is_zero(t, i));
}

static void seek_agrees(void **state)
{
	struct test *t = *state;

	for (int n = 0; n < 60; n++) {
		for (int k = 0; k < 40; k++)
			step_without_blanks(t);
		for (pgoff_t first = 0; first < NR_INDICES; first++) {
			pgoff_t data = first, hole = first;

			while (data < NR_INDICES && !is_data(t, data))
				data++;
			while (hole < NR_INDICES && is_data(t, hole))
				hole++;
			assert_true(anon_seek_data(&t->m, first) ==
				    (data < NR_INDICES ? data : UINT64_MAX));
			assert_int_equal(anon_seek_hole(&t->m, first), hole);
		}
	}
	cut(t, 0, UINT64_MAX, false);
	assert_true(anon_seek_data(&t->m, 0) == UINT64_MAX);
	assert_true(anon_seek_data(&t->m, UINT64_MAX) == UINT64_MAX);
	assert_int_equal(anon_seek_hole(&t->m, 9), 9);
	assert_true(anon_seek_hole(&t->m, UINT64_MAX) == UINT64_MAX);
}

/* --- reading without a page ---------------------------------------------------- */

/* A hole and zeroes need no frame: they are the page of zeroes. */
static void zeroes_need_no_frame(void **state)
{
	struct test *t = *state;
	struct page *pages[4];

	write_seed(t, 1, any_seed(ZERO));
	push_out(t, 1);
	reserve(t, 2, 2);
	write_seed(t, 3, any_seed(SAME));
	push_out(t, 3);
	assert_int_equal(page_cache_find_run(&t->m, 0, 4, pages), 3);
	for (int i = 0; i < 3; i++) {
		assert_ptr_equal(pages[i], t->mm->zero_page);
		page_put(t->mm, pages[i]);
	}
	assert_int_equal(page_cache_read(&t->m, 0, 3, UINT64_MAX, GFP_KERNEL),
			 0);
	assert_int_equal(page_cache_read(&t->m, 3, 1, UINT64_MAX, GFP_KERNEL),
			 1);
	t->model[3].where = CLEAN;
	check_all(t);
}

#define with_test(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_test(every_transition),
		with_test(random_steps),
		with_test(a_group_has_a_limit),
		with_test(demand_is_what_may_be_missing),
		with_test(too_much_is_refused_whole),
		with_test(seek_agrees),
		with_test(zeroes_need_no_frame),
		with_test(a_punch_outlives_a_failed_read),
		with_test(a_blank_page_can_be_reserved),
		with_test(what_is_promised_is_not_left),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
