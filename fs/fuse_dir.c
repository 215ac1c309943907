/* fuse_dir.c - requests that list directories. */
#include "fs/fuse_internal.h"

#include <errno.h>
#include <string.h>

static struct dir_stream *stream_of(const struct args *a)
{
	struct dir_stream *stream = (struct dir_stream *)(uintptr_t)a->fh;

	os_received(stream);
	return stream;
}

static void run_opendir(struct request *rq)
{
	struct fuse_file_info fi = { .flags = args_of(rq)->flags };
	struct dir_stream *stream;
	int err;

	inode_ref(rq->inode);
	stream = rq->vol->ops->dir_open(rq->inode, &err);
	if (!stream) {
		inode_put(rq->inode);
		op_end_err(rq, err);
		return;
	}
	os_handed_over(stream);
	fi.fh = (uintptr_t)stream;
	if (op_reply(rq, fuse_reply_open(rq->token, &fi)) < 0)
		rq->vol->ops->dir_close(stream);
	session_end(rq);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_open(req, fi);
		return;
	}
	rq = op_defer(req, ino);
	args_of(rq)->flags = fi->flags;
	op_queue(rq, REQUEST_SERVE, run_opendir);
}

static void run_releasedir(struct request *rq)
{
	rq->vol->ops->dir_close(stream_of(args_of(rq)));
	op_end_err(rq, 0);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq;

	if (op_control_done(req, ino, 0))
		return;
	rq = op_defer(req, ino);
	args_of(rq)->fh = fi->fh;
	op_queue(rq, REQUEST_SERVE, run_releasedir);
}

/* Names being put into a reply, until it is full. */
struct listing {
	struct request *rq;
	char *buf;
	size_t len, size;
	bool plus; /* with attributes */
};

static bool is_dot(const char *name)
{
	return name[0] == '.' &&
	       (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static bool list_plain(struct listing *l, const struct dir_name *n)
{
	struct stat st = { .st_ino = n->ino, .st_mode = n->type };
	size_t need = fuse_add_direntry(l->rq->token, l->buf + l->len,
					l->size - l->len, n->name, &st,
					(off_t)n->next);

	if (need > l->size - l->len)
		return false;
	l->len += need;
	return true;
}

static bool list_plus(struct listing *l, const struct dir_name *n)
{
	const struct volume_ops *ops = l->rq->vol->ops;
	struct fuse_entry_param e = { .attr = { .st_ino = n->ino,
						.st_mode = n->type } };
	struct dir_entry entry = { .inode = NULL };
	size_t need;

	/* A name that is gone meanwhile is listed without attributes. */
	if (!is_dot(n->name) && ops->lookup(l->rq->inode, n->name, &entry) == 0)
		op_fill_entry(&entry, &e);
	need = fuse_add_direntry_plus(l->rq->token, l->buf + l->len,
				      l->size - l->len, n->name, &e,
				      (off_t)n->next);
	if (need > l->size - l->len && entry.inode)
		inode_forget(entry.inode, 1);
	if (entry.inode)
		inode_put(entry.inode);
	if (need > l->size - l->len)
		return false;
	l->len += need;
	return true;
}

/* What SOURCE has there cannot be reached by that name: it is not shown. */
static bool is_covered(const struct request *rq, const char *name)
{
	return rq->vol->control && rq->inode == rq->vol->root &&
	       strcmp(name, CONTROL_NAME) == 0;
}

static bool list_name(void *arg, const struct dir_name *n)
{
	struct listing *l = arg;

	if (is_covered(l->rq, n->name))
		return true;
	return l->plus ? list_plus(l, n) : list_plain(l, n);
}

static void run_readdir(struct request *rq)
{
	struct args *a = args_of(rq);
	struct listing l = { .rq = rq, .plus = a->flags };
	int err;

	/* The buffer it came in has room for the answer. */
	l.buf = session_buffer(rq, rq->size);
	l.size = rq->size;
	err = rq->vol->ops->dir_read(stream_of(a), rq->offset, list_name, &l);
	if (err && l.len == 0) {
		op_end_err(rq, err);
		return;
	}
	os_handed_over(stream_of(a));
	op_reply_data(rq, l.buf, l.len);
	session_end(rq);
}

static size_t add_control_name(fuse_req_t req, const struct listing *l,
			       const char *name, const struct stat *st,
			       off_t next)
{
	struct fuse_entry_param e = { .attr = *st };

	if (l->plus) /* without a node: the kernel looks it up if it wants */
		return fuse_add_direntry_plus(req, l->buf + l->len,
					      l->size - l->len, name, &e, next);
	return fuse_add_direntry(req, l->buf + l->len, l->size - l->len, name,
				 st, next);
}

static void control_reply_readdir(fuse_req_t req, fuse_ino_t ino, size_t size,
				  off_t offset, bool plus)
{
	struct control *c = session_of(req)->vol->control;
	char buf[4096];
	struct listing l = { .buf = buf,
			     .size = min_of(size, sizeof(buf)),
			     .plus = plus };

	for (unsigned int n = (unsigned int)offset;; n++) {
		struct stat st = { .st_mode = S_IFREG };
		const char *name;
		uint64_t node = ino;
		size_t need;

		if (n < 2)
			name = n == 0 ? "." : "..";
		else
			name = control_entry(c, ino, n - 2, &node);
		if (!name)
			break;
		control_getattr(c, node, &st);
		need = add_control_name(req, &l, name, &st, n + 1);
		if (need > l.size - l.len)
			break;
		l.len += need;
	}
	fuse_reply_buf(req, buf, l.len);
}

static void defer_readdir(fuse_req_t req, fuse_ino_t ino, size_t size,
			  off_t offset, struct fuse_file_info *fi, int plus)
{
	struct request *rq = op_defer(req, ino);

	rq->offset = (uint64_t)offset;
	rq->size = min_of(size, rq->fs->request_max);
	args_of(rq)->fh = fi->fh;
	args_of(rq)->flags = plus;
	op_queue(rq, REQUEST_SERVE, run_readdir);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	if (control_has(ino))
		control_reply_readdir(req, ino, size, offset, false);
	else
		defer_readdir(req, ino, size, offset, fi, 0);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	if (control_has(ino))
		control_reply_readdir(req, ino, size, offset, true);
	else
		defer_readdir(req, ino, size, offset, fi, 1);
}

static void run_fsyncdir(struct request *rq)
{
	struct args *a = args_of(rq);

	op_end_err(rq, rq->vol->ops->dir_sync(stream_of(a), a->flags));
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi)
{
	struct request *rq;

	if (op_control_done(req, ino, 0))
		return;
	rq = op_defer(req, ino);
	args_of(rq)->fh = fi->fh;
	args_of(rq)->flags = datasync;
	op_queue(rq, REQUEST_SYNC, run_fsyncdir);
}
