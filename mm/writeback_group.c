/* writeback_group.c - mappings that are written to one device. */
#include "mm/writeback_group.h"

#include "mm/mm.h"

/* 16 MiB under way keep any disk busy; a quarter is kept for fsync(2). */
enum { IN_FLIGHT_MAX = 4096, IN_FLIGHT_MIN = 2 * PAGE_RUN_MAX };

/* One to be filled while the other is on its way. */
enum { RESERVED_RUNS = 2 };

/* Who has told an owner, or freed a run, is done with its group in no time. */
#define RELEASE_WAIT_NS (100 * 1000)

int writeback_group_init(struct writeback_group *g, struct mm *mm)
{
	struct dirty_list *dl = &mm->dirty_list;
	int err;

	*g = (struct writeback_group){ .mm = mm };
	list_init(&g->mappings);
	err = mempool_init_slab(&g->runs, &mm->run_cache, RESERVED_RUNS);
	if (err)
		return err;
	mutex_lock(&dl->lock);
	list_add_tail(&dl->groups, &g->link);
	mutex_unlock(&dl->lock);
	atomic_fetch_add(&dl->nr_groups, 1);
	return 0;
}

void writeback_group_destroy(struct writeback_group *g)
{
	struct dirty_list *dl = &g->mm->dirty_list;

	ASSERT(g->nr_dirty == 0 && g->nr_writeback == 0);
	mutex_lock(&dl->lock);
	while (g->nr_releasing > 0 || atomic_load(&g->nr_runs) > 0) {
		mutex_unlock(&dl->lock);
		os_sleep_ns(RELEASE_WAIT_NS);
		mutex_lock(&dl->lock);
	}
	list_del(&g->link);
	mutex_unlock(&dl->lock);
	atomic_fetch_sub(&dl->nr_groups, 1);
	mempool_destroy(&g->runs);
}

struct page_run *writeback_group_run(struct writeback_group *g)
{
	struct page_run *run;

	atomic_fetch_add(&g->nr_runs, 1);
	run = mempool_alloc(&g->runs, GFP_MEMALLOC);
	if (!run) {
		page_io_kick(g->mm->io); /* what we wait for may be ours */
		run = mempool_alloc(&g->runs, GFP_MEMALLOC | GFP_RECLAIM);
	}
	return run;
}

void writeback_group_run_free(struct writeback_group *g, struct page_run *run)
{
	mempool_free(&g->runs, run);
	atomic_fetch_sub(&g->nr_runs, 1);
}

unsigned long writeback_group_in_flight_max(const struct writeback_group *g,
					    bool wait)
{
	unsigned int nr = atomic_load(&g->mm->dirty_list.nr_dirty_groups);
	unsigned long max = IN_FLIGHT_MAX / max_of(nr, 1u);

	max = max_of(max, (unsigned long)IN_FLIGHT_MIN);
	return wait ? max : max - max / 4;
}
