/* disk_watch.c - sleeps while there is nothing counted, and nothing unwritten. */
#include "fs/disk_watch.h"

#include "fs/file_volume.h"
#include "fs/fs.h"

#include <errno.h>

#define LOOK_NS (1 * NSEC_PER_SEC)
#define IDLE_NS (60 * NSEC_PER_SEC)

/* A descriptor on the file system of that space. */
struct wanted {
	const struct space *space;
	int fd;
};

static void borrow(struct address_space *m, void *arg)
{
	struct file_inode *fi = file_inode_of_mapping(m);
	struct wanted *w = arg;

	if (w->fd < 0 && fi->space == w->space)
		w->fd = backing_dup(fi->fds.buffered);
}

/* Some file of it is dirty: only for as long as that may one be open. */
static void look_at(struct file_volume *fv, struct space *s)
{
	struct wanted w = { .space = s, .fd = -1 };

	dirty_list_for_each(fv->vol.mm, &fv->vol.writeback, borrow, &w);
	if (w.fd < 0)
		return;
	space_look(s, w.fd);
	backing_close(w.fd);
}

/* Returns whether to look again in a second. */
static bool look(struct file_volume *fv)
{
	struct space_table *t = &fv->vol.fs->spaces;
	bool again = false;

	for (struct space *s = space_next(t, NULL); s; s = space_next(t, s))
		if (space_reserved(s) > 0) {
			look_at(fv, s);
			again = true;
		}
	unwritten_say(fv);
	/* Of all volumes, but who has none has little to look at. */
	return again || vmstat_read(fv->vol.mm, NR_UNWRITTEN) > 0;
}

static void watch_main(void *arg)
{
	struct file_volume *fv = arg;
	struct disk_watch *w = &fv->watch;
	uint64_t next = 0, now;
	bool again;

	mutex_lock(&w->lock);
	while (!w->stop) {
		now = os_now_ns();
		if (!w->on || now < next) {
			cond_timedwait(&w->work, &w->lock,
				       w->on ? next - now : IDLE_NS);
			continue;
		}
		next = now + LOOK_NS;
		w->on = false; /* what comes from now on may not be seen */
		mutex_unlock(&w->lock);
		again = look(fv);
		mutex_lock(&w->lock);
		w->on |= again;
	}
	mutex_unlock(&w->lock);
}

int disk_watch_start(struct file_volume *fv)
{
	struct disk_watch *w = &fv->watch;

	mutex_init(&w->lock);
	cond_init(&w->work);
	return os_thread_start(&w->thread, "disk-watch", watch_main, fv);
}

void disk_watch_stop(struct file_volume *fv)
{
	struct disk_watch *w = &fv->watch;

	mutex_lock(&w->lock);
	w->stop = true;
	cond_signal(&w->work);
	mutex_unlock(&w->lock);
	os_thread_join(&w->thread);
}

void disk_watch_wake(struct file_volume *fv)
{
	struct disk_watch *w = &fv->watch;

	if (atomic_load(&w->on))
		return;
	mutex_lock(&w->lock);
	w->on = true;
	cond_signal(&w->work);
	mutex_unlock(&w->lock);
}
