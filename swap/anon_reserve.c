/* anon_reserve.c - demand, counted in bytes of the size a page has in swap. */
#include "swap/anon_reserve.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "swap/anon.h"
#include "swap/swap.h"

#include <errno.h>

#define FULL ((int64_t)SWAP_OBJECT_MAX)

static int64_t demand_of(uint64_t value)
{
	if (swap_entry_type(value) != SWAP_STORED)
		return FULL;
	return FULL -
	       (int64_t)min_of(swap_entry_place(value).size, (uint32_t)FULL);
}

static void add_demand(struct address_space *m, int64_t bytes)
{
	atomic_fetch_add(&m->mm->swap->reserved_demand, bytes);
}

static bool is_tagged(struct address_space *m, pgoff_t index) must_hold(m->lock)
{
	return xa_tagged(&m->pages, XA_RESERVED) &&
	       xa_get_tag(&m->pages, index, XA_RESERVED);
}

void anon_reserve_stored(struct address_space *m, pgoff_t index, uint64_t value)
{
	if (is_tagged(m, index))
		add_demand(m, demand_of(value));
}

void anon_reserve_void(struct address_space *m, pgoff_t index, uint64_t value)
{
	if (is_tagged(m, index))
		add_demand(m, -demand_of(value));
}

/* --- what is left -------------------------------------------------------------- */

/* Frames of a zone that growth does not get: below the mark, and kept. */
static uint64_t kept_of(const struct zone *z)
{
	return atomic_load(&z->wmark[WMARK_LOW]) +
	       atomic_load(&z->lowmem_reserve[ZONE_MOVABLE]);
}

/* Frames that are free, or empty slabs, and that growth gets. */
static uint64_t free_frames(struct mm *mm)
{
	uint64_t nr = 0;

	for (int t = 0; t < NR_ZONES; t++) {
		struct zone *z = &mm->zones[t];
		uint64_t nr_free = zone_nr_free(z) + zone_nr_pcp(z);

		if (t == ZONE_NORMAL) /* nearly all of them are there */
			nr_free += vmstat_read(mm, NR_SLAB_EMPTY);
		nr += nr_free - min_of(nr_free, kept_of(z));
	}
	return nr;
}

/* What is left for everybody, the promised part included. */
static uint64_t pages_available(struct mm *mm)
{
	/* Not by sums over CPUs: those may be off while pages come and go. */
	uint64_t file = lru_size(&mm->lru, LRU_INACTIVE_FILE) +
			lru_size(&mm->lru, LRU_ACTIVE_FILE);
	uint64_t busy =
		vmstat_read(mm, NR_FILE_DIRTY) + vmstat_read(mm, NR_WRITEBACK);
	uint64_t frames = free_frames(mm);

	frames += file - min_of(file, busy) + vmstat_read(mm, NR_SWAPCACHE);
	return frames + (uint64_t)atomic_load(&mm->nr_swap_free) +
	       swap_compactable(mm->swap) / SWAP_OBJECT_MAX;
}

/*
 * What is available is reckoned without a lock, trees need nodes, and in each
 * cluster up to a page may be void and yet not worth moving: a promise keeps
 * that much back.
 */
enum { SLACK_PAGES = 32 };

static uint64_t slack_pages(struct mm *mm)
{
	struct swap *s = mm->swap;
	uint64_t clusters;

	mutex_lock(&s->lock);
	clusters = s->nr_clusters;
	mutex_unlock(&s->lock);
	return SLACK_PAGES + clusters;
}

static uint64_t demanded_pages(struct mm *mm)
{
	int64_t bytes = atomic_load(&mm->swap->reserved_demand);
	uint64_t pages = (uint64_t)(max_of(bytes, (int64_t)0) + FULL - 1) /
			 (uint64_t)FULL;

	return pages ? pages + slack_pages(mm) : 0;
}

uint64_t anon_pages_left(struct mm *mm)
{
	uint64_t available = pages_available(mm);

	return available - min_of(available, demanded_pages(mm));
}

uint64_t anon_pages_total(struct mm *mm)
{
	uint64_t frames = mm->arena.nr_pages - mm->arena.first_pfn;
	uint64_t fixed = vmstat_read(mm, NR_SWAP_BUFFERS) + mm->balloon.nr_kept;
	uint64_t total, used;

	for (int t = 0; t < NR_ZONES; t++)
		fixed += kept_of(&mm->zones[t]);
	swap_usage(mm->swap, &total, &used);
	return frames - min_of(frames, fixed) +
	       total / SWAP_CLUSTER_SIZE * SWAP_CLUSTER_PAGES;
}

