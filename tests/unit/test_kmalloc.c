/*
 * test_kmalloc.c - objects of any size against a table that remembers them.
 *
 *	kmalloc(size) ──► object: | fill fill fill |	table: malloc'd copy
 *
 * Before an object is freed it must be what its copy is: two that overlap, or
 * one that is shorter than asked, spoil each other.
 */
#include "mm/kmalloc.h"
#include "tests/unit/unit.h"

enum { NR_HELD = 300, NR_STEPS = 40000, FOR_EVER = -1 };

struct held {
	void *object;
	void *copy;
	size_t size;
};

static void hold(struct mm *mm, struct held *h, gfp_t gfp)
{
	unsigned char *bytes;

	/* As many small ones as large ones. */
	h->size = 1 + rnd(KMALLOC_MAX >> rnd(8));
	h->object = kmalloc(mm, h->size, gfp);
	if (!h->object)
		return;
	assert_int_equal((uintptr_t)h->object % 16, 0);
	bytes = h->copy = malloc(h->size);
	for (size_t i = 0; i < h->size; i++)
		bytes[i] = (unsigned char)rnd(256);
	memcpy(h->object, h->copy, h->size);
}

static void let_go(struct mm *mm, struct held *h)
{
	assert_memory_equal(h->object, h->copy, h->size);
	kfree(mm, h->object);
	free(h->copy);
	h->object = NULL;
}

static unsigned long nr_active(struct mm *mm)
{
	unsigned long nr = 0;

	for (int i = 0; i < KMALLOC_NR_CLASSES; i++) {
		kmem_cache_check(&mm->kmalloc[i]);
		nr += kmem_cache_stat(&mm->kmalloc[i]).nr_active;
	}
	return nr;
}

static void random_steps(void **state)
{
	static struct held held[NR_HELD];
	struct mm *mm = *state;
	unsigned long nr = 0;

	for (int n = 0; n < NR_STEPS; n++) {
		struct held *h = &held[rnd(NR_HELD)];

		if (h->object) {
			let_go(mm, h);
			nr--;
		} else {
			hold(mm, h, GFP_KERNEL | GFP_GROWTH);
			nr += h->object != NULL;
		}
		if (n % 500 == 0)
			assert_int_equal(nr_active(mm), nr);
		if (rnd(2000) == 0)
			slab_reap(mm);
	}
	assert_true(nr > 0);
	for (int i = 0; i < NR_HELD; i++)
		if (held[i].object)
			let_go(mm, &held[i]);
	assert_int_equal(nr_active(mm), 0);
	mm_check_all_free(mm);
}

/* Each size is served by the smallest class that holds it. */
static void sizes_are_rounded_up(void **state)
{
	struct mm *mm = *state;

	for (size_t size = 1; size <= KMALLOC_MAX; size++) {
		size_t got = kmalloc_size(size);
		void *p = kmalloc(mm, size, GFP_KERNEL);
		struct kmem_cache *c = virt_to_page(&mm->arena, p)->cache;

		assert_int_equal(c->size, got);
		assert_true(got >= size);
		/* No class lies between, or it would have been taken. */
		for (int i = 0; i < KMALLOC_NR_CLASSES; i++)
			assert_true(mm->kmalloc[i].size < size ||
				    mm->kmalloc[i].size >= got);
		kfree(mm, p);
	}
	kfree(mm, NULL);
}

static void failures_are_null(void **state)
{
	struct mm *mm = *state;
	void *p;

	unit_fault(&mm->failslab, 100, FOR_EVER);
	assert_null(kmalloc(mm, 100, GFP_KERNEL));
	p = kmalloc(mm, 100, GFP_MEMALLOC);
	assert_non_null(p);
	unit_fault(&mm->failslab, 0, FOR_EVER);
	kfree(mm, p);
}

/* Growth ends, and everything can be given back. */
static void until_it_is_full(void **state)
{
	struct mm *mm = *state;
	void **last = NULL, **p;

	while ((p = kmalloc(mm, 2000, GFP_KERNEL | GFP_GROWTH))) {
		*p = last;
		last = p;
	}
	/* Others still get some. */
	p = kmalloc(mm, KMALLOC_MAX, GFP_KERNEL);
	assert_non_null(p);
	kfree(mm, p);
	while (last) {
		p = *last;
		kfree(mm, last);
		last = p;
	}
	mm_check_all_free(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(random_steps),
		unit_test_mm(sizes_are_rounded_up),
		unit_test_mm(failures_are_null),
		unit_test_mm(until_it_is_full),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
