/*
 * slab.c - three lists of slabs, and a stack of objects a CPU.
 *
 *   (1) A slab is on full, partial or empty according to nr_objects, the
 *       objects of it that are not on its own chain.
 *   (2) An object in a CPU slot counts as in use by its slab.
 *   (3) nr_out is the sum of nr_objects over all slabs.
 */
#include "mm/slab.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"

#include <errno.h>
#include <string.h>

enum {
	OBJECT_ALIGN = 16,
	ORDER_MAX = 3,
	WASTE_SHARE =
		8, /* a slab may waste 1/8 (Linux: calculate_slab_order) */
	/*
	 * What one CPU may keep of one cache, and all of them as a share of
	 * the arena. So 64 objects of 192 bytes, taken and given back, touch
	 * no slab: half a slot more costs three times as much (measured).
	 */
	SLOT_BYTES = 16384,
	SLOTS_SHARE = 1024,
};

static void **link_of(void *object)
{
	return object;
}

static void choose_order(struct kmem_cache *c)
{
	for (c->order = 0; c->order < ORDER_MAX; c->order++) {
		size_t bytes = PAGE_SIZE << c->order;

		if (bytes >= c->size && bytes % c->size <= bytes / WASTE_SHARE)
			break;
	}
	c->per_slab = (unsigned int)((PAGE_SIZE << c->order) / c->size);
	ASSERT(c->per_slab > 0);
}

static unsigned int slots_order(const struct mm *mm)
{
	size_t bytes = mm->nr_slots * sizeof(struct kmem_slot);
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	return order;
}

int kmem_cache_init(struct mm *mm, struct kmem_cache *c, const char *name,
		    size_t size, bool reclaimable)
{
	size_t slot_bytes;

	*c = (struct kmem_cache){ .mm = mm,
				  .name = name,
				  .reclaimable = reclaimable,
				  .nr_slots = mm->nr_slots,
				  .rseq = mm->rseq };
	c->size = (size + OBJECT_ALIGN - 1) & ~(size_t)(OBJECT_ALIGN - 1);
	choose_order(c);
	slot_bytes = min_of((size_t)SLOT_BYTES,
			    mm->arena.size / SLOTS_SHARE / mm->nr_slots);
	c->slot_max = (unsigned int)min_of(max_of(slot_bytes / c->size, 1ul),
					   (size_t)SLAB_SLOT_OBJECTS);
	c->slot_page = page_alloc(mm, GFP_KERNEL | GFP_ZERO, slots_order(mm));
	if (!c->slot_page)
		return -ENOMEM;
	vmstat_add(mm, NR_SLAB_UNRECLAIMABLE, (long)page_nr(c->slot_page));
	c->slots = page_address(&mm->arena, c->slot_page);
	for (unsigned int i = 0; i < mm->nr_slots; i++)
		cpu_stack_init(&c->slots[i].stack, c->slot_max, c->slot_max, i,
			       mm->rseq);
	mutex_init(&c->lock);
	list_init(&c->full);
	list_init(&c->partial);
	list_init(&c->empty);
	mutex_lock(&mm->caches_lock);
	list_add_tail(&mm->caches, &c->link);
	mutex_unlock(&mm->caches_lock);
	return 0;
}

void kmem_cache_destroy(struct kmem_cache *c)
{
	struct mm *mm = c->mm;

	if (!c->slot_page)
		return;
	mutex_lock(&mm->caches_lock);
	list_del(&c->link);
	mutex_unlock(&mm->caches_lock);
	kmem_cache_shrink(c);
	ASSERT(c->nr_slabs == 0);
	vmstat_add(mm, NR_SLAB_UNRECLAIMABLE, -(long)page_nr(c->slot_page));
	page_put(mm, c->slot_page);
	c->slot_page = NULL;
}

static void count_slab(struct kmem_cache *c, long nr)
{
	vmstat_add(c->mm,
		   c->reclaimable ? NR_SLAB_RECLAIMABLE : NR_SLAB_UNRECLAIMABLE,
		   nr * (1l << c->order));
}

/* Slabs become empty (nr > 0), or are not any more; their pages are counted. */
static void count_empty(struct kmem_cache *c, long nr) must_hold(c->lock)
{
	c->nr_empty += (unsigned long)nr;
	vmstat_add(c->mm, NR_SLAB_EMPTY, nr * (1l << c->order));
}

/* A new slab, chained, not on a list yet; or NULL. */
static struct page *slab_new(struct kmem_cache *c, gfp_t gfp)
{
	struct page *slab = page_alloc(c->mm, gfp & ~GFP_MOVABLE, c->order);
	char *base;

	if (!slab)
		return NULL;
	base = page_address(&c->mm->arena, slab);
	slab->cache = c;
	slab->nr_objects = 0;
	slab->freelist = NULL;
	for (unsigned int i = c->per_slab; i-- > 0;) {
		*link_of(base + i * c->size) = slab->freelist;
		slab->freelist = base + i * c->size;
	}
	page_set(slab, PG_slab);
	count_slab(c, 1);
	return slab;
}

