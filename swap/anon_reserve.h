/*
 * anon_reserve.h - room that is kept for pages which are promised to be
 * writable: fallocate(2) on a file that is then mapped, for one.
 *
 * A reserved index has the tag XA_RESERVED, and always an entry: a value that
 * reads as zeroes where nothing is stored, so that the tree has its nodes. What
 * it may need more than it has, its demand, is the size of a page that cannot be
 * compressed less what is stored for it; nothing while its frame is the only
 * place of its contents. As long as anything is demanded, what is not reserved
 * may grow only while free frames, frames that can be had, and room in swap are
 * more than that.
 */
#ifndef SWAP_ANON_RESERVE_H
#define SWAP_ANON_RESERVE_H

#include "mm/address_space.h"

/* Something is stored for the page at index from now on, or no longer. */
void anon_reserve_stored(struct address_space *m, pgoff_t index, uint64_t value)
	must_hold(m->lock);
void anon_reserve_void(struct address_space *m, pgoff_t index, uint64_t value)
	must_hold(m->lock);

/* May the page at index be written to, or is all that is left promised? */
bool anon_reserve_allows(struct address_space *m, pgoff_t index);

/* Give up what is reserved of [first, last]. Needs no memory. */
void anon_unreserve(struct address_space *m, pgoff_t first, pgoff_t last);

#endif
