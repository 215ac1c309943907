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
#include "mm/mempool.h"

/* (D) guarded by mm->dirty_list.lock. */
struct writeback_group {
	struct mm *mm;
	struct list_head link;	   /* in dirty_list.groups (D) */
	struct list_head mappings; /* that have dirty pages, oldest first (D) */
	_Atomic unsigned long nr_dirty, nr_writeback; /* pages */
	unsigned int nr_releasing; /* off the list, owner being told (D) */
	bool flushing;		   /* a flusher is at one of its mappings (D) */
	/* Another found it so, and looks again when it is not; at all (D). */
	bool look_again, look_all;
	/* All that is dirty rests, after errors, or is held back. */
	_Atomic bool stuck;
	/* Runs to write with: another's device cannot keep the last ones. */
	struct mempool runs;
	_Atomic unsigned int nr_runs; /* taken from there */
};

/* 0 or -ENOMEM. */
int writeback_group_init(struct writeback_group *g, struct mm *mm);
/* When the last of its mappings is gone. Waits for who told its owner. */
void writeback_group_destroy(struct writeback_group *g);

/* An empty run to write with; waits for others of g to end, if need be. */
struct page_run *writeback_group_run(struct writeback_group *g);
/* Its end; g may be gone then. */
void writeback_group_run_free(struct writeback_group *g, struct page_run *run);

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
