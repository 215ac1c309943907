/*
 * writeback_group.h - mappings that are written to one device (Linux: struct
 * bdi_writeback).
 *
 * A device that is slow, or takes nothing for a while, must not keep the pages
 * of others from theirs: each group has its share of what may be in flight, one
 * flusher at most is at it, and its writers may make a little dirty whatever the
 * others have.
 */
#ifndef MM_WRITEBACK_GROUP_H
#define MM_WRITEBACK_GROUP_H

#include "mm/address_space.h"

/* (D) guarded by mm->dirty_list.lock. */
struct writeback_group {
	struct mm *mm;
	_Atomic unsigned long nr_dirty, nr_writeback; /* pages */
	unsigned int nr_releasing; /* off the list, owner being told (D) */
	bool flushing;		   /* a flusher is at one of its mappings (D) */
};

void writeback_group_init(struct writeback_group *g, struct mm *mm);
/* When the last of its mappings is gone. Waits for who told its owner. */
void writeback_group_destroy(struct writeback_group *g);

/* Pages of it that may be under writeback; "wait": for one who waits for it. */
unsigned long writeback_group_in_flight_max(const struct writeback_group *g,
					    bool wait);

/* Of a mapping that is not anon. */
static inline struct writeback_group *
writeback_group_of(const struct address_space *m)
{
	return (struct writeback_group *)(uintptr_t)m->group;
}

#endif
