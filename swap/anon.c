/*
 * anon.c - the life of an anonymous page.
 *
 *	state    in the tree  flags of the page           its contents are
 *	-------  -----------  --------------------------  ---------------------
 *	HOLE     nothing                                  zeroes
 *	SAME     value                                    in the value
 *	STORED   value                                    an object in swap
 *	NEW      page         locked                      to be written; still a
 *	                                                  hole if it goes
 *	IN       page         locked, swapcache           as SAME or STORED, and
 *	                                                  on their way here
 *	CLEAN    page         uptodate, swapcache         here, and as SAME or
 *	                                                  STORED
 *	BLANK    page         uptodate                    zeroes: was a hole when
 *	                                                  it was to be read
 *	DIRTY    page         uptodate, dirty             here only
 *
 *	HOLE ──write──► NEW ──written──► DIRTY ──pageout──► CLEAN ──dropped──┐
 *	  ▲              │ ▲                ▲                 │              ▼
 *	  └──given up────┘ └─whole─┐        ├─────written─────┘       SAME, STORED
 *	                  written  │        │                                │
 *	                  over     IN ──────┴── read, kept: CLEAN ◄─┐        │
 *	                           ▲ │                              │        │
 *	                           │ └── read in ───────────────────┘        │
 *	                           └──────────── read, write ────────────────┘
 *
 * Who owns what: the frame is the page's; the object is the value's in the tree,
 * or the page's that has taken the value's place (page->private, PG_swapcache).
 * Truncation takes any state to HOLE.
 *
 *   (1) Flags of a page in the tree change with the page locked; PG_swapcache,
 *       private, and which page or value the tree has, with the mapping locked
 *       too.
 *   (2) PG_dirty and PG_swapcache exclude each other: contents that were
 *       changed are in one place only.
 *   (3) PG_reserved_space of a page, or a value, is one page of the group's
 *       nr_pages.
 *   (4) A DIRTY page can be pushed out without a frame, and without waiting.
 */
#include "swap/anon.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "swap/anon_reserve.h"
#include "swap/swap.h"

#include <errno.h>
#include <string.h>

enum anon_state anon_page_state(const struct page *page)
{
	if (!page_test(page, PG_uptodate))
		return page_test(page, PG_swapcache) ? ANON_IN : ANON_NEW;
	if (page_test(page, PG_dirty))
		return ANON_DIRTY;
	return page_test(page, PG_swapcache) ? ANON_CLEAN : ANON_BLANK;
}

void anon_assert_state(struct address_space *m, struct page *page)
{
	ASSERT(page_test(page, PG_locked));
	ASSERT(page->mapping == m->id && page_test(page, PG_anon));
	ASSERT(!page_test(page, PG_writeback));
	switch (anon_page_state(page)) {
	case ANON_NEW:
		ASSERT(!page_test(page, PG_dirty));
		break;
	case ANON_IN:
		ASSERT(!page_test(page, PG_dirty));
		ASSERT(page_test(page, PG_reserved_space)); /* (3) */
		ASSERT(swap_entry_type(page->private) != 0);
		break;
	case ANON_CLEAN:
		ASSERT(page_test(page, PG_reserved_space));
		ASSERT(swap_entry_type(page->private) != 0);
		break;
	case ANON_BLANK:
		break;
	case ANON_DIRTY:
		ASSERT(!page_test(page, PG_swapcache)); /* (2) */
		ASSERT(page_test(page, PG_reserved_space));
		break;
	}
}

static void uncharge(struct address_space *m)
{
	atomic_fetch_sub(&anon_group_of(m)->nr_pages, 1); /* (3) */
	vmstat_dec(m->mm, NR_ANON_COMMITTED);
}

/* --- values and pages change places ----------------------------------------- */

static void anon_value_taken(struct address_space *m, struct page *page,
			     uint64_t value) must_hold(m->lock)
{
	page->private = value;
	page_set(page, PG_swapcache | PG_reserved_space);
	vmstat_inc(m->mm, NR_SWAPCACHE);
}

static uint64_t anon_value_left(struct address_space *m, struct page *page)
	must_hold(m->lock)
{
	uint64_t value = page->private;

	if (!page_test_and_clear(page, PG_swapcache)) {
		if (page_test_and_clear(page, PG_reserved_space))
			uncharge(m);
		return 0;
	}
	page_clear(page, PG_reserved_space);
	page->private = 0;
	vmstat_dec(m->mm, NR_SWAPCACHE);
	return value;
}

