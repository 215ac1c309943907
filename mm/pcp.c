/*
 * pcp.c - hot at the head, cold at the tail, drained from the tail.
 *
 *   (1) count is the length of pages, and at most high after each call.
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

void pcp_init(struct pcp *pcp, pfn_t zone_pages, unsigned int nr_slots)
{
	pfn_t batch = zone_pages / (ZONE_SHARE * HIGH_BATCHES * nr_slots);

	*pcp = (struct pcp){ .batch = 1 };
	mutex_init(&pcp->lock);
	list_init(&pcp->pages);
	if (batch > 1)
		pcp->batch = batch < BATCH_MAX ? batch : BATCH_MAX;
	pcp->high = pcp->batch * HIGH_BATCHES;
}

static void count_add(struct pcp *pcp, int delta)
{
	atomic_store_explicit(&pcp->count, pcp_count(pcp) + (unsigned int)delta,
			      memory_order_relaxed);
}

static void refill(struct pcp *pcp, struct buddy *b) must_hold(pcp->lock)
{
	mutex_lock(&b->lock);
	for (unsigned int i = 0; i < pcp->batch; i++) {
		struct page *page = buddy_alloc(b, 0);

		if (!page)
			break;
		list_add_tail(&pcp->pages, &page->lru);
		count_add(pcp, 1);
	}
	mutex_unlock(&b->lock);
}

static void drain(struct pcp *pcp, struct buddy *b, unsigned int nr)
	must_hold(pcp->lock)
{
	mutex_lock(&b->lock);
	for (; nr > 0 && !list_empty(&pcp->pages); nr--) {
		struct page *page =
			list_last_entry(&pcp->pages, struct page, lru);

		list_del(&page->lru);
		count_add(pcp, -1);
		buddy_free(b, page, 0);
	}
	mutex_unlock(&b->lock);
}

struct page *pcp_alloc(struct pcp *pcp, struct buddy *b)
{
	struct page *page = NULL;

	mutex_lock(&pcp->lock);
	if (list_empty(&pcp->pages))
		refill(pcp, b);
	if (!list_empty(&pcp->pages)) {
		page = list_first_entry(&pcp->pages, struct page, lru);
		list_del(&page->lru);
		count_add(pcp, -1);
	}
	mutex_unlock(&pcp->lock);
	return page;
}

void pcp_free(struct pcp *pcp, struct buddy *b, struct page *page, bool cold)
{
	VM_ASSERT(!page_test_buddy(page) && page_refs(page) == 0); /* (2) */
	mutex_lock(&pcp->lock);
	if (cold)
		list_add_tail(&pcp->pages, &page->lru);
	else
		list_add(&pcp->pages, &page->lru);
	count_add(pcp, 1);
	if (pcp_count(pcp) > pcp->high)
		drain(pcp, b, pcp->batch);
	VM_ASSERT(pcp_count(pcp) <= pcp->high); /* (1) */
	mutex_unlock(&pcp->lock);
}

void pcp_drain(struct pcp *pcp, struct buddy *b)
{
	mutex_lock(&pcp->lock);
	drain(pcp, b, pcp_count(pcp));
	mutex_unlock(&pcp->lock);
}
