/*
 * mempool.h - elements kept back, so that writing a page out, or answering a
 * reader, never waits for memory that only it could free.
 *
 * An allocation takes an element from below (a slab cache, or a frame) if that
 * has one at once, then one of the reserve, and then, if it may, it waits for
 * one to be returned.
 */
#ifndef MM_MEMPOOL_H
#define MM_MEMPOOL_H

#include "mm/gfp.h"
#include "mm/lock.h"

struct mm;
struct kmem_cache;

#define MEMPOOL_MAX 64

/* (C) constant after mempool_init_*(); (L) guarded by lock. */
struct mempool {
	struct mm *mm;		  /* (C) */
	struct kmem_cache *cache; /* below; NULL: single frames (C) */
	gfp_t gfp;		  /* added to each request (C) */
	unsigned int min_nr;	  /* elements in the full reserve (C) */
	struct mutex lock;
	struct cond returned;
	unsigned int nr;	     /* elements in the reserve (L) */
	void *elements[MEMPOOL_MAX]; /* (L) */
};

/* A pool with min_nr objects of cache kept back. 0 or -ENOMEM. */
int mempool_init_slab(struct mempool *p, struct kmem_cache *cache,
		      unsigned int min_nr);
/* A pool with min_nr frames kept back, taken with gfp. 0 or -ENOMEM. */
int mempool_init_pages(struct mm *mm, struct mempool *p, gfp_t gfp,
		       unsigned int min_nr);
/* Every element must have been returned. */
void mempool_destroy(struct mempool *p);

/*
 * An object, or a struct page *. With GFP_RECLAIM in gfp it waits until it has
 * one; else NULL if the reserve is empty.
 */
void *mempool_alloc(struct mempool *p, gfp_t gfp);
/* The same, but waits timeout_ns at most, and NULL then. */
void *mempool_alloc_timeout(struct mempool *p, gfp_t gfp, uint64_t timeout_ns);
void mempool_free(struct mempool *p, void *element);

#endif
