/*
 * page_wait.h - the page lock, and waiting for a page's bit to clear
 * (Linux: folio_wait_bit_common in mm/filemap.c).
 *
 * The lock is the bit PG_locked; PG_writeback is waited for in the same way.
 * Waiters queue in a hashed table, so that a page costs no queue of its own.
 * PG_waiters tells the one who clears a bit that the table is worth a look.
 *
 * A waiter is a struct with a function: a thread that sleeps passes one that
 * wakes it; a request that is to go on when its pages are there passes one
 * that resumes it, and holds no thread meanwhile.
 */
#ifndef MM_PAGE_WAIT_H
#define MM_PAGE_WAIT_H

#include "mm/lock.h"
#include "mm/page.h"

#define PAGE_WAIT_BITS	    8
#define PAGE_WAIT_NR_QUEUES (1u << PAGE_WAIT_BITS) /* as the kernel's */

/* One queue; (L) lock. */
struct page_wait_queue {
	struct mutex lock;
	struct list_head waiters; /* page_waiter.link (L) */
};

struct page_wait_table {
	struct page_wait_queue queues[PAGE_WAIT_NR_QUEUES];
};

struct page_waiter {
	struct list_head link;
	struct page *page;
	uint32_t bit;
	/*
	 * The bit was clear a moment ago. Called once, without locks, by the
	 * thread that cleared it, which must not be made to wait.
	 */
	void (*wake)(struct page_waiter *w);
};

void page_wait_init(struct page_wait_table *t);

/*
 * Queue w until "bit" of page is clear; the caller keeps a reference to page
 * until then. Returns false, and forgets w, if it is clear already.
 */
bool page_wait_async(struct page_wait_table *t, struct page *page, uint32_t bit,
		     struct page_waiter *w);

/* Sleep until "bit" of page has been clear. The caller has a reference. */
void page_wait(struct page_wait_table *t, struct page *page, uint32_t bit);

/* Clear "bit" and wake those who wait for that. */
void page_clear_and_wake(struct page_wait_table *t, struct page *page,
			 uint32_t bit);

/* The second half of that, for who has cleared a bit with page_clear(). */
void page_wake(struct page_wait_table *t, struct page *page);

static inline bool page_trylock(struct page *page)
{
	return !page_test_and_set(page, PG_locked);
}

/* Take the page lock; the caller has a reference. */
void page_lock(struct page_wait_table *t, struct page *page);
void page_unlock(struct page_wait_table *t, struct page *page);

#endif