static struct page *slab_of(struct kmem_cache *c, void *object)
{
	struct page *page = virt_to_page(&c->mm->arena, object);

	if (page_test(page, PG_tail))
		page = page->head;
	ASSERT(page_test(page, PG_slab) && page->cache == c);
	return page;
}

/* Take one object off a slab that has one. */
static void *slab_take(struct kmem_cache *c, struct page *slab)
	must_hold(c->lock)
{
	void *object = slab->freelist;

	VM_ASSERT(object != NULL);
	slab->freelist = *link_of(object);
	if (slab->nr_objects++ == 0)
		count_empty(c, -1);
	c->nr_out++;
	list_move(slab->nr_objects == c->per_slab ? &c->full : &c->partial,
		  &slab->lru);
	return object;
}

static void slab_give(struct kmem_cache *c, void *object) must_hold(c->lock)
{
	struct page *slab = slab_of(c, object);

	VM_ASSERT(slab->nr_objects > 0);
	*link_of(object) = slab->freelist;
	slab->freelist = object;
	c->nr_out--;
	if (--slab->nr_objects == 0) {
		count_empty(c, 1);
		list_move(&c->empty, &slab->lru);
	} else {
		list_move(&c->partial, &slab->lru);
	}
}

static void *take_any(struct kmem_cache *c) must_hold(c->lock)
{
	if (!list_empty(&c->partial))
		return slab_take(
			c, list_first_entry(&c->partial, struct page, lru));
	if (!list_empty(&c->empty))
		return slab_take(c,
				 list_first_entry(&c->empty, struct page, lru));
	return NULL;
}

/* Half a slot full of objects from slabs that are there. */
static void slot_refill(struct kmem_cache *c, struct cpu_stack *s)
	must_hold(s->lock)
{
	mutex_lock(&c->lock);
	while (cpu_stack_count(s) < (c->slot_max + 1) / 2) {
		void *object = take_any(c);

		if (!object)
			break;
		cpu_stack_put(s, object);
	}
	mutex_unlock(&c->lock);
}

/* The coldest first; half a slot is left in the middle, if it is not all. */
static void slot_drain(struct kmem_cache *c, struct cpu_stack *s,
		       unsigned int nr) must_hold(s->lock)
{
	mutex_lock(&c->lock);
	for (; nr > 0; nr--)
		slab_give(c, cpu_stack_take_cold(s));
	mutex_unlock(&c->lock);
}

/* Past the slots: from a slab that is there, or else a new one. */
static void *alloc_behind(struct kmem_cache *c, gfp_t gfp)
{
	struct page *slab;
	void *object;

	mutex_lock(&c->lock);
	object = take_any(c);
	mutex_unlock(&c->lock);
	if (object)
		return object;

	slab = slab_new(c, gfp);
	mutex_lock(&c->lock);
	if (slab) {
		list_add(&c->empty, &slab->lru);
		c->nr_slabs++;
		count_empty(c, 1);
	}
	object = take_any(c);
	mutex_unlock(&c->lock);
	if (!object)
		vmstat_inc(c->mm, SLAB_FAIL);
	return object;
}

static void free_behind(struct kmem_cache *c, void *object)
{
	mutex_lock(&c->lock);
	slab_give(c, object);
	mutex_unlock(&c->lock);
}

/*
 * The slow halves below take no more than the fast ones have in registers, so
 * that those save none.
 */
static struct cpu_stack *stack_now(struct kmem_cache *c)
{
	return &c->slots[mm_slot(c->mm)].stack;
}

/* The stack of this CPU has none, or cannot be had; or a call is to fail. */
static __attribute__((noinline)) void *alloc_slow(struct kmem_cache *c,
						  gfp_t gfp)
{
	struct cpu_stack *s = stack_now(c);
	void *object = NULL;

	if (should_fail_alloc(&c->mm->failslab, c->size, gfp, 0)) {
		vmstat_inc(c->mm, SLAB_FAIL_INJECTED);
		vmstat_inc(c->mm, SLAB_FAIL);
		return NULL;
	}
	if (cpu_trylock(&s->lock)) {
		if (cpu_stack_count(s) == 0)
			slot_refill(c, s);
		if (cpu_stack_count(s) > 0)
			object = cpu_stack_take(s);
		cpu_unlock(&s->lock);
	}
	return object ? object : alloc_behind(c, gfp);
}

static __attribute__((noinline)) void free_slow(struct kmem_cache *c,
						void *object)
{
	struct cpu_stack *s = stack_now(c);

	if (!cpu_trylock(&s->lock)) {
		free_behind(c, object);
		return;
	}
	if (cpu_stack_count(s) == c->slot_max)
		slot_drain(c, s, (c->slot_max + 1) / 2);
	cpu_stack_put(s, object);
	cpu_unlock(&s->lock);
}

