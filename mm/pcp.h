/*
 * pcp.h - per-CPU lists of single free frames.
 *
 * A frame freed by a CPU is likely still in its cache, so the next allocation
 * on that CPU gets it: the list has a hot end, and a cold end for frames that
 * were not touched. Lists are refilled from the buddy allocator, and drained
 * to it, "batch" frames at a time, so its lock is taken once a batch.
 *
 * A slot is a CPU's by habit, not by right: a thread that is moved takes the
 * slot's lock all the same, which is what makes that safe.
 */
#ifndef MM_PCP_H
#define MM_PCP_H

#include "mm/buddy.h"

/* (L) guarded by lock. */
struct pcp {
	_Alignas(CACHE_LINE) struct mutex lock;
	struct list_head pages;	    /* by page->lru; hot end first (L) */
	_Atomic unsigned int count; /* length of pages (L) */
	unsigned int batch;	    /* frames moved at a time */
	unsigned int high;	    /* more than this: drain a batch */
};

/* One of nr_slots lists in front of a zone of zone_pages frames. */
void pcp_init(struct pcp *pcp, pfn_t zone_pages, unsigned int nr_slots);

/* A frame from the hot end, or from b, or NULL if b has none either. */
struct page *pcp_alloc(struct pcp *pcp, struct buddy *b);
/* Put a frame at the hot end, or at the cold one. */
void pcp_free(struct pcp *pcp, struct buddy *b, struct page *page, bool cold);
/* Everything back to b. */
void pcp_drain(struct pcp *pcp, struct buddy *b);

static inline unsigned int pcp_count(struct pcp *pcp)
{
	return atomic_load_explicit(&pcp->count, memory_order_relaxed);
}

#endif
