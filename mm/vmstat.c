/* vmstat.c - add in the CPU's own slot, sum when asked. */
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
	/* Another thread may be moved to this slot meanwhile: atomic. */
	atomic_fetch_add_explicit(&mm->vmstat[mm_slot(mm)].count[item], delta,
				  memory_order_relaxed);
}

unsigned long vmstat_read(struct mm *mm, enum vmstat_item item)
{
	long sum = 0;

	for (unsigned int i = 0; i < mm->nr_slots; i++)
		sum += atomic_load_explicit(&mm->vmstat[i].count[item],
					    memory_order_relaxed);
	return sum < 0 ? 0 : (unsigned long)sum;
}
