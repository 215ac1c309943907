/*
 * test_slab.c - a cache of objects against an array of them.
 *
 *	cache ──► object 17: | 17 17 17 17 17 17 |	held[17]
 *	          object 18: | 18 18 18 18 18 18 |	held[18]
 *
 * Each object is filled with its number from end to end, and looked at before
 * it is freed: two that overlap spoil each other.
 */
#include "mm/slab.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_HELD = 700, NR_STEPS = 30000, SIZE_MAX_TESTED = 5000 };

struct held {
	unsigned char *object;
	unsigned char fill;
};

static void hold(struct held *h, void *object, size_t size, uint64_t fill)
{
	h->object = object;
	h->fill = (unsigned char)fill;
	memset(object, h->fill, size);
}

static void check_fill(const struct held *h, size_t size)
{
	for (size_t i = 0; i < size; i++)
		ASSERT(h->object[i] == h->fill);
}

static void check_place(struct kmem_cache *c, void *object)
{
	struct arena *a = &c->mm->arena;
	char *first = a->base + ((size_t)a->first_pfn << PAGE_SHIFT);

	assert_int_equal((uintptr_t)object % 16, 0);
	assert_true((char *)object >= first);
	assert_true((char *)object + c->size <= a->base + a->size);
}

static unsigned int nr_held(const struct held *h)
{
	unsigned int nr = 0;

	for (int i = 0; i < NR_HELD; i++)
		nr += h[i].object != NULL;
	return nr;
}

static void check_cache(struct kmem_cache *c, const struct held *h)
{
	struct kmem_cache_stat st = kmem_cache_stat(c);

	kmem_cache_check(c);
	assert_int_equal(st.nr_active, nr_held(h));
	assert_true(st.nr_objects >= st.nr_active);
	assert_true(st.nr_active_slabs <= st.nr_slabs);
	assert_int_equal(
		vmstat_read(c->mm, NR_SLAB_RECLAIMABLE),
		(st.nr_slabs << c->order) +
			(c->mm->xa_nodes.nr_slabs << c->mm->xa_nodes.order));
	assert_int_equal(
		vmstat_read(c->mm, NR_SLAB_EMPTY),
		((st.nr_slabs - st.nr_active_slabs) << c->order) +
			(c->mm->xa_nodes.nr_empty << c->mm->xa_nodes.order));
}

static void step(struct kmem_cache *c, struct held *h, size_t size)
{
	struct held *it = &h[rnd(NR_HELD)];
	void *object;

	if (it->object) {
		check_fill(it, size);
		kmem_cache_free(c, it->object);
		it->object = NULL;
		return;
	}
	object = kmem_cache_alloc(c, GFP_KERNEL);
	if (!object)
		return;
	check_place(c, object);
	hold(it, object, size, rnd(256));
}

static void free_held(struct kmem_cache *c, struct held *h, size_t size)
{
	for (int i = 0; i < NR_HELD; i++)
		if (h[i].object) {
			check_fill(&h[i], size);
			kmem_cache_free(c, h[i].object);
			h[i].object = NULL;
		}
}

/* The slabs that hold a live object stay; all others go. */
static void check_shrink(struct kmem_cache *c, const struct held *h)
{
	static bool live[MM_SIZE_MIN / 4096];
	struct arena *a = &c->mm->arena;
	unsigned long nr_live = 0, before = c->nr_slabs, freed;

	memset(live, 0, sizeof(live));
	for (int i = 0; i < NR_HELD; i++)
		if (h[i].object) {
			struct page *page = virt_to_page(a, h[i].object);
			struct page *slab =
				page_test(page, PG_tail) ? page->head : page;

			nr_live += !live[page_to_pfn(a, slab)];
			live[page_to_pfn(a, slab)] = true;
		}
	freed = kmem_cache_shrink(c);
	assert_int_equal(freed, (before - nr_live) << c->order);
	assert_int_equal(kmem_cache_stat(c).nr_slabs, nr_live);
	check_cache(c, h);
}

static void random_steps(void **state)
{
	static struct held held[NR_HELD];
	struct mm *mm = *state;

	for (int round = 0; round < 6; round++) {
		size_t size = 1 + rnd(round % 2 ? SIZE_MAX_TESTED : 300);
		struct kmem_cache c;

		assert_int_equal(kmem_cache_init(mm, &c, "test", size, true),
				 0);
		for (int n = 0; n < NR_STEPS / 6; n++) {
			step(&c, held, size);
			if (n % 250 == 0)
				check_cache(&c, held);
			if (rnd(700) == 0)
				check_shrink(&c, held);
		}
		free_held(&c, held, size);
		check_shrink(&c, held);
		assert_int_equal(kmem_cache_stat(&c).nr_slabs, 0);
		kmem_cache_destroy(&c);
		mm_check_all_free(mm);
	}
}

