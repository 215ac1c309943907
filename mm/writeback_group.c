/* writeback_group.c - mappings that are written to one device. */
#include "mm/writeback_group.h"

#include "mm/mm.h"

/* 16 MiB under way keep any disk busy; a quarter is kept for fsync(2). */
enum { IN_FLIGHT_MAX = 4096, IN_FLIGHT_MIN = PAGE_RUN_MAX };

/* Who has told an owner is done with its group in no time. */
#define RELEASE_WAIT_NS (100 * 1000)

void writeback_group_init(struct writeback_group *g, struct mm *mm)
{
	*g = (struct writeback_group){ .mm = mm };
	atomic_fetch_add(&mm->nr_writeback_groups, 1);
}

void writeback_group_destroy(struct writeback_group *g)
{
	struct mutex *lock = &g->mm->dirty_list.lock;

	ASSERT(g->nr_dirty == 0 && g->nr_writeback == 0);
	mutex_lock(lock);
	while (g->nr_releasing > 0) {
		mutex_unlock(lock);
		os_sleep_ns(RELEASE_WAIT_NS);
		mutex_lock(lock);
	}
	mutex_unlock(lock);
	atomic_fetch_sub(&g->mm->nr_writeback_groups, 1);
}

unsigned long writeback_group_in_flight_max(const struct writeback_group *g,
					    bool wait)
{
	unsigned long max =
		IN_FLIGHT_MAX /
		max_of(atomic_load(&g->mm->nr_writeback_groups), 1ul);

	if (!wait)
		max -= max / 4;
	return max_of(max, (unsigned long)IN_FLIGHT_MIN);
}
