/*
 * page_alloc.c - the walk down the zonelist, and what is tried when it fails.
 *
 *	at low ──ok──► frame
 *	  │ wake kswapd
 *	at min (not for growth) ──ok──► frame
 *	  │ GFP_RECLAIM
 *	reclaim, try again, while that frees anything ──ok──► frame
 *	  │ GFP_RESERVE
 *	no watermark ──ok──► frame
 *	  │
 *	NULL, counted
 *
 * Invariants:
 *   (1) A frame handed out has refs == 1 and flags == 0.
 *   (2) A frame is freed with refs == 0 and is on no list.
 */
#include "mm/page_alloc.h"

#include "mm/kswapd.h"
#include "mm/mm.h"
#include "mm/reclaim.h"
#include "mm/watermark.h"

#include <string.h>

/*
 * Rounds of direct reclaim that freed something, though others took it, before
 * one gives up (Linux: MAX_RECLAIM_RETRIES).
 */
enum { RECLAIM_RETRIES = 16 };

static struct page *zonelist_alloc(struct mm *mm, gfp_t gfp, unsigned int order,
				   enum watermark mark, bool ignore_marks)
{
	/* The reserve of DMA is kept for I/O buffers, not from them. */
	enum zone_type highest = gfp & GFP_DMA ? ZONE_DMA : gfp_zone(gfp);

	for (const enum zone_type *t = gfp_zonelist(gfp); *t != NR_ZONES; t++) {
		struct zone *z = &mm->zones[*t];
		struct page *page;

		if (!ignore_marks && !watermark_ok(z, order, mark, highest))
			continue;
		page = zone_alloc(z, order, mm_slot(mm));
		if (page) {
			vmstat_add(mm, PGALLOC_DMA + *t, 1l << order);
			return page;
		}
	}
	return NULL;
}

static void count_failure(struct mm *mm, gfp_t gfp)
{
	if (!(gfp & GFP_RECLAIM))
		vmstat_inc(mm, PGALLOC_FAIL_NOWAIT);
	else if (gfp & GFP_GROWTH)
		vmstat_inc(mm, PGALLOC_FAIL_GROWTH);
	else
		vmstat_inc(mm, PGALLOC_FAIL);
}

static struct page *alloc_slow(struct mm *mm, gfp_t gfp, unsigned int order)
{
	enum watermark mark = gfp & GFP_GROWTH ? WMARK_LOW : WMARK_MIN;
	struct page *page = NULL;

	if (gfp & GFP_WAKE)
		kswapd_wake(mm, gfp_zone(gfp));
	if (mark == WMARK_MIN)
		page = zonelist_alloc(mm, gfp, order, mark, false);
	if (page)
		return page;
	if (gfp & GFP_RECLAIM) {
		vmstat_inc(mm, ALLOCSTALL);
		for (int i = 0; i < RECLAIM_RETRIES && !page; i++) {
			bool freed = reclaim_direct(mm, gfp) > 0;

			page = zonelist_alloc(mm, gfp, order, mark, false);
			if (!freed)
				break;
			if (!page) /* what was freed is in our own list */
				page_alloc_drain(mm);
		}
	}
	/* What other CPUs hold counts as free before anyone is refused. */
	if (!page) {
		page_alloc_drain(mm);
		page = zonelist_alloc(mm, gfp, order, mark, false);
	}
	if (!page && (gfp & GFP_RESERVE)) {
		page = zonelist_alloc(mm, gfp, order, mark, true);
		if (page)
			vmstat_inc(mm, PGALLOC_RESERVE);
	}
	return page;
}

/* Make the frames one folio (1). */
static void prepare(struct mm *mm, struct page *page, gfp_t gfp,
		    unsigned int order)
{
	VM_ASSERT(page_refs(page) == 0);
	for (unsigned int i = 0; i < 1u << order; i++) {
		struct page *p = page + i;

		atomic_store_explicit(&p->flags, i ? PG_tail : 0,
				      memory_order_relaxed);
		p->mapping = 0;
		p->index = 0;
		p->cache = NULL;
		p->nr_objects = 0;
		p->head = i ? page : NULL;
		list_init(&p->lru);
	}
	page->order = (uint8_t)order;
	if (gfp & GFP_ZERO)
		memset(page_address(&mm->arena, page), 0, PAGE_SIZE << order);
	atomic_store_explicit(&page->refs, 1, memory_order_release);
}

struct page *page_alloc(struct mm *mm, gfp_t gfp, unsigned int order)
{
	struct page *page = NULL;

	ASSERT(order <= BUDDY_MAX_ORDER);
	if (!(gfp & GFP_RESERVE) &&
	    should_fail(&mm->fail_page_alloc, 1u << order)) {
		vmstat_inc(mm, PGALLOC_FAIL_INJECTED);
		return NULL;
	}
	page = zonelist_alloc(mm, gfp, order, WMARK_LOW, false);
	if (!page)
		page = alloc_slow(mm, gfp, order);
	if (!page) {
		count_failure(mm, gfp);
		return NULL;
	}
	prepare(mm, page, gfp, order);
	return page;
}

static struct zone *zone_of(struct mm *mm, const struct page *page)
{
	pfn_t pfn = page_to_pfn(&mm->arena, page);

	for (int t = 0; t < NR_ZONES; t++)
		if (zone_contains(&mm->zones[t], pfn))
			return &mm->zones[t];
	bug("a frame of no zone", __FILE__, __LINE__, __func__);
}

void page_free(struct mm *mm, struct page *page, bool cold)
{
	unsigned int order = page->order;

	ASSERT(page_refs(page) == 0); /* (2) */
	VM_ASSERT(!page_test(page, PG_lru | PG_locked | PG_writeback |
					   PG_buddy | PG_tail));
	atomic_store_explicit(&page->flags, 0, memory_order_relaxed);
	page->mapping = 0;
	for (unsigned int i = 1; i < 1u << order; i++)
		atomic_store_explicit(&page[i].flags, 0, memory_order_relaxed);
	vmstat_add(mm, PGFREE, 1l << order);
	zone_free(zone_of(mm, page), page, order, mm_slot(mm), cold);
}

void page_put(struct mm *mm, struct page *page)
{
	if (!page_put_testzero(page))
		return;
	if (page_test(page, PG_lru))
		lru_del(mm, page);
	page_free(mm, page, false);
}

void page_alloc_drain(struct mm *mm)
{
	for (int t = 0; t < NR_ZONES; t++)
		zone_drain(&mm->zones[t]);
}

unsigned long page_alloc_nr_free(struct mm *mm)
{
	unsigned long nr = 0;

	for (int t = 0; t < NR_ZONES; t++)
		nr += zone_nr_free(&mm->zones[t]) + zone_nr_pcp(&mm->zones[t]);
	return nr;
}
