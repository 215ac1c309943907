/*
 * volume_front_sim.c - requests, made as fs/fuse_*.c makes them.
 *
 *   (1) The client's thread stands for the one that receives: what a handler
 *       does there must not sleep. Then it waits for the reply, as a process
 *       waits in read(2).
 *   (2) A reply takes what it needs from the request before the request ends.
 *   (3) As in fs/fuse_ops.c: -ENOROOM is waited for, and run again.
 */
#include "tests/sim/volume_world.h"

#include "fs/io_path.h"
#include "mm/oom.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>

/* What the client waits for; request.token. */
struct call {
	struct client *c;
	struct mutex lock;
	struct cond ended;
	bool done;
	int64_t result;
	/* arguments, and what the reply has */
	const char *name, *new_name;
	struct inode *other;
	unsigned int flags;
	int mode, whence;
	uint64_t length, ino;
	void *to;
	struct open_file *file;
	struct inode *inode;
	struct stat *st;
	struct wvolume *wv;
};

static struct call *call_of(struct request *rq)
{
	return rq->token;
}

static void call_init(struct call *call, struct client *c)
{
	*call = (struct call){ .c = c };
	mutex_init(&call->lock);
	cond_init(&call->ended);
}

static int64_t call_wait(struct call *call)
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

static struct request *defer(struct call *call, struct volume *vol,
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
static void end(struct request *rq, int64_t result)
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

static void end_err(struct request *rq, int64_t err) /* (3) */
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
	end(rq, err);
}

/* A call that is deferred at once. */
static int64_t do_deferred(struct call *call, struct volume *vol,
			   struct inode *inode, enum request_class class,
			   void (*run)(struct request *rq))
{
	struct request *rq;

	sim_no_sleep_begin(); /* (1) */
	rq = defer(call, vol, inode);
	rq->file = call->file;
	queue(rq, class, run);
	sim_no_sleep_end();
	return call_wait(call);
}

/* --- names ----------------------------------------------------------------------- */

static void end_entry(struct request *rq, int err, struct dir_entry *entry)
{
	struct call *call = call_of(rq);

	if (err) {
		end_err(rq, err);
		return;
	}
	call->inode = entry->inode; /* with its kernel ref */
	call->ino = entry->attr.st_ino;
	inode_put(entry->inode);
	if (call->other)
		inode_put(call->other);
	end(rq, 0);
}

static void run_lookup(struct request *rq)
{
	struct dir_entry entry;
	int err = rq->vol->ops->lookup(rq->inode, call_of(rq)->name, &entry);

	end_entry(rq, err, &entry);
}

int front_lookup(struct client *c, struct wvolume *wv, const char *name,
		 struct inode **inode, uint64_t *ino)
{
	struct call call;
	int err;

	call_init(&call, c);
	call.name = name;
	err = (int)do_deferred(&call, wv->vol, wv->vol->root, REQUEST_SERVE,
			       run_lookup);
	*inode = call.inode;
	*ino = call.ino;
	return err;
}

static void run_create(struct request *rq)
{
	struct call *call = call_of(rq);
	struct dir_make make = {
		.name = call->name,
		.mode = S_IFREG | (mode_t)call->mode,
		.exclusive = call->flags & O_EXCL,
		.to_open = true,
	};
	struct dir_entry entry;
	int err = open_file_create(rq->inode, &make, (int)call->flags, &entry,
				   &call->file);

	if (err) {
		end_err(rq, err);
		return;
	}
	call->inode = entry.inode;
	call->ino = entry.attr.st_ino;
	end(rq, 0);
}

int front_create(struct client *c, struct wvolume *wv, const char *name,
		 int flags, struct inode **inode, uint64_t *ino,
		 struct open_file **file)
{
	struct call call;
	int err;

	call_init(&call, c);
	call.name = name;
	call.mode = sim_chance(15) ? 06755 : sim_chance(50) ? 0644 : 0400;
	call.flags = (unsigned int)flags;
	err = (int)do_deferred(&call, wv->vol, wv->vol->root, REQUEST_NAME,
			       run_create);
	*inode = call.inode;
	*ino = call.ino;
	*file = call.file;
	return err;
}