/* The contents of the page are at entry, too. */
void anon_set_copy(struct address_space *m, struct page *page,
		   swap_entry_t entry)
{
	mutex_lock(&m->lock);
	page->private = entry;
	page_set(page, PG_swapcache);
	/* Clean only now that the contents are elsewhere too. */
	page_clear(page, PG_dirty);
	anon_reserve_stored(m, page->index, entry);
	mutex_unlock(&m->lock);
	vmstat_inc(m->mm, NR_SWAPCACHE);
}

/* What was stored for the page is void. */
static void free_copy(struct address_space *m, struct page *page)
{
	swap_entry_t entry;

	if (!page_test(page, PG_swapcache))
		return;
	mutex_lock(&m->lock);
	entry = page->private;
	page->private = 0;
	page_clear(page, PG_swapcache);
	anon_reserve_void(m, page->index, entry);
	mutex_unlock(&m->lock);
	vmstat_dec(m->mm, NR_SWAPCACHE);
	swap_put(m->mm->swap, entry, true);
}

static void anon_free_value(struct address_space *m, pgoff_t index,
			    uint64_t value)
{
	(void)index;
	swap_put(m->mm->swap, value, true);
	uncharge(m);
}

static void anon_page_truncated(struct address_space *m, struct page *page)
{
	free_copy(m, page);
	page_clear(page, PG_dirty);
}

static bool anon_value_is_zero(uint64_t value)
{
	return swap_entry_type(value) == SWAP_ZERO;
}

/* --- out ---------------------------------------------------------------------- */

static enum pageout_result anon_pageout(struct address_space *m,
					struct page *page)
{
	struct mm *mm = m->mm;
	const void *contents = page_address(&mm->arena, page);
	swap_entry_t entry;
	uint32_t word;
	int err = 0;

	VM_ASSERT(anon_page_state(page) == ANON_DIRTY);
	if (page_is_same_filled(contents, &word)) {
		entry = swap_entry_same(word);
		vmstat_inc(mm, SWPOUT_SAME);
		vmstat_inc(mm, NR_SWAPPED_SAME);
	} else {
		err = swap_out_page(mm->swap, m->id, page->index, contents,
				    &entry);
	}
	if (err)
		return err == -EBUSY ? PAGEOUT_BUSY : PAGEOUT_KEEP;
	anon_set_copy(m, page, entry);
	VM_CHECK(anon_assert_state(m, page));
	return PAGEOUT_CLEAN;
}

void anon_set_dirty(struct address_space *m, struct page *page)
{
	free_copy(m, page);
	page_set(page, PG_dirty);
	VM_CHECK(anon_assert_state(m, page));
}

/* --- in ----------------------------------------------------------------------- */

static void anon_read_run(struct address_space *m, struct page_run *run)
{
	swap_in_run(m->mm->swap, run);
}

/*
 * It is in. What is stored for it stays, however full swap is: without it the
 * page would have to be written again to be dropped, and void objects among
 * others are no room yet. The compactor takes it when it comes by.
 */
static void filled(struct address_space *m, struct page *page)
{
	page_set(page, PG_uptodate);
	VM_CHECK(anon_assert_state(m, page));
}

void swap_page_in_done(struct page *page, struct page_run *run, int err)
{
	struct address_space *m = run->mapping;
	struct mm *mm = m->mm;

	if (err)
		page_cache_remove(m, page); /* its value stays behind */
	else
		filled(m, page);
	/* From here on m may be gone. */
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
}

int anon_fill(struct address_space *m, struct page *page, gfp_t gfp)
{
	void *to = page_address(&m->mm->arena, page);
	int err;

	VM_ASSERT(!page_test(page, PG_uptodate));
	if (!page_test(page, PG_swapcache)) {
		memset(to, 0, PAGE_SIZE);
		page_set(page, PG_uptodate);
		return 0;
	}
	err = swap_in_page(m->mm->swap, m->id, page->index, page->private, to,
			   gfp & GFP_RECLAIM);
	if (err)
		return err;
	filled(m, page);
	return 0;
}

/* A page that is here. False: it is on its way in, or has gone. */
static bool copy_page(struct address_space *m, struct page *page, void *to)
{
	struct mm *mm = m->mm;
	bool there;

	page_lock(&mm->page_waits, page);
	there = page->mapping == m->id && page_test(page, PG_uptodate);
	if (there)
		memcpy(to, page_address(&mm->arena, page), PAGE_SIZE);
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
	return there;
}

