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
	struct list_head mappings; /* oldest first (L) */
	uint64_t pass;		   /* of a sync or a flusher, the last (L) */
	unsigned int nr_releasing; /* off the list, owner being told (L) */
};

void dirty_list_init(struct dirty_list *dl);

/* Returns whether it was not there yet: it must be held then. */
bool dirty_list_add(struct address_space *m) must_hold(m->lock);
/* A run of it has failed: it is to be written again, but not at once. */
void dirty_list_retry_later(struct address_space *m);

/* A number for one walk over the list, higher than all before. */
uint64_t dirty_list_new_pass(struct dirty_list *dl);
/*
 * The end of being at m, which may be gone then: off the list if it is clean,
 * and its owner hears of it. started_ns: all that was dirty then has been begun;
 * 0: not all of it. sync_pass: of the sync that did it; 0: a flusher.
 */
void dirty_list_put_back(struct address_space *m, uint64_t started_ns,
			 uint64_t sync_pass);

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
