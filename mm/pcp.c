/*
 * pcp.c - hot at the top, cold at the bottom, drained from the bottom.
 *
 *   (1) A list has at most high frames.
 *   (2) A frame here is not PG_buddy and has no reference.
 */
#include "mm/pcp.h"

#include "mm/bug.h"

/*
 * All lists of a zone together hold at most 1/16 of it, so that a small zone
 * is not spread over its CPUs' lists; 63 a batch is where the kernel's
 * zone_batchsize() ends as well; high is six batches, as in Linux 2.6.
 */
enum { ZONE_SHARE = 16, BATCH_MAX = 63, HIGH_BATCHES = 6 };
_Static_assert(BATCH_MAX *HIGH_BATCHES + BATCH_MAX < PCP_SIZE, "room");

void pcp_init(struct pcp *pcp, pfn_t zone_pages, unsigned int nr_slots,
	      unsigned int cpu, int32_t rseq)
{
	pfn_t batch = zone_pages / (ZONE_SHARE * HIGH_BATCHES * nr_slots);

	pcp->batch = max_of(min_of(batch, (pfn_t)BATCH_MAX), (pfn_t)1);
	pcp->high = pcp->batch * HIGH_BATCHES;
	/* The array is left as it is: it shall not become resident now. */
	cpu_stack_init(&pcp->stack, pcp->high, PCP_SIZE, cpu, rseq);
}

/* The list is empty: a batch of frames, the last one cold. */
static void refill(struct pcp *pcp, struct buddy *b) must_hold(pcp->stack.lock)
{
	mutex_lock(&b->lock);
	for (unsigned int i = 0; i < pcp->batch; i++) {
		struct page *page = buddy_alloc(b, 0);

		if (!page)
			break;
		cpu_stack_put_cold(&pcp->stack, page);
	}
	mutex_unlock(&b->lock);
}

/* The coldest nr of them. */
static void drain(struct cpu_stack *s, struct buddy *b, unsigned int nr)
	must_hold(s->lock)
{
	mutex_lock(&b->lock);
	for (; nr > 0; nr--)
		buddy_free(b, cpu_stack_take_cold(s), 0);
	mutex_unlock(&b->lock);
}

/* Past the list. */
static struct page *alloc_behind(struct buddy *b)
{
	struct page *page;

	mutex_lock(&b->lock);
	page = buddy_alloc(b, 0);
	mutex_unlock(&b->lock);
	return page;
}

static void free_behind(struct buddy *b, struct page *page)
{
	mutex_lock(&b->lock);
	buddy_free(b, page, 0);
	mutex_unlock(&b->lock);
}

struct page *pcp_alloc_slow(struct pcp *pcp, struct buddy *b)
{
	struct page *page = NULL;

	if (!cpu_trylock(&pcp->stack.lock))
		return alloc_behind(b);
	if (pcp_count(pcp) == 0)
		refill(pcp, b);
	if (pcp_count(pcp) > 0)
		page = cpu_stack_take(&pcp->stack);
	cpu_unlock(&pcp->stack.lock);
	return page;
}

void pcp_free_slow(struct pcp *pcp, struct buddy *b, struct page *page,
		   bool cold)
{
	if (!cpu_trylock(&pcp->stack.lock)) {
		free_behind(b, page);
		return;
	}
	if (pcp_count(pcp) == pcp->high)
		drain(&pcp->stack, b, pcp->batch);
	if (cold)
		cpu_stack_put_cold(&pcp->stack, page);
	else
		cpu_stack_put(&pcp->stack, page);
	cpu_unlock(&pcp->stack.lock);
}

/* unchecked: the analysis does not follow a set of locks. */
static void drain_seized(struct cpu_stack *s, struct buddy *b) unchecked
{
	drain(s, b, cpu_stack_count(s));
	cpu_unlock(&s->lock);
}

void pcp_drain(struct pcp *pcps, unsigned int nr, struct buddy *b)
{
	struct cpu_stack *seized[CPU_STACKS_MAX];
	unsigned int n =
		cpu_stack_seize(&pcps->stack, sizeof(*pcps), nr, seized);

	for (unsigned int i = 0; i < n; i++)
		drain_seized(seized[i], b);
}
