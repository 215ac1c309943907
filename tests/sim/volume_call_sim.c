/*
 * volume_call_sim.c - requests, deferred and answered as fs/fuse_*.c does it.
 *
 *   (1) The client's thread stands for the one that receives: what a handler
 *       does there must not sleep. Then it waits for the reply, as a process
 *       waits in read(2).
 *   (2) A reply takes what it needs from the request before the request ends.
 *   (3) As in fs/fuse_ops.c: -ENOROOM is waited for, and run again.
 */
#include "tests/sim/volume_call.h"

#include "mm/oom.h"
#include "tests/sim/sim.h"

#include <errno.h>

void call_init(struct call *call, struct client *c)
{
	*call = (struct call){ .c = c };
	mutex_init(&call->lock);
	cond_init(&call->ended);
}

int64_t call_wait(struct call *call)
{
	mutex_lock(&call->lock);
	while (!call->done)
		cond_wait(&call->ended, &call->lock);
	mutex_unlock(&call->lock);
	return call->result;
}

static void reply(struct call *call, int64_t result)
{
	mutex_lock(&call->lock);
	ASSERT(!call->done); /* once */
	call->done = true;
	call->result = result;
	cond_signal(&call->ended);
	mutex_unlock(&call->lock);
}

/* --- beginning and ending ------------------------------------------------------- */

struct request *call_defer(struct call *call, struct volume *vol,
			   struct inode *inode)
{
	struct request_engine *e = &vol->fs->requests;
	struct request *rq = request_get(e);

	inode_ref(inode);
	rq->fs = vol->fs;
	rq->vol = vol;
	rq->inode = inode;
	rq->file = NULL;
	rq->token = call;
	rq->lane = call->c->has_lane ? &call->c->lane : NULL;
	rq->nr_pages = rq->nr_begun = 0;
	rq->mapped = rq->kept = false;
	rq->data = NULL;
	rq->done = 0;
	rq->oom = (struct oom_patience){ .tries = 0 };
	return rq;
}

static void queue(struct request *rq, enum request_class class,
		  void (*run)(struct request *rq))
{
	rq->run = run;
	request_queue(&rq->fs->requests, rq, class);
}

/* The reply, and session_end(); the client may go on before that. (2) */
void call_end(struct request *rq, int64_t result)
{
	struct call *call = call_of(rq);
	struct request_engine *e = &rq->fs->requests;
	bool early = sim_chance(50);

	if (early)
		reply(call, result);
	inode_put(rq->inode);
	request_put(e, rq);
	if (!early)
		reply(call, result);
}

static void run_again(struct request *rq)
{
	request_queue(&rq->fs->requests, rq, rq->class);
}

void call_end_err(struct request *rq, int64_t err) /* (3) */
{
	if (err == -ENOROOM) {
		if (oom_judge(rq->vol->mm, &rq->oom) == OOM_WAIT) {
			request_park(&rq->fs->requests, rq,
				     BALANCE_PAUSE_MAX / 10, run_again);
			return;
		}
		err = -ENOSPC;
	}
	if (call_of(rq)->other)
		inode_put(call_of(rq)->other);
	call_end(rq, err);
}

/* A call that is deferred at once. */
int64_t call_do(struct call *call, struct volume *vol, struct inode *inode,
		enum request_class class, void (*run)(struct request *rq))
{
	struct request *rq;

	sim_no_sleep_begin(); /* (1) */
	rq = call_defer(call, vol, inode);
	rq->file = call->file;
	queue(rq, class, run);
	sim_no_sleep_end();
	return call_wait(call);
}
