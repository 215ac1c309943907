/*
 * slab.h - objects of one type from pages of one cache (Linux: mm/slab.c,
 * after Bonwick 1994).
 *
 * A slab is a folio cut into equal objects. Its free objects are chained
 * through their own first word; the head of the chain is in the page
 * descriptor. Slabs are kept on three lists, full, partial and empty; an
 * allocation takes from a partial one, then an empty one, then a new one. In
 * front is one stack of free objects a CPU, so that the object freed last is
 * handed out first and most calls take no shared lock. Who is moved to another
 * CPU on its way to a stack, or finds it being emptied, goes to the slabs.
 *
 * Empty slabs stay until kmem_cache_shrink() or reclaim takes them.
 */
#ifndef MM_SLAB_H
#define MM_SLAB_H

#include "mm/cpu_stack.h"
#include "mm/gfp.h"
#include "mm/list.h"
#include "mm/lock.h"
#include "mm/page.h"

struct mm;

#define SLAB_SLOT_OBJECTS 124

/* Free objects of one CPU. */
struct kmem_slot {
	_Alignas(CACHE_LINE) struct cpu_stack stack;
	void *objects[SLAB_SLOT_OBJECTS]; /* the stack's */
};
_Static_assert(sizeof(struct kmem_slot) == 1024, "found by a shift");

/* (C) constant after kmem_cache_init(); (L) guarded by lock. */
struct kmem_cache {
	struct mm *mm;		/* (C) */
	const char *name;	/* (C) */
	size_t size;		/* of an object with its padding (C) */
	unsigned int order;	/* of a slab (C) */
	unsigned int per_slab;	/* objects in one (C) */
	unsigned int slot_max;	/* objects a CPU may keep (C) */
	bool reclaimable;	/* a shrinker can empty it (C) */
	struct page *slot_page; /* where the slots are (C) */
	struct kmem_slot *slots;
	unsigned int nr_slots; /* mm's (C) */
	int32_t rseq;	       /* mm's (C) */
	struct list_head link; /* in mm->caches */

	struct mutex lock;
	struct list_head full, partial, empty; /* slabs, by page->lru (L) */
	unsigned long nr_slabs, nr_empty;      /* slabs (L) */
	unsigned long nr_out; /* objects handed out, or in slots (L) */
};

/*
 * Set up a cache of objects of "size" bytes. 0, or -ENOMEM. reclaimable: a
 * shrinker gives its objects back.
 */
int kmem_cache_init(struct mm *mm, struct kmem_cache *c, const char *name,
		    size_t size, bool reclaimable);
/* Give everything back. Every object must have been freed. */
void kmem_cache_destroy(struct kmem_cache *c);

/* An object of unknown contents, or NULL within the rules of gfp. */
void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp);
void *kmem_cache_zalloc(struct kmem_cache *c, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *c, void *object);

/* Free the empty slabs, those in CPU slots included. Returns pages freed. */
unsigned long kmem_cache_shrink(struct kmem_cache *c);
/* The same for all caches of mm. */
unsigned long slab_reap(struct mm *mm);

/* For slabinfo: objects in use, and slabs. */
struct kmem_cache_stat {
	unsigned long nr_active, nr_objects, nr_active_slabs, nr_slabs;
};
struct kmem_cache_stat kmem_cache_stat(struct kmem_cache *c);

/* Abort unless every invariant listed in slab.c holds. */
void kmem_cache_check(struct kmem_cache *c);

#endif