static void run_link(struct request *rq)
{
	struct call *call = call_of(rq);
	struct dir_entry entry;
	int err =
		rq->vol->ops->link(rq->inode, call->other, call->name, &entry);

	end_entry(rq, err, &entry);
}

int front_link(struct client *c, struct wvolume *wv, struct inode *inode,
	       const char *name)
{
	struct call call;
	int err;

	call_init(&call, c);
	call.name = name;
	call.other = wv->vol->root;
	inode_ref(call.other);
	err = (int)do_deferred(&call, wv->vol, inode, REQUEST_NAME, run_link);
	if (!err && call.inode != inode)
		sim_fail("a link leads to another inode");
	return err;
}

static void run_unlink(struct request *rq)
{
	end_err(rq, rq->vol->ops->unlink(rq->inode, call_of(rq)->name, false));
}

int front_unlink(struct client *c, struct wvolume *wv, const char *name)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	return (int)do_deferred(&call, wv->vol, wv->vol->root, REQUEST_SERVE,
				run_unlink);
}

static void run_rename(struct request *rq)
{
	struct call *call = call_of(rq);

	end_err(rq, rq->vol->ops->rename(rq->inode, call->name, call->other,
					 call->new_name, call->flags));
}

int front_rename(struct client *c, struct wvolume *wv, const char *name,
		 const char *new_name, unsigned int flags)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.new_name = new_name;
	call.flags = flags;
	call.other = wv->vol->root;
	inode_ref(call.other);
	return (int)do_deferred(&call, wv->vol, wv->vol->root, REQUEST_SYNC,
				run_rename);
}

struct listing {
	unsigned int mask;
	unsigned int left; /* before the reply is full */
	uint64_t next;
	bool more;
};

static bool emit(void *arg, const struct dir_name *name)
{
	struct listing *l = arg;
	unsigned int n;

	if (l->left == 0) {
		l->more = true;
		return false;
	}
	l->left--;
	l->next = name->next;
	if (name->name[0] == '.')
		return true;
	if (sscanf(name->name, "n%u", &n) != 1 || n >= WORLD_NAMES)
		sim_fail("a name that nobody made: %s", name->name);
	if (l->mask & 1u << n)
		sim_fail("name %s is listed twice", name->name);
	l->mask |= 1u << n;
	return true;
}

static void run_list(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;
	struct call *call = call_of(rq);
	struct listing l = { .more = true };
	struct dir_stream *s;
	int err;

	inode_ref(rq->inode);
	s = ops->dir_open(rq->inode, &err);
	if (!s) {
		inode_put(rq->inode);
		end_err(rq, err);
		return;
	}
	while (l.more && !err) {
		l.more = false;
		l.left = (unsigned int)sim_between(1, 8);
		err = ops->dir_read(s, l.next, emit, &l);
	}
	ops->dir_close(s);
	call->flags = l.mask;
	end_err(rq, err);
}

int front_list(struct client *c, struct wvolume *wv, unsigned int *mask)
{
	struct call call;
	int err;

	call_init(&call, c);
	err = (int)do_deferred(&call, wv->vol, wv->vol->root, REQUEST_SERVE,
			       run_list);
	*mask = call.flags;
	return err;
}

/* --- open files -------------------------------------------------------------------- */

static void run_open(struct request *rq)
{
	struct call *call = call_of(rq);

	end_err(rq, open_file_open(rq->inode, (int)call->flags, sim_chance(5),
				   &call->file));
}

int front_open(struct client *c, struct inode *inode, int flags,
	       struct open_file **file)
{
	struct call call;
	int err;

	call_init(&call, c);
	call.flags = (unsigned int)flags;
	err = (int)do_deferred(&call, inode->vol, inode, REQUEST_SERVE,
			       run_open);
	*file = call.file;
	return err;
}

static void run_release(struct request *rq)
{
	open_file_release(rq->file);
	end_err(rq, 0);
}

