/*
 * scan_crew.c - one batch at a time.
 *
 *   (1) A helper is counted as busy for as long as it has the batch; the batch
 *       is gone when it is offered no more and nobody is busy.
 *   (2) An empty batch is offered no more: nobody looks at it again and again.
 */
#include "mm/scan_crew.h"

#include "mm/mm.h"
#include "mm/reclaim.h"

void scan_crew_init(struct scan_crew *c)
{
	*c = (struct scan_crew){ .batch = NULL };
	mutex_init(&c->lock);
	cond_init(&c->wanted);
	cond_init(&c->done);
}

static void helper_main(void *arg)
{
	struct mm *mm = arg;
	struct scan_crew *c = &mm->scan_crew;

	mutex_lock(&c->lock);
	while (!c->stop) {
		struct scan_batch *b = c->batch;

		if (!b) {
			cond_wait(&c->wanted, &c->lock);
			continue;
		}
		c->nr_busy++; /* (1) */
		mutex_unlock(&c->lock);
		vmstat_inc(mm, KSWAPD_HELPED);
		reclaim_scan_batch(mm, b);
		mutex_lock(&c->lock);
		c->batch = NULL; /* (2) */
		if (--c->nr_busy == 0)
			cond_signal(&c->done);
	}
	mutex_unlock(&c->lock);
}

int scan_crew_start(struct mm *mm)
{
	struct scan_crew *c = &mm->scan_crew;
	unsigned int nr = min_of(os_nr_cpus() - 1, (unsigned int)SCAN_CREW_MAX);
	int err = 0;

	ASSERT(atomic_load(&c->nr) == 0);
	mutex_lock(&c->lock);
	c->stop = false;
	mutex_unlock(&c->lock);
	while (atomic_load(&c->nr) < nr && !err) {
		err = os_thread_start(&c->threads[atomic_load(&c->nr)],
				      "kswapd-helper", helper_main, mm);
		if (!err)
			atomic_fetch_add(&c->nr, 1);
	}
	if (err)
		scan_crew_stop(mm);
	return err;
}

void scan_crew_stop(struct mm *mm)
{
	struct scan_crew *c = &mm->scan_crew;

	mutex_lock(&c->lock);
	c->stop = true;
	cond_broadcast(&c->wanted);
	mutex_unlock(&c->lock);
	for (unsigned int n = atomic_load(&c->nr); n > 0; n--)
		os_thread_join(&c->threads[n - 1]);
	atomic_store(&c->nr, 0);
}

void scan_crew_offer(struct mm *mm, struct scan_batch *b)
{
	struct scan_crew *c = &mm->scan_crew;

	mutex_lock(&c->lock);
	ASSERT(!c->batch && c->nr_busy == 0);
	c->batch = b;
	cond_broadcast(&c->wanted);
	mutex_unlock(&c->lock);
}

void scan_crew_end(struct mm *mm)
{
	struct scan_crew *c = &mm->scan_crew;

	mutex_lock(&c->lock);
	c->batch = NULL;
	while (c->nr_busy > 0)
		cond_wait(&c->done, &c->lock);
	mutex_unlock(&c->lock);
}
