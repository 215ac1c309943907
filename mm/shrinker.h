/*
 * shrinker.h - a cache outside mm/ that can give objects back.
 *
 * Reclaim asks each registered shrinker how many objects it could free, and
 * then for a number in proportion to how hard it looks for pages.
 */
#ifndef MM_SHRINKER_H
#define MM_SHRINKER_H

#include "mm/list.h"
#include "mm/lock.h"

struct mm;

struct shrinker {
	const char *name;
	/* Objects that could be freed now. Must not block. */
	unsigned long (*count)(struct shrinker *s);
	/*
	 * Try up to nr objects; returns how many were freed, or were asked
	 * back and will be. Must neither allocate nor wait for I/O.
	 */
	unsigned long (*scan)(struct shrinker *s, unsigned long nr);
	struct list_head link; /* guarded by the list's lock */
};

struct shrinker_list {
	struct mutex lock;
	struct list_head shrinkers;
};

void shrinker_list_init(struct shrinker_list *l);
void shrinker_register(struct mm *mm, struct shrinker *s);
/* Returns when no scan of s is under way any more. */
void shrinker_unregister(struct mm *mm, struct shrinker *s);

/*
 * Ask all shrinkers for count >> priority objects each, scaled by
 * vfs_cache_pressure percent. Returns how many were freed. Does nothing if
 * another thread is at it.
 */
unsigned long shrinker_scan_all(struct mm *mm, unsigned int priority);

#endif
