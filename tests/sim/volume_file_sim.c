/* volume_file_sim.c - files as clients know them, and answers they may get. */
#include "tests/sim/volume_ops.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>

/* Is that an answer that may come? */
void check_answer(const struct client *c, const struct wvolume *wv,
		  enum world_op op, const char *what, int64_t err)
{
	const struct world *w = c->w;
	bool short_of_room = err == -ENOSPC || err == -ENOMEM;
	/* What was acknowledged has its blocks, whatever others take. */
	bool has_blocks = wv->is_file && op == WORLD_SYNC && !w->no_fallocate;
	bool full = w->squeezed || w->room != UINT64_MAX;

	if (err >= 0 || (w->faulty && !w->quiet_end && err == -EIO))
		return;
	/* A write that ends early is taken for a disk that is full. */
	if (short_of_room &&
	    (!wv->is_file || w->faulty || (full && !has_blocks)))
		return;
	if (faults_excuse(c, wv, op, (int)err))
		return;
	sim_fail("%s on %s: %lld", what, wv->vol->ops->kind, (long long)err);
}

struct vfile *vfile_new(struct wvolume *wv, uint64_t ino)
{
	struct vfile *f = calloc(1, sizeof(*f));

	ASSERT(f);
	f->wv = wv;
	f->ino = ino;
	f->users = 1;
	model_init(&f->model);
	if (wv->w->armed && wv->is_file) /* nothing, yet */
		model_set_home(&f->model, f->model.a, 0);
	mutex_lock(&wv->lock);
	ASSERT(wv->nr_files < ARRAY_SIZE(wv->files));
	wv->files[wv->nr_files++] = f;
	mutex_unlock(&wv->lock);
	return f;
}

void vfile_hold(struct vfile *f)
{
	mutex_lock(&f->wv->lock);
	f->users++;
	mutex_unlock(&f->wv->lock);
}

/* The reply had an inode with a kernel ref. */
void vfile_found(struct vfile *f, struct inode *inode, uint64_t ino)
{
	mutex_lock(&f->wv->lock);
	if ((f->inode && f->inode != inode) || f->ino != ino)
		sim_fail("inode %llu was found, not %llu",
			 (unsigned long long)ino, (unsigned long long)f->ino);
	f->inode = inode;
	f->nlookup++;
	mutex_unlock(&f->wv->lock);
}

/* One user less; with "forget" the kernel forgets it with the last. */
static bool put(struct vfile *f, bool forget)
{
	struct wvolume *wv = f->wv;
	struct inode *inode = NULL;
	uint64_t nlookup = 0;
	bool gone = false;

	mutex_lock(&wv->lock);
	if (--f->users == 0) {
		gone = f->nr_names == 0;
		if (gone || forget) {
			inode = f->inode;
			nlookup = f->nlookup;
			f->inode = NULL;
			f->nlookup = 0;
		}
	}
	for (unsigned int i = 0; gone && i < wv->nr_files; i++)
		if (wv->files[i] == f)
			wv->files[i--] = wv->files[--wv->nr_files];
	mutex_unlock(&wv->lock);
	if (inode) {
		vseen.forgets++;
		sim_no_sleep_begin();
		inode_forget(inode, nlookup);
		sim_no_sleep_end();
	}
	if (gone) {
		model_destroy(&f->model);
		free(f);
	}
	return inode != NULL;
}

void vfile_put(struct vfile *f)
{
	put(f, sim_chance(30));
}

bool vfile_forget(struct vfile *f)
{
	vfile_hold(f);
	return put(f, true);
}
