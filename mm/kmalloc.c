/*
 * kmalloc.c - from a size to a cache, and from an address back to it.
 *
 *   (1) Sizes ascend, and all classes fill one frame to at least 7/8: a slab
 *       is one frame. The largest has one object a slab; what the slab adds
 *       to page_alloc() there is the stack of a CPU, and the counting.
 *   (2) Not reclaimable: who has an object here is not asked for it back.
 */
#include "mm/kmalloc.h"

#include "mm/mm.h"

static const struct {
	const char *name;
	size_t size;
} classes[KMALLOC_NR_CLASSES] = {
	{ "kmalloc-32", 32 },	  { "kmalloc-64", 64 },
	{ "kmalloc-96", 96 },	  { "kmalloc-128", 128 },
	{ "kmalloc-192", 192 },	  { "kmalloc-256", 256 },
	{ "kmalloc-512", 512 },	  { "kmalloc-1024", 1024 },
	{ "kmalloc-2048", 2048 }, { "kmalloc-4096", KMALLOC_MAX },
};

static unsigned int class_of(size_t size)
{
	unsigned int i = 0;

	ASSERT(size <= KMALLOC_MAX);
	while (classes[i].size < size)
		i++;
	return i;
}

int kmalloc_init(struct mm *mm)
{
	for (unsigned int i = 0; i < KMALLOC_NR_CLASSES; i++) {
		int err = kmem_cache_init(mm, &mm->kmalloc[i], classes[i].name,
					  classes[i].size, false); /* (2) */

		if (err)
			return err;
		ASSERT(mm->kmalloc[i].order == 0); /* (1) */
		ASSERT(mm->kmalloc[i].size == classes[i].size);
	}
	return 0;
}

void kmalloc_destroy(struct mm *mm)
{
	for (unsigned int i = KMALLOC_NR_CLASSES; i-- > 0;)
		kmem_cache_destroy(&mm->kmalloc[i]);
}

void *kmalloc(struct mm *mm, size_t size, gfp_t gfp)
{
	VM_ASSERT(!(gfp & GFP_ZERO));
	return kmem_cache_alloc(&mm->kmalloc[class_of(size)], gfp);
}

void kfree(struct mm *mm, void *p)
{
	struct kmem_cache *c;
	struct page *page;

	if (!p)
		return;
	page = virt_to_page(&mm->arena, p); /* (1): never a tail */
	ASSERT(page_test(page, PG_slab));
	c = page->cache;
	ASSERT(c >= mm->kmalloc && c < mm->kmalloc + KMALLOC_NR_CLASSES);
	kmem_cache_free(c, p);
}

size_t kmalloc_size(size_t size)
{
	return classes[class_of(size)].size;
}
