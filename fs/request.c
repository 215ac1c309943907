/*
 * request.c - queues, their workers, and a place to wait without one.
 *
 *   (1) A worker of class SERVE takes nothing else, so a reader waits at most
 *       for readers.
 *   (2) A worker of class GROW takes what is to be served first if there is
 *       nothing to grow.
 *   (3) Everything parked is looked at again within BALANCE_PAUSE_MAX.
 *   (4) Of a lane's requests at most nr_parked_max are parked. A write that
 *       was taken is answered without its pause then; one that was not keeps
 *       a worker, and is tried again.
 */
#include "fs/request.h"

#include "mm/mm.h"

#include <errno.h>
#include <stdlib.h>

static struct request *take(struct request_engine *e, enum request_class class)
	must_hold(e->lock)
{
	struct list_head *q = &e->queues[class].requests;
	struct request *rq;

	if (list_empty(q) && class == REQUEST_GROW)
		q = &e->queues[REQUEST_SERVE].requests; /* (2) */
	if (list_empty(q))
		return NULL;
	rq = list_first_entry(q, struct request, link);
	list_del(&rq->link);
	return rq;
}

static void work(struct request_engine *e, enum request_class class)
{
	mutex_lock(&e->lock);
	while (!e->stop) {
		struct request *rq = take(e, class);

		if (!rq) {
			cond_wait(&e->queues[class].more, &e->lock);
			continue;
		}
		mutex_unlock(&e->lock);
		rq->run(rq);
		mutex_lock(&e->lock);
	}
	mutex_unlock(&e->lock);
}

static void serve_main(void *arg)
{
	work(arg, REQUEST_SERVE);
}

static void grow_main(void *arg)
{
	work(arg, REQUEST_GROW);
}

static void name_main(void *arg)
{
	work(arg, REQUEST_NAME);
}

static void sync_main(void *arg)
{
	work(arg, REQUEST_SYNC);
}

/* Those whose time has come, oldest first; sets how long the others have. */
static struct request *take_parked(struct request_engine *e, uint64_t *wait_ns)
	must_hold(e->lock)
{
	uint64_t now = os_now_ns();
	struct request *rq;

	*wait_ns = BALANCE_PAUSE_MAX;
	list_for_each_entry(rq, &e->parked, struct request, link) {
		if (rq->until_ns <= now) {
			list_del(&rq->link);
			e->nr_parked--;
			if (rq->lane)
				rq->lane->nr_parked--; /* (4) */
			vmstat_dec(e->mm, NR_PARKED);
			return rq;
		}
		*wait_ns = min_of(*wait_ns, rq->until_ns - now);
	}
	return NULL;
}

static void parker_main(void *arg)
{
	struct request_engine *e = arg;

	mutex_lock(&e->lock);
	while (!e->stop) {
		uint64_t wait_ns;
		struct request *rq = take_parked(e, &wait_ns);

		if (!rq) {
			cond_timedwait(&e->parked_more, &e->lock, wait_ns);
			continue;
		}
		mutex_unlock(&e->lock);
		rq->unpark(rq);
		mutex_lock(&e->lock);
	}
	mutex_unlock(&e->lock);
}

static const struct {
	const char *name;
	void (*main)(void *arg);
	unsigned int nr;
} workers[NR_REQUEST_CLASSES] = {
	[REQUEST_SERVE] = { "serve", serve_main, 4 },
	[REQUEST_GROW] = { "grow", grow_main, 4 },
	[REQUEST_NAME] = { "name", name_main, 4 },
	/* fsyncs that wait together share a commit of the journal. */
	[REQUEST_SYNC] = { "sync", sync_main, WORKERS_MAX },
};

static int start_workers(struct request_engine *e)
{
	int err;

	for (int c = 0; c < NR_REQUEST_CLASSES; c++)
		while (e->nr_started[c] < workers[c].nr) {
			err = os_thread_start(&e->workers[c][e->nr_started[c]],
					      workers[c].name, workers[c].main,
					      e);
			if (err)
				return err;
			e->nr_started[c]++;
		}
	err = os_thread_start(&e->parker, "parker", parker_main, e);
	e->parker_started = err == 0;
	return err;
}

