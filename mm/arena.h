/*
 * arena.h - the memory of a mount: one range, "mem=" bytes, mapped once.
 *
 *	| boot: page array, tables |  DMA  |    NORMAL    |    MOVABLE    |
 *	0                          first_pfn                       nr_pages
 *
 * Frame numbers count from the start of the arena.
 */
#ifndef MM_ARENA_H
#define MM_ARENA_H

#include "mm/page.h"

struct arena {
	char *base; /* frame 0 */
	size_t size;
	int fd; /* its memory file; -1 in the simulator */
	pfn_t nr_pages;
	pfn_t first_pfn;    /* the first that is not boot memory */
	struct page *pages; /* one for each frame */
};

/* Map size bytes (a multiple of PAGE_SIZE). 0 or -ENOMEM. */
int arena_init(struct arena *a, size_t size);
void arena_destroy(struct arena *a);

static inline pfn_t page_to_pfn(const struct arena *a, const struct page *page)
{
	VM_ASSERT(page >= a->pages && page < a->pages + a->nr_pages);
	return (pfn_t)(page - a->pages);
}

static inline struct page *pfn_to_page(const struct arena *a, pfn_t pfn)
{
	VM_ASSERT(pfn < a->nr_pages);
	return &a->pages[pfn];
}

static inline void *page_address(const struct arena *a, const struct page *page)
{
	return a->base + ((size_t)page_to_pfn(a, page) << PAGE_SHIFT);
}

/* The page that holds this byte of the arena. */
static inline struct page *virt_to_page(const struct arena *a, const void *p)
{
	return pfn_to_page(a,
			   (pfn_t)(((const char *)p - a->base) >> PAGE_SHIFT));
}

#endif
