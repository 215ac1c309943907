/*
 * volume_front_tree_sim.c - requests for names in any directory, and attributes,
 * as fs/fuse_names.c, fs/fuse_attr.c and fs/fuse_dir.c make them.
 */
#include "tests/sim/volume_call.h"
#include "tests/sim/volume_tree.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void end_found(struct request *rq, int err, struct dir_entry *entry)
{
	struct call *call = call_of(rq);

	if (err) {
		call_end_err(rq, err);
		return;
	}
	call->inode = entry->inode; /* with its kernel ref */
	*call->st = entry->attr;
	inode_put(entry->inode);
	if (call->other)
		inode_put(call->other);
	call_end(rq, 0);
}

static int found(struct call *call, int64_t err, struct tree_found *to)
{
	to->inode = call->inode;
	return (int)err;
}

static void run_lookup(struct request *rq)
{
	struct dir_entry entry;
	int err = rq->vol->ops->lookup(rq->inode, call_of(rq)->name, &entry);

	end_found(rq, err, &entry);
}

int front_tree_lookup(struct client *c, struct inode *dir, const char *name,
		      struct tree_found *to)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.st = &to->st;
	return found(&call,
		     call_do(&call, dir->vol, dir, REQUEST_SERVE, run_lookup),
		     to);
}

static void run_make(struct request *rq)
{
	struct call *call = call_of(rq);
	struct dir_make make = {
		.name = call->name,
		.mode = (mode_t)call->mode,
		.target = call->from,
		.exclusive = true,
	};
	struct dir_entry entry;
	int err = rq->vol->ops->make(rq->inode, &make, &entry);

	end_found(rq, err, &entry);
}

int front_tree_make(struct client *c, struct inode *dir, const char *name,
		    mode_t mode, const char *target, struct tree_found *to)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.mode = (int)mode;
	call.from = target;
	call.st = &to->st;
	return found(&call,
		     call_do(&call, dir->vol, dir, REQUEST_NAME, run_make), to);
}

static void run_link(struct request *rq)
{
	struct call *call = call_of(rq);
	struct dir_entry entry;
	int err =
		rq->vol->ops->link(rq->inode, call->other, call->name, &entry);

	end_found(rq, err, &entry);
}

int front_tree_link(struct client *c, struct inode *inode, struct inode *dir,
		    const char *name, struct tree_found *to)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.other = dir;
	call.st = &to->st;
	inode_ref(dir);
	return found(&call,
		     call_do(&call, dir->vol, inode, REQUEST_NAME, run_link),
		     to);
}

static void run_remove(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq,
		     rq->vol->ops->unlink(rq->inode, call->name, call->flags));
}

int front_tree_remove(struct client *c, struct inode *dir, const char *name,
		      bool is_dir)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.flags = is_dir;
	return (int)call_do(&call, dir->vol, dir, REQUEST_SERVE, run_remove);
}

static void run_rename(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq,
		     rq->vol->ops->rename(rq->inode, call->name, call->other,
					  call->new_name, call->flags));
}

int front_tree_rename(struct client *c, struct inode *from, const char *name,
		      struct inode *to, const char *new_name,
		      unsigned int flags)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.new_name = new_name;
	call.flags = flags;
	call.other = to;
	inode_ref(to);
	return (int)call_do(&call, from->vol, from, REQUEST_SYNC, run_rename);
}

/* As many as a reply has room for, and again from there. */
struct listing {
	struct tree_list *to;
	unsigned int left;
	uint64_t next;
	bool more;
};

static bool emit(void *arg, const struct dir_name *name)
{
	struct listing *l = arg;
	struct tree_list *to = l->to;

	if (l->left == 0) {
		l->more = true;
		return false;
	}
	l->left--;
	l->next = name->next;
	if (to->nr == TREE_LIST_MAX)
		sim_fail("a directory has more names than anybody made");
	snprintf(to->names[to->nr].name, sizeof(to->names[0].name), "%s",
		 name->name);
	to->names[to->nr].ino = name->ino;
	to->names[to->nr++].type = name->type;
	return true;
}

static void run_list(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;
	struct listing l = { .more = true, .to = call_of(rq)->to };
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
		l.left = (unsigned int)sim_between(1, 6);
		err = ops->dir_read(s, l.next, emit, &l);
	}
	ops->dir_close(s);
	call_end_err(rq, err);
}

int front_tree_list(struct client *c, struct inode *dir, struct tree_list *to)
{
	struct call call;

	to->nr = 0;
	call_init(&call, c);
	call.to = to;
	return (int)call_do(&call, dir->vol, dir, REQUEST_SERVE, run_list);
}

static void run_readlink(struct request *rq)
{
	struct call *call = call_of(rq);

	call_end_err(rq,
		     rq->vol->ops->readlink(rq->inode, call->to, call->size));
}

int front_tree_readlink(struct client *c, struct inode *inode, char *buf,
			size_t size)
{
	struct call call;

	call_init(&call, c);
	call.to = buf;
	call.size = size;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SERVE,
			    run_readlink);
}

static void run_setattr(struct request *rq)
{
	struct call *call = call_of(rq);
	int err = rq->vol->ops->setattr(rq->inode, call->from);

	if (!err)
		err = rq->vol->ops->getattr(rq->inode, call->st);
	call_end_err(rq, err);
}

int front_tree_setattr(struct client *c, struct inode *inode,
		       const struct attr_change *change, struct stat *st)
{
	struct call call;

	call_init(&call, c);
	call.from = change;
	call.st = st;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SERVE,
			    run_setattr);
}

static void run_setxattr(struct request *rq)
{
	struct call *call = call_of(rq);
	const struct volume_ops *ops = rq->vol->ops;

	call_end_err(rq, call->from ? ops->setxattr(rq->inode, call->name,
						    call->from, call->size,
						    (int)call->flags)
				    : ops->removexattr(rq->inode, call->name));
}

int front_tree_setxattr(struct client *c, struct inode *inode, const char *name,
			const char *value, int flags)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.from = value;
	call.size = value ? strlen(value) : 0;
	call.flags = (unsigned int)flags;
	return (int)call_do(&call, inode->vol, inode, REQUEST_SERVE,
			    run_setxattr);
}

static void run_getxattr(struct request *rq)
{
	struct call *call = call_of(rq);
	const struct volume_ops *ops = rq->vol->ops;

	call_end_err(rq, call->name ? ops->getxattr(rq->inode, call->name,
						    call->to, call->size)
				    : ops->listxattr(rq->inode, call->to,
						     call->size));
}

ssize_t front_tree_getxattr(struct client *c, struct inode *inode,
			    const char *name, char *buf, size_t size)
{
	struct call call;

	call_init(&call, c);
	call.name = name;
	call.to = buf;
	call.size = size;
	return (ssize_t)call_do(&call, inode->vol, inode, REQUEST_SERVE,
				run_getxattr);
}
