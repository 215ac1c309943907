/* dirty_limit.c - how much may be dirty, and who is slowed down. */
#include "mm/dirty_limit.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"

/* Taken for the first estimate of the rate; corrected within a second. */
enum { FIRST_PAGES_PER_SEC = 25600 };

/* Of the limit, shared among the groups: so much whatever others have. */
enum { LITTLE_SHARE = 4 };

void dirty_rate_init(struct dirty_rate *r)
{
	*r = (struct dirty_rate){ .then_ns = os_now_ns() };
	atomic_store(&r->pages_per_sec, FIRST_PAGES_PER_SEC);
}

void dirty_limits(struct mm *mm, unsigned long *background,
		  unsigned long *limit)
{
	unsigned long dirtyable = page_alloc_nr_free(mm) +
				  vmstat_read(mm, NR_INACTIVE_FILE) +
				  vmstat_read(mm, NR_ACTIVE_FILE);
	unsigned long ratio = vm_get(mm, VM_DIRTY_RATIO);
	unsigned long bg_ratio = vm_get(mm, VM_DIRTY_BACKGROUND_RATIO);

	*limit = max_of(dirtyable * ratio / 100, 32ul);
	*background = dirtyable * bg_ratio / 100;
	if (*background >= *limit)
		*background = *limit / 2;
}

bool dirty_over_background(struct mm *mm)
{
	unsigned long background, limit;

	dirty_limits(mm, &background, &limit);
	return vmstat_read(mm, NR_FILE_DIRTY) > background;
}

unsigned long dirty_pressure(struct mm *mm)
{
	unsigned long background, limit;
	unsigned long dirty = vmstat_read(mm, NR_FILE_DIRTY);

	dirty_limits(mm, &background, &limit);
	limit = (background + limit) / 2;
	return dirty > limit ? dirty - limit : 0;
}

void dirty_rate_update(struct mm *mm)
{
	struct dirty_rate *r = &mm->dirty_rate;
	uint64_t now = os_now_ns(), rate;
	unsigned long written = vmstat_read(mm, NR_WRITTEN);

	if (now - r->then_ns < 200 * NSEC_PER_MSEC)
		return;
	if (written > r->then && vmstat_read(mm, NR_WRITEBACK) > 0) {
		rate = (written - r->then) * NSEC_PER_SEC / (now - r->then_ns);
		rate = (3 * atomic_load(&r->pages_per_sec) + rate) / 4;
		atomic_store(&r->pages_per_sec, max_of(rate, 64ul));
	}
	r->then_ns = now;
	r->then = written;
}

static unsigned long dirty_of(const struct writeback_group *g)
{
	return atomic_load(&g->nr_dirty) + atomic_load(&g->nr_writeback);
}

/*
 * What a group may have without a pause, so that it goes on while all that may
 * be dirty is another's, whose device takes nothing (Linux: balance_dirty_pages
 * lets a group with hardly anything dirty go).
 */
static bool has_little(const struct writeback_group *g, unsigned long limit)
{
	unsigned long nr = atomic_load(&g->mm->dirty_list.nr_groups);
	unsigned long little = limit / LITTLE_SHARE / max_of(nr, 1ul);

	return nr > 1 && dirty_of(g) < max_of(little, 1ul);
}

bool dirty_limit_reached(const struct writeback_group *g)
{
	struct mm *mm = g->mm;
	unsigned long background, limit;

	dirty_limits(mm, &background, &limit);
	return vmstat_read(mm, NR_FILE_DIRTY) + vmstat_read(mm, NR_WRITEBACK) >=
		       limit &&
	       !has_little(g, limit) && !atomic_load(&g->stuck);
}

uint64_t balance_dirty_pages(const struct writeback_group *g, unsigned long nr)
{
	struct mm *mm = g->mm;
	unsigned long background, limit, dirty, freerun;
	uint64_t rate, pause;

	dirty_limits(mm, &background, &limit);
	dirty = vmstat_read(mm, NR_FILE_DIRTY) + vmstat_read(mm, NR_WRITEBACK);
	if (dirty > background)
		flusher_wake(mm);
	freerun = (background + limit) / 2;
	if (dirty <= freerun || has_little(g, limit))
		return 0;
	vmstat_inc(mm, BALANCE_DIRTY_PAUSE);
	/*
	 * At the middle between freerun and limit a writer gets what the disk
	 * takes, below more, above less; at the limit it waits.
	 */
	if (dirty >= limit)
		return BALANCE_PAUSE_MAX;
	rate = atomic_load(&mm->dirty_rate.pages_per_sec);
	pause = nr * NSEC_PER_SEC / rate * (dirty - freerun) /
		max_of((limit - freerun) / 2, 1ul);
	return min_of(pause, (uint64_t)BALANCE_PAUSE_MAX);
}
