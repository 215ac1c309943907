/* mempool.c - a stack of elements that is refilled before others get any. */
#include "mm/mempool.h"

#include "mm/bug.h"
#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/slab.h"

#include <errno.h>

static void *below_alloc(struct mempool *p, gfp_t gfp)
{
	if (p->cache)
		return kmem_cache_alloc(p->cache, gfp | p->gfp);
	return page_alloc(p->mm, gfp | p->gfp, 0);
}

static void below_free(struct mempool *p, void *element)
{
	if (p->cache)
		kmem_cache_free(p->cache, element);
	else
		page_put(p->mm, element);
}

static int fill(struct mempool *p, unsigned int min_nr)
{
	ASSERT(min_nr > 0 && min_nr <= MEMPOOL_MAX);
	mutex_init(&p->lock);
	cond_init(&p->returned);
	for (; p->nr < min_nr; p->nr++) {
		p->elements[p->nr] = below_alloc(p, GFP_KERNEL);
		if (!p->elements[p->nr]) {
			p->min_nr = p->nr;
			mempool_destroy(p);
			return -ENOMEM;
		}
	}
	p->min_nr = min_nr;
	return 0;
}

int mempool_init_slab(struct mempool *p, struct kmem_cache *cache,
		      unsigned int min_nr)
{
	*p = (struct mempool){ .mm = cache->mm, .cache = cache };
	return fill(p, min_nr);
}

int mempool_init_pages(struct mm *mm, struct mempool *p, gfp_t gfp,
		       unsigned int min_nr)
{
	*p = (struct mempool){ .mm = mm, .gfp = gfp };
	return fill(p, min_nr);
}

void mempool_destroy(struct mempool *p)
{
	ASSERT(p->nr == p->min_nr);
	while (p->nr > 0)
		below_free(p, p->elements[--p->nr]);
	p->min_nr = 0;
}

void *mempool_alloc(struct mempool *p, gfp_t gfp)
{
	return mempool_alloc_timeout(p, gfp, UINT64_MAX);
}

/* Until the reserve has one, or it is "until". */
static void wait_for_one(struct mempool *p, uint64_t until) must_hold(p->lock)
{
	while (p->nr == 0) {
		uint64_t now = os_now_ns();

		if (now >= until)
			return;
		vmstat_inc(p->mm, MEMPOOL_WAIT);
		if (until == UINT64_MAX)
			cond_wait(&p->returned, &p->lock);
		else
			cond_timedwait(&p->returned, &p->lock, until - now);
	}
}

void *mempool_alloc_timeout(struct mempool *p, gfp_t gfp, uint64_t timeout_ns)
{
	/* Above the watermarks only: this reserve comes before the zones'. */
	void *element = below_alloc(p, GFP_NOWAIT);
	uint64_t until = UINT64_MAX;

	if (element)
		return element;
	if (timeout_ns != UINT64_MAX)
		until = os_now_ns() + timeout_ns;
	mutex_lock(&p->lock);
	if (gfp & GFP_RECLAIM)
		wait_for_one(p, until);
	if (p->nr > 0) {
		vmstat_inc(p->mm, MEMPOOL_RESERVE);
		element = p->elements[--p->nr];
	}
	mutex_unlock(&p->lock);
	return element;
}

void mempool_free(struct mempool *p, void *element)
{
	mutex_lock(&p->lock);
	if (p->nr < p->min_nr) {
		p->elements[p->nr++] = element;
		element = NULL;
		cond_signal(&p->returned);
	}
	mutex_unlock(&p->lock);
	if (element)
		below_free(p, element);
}