int request_engine_start(struct request_engine *e, struct mm *mm,
			 unsigned int nr_requests, unsigned int parked_max)
{
	*e = (struct request_engine){ .mm = mm, .nr_parked_max = parked_max };
	mutex_init(&e->lock);
	for (int c = 0; c < NR_REQUEST_CLASSES; c++) {
		list_init(&e->queues[c].requests);
		cond_init(&e->queues[c].more);
	}
	list_init(&e->parked);
	list_init(&e->free);
	cond_init(&e->parked_more);
	cond_init(&e->returned);
	e->pool = calloc(nr_requests, sizeof(*e->pool));
	if (!e->pool)
		return -ENOMEM;
	for (unsigned int i = 0; i < nr_requests; i++)
		list_add(&e->free, &e->pool[i].link);
	return start_workers(e);
}

void request_engine_stop(struct request_engine *e)
{
	mutex_lock(&e->lock);
	e->stop = true;
	for (int c = 0; c < NR_REQUEST_CLASSES; c++)
		cond_broadcast(&e->queues[c].more);
	cond_broadcast(&e->parked_more);
	mutex_unlock(&e->lock);
	for (int c = 0; c < NR_REQUEST_CLASSES; c++)
		for (unsigned int i = 0; i < e->nr_started[c]; i++)
			os_thread_join(&e->workers[c][i]);
	if (e->parker_started)
		os_thread_join(&e->parker);
	free(e->pool);
}

struct request *request_get(struct request_engine *e)
{
	struct request *rq;

	mutex_lock(&e->lock);
	while (list_empty(&e->free))
		cond_wait(&e->returned, &e->lock);
	rq = list_first_entry(&e->free, struct request, link);
	list_del(&rq->link);
	mutex_unlock(&e->lock);
	return rq;
}

void request_put(struct request_engine *e, struct request *rq)
{
	mutex_lock(&e->lock);
	list_add(&e->free, &rq->link);
	cond_signal(&e->returned);
	mutex_unlock(&e->lock);
}

void request_queue(struct request_engine *e, struct request *rq,
		   enum request_class class)
{
	vmstat_inc(e->mm, PATH_WORKER);
	rq->class = class;
	mutex_lock(&e->lock);
	list_add_tail(&e->queues[class].requests, &rq->link);
	cond_signal(&e->queues[class].more);
	mutex_unlock(&e->lock);
}

static bool is_crowded(const struct request_engine *e, const struct request *rq)
	must_hold(e->lock)
{
	return e->nr_parked >= e->nr_parked_max ||
	       (rq->lane && rq->lane->nr_parked >= rq->lane->nr_parked_max);
}

bool request_try_park(struct request_engine *e, struct request *rq, uint64_t ns,
		      void (*unpark)(struct request *rq))
{
	mutex_lock(&e->lock);
	if (is_crowded(e, rq)) {
		mutex_unlock(&e->lock);
		vmstat_inc(e->mm, PARK_CROWDED);
		return false;
	}
	rq->unpark = unpark;
	rq->until_ns =
		os_now_ns() + min_of(ns, (uint64_t)BALANCE_PAUSE_MAX); /* (3) */
	list_add_tail(&e->parked, &rq->link);
	e->nr_parked++;
	if (rq->lane)
		rq->lane->nr_parked++;
	vmstat_inc(e->mm, NR_PARKED);
	vmstat_inc(e->mm, WRITE_PARKED);
	cond_signal(&e->parked_more);
	mutex_unlock(&e->lock);
	return true;
}

void request_park(struct request_engine *e, struct request *rq, uint64_t ns,
		  void (*unpark)(struct request *rq))
{
	if (request_try_park(e, rq, ns, unpark))
		return;
	os_sleep_ns(min_of(ns, (uint64_t)BALANCE_PAUSE_MAX / 10));
	unpark(rq);
}
