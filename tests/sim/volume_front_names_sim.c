/* volume_front_names_sim.c - requests for names, as fs/fuse_names.c makes them. */
#include "tests/sim/volume_call.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

/* --- names ----------------------------------------------------------------------- */

static void end_entry(struct request *rq, int err, struct dir_entry *entry)
{
	struct call *call = call_of(rq);

	if (err) {
		call_end_err(rq, err);
		return;
	}
	call->inode = entry->inode; /* with its kernel ref */
	call->ino = entry->attr.st_ino;
	inode_put(entry->inode);
	if (call->other)
		inode_put(call->other);
	call_end(rq, 0);
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
	err = (int)call_do(&call, wv->vol, wv->vol->root, REQUEST_SERVE,
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
		call_end_err(rq, err);
		return;
	}
	call->inode = entry.inode;
	call->ino = entry.attr.st_ino;
	call_end(rq, 0);
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
	err = (int)call_do(&call, wv->vol, wv->vol->root, REQUEST_NAME,
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
	err = (int)call_do(&call, wv->vol, inode, REQUEST_NAME, run_link);
	if (!err && call.inode != inode)
		sim_fail("a link leads to another inode");
	return err;
}

static void run_unlink(struct request *rq)
{
	call_end_err(rq,
		     rq->vol->ops->unlink(rq->inode, call_of(rq)->name, false));
}

int front_unlink(struct client *c, struct wvolume *wv, const char *name)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	return (int)call_do(&call, wv->vol, wv->vol->root, REQUEST_SERVE,
			    run_unlink);
}

static void run_rename(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq,
		     rq->vol->ops->rename(rq->inode, call->name, call->other,
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
	return (int)call_do(&call, wv->vol, wv->vol->root, REQUEST_SYNC,
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
	if (name->name[0] == '.' ||
	    name->name[0] == 't') /* volume_tree_sim.c */
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
		call_end_err(rq, err);
		return;
	}
	while (l.more && !err) {
		l.more = false;
		l.left = (unsigned int)sim_between(1, 8);
		err = ops->dir_read(s, l.next, emit, &l);
	}
	ops->dir_close(s);
	call->flags = l.mask;
	call_end_err(rq, err);
}

int front_list(struct client *c, struct wvolume *wv, unsigned int *mask)
{
	struct call call;
	int err;

	call_init(&call, c);
	err = (int)call_do(&call, wv->vol, wv->vol->root, REQUEST_SERVE,
			   run_list);
	*mask = call.flags;
	return err;
}
