/*
 * test_page_cache.c - one mapping against an array of what each index holds.
 *
 *	index   0      1       2       3      ...  NR_INDICES - 1
 *	model   -    page 17   -     value 5  ...
 *
 * A page's contents are one word; disk[] has the word that reading brings.
 */
#include "tests/unit/fake_file.h"

#include <errno.h>

enum { NR_INDICES = 300, NR_STEPS = 30000, FOR_EVER = -1, NOT_USED = 77 };

enum what { NOTHING, PAGE, VALUE };

static struct {
	enum what what;
	uint64_t word; /* of the page, or the value */
} model[NR_INDICES];

static struct fake_file *f;

static unsigned long model_count(enum what what, pgoff_t first, pgoff_t last)
{
	unsigned long nr = 0;

	for (pgoff_t i = first; i <= last && i < NR_INDICES; i++)
		nr += model[i].what == what;
	return nr;
}

static void set_up(struct mm *mm)
{
	f = fake_create(mm, NR_INDICES);
	memset(model, 0, sizeof(model));
	for (int i = 0; i < NR_INDICES; i++)
		atomic_store(&f->disk[i], rnd(1000));
}

static void unlock_put(struct page *page)
{
	page_unlock(&f->mapping.mm->page_waits, page);
	page_put(f->mapping.mm, page);
}

static void check_all(void)
{
	struct address_space *m = &f->mapping;
	unsigned long nr = model_count(PAGE, 0, NR_INDICES);

	mutex_lock(&m->lock);
	xa_check(&m->pages);
	mutex_unlock(&m->lock);
	assert_int_equal(m->nr_pages, nr);
	assert_int_equal(vmstat_read(m->mm, NR_FILE_PAGES), nr);
	assert_int_equal(address_space_is_empty(m),
			 nr + model_count(VALUE, 0, NR_INDICES) == 0);
	for (pgoff_t i = 0; i < NR_INDICES; i++) {
		struct page *page = page_cache_find(m, i);

		assert_int_equal(page != NULL, model[i].what == PAGE);
		if (!page)
			continue;
		assert_int_equal(page->index, i);
		assert_int_equal(page->mapping, m->id);
		assert_int_equal(*fake_word(m->mm, page), model[i].word);
		page_put(m->mm, page);
	}
}

static void grab_step(pgoff_t i)
{
	struct mm *mm = f->mapping.mm;
	int err = NOT_USED;
	struct page *page = page_cache_grab(
		&f->mapping, i, rnd(2) ? GFP_KERNEL : GFP_NOWAIT, &err);

	assert_non_null(page);
	assert_true(page_test(page, PG_locked));
	assert_int_equal(page_test(page, PG_uptodate), model[i].what == PAGE);
	if (model[i].what == VALUE)
		assert_int_equal(f->last_value, model[i].word);
	model[i].what = PAGE;
	model[i].word = rnd(1000);
	atomic_store(fake_word(mm, page), model[i].word);
	page_set(page, PG_uptodate);
	unlock_put(page);
}

static void remove_step(pgoff_t i)
{
	struct page *page = page_cache_find(&f->mapping, i);

	assert_int_equal(page != NULL, model[i].what == PAGE);
	if (!page)
		return;
	assert_true(page_trylock(page));
	page_cache_remove(&f->mapping, page);
	assert_int_equal(page->mapping, 0);
	unlock_put(page);
	model[i].what = NOTHING;
}

/* What swap will do: a value where there is no page. */
static void value_step(pgoff_t i)
{
	struct address_space *m = &f->mapping;

	if (model[i].what == PAGE)
		return;
	mutex_lock(&m->lock);
	m->nr_values += model[i].what != VALUE;
	model[i].what = VALUE;
	model[i].word = rnd(1u << 30);
	assert_int_equal(
		xa_store(&m->pages, i, xa_mk_value(model[i].word), NULL), 0);
	mutex_unlock(&m->lock);
}

