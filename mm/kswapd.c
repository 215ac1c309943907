/* kswapd.c - one thread, one node. */
#include "mm/kswapd.h"

#include "mm/mm.h"
#include "mm/reclaim.h"
#include "mm/slab.h"
#include "mm/watermark.h"
#include "mm/writeback.h"

/* Between two looks of its own accord; the kernel of 2.4 woke as often. */
#define PERIOD_NS (1 * NSEC_PER_SEC)
/* What is on its way out fills the way: others are waited for so long. */
#define CONGESTION_WAIT_NS (20 * NSEC_PER_MSEC)
/* After a run that freed nothing. */
#define FAILURE_WAIT_NS (50 * NSEC_PER_MSEC)

void kswapd_init(struct kswapd *k)
{
	*k = (struct kswapd){ .running = false };
	mutex_init(&k->lock);
	cond_init(&k->wake);
}

void kswapd_wake(struct mm *mm, enum zone_type highest)
{
	struct kswapd *k = &mm->kswapd;

	if (atomic_load_explicit(&k->awake, memory_order_relaxed) &&
	    atomic_load(&k->highest) >= (int)highest)
		return;
	mutex_lock(&k->lock);
	if (!k->awake || k->highest < (int)highest) {
		k->highest = (int)highest;
		k->awake = true;
		vmstat_inc(mm, KSWAPD_WAKE);
		cond_signal(&k->wake);
	}
	mutex_unlock(&k->lock);
}

/* Can a request made for "highest" be served above the high mark? */
static bool balanced(struct mm *mm, enum zone_type highest)
{
	for (int t = 0; t <= (int)highest; t++)
		if (watermark_ok(&mm->zones[t], 0, WMARK_HIGH, highest))
			return true;
	return false;
}

/* Returns how much was freed. */
static unsigned long balance(struct mm *mm, enum zone_type highest)
{
	struct scan_control sc = {
		.zone_mask = reclaim_zone_mask(highest),
		.may_io = true,
		.kswapd = true,
	};
	unsigned long freed = 0;

	vmstat_inc(mm, PAGEOUTRUN);
	for (int prio = RECLAIM_DEF_PRIORITY;
	     prio >= 0 && !mm->kswapd.stop && !balanced(mm, highest); prio--) {
		sc.priority = (unsigned int)prio;
		sc.nr_reclaimed = 0;
		sc.nr_to_reclaim = RECLAIM_CLUSTER;
		for (int t = 0; t <= (int)highest; t++)
			sc.nr_to_reclaim = max_of(
				sc.nr_to_reclaim,
				atomic_load(&mm->zones[t].wmark[WMARK_HIGH]));
		reclaim_round(mm, &sc);
		freed += sc.nr_reclaimed;
		if (sc.busy) { /* the disk of swap has to get on first */
			writeback_wait_progress(mm, CONGESTION_WAIT_NS);
			sc.busy = false;
		}
		/* A round that finds enough is repeated as hard, not harder. */
		if (sc.nr_reclaimed >= sc.nr_to_reclaim / 2)
			prio++;
	}
	if (balanced(mm, highest))
		vmstat_inc(mm, KSWAPD_BALANCED);
	else
		vmstat_inc(mm, KSWAPD_FAILED);
	return freed;
}

static void kswapd_main(void *arg)
{
	struct mm *mm = arg;
	struct kswapd *k = &mm->kswapd;

	mutex_lock(&k->lock);
	while (!k->stop) {
		enum zone_type highest;
		uint64_t until, now;
		unsigned long freed;

		if (!k->awake)
			cond_timedwait(&k->wake, &k->lock, PERIOD_NS);
		highest = k->awake ? (enum zone_type)k->highest : ZONE_MOVABLE;
		mutex_unlock(&k->lock);

		freed = balanced(mm, highest) ? 1 : balance(mm, highest);

		mutex_lock(&k->lock);
		/* Those who find nothing free do not end this rest. */
		until = os_now_ns() + (freed == 0 ? FAILURE_WAIT_NS : 0);
		while (!k->stop && (now = os_now_ns()) < until)
			cond_timedwait(&k->wake, &k->lock, until - now);
		k->awake = false;
		k->highest = ZONE_DMA;
	}
	mutex_unlock(&k->lock);
}

int kswapd_start(struct mm *mm)
{
	int err =
		os_thread_start(&mm->kswapd.thread, "kswapd", kswapd_main, mm);

	mm->kswapd.running = err == 0;
	return err;
}

void kswapd_stop(struct mm *mm)
{
	struct kswapd *k = &mm->kswapd;

	mutex_lock(&k->lock);
	k->stop = true;
	cond_signal(&k->wake);
	mutex_unlock(&k->lock);
	if (k->running)
		os_thread_join(&k->thread);
	k->running = false;
}
