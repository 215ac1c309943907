/* oom.c - wait for whom there is something to wait for (Linux: oom_kill.c). */
#include "mm/oom.h"

#include "mm/mm.h"
#include "mm/writeback.h"

enum oom_verdict oom_judge(struct mm *mm)
{
	bool dirty = vmstat_read(mm, NR_FILE_DIRTY) > 0;

	if (vmstat_read(mm, NR_WRITEBACK) > 0 ||
	    (dirty && !atomic_load(&mm->writeback.stuck))) {
		if (dirty)
			writeback_wake(mm);
		vmstat_inc(mm, OOM_WAITED);
		return OOM_WAIT;
	}
	vmstat_inc(mm, OOM_REFUSED);
	return OOM_REFUSE;
}
