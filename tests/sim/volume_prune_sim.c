/* volume_prune_sim.c - inodes asked back, as fs/fuse_notify.c does it. */
#include "tests/sim/volume_call.h"

#include "fs/io_path.h"
#include "tests/sim/sim.h"

static void prune_some(struct wvolume *wv, unsigned long wanted)
{
	uint64_t nodeids[16];
	unsigned int nr = inode_oldest_held(
		wv->vol, nodeids,
		(unsigned int)min_of(wanted, (unsigned long)16));

	for (unsigned int i = 0; i < nr; i++) {
		struct vfile *f = NULL;

		mutex_lock(&wv->lock);
		for (unsigned int n = 0; n < wv->nr_files; n++)
			if (wv->files[n]->inode &&
			    inode_nodeid(wv->files[n]->inode) == nodeids[i])
				f = wv->files[n];
		if (f)
			f->users++; /* it stays */
		mutex_unlock(&wv->lock);
		if (f)
			vfile_put(f);
	}
}

static void pruner_main(void *arg)
{
	struct wvolume *wv = arg;

	mutex_lock(&wv->prune_lock);
	while (!wv->stop) {
		unsigned long wanted = wv->prune_wanted;

		if (!wv->prune_called) {
			cond_wait(&wv->prune_more, &wv->prune_lock);
			continue;
		}
		wv->prune_wanted = 0;
		wv->prune_called = false;
		mutex_unlock(&wv->prune_lock);
		inode_tidy(wv->vol);
		prune_some(wv, wanted);
		os_sleep_ns(5 * NSEC_PER_MSEC);
		mutex_lock(&wv->prune_lock);
	}
	mutex_unlock(&wv->prune_lock);
}

static void want(struct volume *vol, unsigned long nr)
{
	struct wvolume *wv = vol->session;

	mutex_lock(&wv->prune_lock);
	wv->prune_wanted = max_of(wv->prune_wanted, nr);
	wv->prune_called = true;
	cond_signal(&wv->prune_more);
	mutex_unlock(&wv->prune_lock);
}

void front_start(struct wvolume *wv)
{
	mutex_init(&wv->prune_lock);
	cond_init(&wv->prune_more);
	sim_set_idle_cond(&wv->prune_more.impl);
	wv->vol->session = wv;
	wv->vol->front = &sim_front;
	wv->vol->prune = want;
	ASSERT(os_thread_start(&wv->pruner, "notify", pruner_main, wv) == 0);
}

void front_stop(struct wvolume *wv)
{
	mutex_lock(&wv->prune_lock);
	wv->stop = true;
	cond_signal(&wv->prune_more);
	mutex_unlock(&wv->prune_lock);
	os_thread_join(&wv->pruner);
	wv->vol->prune = NULL;
}
