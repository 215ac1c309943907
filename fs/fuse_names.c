/* fuse_names.c - requests that look up, make, move and remove names. */
#include "fs/fuse_internal.h"

#include <errno.h>
#include <string.h>
#include <linux/limits.h>

static void control_reply_entry(fuse_req_t req, uint64_t node)
{
	struct fuse_entry_param e = { .ino = node, .generation = 1 };

	if (control_getattr(session_of(req)->vol->control, node, &e.attr) < 0)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &e);
}

static bool is_control_name(struct session *s, fuse_ino_t parent,
			    const char *name)
{
	return s->vol->control && parent == FUSE_ROOT_ID &&
	       strcmp(name, CONTROL_NAME) == 0;
}

bool op_control_refuse(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct session *s = session_of(req);

	if (!control_has(parent) && !is_control_name(s, parent, name))
		return false;
	fuse_reply_err(req, EPERM);
	return true;
}

static void run_lookup(struct request *rq)
{
	struct dir_entry entry;
	int err = rq->vol->ops->lookup(rq->inode, args_of(rq)->name, &entry);

	op_end_entry(rq, err, &entry);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct session *s = session_of(req);
	struct request *rq;

	if (control_has(parent)) {
		control_reply_entry(
			req, control_lookup(s->vol->control, parent, name));
		return;
	}
	if (is_control_name(s, parent, name)) {
		control_reply_entry(req, CONTROL_FIRST);
		return;
	}
	rq = op_defer(req, parent);
	args_of(rq)->name = name;
	op_queue(rq, REQUEST_SERVE, run_lookup);
}

static void forget(struct session *s, fuse_ino_t ino, uint64_t n)
{
	if (ino != FUSE_ROOT_ID && !control_has(ino))
		inode_forget(inode_of(s, ino), n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(session_of(req), ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(session_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void run_make(struct request *rq)
{
	struct args *a = args_of(rq);
	struct dir_make make = {
		.name = a->name,
		.mode = a->mode,
		.rdev = a->rdev,
		.target = a->new_name,
		.exclusive = true,
		.caller = a->caller,
	};
	struct dir_entry entry;
	int err = rq->vol->ops->make(rq->inode, &make, &entry);

	op_end_entry(rq, err, &entry);
}

static void defer_make(fuse_req_t req, fuse_ino_t parent,
		       const struct dir_make *make)
{
	struct request *rq;

	if (op_control_refuse(req, parent, make->name))
		return;
	rq = op_defer(req, parent);
	args_of(rq)->name = make->name;
	args_of(rq)->mode = make->mode;
	args_of(rq)->rdev = make->rdev;
	args_of(rq)->new_name = make->target;
	op_queue(rq, REQUEST_NAME, run_make);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev)
{
	defer_make(
		req, parent,
		&(struct dir_make){ .name = name, .mode = mode, .rdev = rdev });
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	defer_make(req, parent,
		   &(struct dir_make){ .name = name,
				       .mode = (mode & ~(mode_t)S_IFMT) |
					       S_IFDIR });
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name)
{
	defer_make(req, parent,
		   &(struct dir_make){ .name = name,
				       .mode = S_IFLNK | 0777,
				       .target = target });
}

static void run_unlink(struct request *rq)
{
	struct args *a = args_of(rq);

	op_end_err(rq,
		   rq->vol->ops->unlink(rq->inode, a->name, S_ISDIR(a->mode)));
}

static void defer_unlink(fuse_req_t req, fuse_ino_t parent, const char *name,
			 mode_t type)
{
	struct request *rq;

	if (op_control_refuse(req, parent, name))
		return;
	rq = op_defer(req, parent);
	args_of(rq)->name = name;
	args_of(rq)->mode = type;
	op_queue(rq, REQUEST_SERVE, run_unlink);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	defer_unlink(req, parent, name, S_IFREG);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	defer_unlink(req, parent, name, S_IFDIR);
}

static void run_rename(struct request *rq)
{
	struct args *a = args_of(rq);

	op_end_err(rq,
		   rq->vol->ops->rename(rq->inode, a->name, a->other,
					a->new_name, (unsigned int)a->flags));
}

/* A second inode of a request, which needs a ref of its own. */
static struct inode *other_inode(fuse_req_t req, fuse_ino_t ino)
{
	struct inode *inode = inode_of(session_of(req), ino);

	inode_ref(inode);
	return inode;
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t new_parent, const char *new_name, unsigned int flags)
{
	struct request *rq;

	if (op_control_refuse(req, parent, name) ||
	    op_control_refuse(req, new_parent, new_name))
		return;
	rq = op_defer(req, parent);
	args_of(rq)->name = name;
	args_of(rq)->new_name = new_name;
	args_of(rq)->flags = (int)flags;
	args_of(rq)->other = other_inode(req, new_parent);
	op_queue(rq, REQUEST_SYNC, run_rename);
}

static void run_link(struct request *rq)
{
	struct args *a = args_of(rq);
	struct dir_entry entry;
	int err = rq->vol->ops->link(rq->inode, a->other, a->name, &entry);

	op_end_entry(rq, err, &entry);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
	     const char *new_name)
{
	struct request *rq;

	if (op_control_done(req, ino, EPERM) ||
	    op_control_refuse(req, new_parent, new_name))
		return;
	rq = op_defer(req, ino);
	args_of(rq)->name = new_name;
	args_of(rq)->other = other_inode(req, new_parent);
	op_queue(rq, REQUEST_NAME, run_link);
}

static void run_readlink(struct request *rq)
{
	char target[PATH_MAX];
	int err = rq->vol->ops->readlink(rq->inode, target, sizeof(target));

	if (err) {
		op_end_err(rq, err);
		return;
	}
	op_reply(rq, fuse_reply_readlink(rq->token, target));
	session_end(rq);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	op_queue(op_defer(req, ino), REQUEST_SERVE, run_readlink);
}
