/*
 * dirty_list.h - the mappings that have dirty pages, and syncing a group of
 * them (Linux: b_dirty and b_io of a bdi_writeback).
 */
#ifndef MM_DIRTY_LIST_H
#define MM_DIRTY_LIST_H

#include "mm/writeback_group.h"

/* (L) guarded by lock. */
struct dirty_list {
	struct mutex lock;
	struct list_head groups; /* with their mappings (L) */
	uint64_t pass;		 /* of a sync or a flusher, the last (L) */
	_Atomic unsigned int nr_groups;
	_Atomic unsigned int nr_dirty_groups; /* changed with (L) */
};

/* Those of a struct dirty_list, or the one that is asked for. (L) is held. */
#define for_each_group(g, dl, only)                                         \
	list_for_each_entry(g, &(dl)->groups, struct writeback_group, link) \
		if (!(only) || (g) == (only))

void dirty_list_init(struct dirty_list *dl);

/* Returns whether it was not there yet: it must be held then. */
bool dirty_list_add(struct address_space *m) must_hold(m->lock);
/* A run of it has failed: it is to be written again, but not at once. */
void dirty_list_retry_later(struct address_space *m);

/* A number for one walk over the list, higher than all before. */
uint64_t dirty_list_new_pass(struct dirty_list *dl);
/*
 * The end of a flusher's being at m, and at its group: off the list if it is
 * clean, and its owner hears of it; m may be gone then. started_ns: all that was
 * dirty then has been begun; 0: not all of it.
 */
void dirty_list_end_flush(struct address_space *m, uint64_t started_ns);

/* Is anything dirty that does not rest? */
bool dirty_list_moves(struct mm *mm);

/*
 * Write everything that is dirty now in mappings of group (NULL: of all), and
 * wait. Returns 0 or the first error.
 */
int dirty_list_sync(struct mm *mm, const struct writeback_group *group);
/* Bytes dirty or in flight in mappings of group. */
uint64_t dirty_list_bytes(struct mm *mm, const struct writeback_group *group);
/* Is anything of group on the list still, if only to be told it is clean? */
bool dirty_list_busy(struct mm *mm, const struct writeback_group *group);
/* Call fn for each mapping of group with dirty pages; fn must not block. */
void dirty_list_for_each(struct mm *mm, const struct writeback_group *group,
			 void (*fn)(struct address_space *m, void *arg),
			 void *arg);

#endif