bool anon_is_reserved(struct address_space *m, pgoff_t index)
{
	bool reserved;

	if (atomic_load(&m->mm->swap->nr_reserved) == 0)
		return false;
	mutex_lock(&m->lock);
	reserved = is_tagged(m, index);
	mutex_unlock(&m->lock);
	return reserved;
}

bool anon_range_is_reserved(struct address_space *m, pgoff_t first,
			    pgoff_t last)
{
	bool reserved = true;

	if (atomic_load(&m->mm->swap->nr_reserved) == 0)
		return false;
	mutex_lock(&m->lock);
	for (pgoff_t index = first; reserved && index <= last; index++)
		reserved = is_tagged(m, index);
	mutex_unlock(&m->lock);
	return reserved;
}

bool anon_may_grow(struct mm *mm)
{
	return atomic_load(&mm->swap->reserved_demand) <= 0 ||
	       anon_pages_left(mm) > 0;
}

bool anon_reserve_allows(struct address_space *m, pgoff_t index)
{
	if (atomic_load(&m->mm->swap->reserved_demand) <= 0)
		return true;
	return anon_is_reserved(m, index) || anon_may_grow(m->mm);
}

/* --- reserving ------------------------------------------------------------------ */

/* A page that only reads as zeroes and is not charged: a hole again. */
static void drop_blank(struct address_space *m, struct page *page)
{
	struct mm *mm = m->mm;

	page_lock(&mm->page_waits, page);
	if (page->mapping == m->id && anon_page_state(page) == ANON_BLANK)
		page_cache_remove(m, page);
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
}

/* Have a charged entry at index. 0, -errno, or -EAGAIN: look again. */
static int fill_hole(struct address_space *m, pgoff_t index,
		     struct xa_stash *stash)
{
	struct page *blank = NULL;
	void *entry;
	int err = 0;

	mutex_lock(&m->lock);
	entry = xa_load(&m->pages, index);
	if (!entry)
		err = anon_group_charge(m);
	if (!entry && !err) {
		err = xa_store(&m->pages, index,
			       xa_mk_value(swap_entry_same(0)), stash);
		ASSERT(err == 0); /* the stash had enough for it */
		m->nr_values++;
		vmstat_inc(m->mm, NR_SWAPPED_SAME);
	} else if (entry && !xa_is_value(entry)) {
		if (!page_test(entry, PG_reserved_space)) {
			blank = entry;
			page_get(blank);
		}
	}
	mutex_unlock(&m->lock);
	if (!blank)
		return err;
	drop_blank(m, blank);
	return -EAGAIN;
}

static int fill_holes(struct address_space *m, pgoff_t first, pgoff_t last)
{
	struct xa_stash stash = { .nr = 0 };
	pgoff_t index = first;
	int err = 0;

	while (!err && index <= last) {
		err = xa_stash_fill(&m->pages, &stash, GFP_KERNEL | GFP_GROWTH);
		if (!err)
			err = fill_hole(m, index, &stash);
		if (err == -EAGAIN)
			err = 0;
		else
			index++;
	}
	xa_stash_drain(&m->pages, &stash);
	return err;
}

/* Entries that are no more than holes, and not reserved: holes again. */
static void empty_blanks(struct address_space *m, pgoff_t first, pgoff_t last)
{
	pgoff_t index = first;

	for (;;) {
		void *entry;
		bool blank = false;

		mutex_lock(&m->lock);
		entry = xa_find(&m->pages, &index, last, XA_PRESENT);
		if (entry && xa_is_value(entry) &&
		    swap_entry_type(xa_to_value(entry)) == SWAP_ZERO &&
		    !xa_get_tag(&m->pages, index, XA_RESERVED)) {
			xa_erase(&m->pages, index);
			m->nr_values--;
			blank = true;
		}
		mutex_unlock(&m->lock);
		if (blank)
			m->ops->free_value(m, index, xa_to_value(entry));
		if (!entry || index++ == last)
			return;
	}
}

/* What the entry at index demands if it is reserved. */
static int64_t demand_at(struct address_space *m, pgoff_t index)
	must_hold(m->lock)
{
	const void *entry = xa_load(&m->pages, index);
	const struct page *page = entry;

	if (!entry)
		return 0;
	if (xa_is_value(entry))
		return demand_of(xa_to_value(entry));
	return page_test(page, PG_swapcache) ? demand_of(page->private) : 0;
}

static int64_t demand_of_range(struct address_space *m, pgoff_t first,
			       pgoff_t last)
{
	int64_t demand = 0;

	for (pgoff_t index = first;; index++) {
		mutex_lock(&m->lock);
		if (!is_tagged(m, index))
			demand += demand_at(m, index);
		mutex_unlock(&m->lock);
		if (index == last)
			return demand;
	}
}

