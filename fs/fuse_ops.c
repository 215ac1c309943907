/*
 * fuse_ops.c - decode, call the core, reply once.
 *
 * What the receiving thread can answer without blocking it answers (hits,
 * FORGET, control files); a plain read miss is begun there; all the rest is
 * deferred: the arguments are copied into the request, names and data stay in
 * the buffer, which the request takes along, and a worker runs run_X().
 *
 *   (1) A name or data pointer is into the buffer of the request, and good
 *       until session_end().
 *   (2) Each request is answered exactly once, before session_end().
 *   (3) A kernel ref handed out in a reply that could not be delivered is
 *       taken back.
 */
#include "fs/fuse_ops.h"

#include "fs/fuse_internal.h"

#include <errno.h>

/*
 * How long the kernel may believe names and attributes. All changes come
 * through the kernel itself, but for those made in the SOURCE behind our back.
 */
#define CACHE_SECONDS 1.0

/*
 * The kernel cuts a connection off on which a request has waited so long. Only
 * a process that cannot go on lets it come to that.
 */
enum { REQUEST_TIMEOUT_S = 600 };

/* As many as readahead and writeback of mapped files need; libfuse: 12. */
enum { MAX_BACKGROUND = 64 };
#define SMALL_BUDGET (256ul << 20)

struct request *op_defer(fuse_req_t req, fuse_ino_t ino)
{
	struct session *s = session_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct request *rq = session_defer(s, req, inode_of(s, ino));

	*args_of(rq) = (struct args){
		.caller = { ctx->uid, ctx->gid, ctx->umask },
	};
	return rq;
}

void op_queue(struct request *rq, enum request_class class,
	      void (*run)(struct request *rq))
{
	rq->run = run;
	request_queue(&rq->fs->requests, rq, class);
}

/* --- replies -------------------------------------------------------------- */

static void run_again(struct request *rq)
{
	request_queue(&rq->fs->requests, rq, rq->class);
}

/* No room now: parked, and run again; false: it has waited enough. */
static bool waits_for_room(struct request *rq)
{
	kernel_copies_ask(&rq->fs->copies);
	if (oom_judge(rq->vol->mm, &rq->oom) == OOM_REFUSE)
		return false;
	request_park(&rq->fs->requests, rq, BALANCE_PAUSE_MAX / 10, run_again);
	return true;
}

void op_end_err(struct request *rq, int err)
{
	if (err == -ENOROOM) {
		if (waits_for_room(rq))
			return;
		err = -ENOSPC;
	}
	if (args_of(rq)->other)
		inode_put(args_of(rq)->other);
	op_reply(rq, fuse_reply_err(rq->token, -err));
	session_end(rq);
}

void op_reply_data(struct request *rq, const char *data, size_t size)
{
	data = session_result(rq, data, size);
	op_reply(rq, fuse_reply_buf(rq->token, data, size));
}

void op_fill_entry(const struct dir_entry *entry, struct fuse_entry_param *e)
{
	os_handed_over(entry->inode);
	*e = (struct fuse_entry_param){
		.ino = inode_nodeid(entry->inode),
		.generation = entry->inode->mapping.id,
		.attr = entry->attr,
		.attr_timeout = CACHE_SECONDS,
		.entry_timeout = CACHE_SECONDS,
	};
}

void op_end_entry(struct request *rq, int err, struct dir_entry *entry)
{
	struct fuse_entry_param e;

	if (err) {
		op_end_err(rq, err);
		return;
	}
	op_fill_entry(entry, &e);
	if (op_reply(rq, fuse_reply_entry(rq->token, &e)) < 0)
		inode_forget(entry->inode, 1); /* (3) */
	inode_put(entry->inode);
	if (args_of(rq)->other)
		inode_put(args_of(rq)->other);
	session_end(rq);
}

void op_end_attr(struct request *rq, int err)
{
	struct stat st;

	if (!err)
		err = rq->vol->ops->getattr(rq->inode, &st);
	if (err) {
		op_end_err(rq, err);
		return;
	}
	op_reply(rq, fuse_reply_attr(rq->token, &st, CACHE_SECONDS));
	session_end(rq);
}

