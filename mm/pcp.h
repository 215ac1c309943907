/*
 * pcp.h - per-CPU lists of single free frames.
 *
 * A frame freed by a CPU is likely still in its cache, so the next allocation
 * on that CPU gets it: the list has a hot end, and a cold end for frames that
 * were not touched. Lists are refilled from the buddy allocator, and drained
 * to it, "batch" frames at a time, so its lock is taken once a batch.
 *
 * A list is the affair of threads on its CPU. Who is moved away on its way to
 * it, or finds it being drained, goes to the buddy allocator.
 */
#ifndef MM_PCP_H
#define MM_PCP_H

#include "mm/buddy.h"
#include "mm/cpu_stack.h"

#define PCP_SIZE 508 /* more than any high, and room for cold ones; 4 KiB */

struct pcp {
	_Alignas(CACHE_LINE) struct cpu_stack stack;
	struct page *frames[PCP_SIZE]; /* the stack's */
	unsigned int batch;	       /* frames moved at a time (C) */
	unsigned int high;	       /* full: drain a batch (C) */
};

/*
 * The list of CPU number "cpu" of nr_slots, in front of a zone of zone_pages
 * frames. rseq: os_rseq_start()'s, or 0 if other CPUs use the list as well.
 */
void pcp_init(struct pcp *pcp, pfn_t zone_pages, unsigned int nr_slots,
	      unsigned int cpu, int32_t rseq);

/* What pcp_alloc() does when there is none at the hot end, and pcp_free(). */
struct page *pcp_alloc_slow(struct pcp *pcp, struct buddy *b);
void pcp_free_slow(struct pcp *pcp, struct buddy *b, struct page *page,
		   bool cold);

/* cpu, rseq: see cpu_stack_pop(). A frame from the hot end, or from b, or NULL if b has none either. */
static inline struct page *pcp_alloc(struct pcp *pcp, struct buddy *b,
				     unsigned int cpu, int32_t rseq)
{
	struct page *page = cpu_stack_pop(&pcp->stack, cpu, rseq);

	return page ? page : pcp_alloc_slow(pcp, b);
}

/* Put a frame at the hot end, or at the cold one. */
static inline void pcp_free(struct pcp *pcp, struct buddy *b, struct page *page,
			    bool cold, unsigned int cpu, int32_t rseq)
{
	VM_ASSERT(!page_test_buddy(page) && page_refs(page) == 0);
	if (cold || !cpu_stack_push(&pcp->stack, page, cpu, rseq))
		pcp_free_slow(pcp, b, page, cold);
}

/* Everything in nr lists, at most CPU_STACKS_MAX, back to b; from any CPU. */
void pcp_drain(struct pcp *pcps, unsigned int nr, struct buddy *b);

/* Frames in the list, as of a moment ago. */
static inline unsigned int pcp_count(struct pcp *pcp)
{
	return cpu_stack_count(&pcp->stack);
}

#endif