static void tag_range(struct address_space *m, pgoff_t first, pgoff_t last)
{
	for (pgoff_t index = first;; index++) {
		mutex_lock(&m->lock);
		if (!xa_get_tag(&m->pages, index, XA_RESERVED)) {
			add_demand(m, demand_at(m, index));
			xa_set_tag(&m->pages, index, XA_RESERVED);
			vmstat_inc(m->mm, NR_ANON_RESERVED);
			atomic_fetch_add(&m->mm->swap->nr_reserved, 1);
		}
		mutex_unlock(&m->lock);
		if (index == last)
			return;
	}
}

int anon_reserve(struct address_space *m, pgoff_t first, pgoff_t last)
{
	struct mm *mm = m->mm;
	int err;

	if (should_fail(&mm->fail_reserve, (last - first + 1) << PAGE_SHIFT)) {
		vmstat_inc(mm, RESERVE_FAIL_INJECTED);
		return -ENOSPC;
	}
	/* Not even if what the mapping has were all in the range. */
	if (last - first >= anon_pages_left(mm) + address_space_nr_entries(m)) {
		vmstat_inc(mm, ENOSPC_RESERVED);
		return -ENOSPC;
	}
	err = fill_holes(m, first, last);
	if (!err) {
		int64_t more, left;

		/* One at a time, as each counts on what the others leave. */
		mutex_lock(&mm->swap->reserve_lock);
		more = demand_of_range(m, first, last);
		left = (int64_t)anon_pages_left(mm);
		if (atomic_load(&mm->swap->reserved_demand) <= 0)
			left -= (int64_t)slack_pages(mm);
		if (more > left * FULL) {
			vmstat_inc(mm, ENOSPC_RESERVED);
			err = -ENOSPC;
		} else {
			tag_range(m, first, last);
		}
		mutex_unlock(&mm->swap->reserve_lock);
	}
	if (err)
		empty_blanks(m, first, last);
	return err;
}

void anon_unreserve(struct address_space *m, pgoff_t first, pgoff_t last)
{
	pgoff_t index = first;
	void *entry;

	do {
		mutex_lock(&m->lock);
		entry = xa_find(&m->pages, &index, last, XA_RESERVED);
		if (entry) {
			xa_clear_tag(&m->pages, index, XA_RESERVED);
			add_demand(m, -demand_at(m, index));
			vmstat_dec(m->mm, NR_ANON_RESERVED);
			atomic_fetch_sub(&m->mm->swap->nr_reserved, 1);
		}
		mutex_unlock(&m->lock);
	} while (entry && index++ != last);
}

/* --- contents void, promise kept ------------------------------------------------- */

/* A value of a reserved index becomes zeroes. */
static void blank_value(struct address_space *m, pgoff_t index, void *entry)
	must_hold(m->lock)
{
	uint64_t old = xa_to_value(entry), zero = swap_entry_same(0);
	int err;

	if (old == zero)
		return;
	err = xa_store(&m->pages, index, xa_mk_value(zero), NULL);
	ASSERT(err == 0);
	vmstat_inc(m->mm, NR_SWAPPED_SAME);
	add_demand(m, demand_of(zero) - demand_of(old));
	swap_put(m->mm->swap, old, true);
}

/* A page of a reserved index goes, and leaves zeroes behind. False: gone. */
static bool blank_page(struct address_space *m, pgoff_t index,
		       struct page *page)
{
	struct mm *mm = m->mm;
	bool ours;

	page_lock(&mm->page_waits, page);
	ours = page->mapping == m->id && page->index == index;
	if (ours) {
		m->ops->page_truncated(m, page);
		vmstat_inc(mm, NR_SWAPPED_SAME);
		anon_set_copy(m, page, swap_entry_same(0));
		page_cache_remove(m, page);
	}
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
	return ours;
}

void anon_punch(struct address_space *m, pgoff_t first, pgoff_t last)
{
	pgoff_t index = first;

	for (;;) {
		struct page *page = NULL;
		void *entry;
		bool reserved = false;

		mutex_lock(&m->lock);
		entry = xa_find(&m->pages, &index, last, XA_PRESENT);
		if (entry)
			reserved = xa_get_tag(&m->pages, index, XA_RESERVED);
		if (reserved && xa_is_value(entry))
			blank_value(m, index, entry);
		else if (reserved && page_get_unless_zero(entry))
			page = entry;
		mutex_unlock(&m->lock);
		if (page && !blank_page(m, index, page))
			continue; /* what it left behind, then */
		if (entry && !reserved)
			page_cache_truncate_range(m, index, index);
		if (!entry || index++ == last)
			return;
	}
}
