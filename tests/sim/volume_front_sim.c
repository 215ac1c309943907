/*
 * volume_front_sim.c - requests for files, and .plimsoll, as fs/fuse_file.c makes
 * them.
 *
 *   (1) As in volume_call_sim.c: a handler must not sleep.
 */
#include "tests/sim/volume_call.h"

#include "fs/io_path.h"
#include "fs/seek.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>

/* --- open files -------------------------------------------------------------------- */

static void run_open(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq, open_file_open(rq->inode, (int)call->flags,
					!sim_chance(5), &call->file));
}

int front_open(struct client *c, struct inode *inode, int flags,
	       struct open_file **file)
{
	struct call call;
	int err;

	call_init(&call, c);
	call.flags = (unsigned int)flags;
	err = (int)call_do(&call, inode->vol, inode, REQUEST_SERVE, run_open);
	*file = call.file;
	return err;
}

static void run_release(struct request *rq)
{
	open_file_release(rq->file);
	call_end_err(rq, 0);
}

int front_release(struct client *c, struct inode *inode, struct open_file *file)
{
	struct call call;

	call_init(&call, c);
	call.file = file;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SERVE,
			    run_release);
}

/* --- reading and writing -------------------------------------------------------------- */

static void copy_pages(const struct request *rq, char *to)
{
	size_t from = rq->offset & PAGE_MASK, left = rq->size;

	for (unsigned int i = 0; i < rq->nr_pages; i++) {
		size_t len = min_of(PAGE_SIZE - from, left);

		memcpy(to,
		       (char *)page_address(&rq->vol->mm->arena, rq->pages[i]) +
			       from,
		       len);
		to += len;
		left -= len;
		from = 0;
		sim_yield();
	}
	ASSERT(left == 0);
}

static void end_read(struct request *rq)
{
	if (rq->nr_pages == 0 && rq->data)
		memcpy(call_of(rq)->to, rq->data, rq->size);
	else
		copy_pages(rq, call_of(rq)->to);
	rw_read_end(rq);
	call_end(rq, (int64_t)rq->size);
}

static void end_write(struct request *rq)
{
	call_end(rq, (int64_t)rq->done);
}

/* As when a page was unlocked in the handler of another ring. */
static bool can_reply(const struct request *rq)
{
	return rq->data || !sim_chance(5);
}

static void end_failed(struct request *rq, int err)
{
	ASSERT(rq->nr_pages == 0);
	call_end_err(rq, err);
}

static void data_taken(struct request *rq)
{
	rq->data = NULL; /* it is not to be used any more */
}

static void mode_changed(struct request *rq)
{
	(void)rq;
	vseen.modes_changed++;
}

const struct request_front sim_front = {
	.end_err = end_failed,
	.end_read = end_read,
	.end_write = end_write,
	.can_reply = can_reply,
	.data_taken = data_taken,
	.mode_changed = mode_changed,
};

int64_t front_read(struct client *c, const struct wopen *o, uint64_t offset,
		   size_t size, void *to)
{
	struct volume *vol = o->f->wv->vol;
	struct request hit, *rq;
	struct call call;
	bool fits;

	call_init(&call, c);
	call.to = to;
	sim_no_sleep_begin(); /* (1) */
	hit.vol = vol;
	hit.lane = NULL;
	hit.inode = o->f->inode;
	hit.file = o->file;
	hit.offset = offset;
	hit.size = min_of(size, vol->fs->request_max);
	hit.kept = o->kept;
	if (io_read_try(&hit, &fits)) {
		copy_pages(&hit, to);
		rw_read_end(&hit);
		sim_no_sleep_end();
		return (int64_t)hit.size;
	}
	vmstat_inc(vol->mm, PATH_MISS);
	rq = call_defer(&call, vol, hit.inode);
	io_read_go_on(rq, &hit, fits);
	sim_no_sleep_end();
	return call_wait(&call);
}

