/*
 * buddy.c - split on allocation, merge on free.
 *
 * Invariants, in the order buddy_check() tests them:
 *
 *   (1) A free block of order n starts at a multiple of 2^n.
 *   (2) Only the first page of a free block has PG_buddy; its ->order is n.
 *   (3) Two buddies of equal order are never both free: they are one block.
 *   (4) nr_free is the sum of area[n].nr_blocks << n, and what is untouched.
 *   (5) Bit n of nonempty is set exactly when area[n] has a block.
 *
 *   (6) The untouched range consists of whole blocks of the highest order, none
 *       of which has PG_buddy. As they merge with nothing, none is looked at.
 *
 * A free therefore needs no search: PG_buddy and ->order of one neighbour
 * decide each merge, and both paths cost at most BUDDY_MAX_ORDER steps.
 */
#include "mm/buddy.h"

#include "mm/bug.h"

static pfn_t block_size(unsigned int order)
{
	return (pfn_t)1 << order;
}

static pfn_t buddy_of(pfn_t pfn, unsigned int order)
{
	return pfn ^ block_size(order);
}

static struct page *block_page(const struct buddy *b, pfn_t pfn)
{
	return &b->pages[pfn];
}

static pfn_t block_pfn(const struct buddy *b, const struct page *page)
{
	return (pfn_t)(page - b->pages);
}

/* Is there a free block of exactly this order at pfn? */
static bool block_is_free(const struct buddy *b, pfn_t pfn, unsigned int order)
{
	const struct page *page;

	/* Unsigned: a pfn below base_pfn wraps and fails the test as well. */
	if (pfn - b->base_pfn >= b->nr_pfns)
		return false;
	page = block_page(b, pfn);
	return page_test_buddy(page) && page->order == order;
}

static bool can_merge(const struct buddy *b, pfn_t pfn, unsigned int order)
{
	return order < BUDDY_MAX_ORDER &&
	       block_is_free(b, buddy_of(pfn, order), order);
}

/* Only the holder of the lock writes; others may read at any time. */
static void nr_free_add(struct buddy *b, long delta)
{
	atomic_store_explicit(&b->nr_free,
			      buddy_nr_free(b) + (unsigned long)delta,
			      memory_order_relaxed);
}

/* Without counting. */
static void block_list(struct buddy *b, struct page *page, unsigned int order)
{
	struct free_area *area = &b->area[order];

	page_set(page, PG_buddy);
	page->order = (uint8_t)order;
	list_add(&area->blocks, &page->lru);
	area->nr_blocks++;
	b->nonempty |= 1u << order;
}

static void block_insert(struct buddy *b, struct page *page, unsigned int order)
{
	block_list(b, page, order);
	nr_free_add(b, (long)block_size(order));
}

static void block_remove(struct buddy *b, struct page *page)
{
	unsigned int order = page->order;
	struct free_area *area = &b->area[order];

	VM_ASSERT(page_test_buddy(page));
	page_clear(page, PG_buddy);
	list_del(&page->lru);
	if (--area->nr_blocks == 0)
		b->nonempty &= ~(1u << order);
	nr_free_add(b, -(long)block_size(order));
}

void buddy_init(struct buddy *b, struct page *pages, pfn_t base_pfn,
		pfn_t nr_pfns)
{
	*b = (struct buddy){
		.pages = pages,
		.base_pfn = base_pfn,
		.nr_pfns = nr_pfns,
	};
	mutex_init(&b->lock);
	for (unsigned int order = 0; order < BUDDY_NR_ORDERS; order++)
		list_init(&b->area[order].blocks);
}

/* The largest order a block at pfn can have without passing end. */
static unsigned int largest_order(pfn_t pfn, pfn_t end)
{
	unsigned int order = BUDDY_MAX_ORDER;

	while (pfn % block_size(order) != 0 || block_size(order) > end - pfn)
		order--;
	return order;
}