int front_release(struct client *c, struct inode *inode, struct open_file *file)
{
	struct call call;

	call_init(&call, c);
	call.file = file;
	return (int)do_deferred(&call, inode->vol, inode, REQUEST_SERVE,
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
	end(rq, (int64_t)rq->size);
}

static void end_write(struct request *rq)
{
	end(rq, (int64_t)rq->done);
}

/* As when a page was unlocked in the handler of another ring. */
static bool can_reply(const struct request *rq)
{
	return rq->data || !sim_chance(5);
}

static void end_failed(struct request *rq, int err)
{
	ASSERT(rq->nr_pages == 0);
	end_err(rq, err);
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

static const struct request_front sim_front = {
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
	rq = defer(&call, vol, hit.inode);
	io_read_go_on(rq, &hit, fits);
	sim_no_sleep_end();
	return call_wait(&call);
}

int64_t front_write(struct client *c, const struct wopen *o, uint64_t offset,
		    const void *from, size_t size, int flags)
{
	struct volume *vol = o->f->wv->vol;
	const struct io_write how = {
		.kill_suid = sim_chance(10),
		.sync = flags & O_DSYNC,
		.data_only = (flags & O_SYNC) != O_SYNC,
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
	hit.mapped = o->kept && sim_chance(10);
	sim_no_sleep_begin(); /* (1) */
	path = io_write_try(&hit, &how, &err, &pause);
	if (path != IO_WRITE_ENDED)
		io_write_go_on(defer(&call, vol, hit.inode), &hit, &how, path,
			       pause);
	sim_no_sleep_end();
	if (path == IO_WRITE_ENDED)
		return err ? err : (int64_t)hit.done;
	return call_wait(&call);
}

static void run_fsync(struct request *rq)
{
	end_err(rq, open_file_sync(rq->file, call_of(rq)->mode));
}

int front_fsync(struct client *c, const struct wopen *o, bool data_only)
{
	struct call call;

	call_init(&call, c);
	call.file = o->file;
	call.mode = data_only;
	return (int)do_deferred(&call, o->f->wv->vol, o->f->inode, REQUEST_SYNC,
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
	end_err(rq, err);
}

int front_truncate(struct client *c, struct inode *inode, uint64_t size)
{
	struct call call;

	call_init(&call, c);
	call.length = size;
	return (int)do_deferred(&call, inode->vol, inode, REQUEST_SYNC,
				run_truncate);
}

static void run_fallocate(struct request *rq)
{
	struct call *call = call_of(rq);

	rq->offset = call->ino;
	end_err(rq, io_fallocate(rq, call->mode, call->length, sim_chance(20)));
}

int front_fallocate(struct client *c, struct inode *inode, int mode,
		    uint64_t offset, uint64_t len)
{
	struct call call;

	call_init(&call, c);
	call.mode = mode;
	call.ino = offset;
	call.length = len;
	return (int)do_deferred(&call, inode->vol, inode, REQUEST_SYNC,
				run_fallocate);
}

static void run_seek(struct request *rq)
{
	struct call *call = call_of(rq);

	end_err(rq, rq->vol->ops->seek(rq->inode, call->ino, call->whence));
}

int64_t front_seek(struct client *c, struct inode *inode, uint64_t offset,
		   int whence)
{
	struct call call;

	call_init(&call, c);
	call.ino = offset;
	call.whence = whence;
	return do_deferred(&call, inode->vol, inode, REQUEST_SYNC, run_seek);
}

static void run_getattr(struct request *rq)
{
	end_err(rq, rq->vol->ops->getattr(rq->inode, call_of(rq)->st));
}

int front_getattr(struct client *c, struct inode *inode, struct stat *st)
{
	struct call call;

	call_init(&call, c);
	call.st = st;
	return (int)do_deferred(&call, inode->vol, inode, REQUEST_SERVE,
				run_getattr);
}

/* --- .plimsoll ------------------------------------------------------------------------- */

static void run_control(struct request *rq)
{
	struct call *call = call_of(rq);

	end_err(rq, control_write(rq->vol->control, call->ino, call->name,
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
	return (int)do_deferred(&call, wv->vol, wv->vol->root, REQUEST_SYNC,
				run_control);
}

/* --- inodes asked back; see fs/fuse_notify.c --------------------------------------------- */

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
		inode_bury(wv->vol);
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