static void find_run_step(pgoff_t first)
{
	struct page *pages[64];
	unsigned int max = (unsigned int)rnd(65), want = 0, nr;

	while (want < max && first + want < NR_INDICES &&
	       model[first + want].what == PAGE)
		want++;
	nr = page_cache_find_run(&f->mapping, first, max, pages);
	assert_int_equal(nr, want);
	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(pages[i]->index, first + i);
		page_put(f->mapping.mm, pages[i]);
	}
}

static void read_step(pgoff_t first)
{
	unsigned int nr =
		(unsigned int)min_of(rnd(200), (uint64_t)NR_INDICES - first);
	unsigned long missing =
		nr ? model_count(NOTHING, first, first + nr - 1) +
				model_count(VALUE, first, first + nr - 1)
		   : 0;

	assert_int_equal(
		page_cache_read(&f->mapping, first, nr, UINT64_MAX, GFP_KERNEL),
		missing);
	for (pgoff_t i = first; i < first + nr; i++)
		if (model[i].what != PAGE) {
			model[i].what = PAGE;
			model[i].word = atomic_load(&f->disk[i]);
		}
}

static void truncate_step(pgoff_t first)
{
	unsigned long values = atomic_load(&f->nr_values);

	page_cache_truncate(&f->mapping, first);
	assert_int_equal(atomic_load(&f->nr_values) - values,
			 model_count(VALUE, first, NR_INDICES));
	for (pgoff_t i = first; i < NR_INDICES; i++)
		model[i].what = NOTHING;
}

/* Values stay. A page in somebody's hands stays. */
static void invalidate_step(pgoff_t first, pgoff_t last)
{
	pgoff_t used = rnd(NR_INDICES);
	struct page *page = page_cache_find(&f->mapping, used);
	unsigned long want = model_count(PAGE, first, last);

	if (page && used >= first && used <= last)
		want--;
	lru_drain(f->mapping.mm);
	assert_int_equal(page_cache_invalidate(&f->mapping, first, last), want);
	for (pgoff_t i = first; i <= last && i < NR_INDICES; i++)
		if (model[i].what == PAGE && !(page && i == used))
			model[i].what = NOTHING;
	if (page)
		page_put(f->mapping.mm, page);
}

static void step(void)
{
	pgoff_t i = rnd(NR_INDICES);

	switch (rnd(40)) {
	case 0:
		truncate_step(rnd(4) ? NR_INDICES - rnd(40) : i);
		break;
	case 1:
		invalidate_step(i, i + rnd(rnd(4) ? 30 : NR_INDICES));
		break;
	case 2:
		read_step(i);
		break;
	default:
		switch (rnd(4)) {
		case 0:
			remove_step(i);
			break;
		case 1:
			value_step(i);
			break;
		case 2:
			find_run_step(i);
			break;
		default:
			grab_step(i);
		}
	}
}

static void random_steps(void **state)
{
	set_up(*state);
	for (int n = 0; n < NR_STEPS; n++) {
		step();
		if (n % 50 == 0)
			check_all();
	}
	fake_destroy(f);
}

/* --- adding --------------------------------------------------------------- */

static struct page *new_page(struct mm *mm)
{
	struct page *page = page_alloc(mm, GFP_KERNEL | GFP_MOVABLE, 0);

	assert_non_null(page);
	page_set(page, PG_locked);
	return page;
}

static void an_index_has_one_page(void **state)
{
	struct mm *mm = *state;
	struct page *first = new_page(mm), *second = new_page(mm);

	set_up(mm);
	assert_int_equal(page_cache_add(&f->mapping, first, 9, GFP_KERNEL), 0);
	assert_int_equal(page_cache_add(&f->mapping, second, 9, GFP_KERNEL),
			 -EEXIST);
	assert_int_equal(second->mapping, 0);
	unlock_put(second);
	unlock_put(first);
	assert_int_equal(f->mapping.nr_pages, 1);
	fake_destroy(f);
}

