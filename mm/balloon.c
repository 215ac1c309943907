/*
 * balloon.c - blocks in, blocks out; nothing in them is ever looked at.
 *
 *   (1) The memory of a block has been given back before the block counts.
 *   (2) No frame of ZONE_DMA is in it: those are registered, and pinned.
 */
#include "mm/balloon.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"

/* 2 MiB: what one call gives back at most. */
enum { BLOCK_ORDER_MAX = 9 };

void balloon_init(struct balloon *b)
{
	*b = (struct balloon){ .nr = 0 };
	mutex_init(&b->lock);
	list_init(&b->blocks);
}

/* The largest block there is, up to nr frames; only a single one is fought for. */
static struct page *take_block(struct mm *mm, unsigned long nr, gfp_t gfp)
{
	struct page *page = NULL;
	unsigned int order = BLOCK_ORDER_MAX;

	for (; order > 0 && !page; order--)
		if (1ul << order <= nr)
			page = page_alloc(mm, GFP_MOVABLE | GFP_GROWTH, order);
	return page ? page : page_alloc(mm, gfp | GFP_MOVABLE | GFP_GROWTH, 0);
}

static bool may_punch(struct mm *mm, const struct page *page)
{
	return !zone_contains(&mm->zones[ZONE_DMA],
			      page_to_pfn(&mm->arena, page)); /* (2) */
}

static int punch(struct mm *mm, const struct page *page)
{
	size_t at = (size_t)page_to_pfn(&mm->arena, page) << PAGE_SHIFT;

	return os_arena_punch(mm->arena.base, mm->arena.fd, at,
			      page_nr(page) << PAGE_SHIFT);
}

unsigned long balloon_inflate(struct mm *mm, unsigned long nr, gfp_t gfp)
{
	struct balloon *b = &mm->balloon;
	unsigned long taken = 0;

	while (taken < nr) {
		struct page *page = take_block(mm, nr - taken, gfp);

		if (!page)
			break;
		if (!may_punch(mm, page) || punch(mm, page) < 0) {
			page_put(mm, page);
			break;
		}
		taken += page_nr(page);
		mutex_lock(&b->lock);
		list_add(&b->blocks, &page->lru);
		atomic_fetch_add(&b->nr, page_nr(page)); /* (1) */
		mutex_unlock(&b->lock);
		vmstat_add(mm, NR_BALLOON_PAGES, (long)page_nr(page));
	}
	return taken;
}

unsigned long balloon_deflate(struct mm *mm, unsigned long nr)
{
	struct balloon *b = &mm->balloon;
	unsigned long given = 0;

	while (given < nr) {
		struct page *page = NULL;

		mutex_lock(&b->lock);
		if (!list_empty(&b->blocks)) {
			page = list_first_entry(&b->blocks, struct page, lru);
			list_del_init(&page->lru);
			atomic_fetch_sub(&b->nr, page_nr(page));
		}
		mutex_unlock(&b->lock);
		if (!page)
			break;
		/* If there is none: when it is used, as it would be otherwise. */
		if (b->populate)
			os_arena_populate(page_address(&mm->arena, page),
					  page_nr(page) << PAGE_SHIFT);
		given += page_nr(page);
		vmstat_add(mm, NR_BALLOON_PAGES, -(long)page_nr(page));
		page_put(mm, page);
	}
	return given;
}
