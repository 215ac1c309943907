/*
 * sync_group.c - one fsync(2) of a backing file for all who wait for one.
 *
 *   (1) Syncs are numbered; ended <= started <= ended + 1.
 *   (2) Who comes is served by number started + 1, whoever does that.
 */
#include "fs/sync_group.h"

void sync_group_init(struct sync_group *g)
{
	*g = (struct sync_group){ .started = 0 };
	mutex_init(&g->lock);
	cond_init(&g->end);
}

static void do_next(struct sync_group *g, sync_fn *sync, void *arg)
	must_hold(g->lock)
{
	bool data_only = !g->whole;
	int err;

	g->whole = false;
	g->started++;
	mutex_unlock(&g->lock);
	err = sync(arg, data_only);
	mutex_lock(&g->lock);
	g->ended++;
	if (err) {
		g->failed = g->ended;
		g->err = err;
	}
	cond_broadcast(&g->end);
}

int sync_group_sync(struct sync_group *g, sync_fn *sync, void *arg,
		    bool data_only)
{
	uint64_t mine;
	int err;

	mutex_lock(&g->lock);
	mine = g->started + 1; /* (2) */
	g->whole |= !data_only;
	while (g->ended < mine && g->started != g->ended)
		cond_wait(&g->end, &g->lock);
	if (g->ended < mine)
		do_next(g, sync, arg);
	err = g->failed >= mine ? g->err : 0;
	mutex_unlock(&g->lock);
	return err;
}
