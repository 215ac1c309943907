/* oom.c - wait for whom there is something to wait for (Linux: oom_kill.c). */
#include "mm/oom.h"

#include "mm/mm.h"
#include "mm/writeback.h"

/*
 * Others may free frames and take them again for ever: a writer that has lost
 * so many times, with pauses of 20 ms, is refused: within a second. Who has
 * another way goes it after two, also if a page is on its way out: it
 * may be another's before it is free, each time anew.
 */
enum { TRIES_MAX = 25, TRIES_OTHER_WAY = 2 };

static bool is_on_its_way(struct mm *mm)
{
	bool dirty = vmstat_read(mm, NR_FILE_DIRTY) > 0;

	if (dirty)
		flusher_wake(mm);
	/* In this order: a page that leaves one count is in the other before. */
	return (dirty && dirty_list_moves(mm)) ||
	       vmstat_read(mm, NR_WRITEBACK) > 0 ||
	       vmstat_read(mm, NR_SWAP_PENDING) > 0 ||
	       atomic_load(&mm->swap_compacting) ||
	       vmstat_read(mm, NR_INODES_DYING) > 0;
}

/* It may be, if nothing else happens meanwhile. */
static bool may_come(struct mm *mm, struct oom_patience *p)
{
	unsigned long progress =
		vmstat_read(mm, PGFREE) + vmstat_read(mm, PGPGOUT);
	bool moved = progress != p->progress && !p->other_way;

	p->progress = progress;
	return moved || atomic_load(&mm->balloon.nr_asked) > 0;
}

static bool is_worth_waiting(struct mm *mm, struct oom_patience *p)
{
	bool comes = is_on_its_way(mm);

	if (comes && !p->other_way)
		return true;
	if (!comes && !may_come(mm, p))
		return false;
	return p->tries++ < (p->other_way ? TRIES_OTHER_WAY : TRIES_MAX);
}

enum oom_verdict oom_judge(struct mm *mm, struct oom_patience *p)
{
	if (is_worth_waiting(mm, p)) {
		vmstat_inc(mm, OOM_WAITED);
		return OOM_WAIT;
	}
	vmstat_inc(mm, OOM_REFUSED);
	return OOM_REFUSE;
}
