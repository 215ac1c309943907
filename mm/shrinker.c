/* shrinker.c - one thread at a time asks the caches, in turn. */
#include "mm/shrinker.h"

#include "mm/bug.h"
#include "mm/mm.h"

/*
 * Fewer are not worth the call; asked all the same when looking hard, so that
 * small caches are not spared for ever. The kernel's SHRINK_BATCH is 128.
 */
enum { SHRINK_BATCH = 32 };

void shrinker_list_init(struct shrinker_list *l)
{
	mutex_init(&l->lock);
	list_init(&l->shrinkers);
}

void shrinker_register(struct mm *mm, struct shrinker *s)
{
	ASSERT(s->count && s->scan);
	mutex_lock(&mm->shrinkers.lock);
	list_add_tail(&mm->shrinkers.shrinkers, &s->link);
	mutex_unlock(&mm->shrinkers.lock);
}

void shrinker_unregister(struct mm *mm, struct shrinker *s)
{
	mutex_lock(&mm->shrinkers.lock);
	list_del(&s->link);
	mutex_unlock(&mm->shrinkers.lock);
}

static unsigned long scan_one(struct mm *mm, struct shrinker *s,
			      unsigned int priority)
{
	unsigned long nr = s->count(s);
	unsigned long pressure = vm_get(mm, VM_VFS_CACHE_PRESSURE);
	unsigned long want, freed;

	want = (nr * pressure / 100) >> priority;
	if (want < SHRINK_BATCH && priority > 4)
		return 0;
	want = min_of(max_of(want, (unsigned long)SHRINK_BATCH), nr);
	if (want == 0 || pressure == 0)
		return 0;
	freed = s->scan(s, want);
	vmstat_add(mm, SLABS_SCANNED, (long)want);
	return freed;
}

unsigned long shrinker_scan_all(struct mm *mm, unsigned int priority)
{
	unsigned long freed = 0;
	struct shrinker *s;

	if (!mutex_trylock(&mm->shrinkers.lock))
		return 0;
	list_for_each_entry(s, &mm->shrinkers.shrinkers, struct shrinker, link)
		freed += scan_one(mm, s, priority);
	mutex_unlock(&mm->shrinkers.lock);
	return freed;
}
