/*
 * other_fs.c - one descriptor on each.
 *
 *   (1) It is in the list while it has refs: those of its inodes, and of who
 *       syncs it.
 *   (2) The last inode's ref is given back when it is synced, so that a sync of
 *       all that comes meanwhile finds it still.
 */
#include "fs/other_fs.h"

#include "fs/file_volume.h"
#include "fs/log.h"
#include "mm/kmalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct other_fs {
	struct list_head link; /* (list's lock) */
	uint64_t mount;
	int fd;
	unsigned int refs; /* (list's lock) */
};

void other_fs_init(struct other_fs_list *l)
{
	mutex_init(&l->lock);
	list_init(&l->list);
}

static struct other_fs *find(const struct other_fs_list *l, uint64_t mount)
	must_hold(l->lock)
{
	struct other_fs *o;

	list_for_each_entry(o, &l->list, struct other_fs, link)
		if (o->mount == mount)
			return o;
	return NULL;
}

/* With a ref. */
static struct other_fs *find_get(struct other_fs_list *l, uint64_t mount)
{
	struct other_fs *o;

	mutex_lock(&l->lock);
	o = find(l, mount);
	if (o)
		o->refs++;
	mutex_unlock(&l->lock);
	return o;
}

/* The same; "fresh" goes into the list if there is none yet, else it goes. */
static struct other_fs *find_or_add(struct file_volume *fv,
				    struct other_fs *fresh)
{
	struct other_fs_list *l = &fv->others;
	struct other_fs *o;

	mutex_lock(&l->lock);
	o = find(l, fresh->mount);
	if (o) {
		o->refs++;
	} else {
		list_add_tail(&l->list, &fresh->link);
		o = fresh;
	}
	mutex_unlock(&l->lock);
	if (o != fresh) {
		backing_close(fresh->fd);
		kfree(fv->vol.mm, fresh);
	}
	return o;
}

static bool is_other(const struct file_volume *fv, const struct statx *st)
{
	return st->stx_mnt_id != fv->mnt_id && backing_dev(st) != fv->dev;
}

struct other_fs *other_fs_get(struct file_volume *fv, int path_fd,
			      const struct statx *st, int *err)
{
	struct other_fs *o;
	int fd;

	*err = 0;
	if (!is_other(fv, st))
		return NULL;
	o = find_get(&fv->others, st->stx_mnt_id);
	/* Devices and fifos are not to be opened; nor need they be synced. */
	if (o || !(S_ISDIR(st->stx_mode) || S_ISREG(st->stx_mode)))
		return o;
	fd = backing_reopen(path_fd, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return NULL; /* perhaps by the next inode */
	o = kmalloc(fv->vol.mm, sizeof(*o), GFP_KERNEL);
	if (!o) {
		backing_close(fd);
		*err = -ENOMEM;
		return NULL;
	}
	*o = (struct other_fs){ .mount = st->stx_mnt_id, .fd = fd, .refs = 1 };
	return find_or_add(fv, o);
}

/* A ref that was got for a moment, or one of what is synced (2). */
static void drop(struct file_volume *fv, struct other_fs *o)
{
	struct other_fs_list *l = &fv->others;
	bool last;

	mutex_lock(&l->lock);
	last = --o->refs == 0;
	if (last)
		list_del(&o->link);
	mutex_unlock(&l->lock);
	if (!last)
		return;
	backing_close(o->fd);
	kfree(fv->vol.mm, o);
}

static bool is_last(struct other_fs_list *l, const struct other_fs *o)
{
	bool last;

	mutex_lock(&l->lock);
	last = o->refs == 1;
	mutex_unlock(&l->lock);
	return last;
}

void other_fs_put(struct file_volume *fv, struct other_fs *o)
{
	int err = 0;

	if (is_last(&fv->others, o))
		err = backing_syncfs(o->fd);
	if (err)
		log_line("%s: a file system that is mounted below it could not "
			 "be synced: %s",
			 fv->vol.source, strerror(-err));
	drop(fv, o);
}

/* The one behind it, or the first, with a ref. */
static struct other_fs *next(struct other_fs_list *l, struct other_fs *o)
{
	struct list_head *at = o ? &o->link : &l->list;

	mutex_lock(&l->lock);
	o = NULL;
	if (at->next != &l->list) {
		o = list_first_entry(at, struct other_fs, link);
		o->refs++;
	}
	mutex_unlock(&l->lock);
	return o;
}

int other_fs_sync_all(struct file_volume *fv)
{
	struct other_fs *o = next(&fv->others, NULL);
	int err = 0;

	while (o) {
		struct other_fs *behind;
		int e = backing_syncfs(o->fd);

		err = err ? err : e;
		behind = next(&fv->others, o);
		drop(fv, o);
		o = behind;
	}
	return err;
}
