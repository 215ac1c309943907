/*
 * page.h - the descriptor of one page frame: 64 bytes, and the ledger.
 *
 * From the array of these, and the table of mappings, one can tell which frame
 * belongs to which page of which file: the owner record is numbers, not
 * pointers, and right whenever the contents matter.
 *
 * A *folio* is a block of 2^order frames that is used as one: its first page
 * (the head) stands for all of them. Descriptors are type-stable: a pointer to
 * one stays a pointer to one for as long as the arena lives. All zeroes is the
 * state of a frame that nobody has given to an allocator yet.
 */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include "mm/bug.h"
#include "mm/list.h"

#include <stdatomic.h>

enum page_flag {
	PG_locked = 1u << 0,	      /* the page lock; see page_wait.h */
	PG_waiters = 1u << 1,	      /* somebody waits for a bit to clear */
	PG_uptodate = 1u << 2,	      /* the contents are the file's */
	PG_dirty = 1u << 3,	      /* ... and nowhere else yet */
	PG_writeback = 1u << 4,	      /* on its way to where it lives */
	PG_referenced = 1u << 5,      /* used since the scan last looked */
	PG_active = 1u << 6,	      /* on (or for) an active list */
	PG_lru = 1u << 7,	      /* on one of the five lists */
	PG_unevictable = 1u << 8,     /* on (or for) the unevictable list */
	PG_anon = 1u << 9,	      /* has no home: anon lists */
	PG_reclaim = 1u << 10,	      /* free it as soon as it is clean */
	PG_readahead = 1u << 11,      /* reading it starts the next window */
	PG_reserved_space = 1u << 12, /* its volume holds a block for it */
	PG_swapcache = 1u << 13,      /* a value (private) stands for it too */
	PG_ahead = 1u << 14,	      /* was read ahead, and not used yet */
	PG_buddy = 1u << 16,	      /* first page of a free buddy block */
	PG_slab = 1u << 17,	      /* objects live here */
	PG_tail = 1u << 18,	      /* not the first page of its folio */
};

struct page {
	_Atomic uint32_t flags; /* enum page_flag */
	_Atomic int32_t refs;	/* 0: free, or being freed */
	/*
	 * Where it is queued: free list, LRU or slab; one at a time, guarded
	 * by the lock of that list.
	 */
	struct list_head lru;
	mapping_id_t mapping; /* owner: whose page (page lock + tree lock) */
	pgoff_t index;	      /* owner: which page of it */
	uint8_t order;	      /* of the folio or the free block */
	uint8_t unused_[3];
	uint32_t nr_objects; /* PG_slab: objects in use */
	union {
		void *freelist;	   /* PG_slab: first free object */
		struct page *head; /* PG_tail: its folio */
		uint64_t private;  /* PG_swapcache: the value (page lock) */
	};
	void *cache; /* PG_slab: struct kmem_cache */
};
_Static_assert(sizeof(struct page) == 64, "the ledger has 64-byte lines");

static inline bool page_test(const struct page *page, uint32_t flag)
{
	return atomic_load_explicit(&page->flags, memory_order_acquire) & flag;
}

static inline void page_set(struct page *page, uint32_t flag)
{
	atomic_fetch_or_explicit(&page->flags, flag, memory_order_acq_rel);
}

static inline void page_clear(struct page *page, uint32_t flag)
{
	atomic_fetch_and_explicit(&page->flags, ~flag, memory_order_acq_rel);
}

/* Set it; was it set already? */
static inline bool page_test_and_set(struct page *page, uint32_t flag)
{
	return atomic_fetch_or_explicit(&page->flags, flag,
					memory_order_acq_rel) &
	       flag;
}

/* Clear it; was it set? */
static inline bool page_test_and_clear(struct page *page, uint32_t flag)
{
	return atomic_fetch_and_explicit(&page->flags, ~flag,
					 memory_order_acq_rel) &
	       flag;
}

static inline bool page_test_buddy(const struct page *page)
{
	return page_test(page, PG_buddy);
}

/* Frames of the folio that page is the head of. */
static inline pgoff_t page_nr(const struct page *page)
{
	return (pgoff_t)1 << page->order;
}

static inline int page_refs(const struct page *page)
{
	return atomic_load_explicit(&page->refs, memory_order_acquire);
}

/* One more user of a page that has one. */
static inline void page_get(struct page *page)
{
	int old =
		atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);

	VM_ASSERT(old > 0);
	(void)old;
}

/* Take a reference unless the page is free or being freed. */
static inline bool page_get_unless_zero(struct page *page)
{
	int old = atomic_load_explicit(&page->refs, memory_order_relaxed);

	while (old > 0)
		if (atomic_compare_exchange_weak_explicit(
			    &page->refs, &old, old + 1, memory_order_acquire,
			    memory_order_relaxed))
			return true;
	return false;
}

/* From exactly "refs" references to none; false if there are others. */
static inline bool page_freeze_refs(struct page *page, int refs)
{
	return atomic_compare_exchange_strong_explicit(&page->refs, &refs, 0,
						       memory_order_acq_rel,
						       memory_order_relaxed);
}

/* Drop one. True if it was the last: the caller frees the page. */
static inline bool page_put_testzero(struct page *page)
{
	int old =
		atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel);

	VM_ASSERT(old > 0);
	return old == 1;
}

#endif