void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp)
{
	int32_t rseq = c->rseq;
	unsigned int cpu;
	void *object;

	if (rseq == 0 || fault_armed(&c->mm->failslab))
		return alloc_slow(c, gfp);
	cpu = os_rseq_cpu(rseq);
	if (cpu >= c->nr_slots)
		return alloc_slow(c, gfp);
	object = cpu_stack_pop(&c->slots[cpu].stack, cpu, rseq);
	return object ? object : alloc_slow(c, gfp);
}

void *kmem_cache_zalloc(struct kmem_cache *c, gfp_t gfp)
{
	void *object = kmem_cache_alloc(c, gfp);

	if (object)
		memset(object, 0, c->size);
	return object;
}

void kmem_cache_free(struct kmem_cache *c, void *object)
{
	int32_t rseq = c->rseq;
	unsigned int cpu;

	VM_ASSERT(slab_of(c, object) != NULL);
	cpu = rseq ? os_rseq_cpu(rseq) : UINT32_MAX;
	if (cpu >= c->nr_slots ||
	    !cpu_stack_push(&c->slots[cpu].stack, object, cpu, rseq))
		free_slow(c, object);
}

/* unchecked: the analysis does not follow a set of locks. */
static void drain_seized(struct kmem_cache *c, struct cpu_stack *s) unchecked
{
	slot_drain(c, s, cpu_stack_count(s));
	cpu_unlock(&s->lock);
}

static void drain_slots(struct kmem_cache *c)
{
	struct cpu_stack *seized[CPU_STACKS_MAX];
	unsigned int nr = cpu_stack_seize(&c->slots->stack, sizeof(*c->slots),
					  c->mm->nr_slots, seized);

	for (unsigned int i = 0; i < nr; i++)
		drain_seized(c, seized[i]);
}

unsigned long kmem_cache_shrink(struct kmem_cache *c)
{
	unsigned long freed = 0;
	struct list_head empty;

	list_init(&empty);
	drain_slots(c);
	mutex_lock(&c->lock);
	list_splice(&empty, &c->empty);
	c->nr_slabs -= c->nr_empty;
	count_empty(c, -(long)c->nr_empty);
	mutex_unlock(&c->lock);
	while (!list_empty(&empty)) {
		struct page *slab = list_first_entry(&empty, struct page, lru);

		list_del_init(&slab->lru);
		page_clear(slab, PG_slab);
		count_slab(c, -1);
		freed += page_nr(slab);
		page_put(c->mm, slab);
	}
	return freed;
}

unsigned long slab_reap(struct mm *mm)
{
	unsigned long freed = 0;
	struct kmem_cache *c;

	if (!mutex_trylock(&mm->caches_lock))
		return 0;
	list_for_each_entry(c, &mm->caches, struct kmem_cache, link)
		freed += kmem_cache_shrink(c);
	mutex_unlock(&mm->caches_lock);
	vmstat_add(mm, SLABS_FREED, (long)freed);
	return freed;
}

struct kmem_cache_stat kmem_cache_stat(struct kmem_cache *c)
{
	struct kmem_cache_stat st;
	unsigned long in_slots = 0;

	for (unsigned int i = 0; i < c->mm->nr_slots; i++)
		in_slots += cpu_stack_count(&c->slots[i].stack);
	mutex_lock(&c->lock);
	st = (struct kmem_cache_stat){
		.nr_active = c->nr_out > in_slots ? c->nr_out - in_slots : 0,
		.nr_objects = c->nr_slabs * c->per_slab,
		.nr_active_slabs = c->nr_slabs - c->nr_empty,
		.nr_slabs = c->nr_slabs,
	};
	mutex_unlock(&c->lock);
	return st;
}

static unsigned long check_list(struct kmem_cache *c, struct list_head *list,
				unsigned int least, unsigned int most,
				unsigned long *nr_out)
{
	unsigned long nr = 0;
	struct page *slab;

	list_for_each_entry(slab, list, struct page, lru) {
		unsigned int free_objects = 0;

		for (void *o = slab->freelist; o; o = *link_of(o))
			free_objects++;
		ASSERT(slab->nr_objects >= least && slab->nr_objects <= most);
		ASSERT(slab->nr_objects + free_objects ==
		       c->per_slab); /* (1) */
		*nr_out += slab->nr_objects;
		nr++;
	}
	return nr;
}

void kmem_cache_check(struct kmem_cache *c)
{
	unsigned long nr, nr_out = 0;

	mutex_lock(&c->lock);
	nr = check_list(c, &c->empty, 0, 0, &nr_out);
	ASSERT(nr == c->nr_empty);
	nr += check_list(c, &c->partial, 1, c->per_slab - 1, &nr_out);
	nr += check_list(c, &c->full, c->per_slab, c->per_slab, &nr_out);
	ASSERT(nr == c->nr_slabs);
	ASSERT(nr_out == c->nr_out); /* (3) */
	mutex_unlock(&c->lock);
}