int anon_read_page(struct address_space *m, pgoff_t index, void *to)
{
	struct swap *s = m->mm->swap;
	swap_entry_t value;
	void *entry;
	int err;

	vmstat_inc(m->mm, SWPIN_UNCACHED);
	for (;;) {
		mutex_lock(&m->lock);
		entry = xa_load(&m->pages, index);
		value = xa_is_value(entry) ? xa_to_value(entry) : 0;
		if (value)
			swap_get(s, value);
		else if (entry)
			page_get(entry);
		mutex_unlock(&m->lock);
		if (!entry) {
			memset(to, 0, PAGE_SIZE);
			return 0;
		}
		if (value) {
			err = swap_in_page(s, m->id, index, value, to, true);
			swap_put(s, value, false);
			return err;
		}
		if (copy_page(m, entry, to))
			return 0;
	}
}

/* --- how much ------------------------------------------------------------------ */

int anon_group_charge(struct address_space *m)
{
	struct anon_group *g = anon_group_of(m);

	if (atomic_fetch_add(&g->nr_pages, 1) < g->max_pages) {
		vmstat_inc(m->mm, NR_ANON_COMMITTED);
		return 0;
	}
	atomic_fetch_sub(&g->nr_pages, 1);
	vmstat_inc(m->mm, ENOSPC_SIZE);
	return -ENOSPC;
}

int anon_charge(struct address_space *m, struct page *page)
{
	struct mm *mm = m->mm;
	int err;

	if (page_test(page, PG_dirty))
		return 0;
	if (!anon_reserve_allows(m, page->index)) {
		vmstat_inc(mm, ENOSPC_RESERVED);
		return -ENOMEM;
	}
	if (page_test(page, PG_reserved_space))
		return 0;
	err = anon_group_charge(m);
	if (!err)
		page_set(page, PG_reserved_space); /* (3) */
	return err;
}

void anon_truncate(struct address_space *m, pgoff_t first, pgoff_t last)
{
	anon_unreserve(m, first, last);
	page_cache_truncate_range(m, first, last);
}

static bool is_stored(const void *entry)
{
	return entry &&
	       !(xa_is_value(entry) && anon_value_is_zero(xa_to_value(entry)));
}

bool anon_is_stored(struct address_space *m, pgoff_t index)
{
	bool stored;

	mutex_lock(&m->lock);
	stored = is_stored(xa_load(&m->pages, index));
	mutex_unlock(&m->lock);
	return stored;
}

/* Readers need the lock too: it is given up after so many entries. */
enum { SEEK_BATCH = 512 };

/* A part of the search; true: it is over, and *index the result. */
static bool seek_data_part(struct address_space *m, pgoff_t *index)
	must_hold(m->lock)
{
	for (unsigned int i = 0; i < SEEK_BATCH; i++) {
		const void *entry =
			xa_find(&m->pages, index, UINT64_MAX, XA_PRESENT);

		if (!entry)
			*index = UINT64_MAX;
		if (!entry || is_stored(entry))
			return true;
		++*index;
	}
	return false;
}

static bool seek_hole_part(struct address_space *m, pgoff_t *index)
	must_hold(m->lock)
{
	for (unsigned int i = 0; i < SEEK_BATCH; i++) {
		if (!is_stored(xa_load(&m->pages, *index)))
			return true;
		++*index;
	}
	return false;
}

pgoff_t anon_seek_data(struct address_space *m, pgoff_t first)
{
	bool over;

	do {
		mutex_lock(&m->lock);
		over = seek_data_part(m, &first);
		mutex_unlock(&m->lock);
	} while (!over);
	return first;
}

pgoff_t anon_seek_hole(struct address_space *m, pgoff_t first)
{
	bool over;

	do {
		mutex_lock(&m->lock);
		over = seek_hole_part(m, &first);
		mutex_unlock(&m->lock);
	} while (!over);
	return first;
}

const struct address_space_ops anon_aops = {
	.anon = true,
	.read_run = anon_read_run,
	.pageout = anon_pageout,
	.free_value = anon_free_value,
	.value_taken = anon_value_taken,
	.value_left = anon_value_left,
	.value_is_zero = anon_value_is_zero,
	.page_truncated = anon_page_truncated,
};
