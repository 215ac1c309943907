/*
 * zone.h - a range of the arena with one use.
 *
 *	ZONE_DMA      registered with io_uring as a fixed buffer; I/O buffers
 *	              first, others only when nothing else is left
 *	ZONE_NORMAL   whatever cannot move: slabs, tree nodes; and pages
 *	ZONE_MOVABLE  only pages that can be moved or dropped
 *
 * A zone is a buddy allocator, per-CPU lists in front of it, and watermarks
 * that say how far it may be emptied, and by whom.
 */
#ifndef MM_ZONE_H
#define MM_ZONE_H

#include "mm/buddy.h"
#include "mm/gfp.h"
#include "mm/pcp.h"

enum zone_type { ZONE_DMA, ZONE_NORMAL, ZONE_MOVABLE, NR_ZONES };

enum watermark { WMARK_MIN, WMARK_LOW, WMARK_HIGH, NR_WMARKS };

struct mm;

/* (C) constant after zone_init(); (A) written whole, read at any time. */
struct zone {
	enum zone_type type; /* (C) */
	pfn_t start_pfn;     /* (C) */
	pfn_t nr_pages;	     /* managed: all of them (C) */
	struct buddy buddy;
	struct pcp *pcps;			/* one a CPU slot (C) */
	unsigned int nr_pcps;			/* (C) */
	int32_t rseq;				/* see cpu_stack_pop() (C) */
	_Atomic unsigned long wmark[NR_WMARKS]; /* pages (A) */
	/* Kept from requests that could have used a higher zone (A). */
	_Atomic unsigned long lowmem_reserve[NR_ZONES];
};

const char *zone_name(enum zone_type type);

/*
 * Cover [start_pfn, +nr_pages), all of it free; pcps: nr_pcps zeroed slots.
 * rseq: see pcp_init().
 */
void zone_init(struct zone *z, enum zone_type type, struct page *pages,
	       pfn_t start_pfn, pfn_t nr_pages, struct pcp *pcps,
	       unsigned int nr_pcps, int32_t rseq);

static inline bool zone_contains(const struct zone *z, pfn_t pfn)
{
	return pfn - z->start_pfn < z->nr_pages;
}

/* Frames in free blocks of the buddy allocator. */
static inline unsigned long zone_nr_free(struct zone *z)
{
	return buddy_nr_free(&z->buddy);
}

/* Frames in the per-CPU lists. */
unsigned long zone_nr_pcp(struct zone *z);

/* A block of 2^order frames, or NULL. Looks at no watermark. */
struct page *zone_alloc(struct zone *z, unsigned int order, unsigned int slot);
void zone_free(struct zone *z, struct page *page, unsigned int order,
	       unsigned int slot, bool cold);

/* Give what the per-CPU lists hold back to the buddy allocator. */
void zone_drain(struct zone *z);

/* The zone a request is made for: the highest it may use. */
static inline enum zone_type gfp_zone(gfp_t gfp)
{
	if (gfp & GFP_DMA)
		return ZONE_NORMAL;
	return gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL;
}

/* The zones of a request, best first, ended by NR_ZONES. */
const enum zone_type *gfp_zonelist(gfp_t gfp);

#endif