/* On one CPU what was freed last is handed out first. */
static void last_in_first_out(void **state)
{
	struct mm *mm = *state;
	struct kmem_cache c;
	void *objects[SLAB_SLOT_OBJECTS];

	unit_pin(0);
	assert_int_equal(kmem_cache_init(mm, &c, "test", 64, false), 0);
	for (int n = 0; n < 100; n++) {
		unsigned int nr = 1 + (unsigned int)rnd(c.slot_max / 2);

		for (unsigned int i = 0; i < nr; i++)
			objects[i] = kmem_cache_alloc(&c, GFP_KERNEL);
		for (unsigned int i = 0; i < nr; i++)
			kmem_cache_free(&c, objects[i]);
		for (unsigned int i = nr; i-- > 0;)
			assert_ptr_equal(kmem_cache_alloc(&c, GFP_KERNEL),
					 objects[i]);
		for (unsigned int i = 0; i < nr; i++)
			kmem_cache_free(&c, objects[i]);
	}
	kmem_cache_destroy(&c);
}

static void zalloc_is_zero(void **state)
{
	struct mm *mm = *state;
	struct kmem_cache c;

	assert_int_equal(kmem_cache_init(mm, &c, "test", 200, false), 0);
	for (int n = 0; n < 200; n++) {
		unsigned char *o = kmem_cache_zalloc(&c, GFP_KERNEL);

		for (int i = 0; i < 200; i++)
			assert_int_equal(o[i], 0);
		memset(o, 0xff, 200);
		kmem_cache_free(&c, o);
	}
	kmem_cache_destroy(&c);
}

static void injected_failures_are_refusals(void **state)
{
	struct mm *mm = *state;
	struct kmem_cache c;
	void *o;

	assert_int_equal(kmem_cache_init(mm, &c, "test", 64, false), 0);
	unit_fault(&mm->failslab, 100, 2);
	assert_null(kmem_cache_alloc(&c, GFP_KERNEL));
	o = kmem_cache_alloc(&c, GFP_MEMALLOC);
	assert_non_null(o);
	assert_null(kmem_cache_zalloc(&c, GFP_KERNEL));
	assert_int_equal(vmstat_read(mm, SLAB_FAIL), 2);
	kmem_cache_free(&c, o);
	unit_fault(&mm->fail_page_alloc, 100, 1);
	assert_int_equal(kmem_cache_init(mm, &(struct kmem_cache){ 0 }, "none",
					 64, false),
			 -ENOMEM);
	kmem_cache_destroy(&c);
}

static void all_caches_are_reaped(void **state)
{
	static struct held held[NR_HELD];
	struct mm *mm = *state;
	struct kmem_cache c;

	assert_int_equal(kmem_cache_init(mm, &c, "test", 512, true), 0);
	for (int i = 0; i < NR_HELD; i++)
		hold(&held[i], kmem_cache_alloc(&c, GFP_KERNEL), 512, rnd(256));
	assert_true(c.nr_slabs >= NR_HELD / c.per_slab);
	free_held(&c, held, 512);
	assert_true(slab_reap(mm) >= NR_HELD / c.per_slab << c.order);
	assert_int_equal(kmem_cache_stat(&c).nr_slabs, 0);
	kmem_cache_destroy(&c);
}

/* --- several threads on one cache ----------------------------------------- */

enum { NR_THREADS = 4, THREAD_SIZE = 200, THREAD_STEPS = 8000 };

struct worker {
	struct os_thread thread;
	struct kmem_cache *cache;
	uint64_t state;
	struct held held[NR_HELD];
};

static void worker_main(void *arg)
{
	struct worker *w = arg;

	for (int n = 0; n < THREAD_STEPS; n++) {
		struct held *h = &w->held[rnd_of(&w->state) % NR_HELD];

		if (rnd_of(&w->state) % 2000 == 0)
			kmem_cache_shrink(w->cache);
		if (h->object) {
			check_fill(h, THREAD_SIZE);
			kmem_cache_free(w->cache, h->object);
			h->object = NULL;
			continue;
		}
		h->object = kmem_cache_alloc(w->cache, GFP_NOWAIT);
		if (h->object)
			hold(h, h->object, THREAD_SIZE, rnd_of(&w->state));
	}
}

static void threads_share_a_cache(void **state)
{
	static struct worker workers[NR_THREADS];
	struct mm *mm = *state;
	struct kmem_cache c;

	assert_int_equal(kmem_cache_init(mm, &c, "test", THREAD_SIZE, true), 0);
	for (int i = 0; i < NR_THREADS; i++) {
		workers[i].cache = &c;
		workers[i].state = rnd(UINT64_MAX);
		assert_int_equal(os_thread_start(&workers[i].thread, "worker",
						 worker_main, &workers[i]),
				 0);
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&workers[i].thread);
	kmem_cache_check(&c);
	for (int i = 0; i < NR_THREADS; i++)
		free_held(&c, workers[i].held, THREAD_SIZE);
	kmem_cache_destroy(&c);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(random_steps),
		unit_test_mm(zalloc_is_zero),
		unit_test_mm(injected_failures_are_refusals),
		unit_test_mm(all_caches_are_reaped),
		unit_test_mm(threads_share_a_cache),
		unit_test_mm(last_in_first_out),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