static void grab_without_waiting(void **state)
{
	struct mm *mm = *state;
	int err = NOT_USED;
	struct page *page;

	set_up(mm);
	page = page_cache_grab(&f->mapping, 3, GFP_NOWAIT, &err);
	assert_non_null(page);
	assert_null(page_cache_grab(&f->mapping, 3, GFP_NOWAIT, &err));
	assert_int_equal(err, -EAGAIN);
	page_cache_remove(&f->mapping, page);
	unlock_put(page);
	fake_destroy(f);
}

static void no_memory_leaves_nothing_behind(void **state)
{
	struct mm *mm = *state;
	int err = NOT_USED;

	set_up(mm);
	unit_fault(&mm->fail_page_alloc, 100, FOR_EVER);
	assert_null(page_cache_grab(&f->mapping, 1, GFP_KERNEL, &err));
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(
		page_cache_read(&f->mapping, 0, 50, UINT64_MAX, GFP_KERNEL), 0);
	unit_fault(&mm->fail_page_alloc, 0, FOR_EVER);
	unit_fault(&mm->failslab, 100, FOR_EVER);
	assert_null(page_cache_grab(&f->mapping, 1, GFP_NOWAIT, &err));
	assert_int_equal(err, -ENOMEM);
	unit_fault(&mm->failslab, 0, FOR_EVER);
	check_all();
	fake_destroy(f);
}

/* --- reading -------------------------------------------------------------- */

static void failed_reads_leave_no_page(void **state)
{
	struct mm *mm = *state;

	set_up(mm);
	atomic_store(&f->error, -EIO);
	assert_int_equal(
		page_cache_read(&f->mapping, 0, 200, UINT64_MAX, GFP_KERNEL),
		200);
	assert_true(vmstat_read(mm, READ_IO_ERROR) > 0);
	check_all();
	atomic_store(&f->error, 0);
	fake_destroy(f);
}

static void marker_marks_one_page(void **state)
{
	unsigned int nr_marked = 0;

	set_up(*state);
	page_cache_read(&f->mapping, 10, 100, 42, GFP_KERNEL);
	for (pgoff_t i = 0; i < NR_INDICES; i++)
		nr_marked += fake_test(f, i, PG_readahead);
	assert_int_equal(nr_marked, 1);
	assert_true(fake_test(f, 42, PG_readahead));
	fake_destroy(f);
}

/* What was read ahead, and goes without having been used, is counted. */
static void unused_readahead_is_counted(void **state)
{
	const unsigned int nr = 100, nr_asked = 30, nr_used = 20;
	struct readahead_plan plan = { .first = 10,
				       .nr = nr,
				       .nr_asked = nr_asked,
				       .marker = UINT64_MAX };
	unsigned long before = vmstat_read(*state, READAHEAD_UNUSED);
	unsigned int nr_ahead = 0;

	set_up(*state);
	assert_int_equal(page_cache_read_plan(&f->mapping, &plan, GFP_KERNEL),
			 nr);
	for (pgoff_t i = 0; i < NR_INDICES; i++) {
		struct page *page = page_cache_find(&f->mapping, i);

		if (!page)
			continue;
		nr_ahead += page_test(page, PG_ahead);
		if (i >= plan.first + nr_asked &&
		    i < plan.first + nr_asked + nr_used)
			page_clear(page, PG_ahead);
		page_put(*state, page);
	}
	assert_int_equal(nr_ahead, nr - nr_asked);
	page_cache_truncate(&f->mapping, 0);
	assert_int_equal(vmstat_read(*state, READAHEAD_UNUSED) - before,
			 nr - nr_asked - nr_used);
	fake_destroy(f);
}

/* A file that ends within a page: zeroes behind its end. */
static void short_read_run(struct address_space *m, struct page_run *run)
{
	for (unsigned int i = 0; i < run->nr; i++)
		memset(page_address(&m->mm->arena, run->pages[i]), 'x',
		       PAGE_SIZE);
	page_run_map(run, 0, run->nr);
	ASSERT(run->iov[0].iov_base ==
	       page_address(&m->mm->arena, run->pages[0]));
	ASSERT(run->iov[run->nr - 1].iov_len == PAGE_SIZE);
	page_run_read_done(run, *(const uint64_t *)m->group, 0);
}

