/* unwritten.c - one look a second at most: fs/disk_watch.c makes it. */
#include "fs/unwritten.h"

#include "fs/disk_watch.h"
#include "fs/file_volume.h"
#include "fs/log.h"

#include <errno.h>
#include <string.h>

/* Each is named so often, for as long as it lasts. */
#define SAY_AGAIN_NS (60 * NSEC_PER_SEC)

/* In one look: a full disk can be that of very many files. */
enum { SAID_MAX = 16 };

/* One that is to be named. */
struct found {
	uint64_t now;
	int err; /* 0: there is none */
	unsigned long pages;
	char path[PATH_MAX];
};

void unwritten_note(struct file_inode *fi, int err)
{
	if (atomic_exchange(&fi->unwritten.err, err) == 0)
		vmstat_inc(fi->inode.vol->mm, NR_UNWRITTEN);
	disk_watch_wake(file_volume_of(fi));
}

void unwritten_clear(struct file_inode *fi)
{
	struct unwritten *u = &fi->unwritten;
	char path[PATH_MAX];

	if (atomic_exchange(&u->err, 0) == 0)
		return;
	vmstat_dec(fi->inode.vol->mm, NR_UNWRITTEN);
	if (!u->said)
		return;
	u->said = false;
	backing_name_of(fi->fds.buffered, path, sizeof(path));
	log_line("%s: is all written back now", path);
}

int unwritten_error(struct inode *inode)
{
	return mapping_has_failed(&inode->mapping)
		       ? atomic_load(&file_inode(inode)->unwritten.err)
		       : 0;
}

static void look_at(struct address_space *m, void *arg)
{
	struct file_inode *fi = file_inode_of_mapping(m);
	struct unwritten *u = &fi->unwritten;
	int err = unwritten_error(&fi->inode);
	struct found *f = arg;

	if (f->err || !err || (u->said && f->now - u->said_ns < SAY_AGAIN_NS))
		return;
	f->err = err;
	f->pages = m->nr_dirty + m->nr_writeback;
	backing_name_of(fi->fds.buffered, f->path, sizeof(f->path));
	u->said = true;
	u->said_ns = f->now;
}

void unwritten_say(struct file_volume *fv)
{
	struct found f = { .err = 1 };

	for (int i = 0; i < SAID_MAX && f.err; i++) {
		f.now = os_now_ns();
		f.err = 0;
		dirty_list_for_each(fv->vol.mm, &fv->vol.writeback, look_at,
				    &f);
		if (f.err)
			log_line("%s: cannot be written back: %s; %lu KiB are "
				 "kept, and tried again",
				 f.path, strerror(-f.err),
				 f.pages << (PAGE_SHIFT - 10));
	}
}