bool op_control_done(fuse_req_t req, fuse_ino_t ino, int error)
{
	if (!control_has(ino))
		return false;
	fuse_reply_err(req, error);
	return true;
}

/* --- the connection, and the volume ---------------------------------------- */

static void want(struct fuse_conn_info *conn, uint64_t flag)
{
	if (fuse_get_feature_flag(conn, flag))
		fuse_set_feature_flag(conn, flag);
}

/*
 * In a small budget no more than can be held back when there is no room for
 * what the kernel reads: half of what the rings take.
 */
static unsigned int max_background(const struct session *s)
{
	unsigned int held = os_nr_cpus() * s->depth / 2;

	if (s->depth == 0 || s->vol->mm->arena.size >= SMALL_BUDGET)
		return MAX_BACKGROUND;
	return min_of(max_of(held, 4u), (unsigned int)MAX_BACKGROUND);
}

/*
 * The kernel drops its copies before and after a direct write; but of one that it
 * does not wait for (io_submit(2)) only before: a reader who comes in between
 * leaves a copy there that is old for ever. Where there are copies, it waits.
 */
static void choose_async_dio(const struct volume *vol,
			     struct fuse_conn_info *conn)
{
	if (vol->cache == CACHE_USER)
		want(conn, FUSE_CAP_ASYNC_DIO);
	else
		fuse_unset_feature_flag(conn, FUSE_CAP_ASYNC_DIO);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *s = userdata;
	size_t max = s->vol->fs->request_max;

	want(conn, FUSE_CAP_ATOMIC_O_TRUNC);
	if (s->vol->acl)
		want(conn, FUSE_CAP_POSIX_ACL);
	want(conn, FUSE_CAP_DONT_MASK); /* a default ACL takes its place */
	want(conn, FUSE_CAP_ASYNC_READ);
	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	want(conn, FUSE_CAP_READDIRPLUS);
	want(conn, FUSE_CAP_READDIRPLUS_AUTO);
	want(conn, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
	want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA);
	/* What is spliced cannot stay in a buffer of ours. */
	fuse_unset_feature_flag(conn, FUSE_CAP_SPLICE_READ);
	fuse_unset_feature_flag(conn, FUSE_CAP_SPLICE_WRITE);
	fuse_unset_feature_flag(conn, FUSE_CAP_SPLICE_MOVE);
	fuse_unset_feature_flag(conn, FUSE_CAP_AUTO_INVAL_DATA);
	choose_async_dio(s->vol, conn);
	if (s->vol->cache == CACHE_WRITEBACK)
		want(conn, FUSE_CAP_WRITEBACK_CACHE);
	else
		fuse_unset_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE);
	conn->max_write = (uint32_t)max;
	conn->max_read = (uint32_t)max;
	conn->max_readahead = (uint32_t)max;
	conn->max_background = max_background(s);
	conn->congestion_threshold = conn->max_background * 3 / 4;
	conn->time_gran = 1;
	conn->no_interrupt = 1;
	conn->request_timeout = REQUEST_TIMEOUT_S;
	/* Asked for by an option, not by libfuse's variable. */
	if (!s->uring)
		fuse_unset_feature_flag(conn, FUSE_CAP_OVER_IO_URING);
	session_note_init(s);
}

static void run_statfs(struct request *rq)
{
	struct statvfs st;
	int err = rq->vol->ops->statfs(rq->vol, &st);

	if (err) {
		op_end_err(rq, err);
		return;
	}
	op_reply(rq, fuse_reply_statfs(rq->token, &st));
	session_end(rq);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	session_note_probe(session_of(req), fuse_req_is_uring(req));
	op_queue(op_defer(req, control_has(ino) ? FUSE_ROOT_ID : ino),
		 REQUEST_SERVE, run_statfs);
}

const struct fuse_lowlevel_ops fuse_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.tmpfile = op_tmpfile,
	.release = op_release,
	.read = op_read,
	.write = op_write,
	.fsync = op_fsync,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
};