int64_t front_write_as(struct client *c, const struct wopen *o, uint64_t offset,
		       const void *from, size_t size,
		       const struct front_write *as)
{
	struct volume *vol = o->f->wv->vol;
	const struct io_write how = {
		.keeps_setid = as->keeps_setid,
		.sync = as->flags & O_DSYNC,
		.data_only = (as->flags & O_SYNC) != O_SYNC,
	};
	struct request hit;
	enum io_write_path path;
	struct call call;
	uint64_t pause;
	int err;

	ASSERT(size <= vol->fs->request_max);
	call_init(&call, c);
	hit.vol = vol;
	hit.file = o->file;
	hit.inode = o->f->inode;
	hit.data = from;
	hit.offset = offset;
	hit.size = size;
	hit.done = 0;
	hit.kept = o->kept;
	hit.mapped = as->mapped;
	sim_no_sleep_begin(); /* (1) */
	path = io_write_try(&hit, &how, &err, &pause);
	if (path != IO_WRITE_ENDED)
		io_write_go_on(call_defer(&call, vol, hit.inode), &hit, &how,
			       path, pause);
	sim_no_sleep_end();
	if (path == IO_WRITE_ENDED)
		return err ? err : (int64_t)hit.done;
	return call_wait(&call);
}

int64_t front_write(struct client *c, const struct wopen *o, uint64_t offset,
		    const void *from, size_t size, int flags)
{
	const struct front_write as = {
		.flags = flags,
		.keeps_setid = !sim_chance(10),
		.mapped = o->kept && sim_chance(10),
	};

	return front_write_as(c, o, offset, from, size, &as);
}

static void run_fsync(struct request *rq)
{
	call_end_err(rq, open_file_sync(rq->file, call_of(rq)->mode));
}

int front_fsync(struct client *c, const struct wopen *o, bool data_only)
{
	struct call call;

	call_init(&call, c);
	call.file = o->file;
	call.mode = data_only;
	return (int)call_do(&call, o->f->wv->vol, o->f->inode, REQUEST_SYNC,
			    run_fsync);
}

static void run_truncate(struct request *rq)
{
	struct attr_change change = { .valid = ATTR_SIZE,
				      .size = call_of(rq)->length };
	struct stat st;
	int err = rq->vol->ops->setattr(rq->inode, &change);

	if (!err)
		err = rq->vol->ops->getattr(rq->inode, &st);
	call_end_err(rq, err);
}

int front_truncate(struct client *c, struct inode *inode, uint64_t size)
{
	struct call call;

	call_init(&call, c);
	call.length = size;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SYNC,
			    run_truncate);
}

static void run_fallocate(struct request *rq)
{
	struct call *call = call_of(rq);

	rq->offset = call->ino;
	call_end_err(rq, io_fallocate(rq, call->mode, call->length,
				      !sim_chance(20)));
}

int front_fallocate(struct client *c, struct inode *inode, int mode,
		    uint64_t offset, uint64_t len)
{
	struct call call;

	call_init(&call, c);
	call.mode = mode;
	call.ino = offset;
	call.length = len;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SYNC,
			    run_fallocate);
}

static void run_seek(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq, seek_find(rq->inode, call->ino, call->whence));
}

int64_t front_seek(struct client *c, struct inode *inode, uint64_t offset,
		   int whence)
{
	struct call call;

	call_init(&call, c);
	call.ino = offset;
	call.whence = whence;
	return call_do(&call, inode->vol, inode, REQUEST_SYNC, run_seek);
}

static void run_getattr(struct request *rq)
{
	call_end_err(rq, rq->vol->ops->getattr(rq->inode, call_of(rq)->st));
}

int front_getattr(struct client *c, struct inode *inode, struct stat *st)
{
	struct call call;

	call_init(&call, c);
	call.st = st;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SERVE,
			    run_getattr);
}

/* --- .plimsoll ------------------------------------------------------------------------- */

static void run_control(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq, control_write(rq->vol->control, call->ino, call->name,
				       strlen(call->name)));
}

int front_control(struct client *c, struct wvolume *wv, const char *path,
		  long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld\n", number);
	return front_control_text(c, wv, path, text);
}

int front_control_text(struct client *c, struct wvolume *wv, const char *path,
		       const char *text)
{
	uint64_t node = CONTROL_FIRST;
	struct call call;
	char name[32];
	size_t len;

	for (; *path; path += len + (path[len] == '/')) {
		len = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		node = control_lookup(wv->vol->control, node, name);
		ASSERT(node);
	}
	if (!control_waits(wv->vol->control, node)) {
		int err;

		sim_no_sleep_begin(); /* (1) */
		err = control_write(wv->vol->control, node, text, strlen(text));
		sim_no_sleep_end();
		return err;
	}
	call_init(&call, c);
	call.ino = node;
	call.name = text;
	return (int)call_do(&call, wv->vol, wv->vol->root, REQUEST_SYNC,
			    run_control);
}
