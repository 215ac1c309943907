/* cache_trouble_sim.c - what makes memory short, and I/O fail. */
#include "tests/sim/cache_world.h"

#include "mm/page_alloc.h"
#include "tests/sim/sim.h"

#include <errno.h>

static void hog_zone(struct world *w, enum zone_type t, gfp_t gfp,
		     unsigned long left)
{
	struct zone *z = &w->mm->zones[t];

	while (zone_nr_free(z) > left) {
		struct page *page = page_alloc(w->mm, gfp, 0);

		ASSERT(page && w->nr_hogs < HOGS_MAX);
		w->hogs[w->nr_hogs++] = page;
	}
}

void world_hog(struct world *w)
{
	hog_zone(w, ZONE_MOVABLE, GFP_NOWAIT | GFP_MOVABLE,
		 sim_between(70, 250));
	hog_zone(w, ZONE_NORMAL, GFP_NOWAIT, sim_between(150, 330));
}

void world_squeeze(struct world *w)
{
	struct list_head pages;
	struct page *page;

	list_init(&pages);
	w->nr_squeezers++;
	while ((page = page_alloc(w->mm, GFP_RESERVE | GFP_MOVABLE, 0)))
		list_add(&pages, &page->lru);
	os_sleep_ns(sim_between(1, 20 * NSEC_PER_MSEC));
	while (!list_empty(&pages)) {
		page = list_first_entry(&pages, struct page, lru);
		list_del_init(&page->lru);
		page_put(w->mm, page);
	}
	w->nr_squeezers--;
}

bool world_outage(struct world *w, uint64_t max_ms)
{
	if (!w->faulty || w->quiet)
		return false;
	sim_disk_fail_writes(sim_chance(50) ? -EIO : -ENOSPC);
	os_sleep_ns(sim_between(1, max_ms) * NSEC_PER_MSEC);
	sim_disk_fail_writes(0);
	return true;
}

static void fault_start(struct fault_attr *attr, uint64_t percent)
{
	fault_set(attr, FAULT_SEED, (int64_t)(sim_random() >> 1));
	fault_set(attr, FAULT_TIMES, -1);
	fault_set(attr, FAULT_PROBABILITY, (int64_t)percent);
}

void world_memory_faults(struct world *w)
{
	if (sim_chance(50))
		fault_start(&w->mm->fail_page_alloc, sim_between(1, 10));
	if (sim_chance(50))
		fault_start(&w->mm->failslab, sim_between(1, 20));
}

void world_io_faults(struct world *w, struct fault_attr *attr)
{
	static const enum fault_kind kinds[] = { FAULT_EIO, FAULT_SHORT,
						 FAULT_TORN, FAULT_DELAY,
						 FAULT_HANG };

	fault_set(attr, FAULT_ERROR,
		  kinds[sim_between(0, ARRAY_SIZE(kinds) - 1)]);
	fault_set(attr, FAULT_DELAY_MS, (int64_t)sim_between(0, 1000));
	fault_start(attr, sim_between(1, 10));
	/* For ever is too long for those who wait here. */
	page_io_limit_hangs(w->mm->io, sim_between(0, 3000) * NSEC_PER_MSEC);
}

void world_well_again(struct world *w)
{
	struct fault_attr *const faults[] = { &w->mm->fail_page_alloc,
					      &w->mm->failslab, &w->mm->fail_io,
					      &w->mm->fail_swap_io };
	struct sim_disk_options none = { 0 };

	w->quiet = true;
	sim_disk_set(&none);
	sim_disk_fail_writes(0);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		fault_set(faults[i], FAULT_PROBABILITY, 0);
}
