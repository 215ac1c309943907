/*
 * vmstat.c - add in the CPU's own slot, sum when asked.
 *
 *   (1) A slot of a CPU of its own is added to by threads on that CPU alone,
 *       each addition one instruction of a restartable sequence: nothing is
 *       lost, and no line is locked.
 *   (2) Who was moved in between adds to the last slot, which is no CPU's.
 */
#include "mm/vmstat.h"

#include "mm/mm.h"

const char *vmstat_name(enum vmstat_item item)
{
	static const char *const names[NR_VMSTAT_ITEMS] = {
#define X(item, name) [item] = #name,
		VMSTAT_LEVELS(X) VMSTAT_EVENTS(X)
#undef X
	};

	ASSERT(item < NR_VMSTAT_ITEMS);
	return names[item];
}

void vmstat_add(struct mm *mm, enum vmstat_item item, long delta)
{
	unsigned int slot = mm_slot(mm);

	if (mm->rseq) {
		if (vmstat_slot_add(&mm->vmstat[slot], item, delta, slot,
				    mm->rseq))
			return;	     /* (1) */
		slot = mm->nr_slots; /* (2) */
	}
	atomic_fetch_add_explicit(&mm->vmstat[slot].count[item], delta,
				  memory_order_relaxed);
}

unsigned long vmstat_read(struct mm *mm, enum vmstat_item item)
{
	long sum = 0;

	for (unsigned int i = 0; i <= mm->nr_slots; i++)
		sum += atomic_load_explicit(&mm->vmstat[i].count[item],
					    memory_order_relaxed);
	return sum < 0 ? 0 : (unsigned long)sum;
}