static void end_of_file_is_zeroes(void **state)
{
	static const struct address_space_ops ops = { .read_run =
							      short_read_run };
	struct mm *mm = *state;
	struct address_space m;
	uint64_t size = rnd(5 * PAGE_SIZE);

	address_space_init(&m, mm, &ops, &size);
	page_cache_read(&m, 0, 5, UINT64_MAX, GFP_KERNEL);
	for (uint64_t at = 0; at < 5 * PAGE_SIZE; at++) {
		struct page *page = page_cache_find(&m, at >> PAGE_SHIFT);
		const char *p = page_address(&mm->arena, page);

		assert_int_equal(p[at & PAGE_MASK], at < size ? 'x' : 0);
		page_put(mm, page);
	}
	page_cache_truncate(&m, 0);
	address_space_destroy(&m);
}

/* --- ids, and races ------------------------------------------------------- */

static void mappings_are_found_by_id(void **state)
{
	struct mm *mm = *state;
	static struct address_space m[3000];

	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		address_space_init(&m[i], mm, &fake_ops, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(m); i += 2)
		address_space_destroy(&m[i]);
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		assert_ptr_equal(address_space_find(mm, m[i].id),
				 i % 2 ? &m[i] : NULL);
	assert_null(address_space_find(mm, 0));
	for (size_t i = 1; i < ARRAY_SIZE(m); i += 2)
		address_space_destroy(&m[i]);
}

/* Everybody adds one to a page that comes and goes; dirty pages stay. */
enum { NR_THREADS = 4, NR_TURNS = 3000, NR_SHARED = 5 };

static void add_main(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	struct mm *mm = f->mapping.mm;

	for (int n = 0; n < NR_TURNS; n++) {
		int err;
		struct page *page =
			page_cache_grab(&f->mapping, rnd_of(&state) % NR_SHARED,
					GFP_KERNEL, &err);
		pgoff_t i;

		ASSERT(page);
		i = page->index;
		if (!page_test(page, PG_uptodate))
			atomic_store(fake_word(mm, page), f->disk[i]);
		page_set(page, PG_uptodate);
		atomic_fetch_add(fake_word(mm, page), 1);
		if (rnd_of(&state) % 2) {
			atomic_store(&f->disk[i], *fake_word(mm, page));
			page_cache_remove(&f->mapping, page);
		} else {
			page_set_dirty(&f->mapping, page);
			atomic_store(&f->disk[i], *fake_word(mm, page));
			page_cancel_dirty(&f->mapping, page);
		}
		page_unlock(&mm->page_waits, page);
		page_put(mm, page);
		if (rnd_of(&state) % 8 == 0)
			page_cache_invalidate(&f->mapping, 0, NR_SHARED);
	}
}

static void threads_grab_the_same_pages(void **state)
{
	struct os_thread threads[NR_THREADS];
	uint64_t sum = 0;

	set_up(*state);
	for (int i = 0; i < NR_SHARED; i++)
		atomic_store(&f->disk[i], 0);
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(os_thread_start(&threads[i], "grabber",
						 add_main,
						 (void *)(uintptr_t)rnd(1000)),
				 0);
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&threads[i]);
	for (int i = 0; i < NR_SHARED; i++)
		sum += atomic_load(&f->disk[i]);
	assert_int_equal(sum, NR_THREADS * NR_TURNS);
	fake_destroy(f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(random_steps),
		unit_test_mm(an_index_has_one_page),
		unit_test_mm(grab_without_waiting),
		unit_test_mm(no_memory_leaves_nothing_behind),
		unit_test_mm(failed_reads_leave_no_page),
		unit_test_mm(marker_marks_one_page),
		unit_test_mm(unused_readahead_is_counted),
		unit_test_mm(end_of_file_is_zeroes),
		unit_test_mm(mappings_are_found_by_id),
		unit_test_mm(threads_grab_the_same_pages),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