void buddy_donate(struct buddy *b, pfn_t pfn, pfn_t nr)
{
	pfn_t end = pfn + nr;

	VM_ASSERT(pfn >= b->base_pfn && end <= b->base_pfn + b->nr_pfns);
	while (pfn < end) {
		unsigned int order = largest_order(pfn, end);

		if (order == BUDDY_MAX_ORDER &&
		    b->untouched == b->untouched_end) {
			b->untouched = pfn;
			b->untouched_end = end & ~(block_size(order) - 1);
			nr_free_add(b, (long)(b->untouched_end - pfn));
			pfn = b->untouched_end;
			continue;
		}
		buddy_free(b, block_page(b, pfn), order);
		pfn += block_size(order);
	}
}

/* The next untouched block becomes one like others; false: there is none. */
static bool touch_block(struct buddy *b)
{
	pfn_t pfn = b->untouched;

	if (pfn == b->untouched_end)
		return false;
	b->untouched += block_size(BUDDY_MAX_ORDER);
	block_list(b, block_page(b, pfn), BUDDY_MAX_ORDER); /* counted (4) */
	return true;
}

unsigned long buddy_nr_blocks(const struct buddy *b, unsigned int order)
{
	pfn_t untouched = b->untouched_end - b->untouched;

	return b->area[order].nr_blocks +
	       (order == BUDDY_MAX_ORDER ? untouched >> order : 0);
}

struct page *buddy_alloc(struct buddy *b, unsigned int order)
{
	uint32_t candidates = b->nonempty & (~0u << order);
	struct page *page;

	VM_ASSERT(order <= BUDDY_MAX_ORDER);
	if (!candidates) {
		if (!touch_block(b))
			return NULL;
		candidates = b->nonempty & (~0u << order);
	}

	unsigned int found = (unsigned int)__builtin_ctz(candidates);
	page = list_first_entry(&b->area[found].blocks, struct page, lru);
	block_remove(b, page);
	while (found > order) {
		found--;
		block_insert(b, page + block_size(found), found);
	}
	VM_CHECK(buddy_check(b));
	return page;
}

void buddy_free(struct buddy *b, struct page *page, unsigned int order)
{
	pfn_t pfn = block_pfn(b, page);

	VM_ASSERT(order <= BUDDY_MAX_ORDER);
	VM_ASSERT(pfn % block_size(order) == 0);
	VM_ASSERT(!page_test_buddy(page)); /* double free */

	while (can_merge(b, pfn, order)) {
		block_remove(b, block_page(b, buddy_of(pfn, order)));
		pfn &= ~block_size(order); /* the lower of the pair */
		order++;
	}
	block_insert(b, block_page(b, pfn), order);
	VM_CHECK(buddy_check(b));
}

void buddy_check(const struct buddy *b)
{
	unsigned long nr_free = 0, nr_listed = 0, nr_marked = 0;
	struct page *page;

	for (unsigned int order = 0; order < BUDDY_NR_ORDERS; order++) {
		const struct free_area *area = &b->area[order];
		unsigned long nr_blocks = 0;

		list_for_each_entry(page, &area->blocks, struct page, lru) {
			pfn_t pfn = block_pfn(b, page);

			ASSERT(pfn % block_size(order) == 0); /* (1) */
			ASSERT(block_is_free(b, pfn, order)); /* (2) */
			ASSERT(!can_merge(b, pfn, order));    /* (3) */
			nr_blocks++;
		}
		ASSERT(nr_blocks == area->nr_blocks);
		ASSERT(!(b->nonempty & 1u << order) == !nr_blocks); /* (5) */
		nr_listed += nr_blocks;
		nr_free += nr_blocks << order;
	}
	for (pfn_t i = 0; i < b->nr_pfns; i++)
		nr_marked += page_test_buddy(&b->pages[b->base_pfn + i]);
	ASSERT(b->untouched <= b->untouched_end);
	for (pfn_t i = b->untouched; i < b->untouched_end; i++)
		ASSERT(!page_test_buddy(&b->pages[i])); /* (6) */
	nr_free += b->untouched_end - b->untouched;
	ASSERT(nr_marked == nr_listed);			     /* (2) */
	ASSERT(nr_free == buddy_nr_free((struct buddy *)b)); /* (4) */
}
