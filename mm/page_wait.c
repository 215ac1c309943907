/*
 * page_wait.c - one lost wake-up would hang a reader for ever, so:
 *
 *   (1) PG_waiters is set, with the queue locked, in the same atomic step that
 *       looks at the bit. Whoever clears the bit does that, too, in one step
 *       that looks at PG_waiters. One of the two therefore sees the other.
 *   (2) PG_waiters is cleared only with the queue locked and no waiter left.
 */
#include "mm/page_wait.h"

static struct page_wait_queue *queue_of(struct page_wait_table *t,
					const struct page *page)
{
	/* Fibonacci hashing (Knuth, TAOCP 6.4) of the descriptor's number. */
	uint64_t h = ((uintptr_t)page / sizeof(*page)) * 0x9e3779b97f4a7c15u;

	return &t->queues[h >> (64 - PAGE_WAIT_BITS)];
}

void page_wait_init(struct page_wait_table *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->queues); i++) {
		mutex_init(&t->queues[i].lock);
		list_init(&t->queues[i].waiters);
	}
}

bool page_wait_async(struct page_wait_table *t, struct page *page, uint32_t bit,
		     struct page_waiter *w)
{
	struct page_wait_queue *q = queue_of(t, page);
	bool queued = false;
	uint32_t old;

	VM_ASSERT(page_refs(page) > 0);
	w->page = page;
	w->bit = bit;
	mutex_lock(&q->lock);
	old = atomic_fetch_or_explicit(&page->flags, PG_waiters,
				       memory_order_acq_rel); /* (1) */
	if (old & bit) {
		list_add_tail(&q->waiters, &w->link);
		queued = true;
	}
	mutex_unlock(&q->lock);
	return queued;
}

static void wake_queue(struct page_wait_table *t, struct page *page)
{
	struct page_wait_queue *q = queue_of(t, page);
	struct page_waiter *w, *n;
	struct list_head ready;
	bool others = false;

	list_init(&ready);
	mutex_lock(&q->lock);
	list_for_each_entry_safe(w, n, &q->waiters, struct page_waiter, link)
	{
		if (w->page != page)
			continue;
		if (page_test(page, w->bit))
			others = true;
		else
			list_move_tail(&ready, &w->link);
	}
	if (!others)
		page_clear(page, PG_waiters); /* (2) */
	mutex_unlock(&q->lock);

	/* A waiter is gone when it has been woken: look ahead first. */
	list_for_each_entry_safe(w, n, &ready, struct page_waiter, link)
		w->wake(w);
}

void page_clear_and_wake(struct page_wait_table *t, struct page *page,
			 uint32_t bit)
{
	uint32_t old = atomic_fetch_and_explicit(
		&page->flags, ~bit, memory_order_acq_rel); /* (1) */

	VM_ASSERT(old & bit);
	if (old & PG_waiters)
		wake_queue(t, page);
}

void page_wake(struct page_wait_table *t, struct page *page)
{
	if (page_test(page, PG_waiters))
		wake_queue(t, page);
}

struct sleeper {
	struct page_waiter waiter;
	struct mutex lock;
	struct cond woken;
	bool done;
};

static void sleeper_wake(struct page_waiter *w)
{
	struct sleeper *s = container_of(w, struct sleeper, waiter);

	mutex_lock(&s->lock);
	s->done = true;
	cond_signal(&s->woken);
	mutex_unlock(&s->lock);
}

void page_wait(struct page_wait_table *t, struct page *page, uint32_t bit)
{
	struct sleeper s = { .waiter.wake = sleeper_wake };

	if (!page_test(page, bit))
		return;
	mutex_init(&s.lock);
	cond_init(&s.woken);
	if (!page_wait_async(t, page, bit, &s.waiter))
		return;
	mutex_lock(&s.lock);
	while (!s.done)
		cond_wait(&s.woken, &s.lock);
	mutex_unlock(&s.lock);
}

void page_lock(struct page_wait_table *t, struct page *page)
{
	while (!page_trylock(page))
		page_wait(t, page, PG_locked);
}

void page_unlock(struct page_wait_table *t, struct page *page)
{
	page_clear_and_wake(t, page, PG_locked);
}
