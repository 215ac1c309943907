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
 *   (3) A request's first zone keeps no lowmem reserve from it: its low mark
 *       alone decides there, exactly as in the walk.
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

/* Make the frame a folio of one (1). */
static inline void prepare_one(struct page *page)
{
	VM_ASSERT(page_refs(page) == 0);
	atomic_store_explicit(&page->flags, 0, memory_order_relaxed);
	list_init(&page->lru);
	page->mapping = 0;
	page->index = 0;
	page->order = 0;
	page->nr_objects = 0;
	page->head = NULL;
	page->cache = NULL;
	atomic_store_explicit(&page->refs, 1, memory_order_release);
}

/* Make the frames one folio (1). */
static void prepare(struct mm *mm, struct page *page, gfp_t gfp,
		    unsigned int order)
{
	for (unsigned int i = 1u << order; --i > 0;) {
		struct page *p = page + i;

		VM_ASSERT(page_refs(p) == 0);
		atomic_store_explicit(&p->flags, PG_tail, memory_order_relaxed);
		list_init(&p->lru);
		p->mapping = 0;
		p->index = 0;
		p->nr_objects = 0;
		p->head = page;
		p->cache = NULL;
	}
	if (gfp & GFP_ZERO)
		memset(page_address(&mm->arena, page), 0, PAGE_SIZE << order);
	prepare_one(page);
	page->order = (uint8_t)order;
}

static __attribute__((noinline)) struct page *
alloc_any(struct mm *mm, gfp_t gfp, unsigned int order)
{
	struct page *page = NULL;

	ASSERT(order <= BUDDY_MAX_ORDER);
	if (should_fail_alloc(&mm->fail_page_alloc, 1u << order, gfp, order)) {
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

/* Count one, being on "cpu" a moment ago. */
static inline void count_one(struct mm *mm, enum vmstat_item item,
			     unsigned int cpu)
{
	if (!vmstat_slot_add(&mm->vmstat[cpu], item, 1, cpu, mm->rseq))
		vmstat_inc(mm, item);
}

/*
 * A frame of this CPU's list of the first zone, if that is above low: (3). All
 * else is alloc_any()'s, called last, so that nothing is saved for its sake.
 */
struct page *page_alloc(struct mm *mm, gfp_t gfp, unsigned int order)
{
	enum zone_type t = gfp & GFP_DMA       ? ZONE_DMA
			   : gfp & GFP_MOVABLE ? ZONE_MOVABLE
					       : ZONE_NORMAL;
	struct zone *z = &mm->zones[t];
	int32_t rseq = mm->rseq;
	unsigned int cpu;
	struct page *page;

	if (order > 0 || rseq == 0 || (gfp & GFP_ZERO) ||
	    fault_armed(&mm->fail_page_alloc))
		return alloc_any(mm, gfp, order);
	cpu = os_rseq_cpu(rseq);
	if (cpu >= mm->nr_slots || !watermark_ok(z, 0, WMARK_LOW, t))
		return alloc_any(mm, gfp, order);
	page = cpu_stack_pop(&z->pcps[cpu].stack, cpu, rseq);
	if (!page)
		return alloc_any(mm, gfp, order);
	prepare_one(page);
	count_one(mm, PGALLOC_DMA + t, cpu);
	return page;
}

static inline struct zone *zone_of(struct mm *mm, const struct page *page)
{
	pfn_t pfn = page_to_pfn(&mm->arena, page);
	enum zone_type t =
		pfn >= mm->zones[ZONE_MOVABLE].start_pfn  ? ZONE_MOVABLE
		: pfn >= mm->zones[ZONE_NORMAL].start_pfn ? ZONE_NORMAL
							  : ZONE_DMA;

	VM_ASSERT(zone_contains(&mm->zones[t], pfn));
	return &mm->zones[t];
}

static __attribute__((noinline)) void free_any(struct mm *mm, struct page *page,
					       bool cold)
{
	unsigned int order = page->order;

	for (unsigned int i = 1; i < 1u << order; i++)
		atomic_store_explicit(&page[i].flags, 0, memory_order_relaxed);
	vmstat_add(mm, PGFREE, 1l << order);
	zone_free(zone_of(mm, page), page, order, mm_slot(mm), cold);
}

/* Like page_alloc(). */
static inline void free_page(struct mm *mm, struct page *page, bool cold)
{
	int32_t rseq = mm->rseq;
	unsigned int cpu = rseq ? os_rseq_cpu(rseq) : UINT32_MAX;

	ASSERT(page_refs(page) == 0); /* (2) */
	VM_ASSERT(!page_test(page, PG_lru | PG_locked | PG_writeback |
					   PG_buddy | PG_tail));
	atomic_store_explicit(&page->flags, 0, memory_order_relaxed);
	page->mapping = 0;
	if (page->order > 0 || cold || cpu >= mm->nr_slots ||
	    !cpu_stack_push(&zone_of(mm, page)->pcps[cpu].stack, page, cpu,
			    rseq))
		free_any(mm, page, cold);
	else
		count_one(mm, PGFREE, cpu);
}

void page_free(struct mm *mm, struct page *page, bool cold)
{
	free_page(mm, page, cold);
}

static __attribute__((noinline)) void put_listed(struct mm *mm,
						 struct page *page)
{
	lru_del(mm, page);
	free_page(mm, page, false);
}

void page_put(struct mm *mm, struct page *page)
{
	if (!page_put_testzero(page))
		return;
	if (page_test(page, PG_lru))
		put_listed(mm, page);
	else
		free_page(mm, page, false);
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
