/*
 * anon.h - pages without a home: the address_space_ops of anonymous mappings,
 * and what the owner of such a mapping does with its contents.
 *
 * An index of the mapping is a hole, a page, or a value: where the page's
 * contents are while it has no frame (swap/swap_entry.h). The table of all
 * states is in swap/anon.c.
 *
 * Of a mapping m: m->nr_pages + m->nr_values (with m->lock, or roughly without)
 * is how many pages it has stored, holes not counted.
 */
#ifndef SWAP_ANON_H
#define SWAP_ANON_H

#include "mm/address_space.h"

struct swap;

/* Mappings that share a limit: those of a volume. Is m->group. */
struct anon_group {
	_Atomic uint64_t nr_pages; /* stored, in all its mappings */
	uint64_t max_pages;	   /* UINT64_MAX: no limit */
};

static inline struct anon_group *anon_group_of(const struct address_space *m)
{
	return (struct anon_group *)(uintptr_t)m->group;
}

/* One page more is stored: 0, or -ENOSPC: it is at its limit. Counted. */
int anon_group_charge(struct address_space *m);

/* Of a locked page in such a mapping; see the table. */
enum anon_state { ANON_NEW, ANON_IN, ANON_CLEAN, ANON_BLANK, ANON_DIRTY };
enum anon_state anon_page_state(const struct page *page);
/* For swap/: the contents of a locked page are at this entry too; it is clean. */
void anon_set_copy(struct address_space *m, struct page *page, uint64_t entry);
/* Abort unless flags, owner and counts are those of its state. */
void anon_assert_state(struct address_space *m, struct page *page);

extern const struct address_space_ops anon_aops;

/*
 * A locked page from page_cache_grab() that is not up to date: fill it with
 * what is stored for it, or zeroes. 0; -EAGAIN if that would block and gfp does
 * not have GFP_RECLAIM; -EIO if what was stored is damaged.
 */
int anon_fill(struct address_space *m, struct page *page, gfp_t gfp);

/*
 * A locked page is about to be written. 0; -ENOSPC if the group is at its
 * limit; -ENOMEM if what is left of memory and swap is reserved for others.
 */
int anon_charge(struct address_space *m, struct page *page);

/* It was written, and is locked still: what was stored for it is void. */
void anon_set_dirty(struct address_space *m, struct page *page);

/* Contents of one index (zeroes for a hole), around the cache. 0 or -EIO. */
int anon_read_page(struct address_space *m, pgoff_t index, void *to);

/*
 * Drop [first, last], contents and reservations; the caller keeps others from
 * adding pages there. Needs no memory.
 */
void anon_truncate(struct address_space *m, pgoff_t first, pgoff_t last);
/* The same, but what is reserved stays so, and reads as zeroes. */
void anon_punch(struct address_space *m, pgoff_t first, pgoff_t last);

/*
 * Reserve memory and swap for every page of [first, last], at full size: they
 * can be written from now on, whatever to, until they are truncated. 0, or
 * -ENOSPC (or -ENOMEM: no frame now) and nothing has changed. The caller keeps
 * writers of the mapping away.
 */
int anon_reserve(struct address_space *m, pgoff_t first, pgoff_t last);

/* Is anything but zeroes stored at index? */
bool anon_is_stored(struct address_space *m, pgoff_t index);
/* The first index from "first" on that is stored / is a hole; or UINT64_MAX. */
pgoff_t anon_seek_data(struct address_space *m, pgoff_t first);
pgoff_t anon_seek_hole(struct address_space *m, pgoff_t first);

/*
 * Pages that could be stored besides those that are: frames that are free or
 * can be had, and room in swap at full size, less what is reserved; and the
 * same were nothing stored at all.
 */
uint64_t anon_pages_left(struct mm *mm);
/* May anything that is not reserved take a frame, or is the rest promised? */
bool anon_may_grow(struct mm *mm);
/* Is the page at index reserved? And all of a few, first to last? */
bool anon_is_reserved(struct address_space *m, pgoff_t index);
bool anon_range_is_reserved(struct address_space *m, pgoff_t first,
			    pgoff_t last);
uint64_t anon_pages_total(struct mm *mm);

#endif
