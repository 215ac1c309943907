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
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)
#include "fs/fuse_ops.h"

#include "fs/control.h"
#include "fs/dir.h"
#include "fs/file.h"
#include "fs/fuse_session.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <linux/limits.h>
#include <sys/xattr.h>
#include <unistd.h>

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

/* Arguments of a deferred request; which ones depends on the operation. */
struct args {
	const char *name, *new_name; /* (1) */
	uint64_t fh;
	int flags;
	int valid;
	mode_t mode;
	dev_t rdev;
	off_t length;
	struct cred caller;
	struct inode *other; /* with a ref */
	struct stat attr;
};
_Static_assert(sizeof(struct args) <= REQUEST_ARGS, "see fs/request.h");

static struct args *args_of(struct request *rq)
{
	return (struct args *)rq->args;
}

static struct session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct inode *inode_of(struct session *s, fuse_ino_t ino)
{
	if (ino == FUSE_ROOT_ID)
		return s->vol->root;
	return (struct inode *)(uintptr_t)ino;
}

/* Begin to defer; the caller fills in the arguments, and queues it. */
static struct request *defer(fuse_req_t req, fuse_ino_t ino)
{
	struct session *s = session_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct request *rq = session_defer(s, req, inode_of(s, ino));

	*args_of(rq) = (struct args){
		.caller = { ctx->uid, ctx->gid, ctx->umask },
	};
	return rq;
}

static void queue(struct request *rq, enum request_class class,
		  void (*run)(struct request *rq))
{
	rq->run = run;
	request_queue(&rq->fs->requests, rq, class);
}

/* --- replies -------------------------------------------------------------- */

/* err: 0 or -errno. */
static void end_err(struct request *rq, int err)
{
	if (args_of(rq)->other)
		inode_put(args_of(rq)->other);
	fuse_reply_err(rq->token, -err);
	session_end(rq);
}

static void fill_entry(const struct dir_entry *entry,
		       struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = inode_nodeid(entry->inode),
		.generation = entry->inode->mapping.id,
		.attr = entry->attr,
		.attr_timeout = CACHE_SECONDS,
		.entry_timeout = CACHE_SECONDS,
	};
}

static void end_entry(struct request *rq, int err, struct dir_entry *entry)
{
	struct fuse_entry_param e;

	if (err) {
		end_err(rq, err);
		return;
	}
	fill_entry(entry, &e);
	if (fuse_reply_entry(rq->token, &e) < 0)
		inode_forget(entry->inode, 1); /* (3) */
	inode_put(entry->inode);
	if (args_of(rq)->other)
		inode_put(args_of(rq)->other);
	session_end(rq);
}

static void end_attr(struct request *rq, int err)
{
	struct stat st;

	if (!err)
		err = inode_getattr(rq->inode, &st);
	if (err) {
		end_err(rq, err);
		return;
	}
	fuse_reply_attr(rq->token, &st, CACHE_SECONDS);
	session_end(rq);
}

/* --- the connection -------------------------------------------------------- */

static void want(struct fuse_conn_info *conn, uint64_t flag)
{
	if (fuse_get_feature_flag(conn, flag))
		fuse_set_feature_flag(conn, flag);
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct session *s = userdata;
	size_t max = s->vol->fs->request_max;

	want(conn, FUSE_CAP_ATOMIC_O_TRUNC);
	want(conn, FUSE_CAP_POSIX_ACL);
	want(conn, FUSE_CAP_DONT_MASK); /* a default ACL takes its place */
	want(conn, FUSE_CAP_ASYNC_READ);
	want(conn, FUSE_CAP_ASYNC_DIO);
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
	fuse_unset_feature_flag(conn, FUSE_CAP_WRITEBACK_CACHE);
	conn->max_write = (uint32_t)max;
	conn->max_read = (uint32_t)max;
	conn->max_readahead = (uint32_t)max;
	conn->max_background = MAX_BACKGROUND;
	conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
	conn->time_gran = 1;
	conn->no_interrupt = 1;
	conn->request_timeout = REQUEST_TIMEOUT_S;
	session_note_init(s);
}

/* --- names ----------------------------------------------------------------- */

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

/* A change of a name in the control directory, or of the directory itself. */
static bool refuse_control(fuse_req_t req, fuse_ino_t parent, const char *name)
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
	int err = dir_lookup(rq->inode, args_of(rq)->name, &entry);

	end_entry(rq, err, &entry);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
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
	rq = defer(req, parent);
	args_of(rq)->name = name;
	queue(rq, REQUEST_SERVE, run_lookup);
}

static void forget(struct session *s, fuse_ino_t ino, uint64_t n)
{
	if (ino != FUSE_ROOT_ID && !control_has(ino))
		inode_forget(inode_of(s, ino), n);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(session_of(req), ino, n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
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
	int err = dir_make(rq->inode, &make, &entry);

	end_entry(rq, err, &entry);
}

static void defer_make(fuse_req_t req, fuse_ino_t parent,
		       const struct dir_make *make)
{
	struct request *rq;

	if (refuse_control(req, parent, make->name))
		return;
	rq = defer(req, parent);
	args_of(rq)->name = make->name;
	args_of(rq)->mode = make->mode;
	args_of(rq)->rdev = make->rdev;
	args_of(rq)->new_name = make->target;
	queue(rq, REQUEST_NAME, run_make);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	defer_make(
		req, parent,
		&(struct dir_make){ .name = name, .mode = mode, .rdev = rdev });
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	defer_make(req, parent,
		   &(struct dir_make){ .name = name,
				       .mode = (mode & ~(mode_t)S_IFMT) |
					       S_IFDIR });
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
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

	end_err(rq, dir_unlink(rq->inode, a->name, S_ISDIR(a->mode)));
}

static void defer_unlink(fuse_req_t req, fuse_ino_t parent, const char *name,
			 mode_t type)
{
	struct request *rq;

	if (refuse_control(req, parent, name))
		return;
	rq = defer(req, parent);
	args_of(rq)->name = name;
	args_of(rq)->mode = type;
	queue(rq, REQUEST_SERVE, run_unlink);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	defer_unlink(req, parent, name, S_IFREG);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	defer_unlink(req, parent, name, S_IFDIR);
}

static void run_rename(struct request *rq)
{
	struct args *a = args_of(rq);

	end_err(rq, dir_rename(rq->inode, a->name, a->other, a->new_name,
			       (unsigned int)a->flags));
}

/* A second inode of a request, which needs a ref of its own. */
static struct inode *other_inode(fuse_req_t req, fuse_ino_t ino)
{
	struct inode *inode = inode_of(session_of(req), ino);

	inode_ref(inode);
	return inode;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t new_parent, const char *new_name,
		      unsigned int flags)
{
	struct request *rq;

	if (refuse_control(req, parent, name) ||
	    refuse_control(req, new_parent, new_name))
		return;
	rq = defer(req, parent);
	args_of(rq)->name = name;
	args_of(rq)->new_name = new_name;
	args_of(rq)->flags = (int)flags;
	args_of(rq)->other = other_inode(req, new_parent);
	queue(rq, REQUEST_SYNC, run_rename);
}

static void run_link(struct request *rq)
{
	struct args *a = args_of(rq);
	struct dir_entry entry;
	int err = dir_link(rq->inode, a->other, a->name, &entry);

	end_entry(rq, err, &entry);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
		    const char *new_name)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	if (refuse_control(req, new_parent, new_name))
		return;
	rq = defer(req, ino);
	args_of(rq)->name = new_name;
	args_of(rq)->other = other_inode(req, new_parent);
	queue(rq, REQUEST_NAME, run_link);
}

static void run_readlink(struct request *rq)
{
	char target[PATH_MAX];
	int err = dir_readlink(rq->inode, target, sizeof(target));

	if (err) {
		end_err(rq, err);
		return;
	}
	fuse_reply_readlink(rq->token, target);
	session_end(rq);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	queue(defer(req, ino), REQUEST_SERVE, run_readlink);
}

/* --- attributes ------------------------------------------------------------ */

static void run_getattr(struct request *rq)
{
	end_attr(rq, 0);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (control_has(ino)) {
		if (control_getattr(session_of(req)->vol->control, ino, &st) <
		    0)
			fuse_reply_err(req, ENOENT);
		else
			fuse_reply_attr(req, &st, 0);
		return;
	}
	queue(defer(req, ino), REQUEST_SERVE, run_getattr);
}

/* chmod(2) on whatever fd is, O_PATH too. */
static int set_mode(int fd, mode_t mode)
{
	char path[32];

	return chmod(backing_fd_path(fd, path), mode) < 0 ? -errno : 0;
}

static int set_owner(int fd, const struct args *a)
{
	uid_t uid = a->valid & FUSE_SET_ATTR_UID ? a->attr.st_uid : (uid_t)-1;
	gid_t gid = a->valid & FUSE_SET_ATTR_GID ? a->attr.st_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_times(struct inode *inode, int fd, const struct args *a)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT },
				  { .tv_nsec = UTIME_OMIT } };

	if (a->valid & FUSE_SET_ATTR_ATIME_NOW)
		ts[0] = os_realtime();
	else if (a->valid & FUSE_SET_ATTR_ATIME)
		ts[0] = a->attr.st_atim;
	if (a->valid & FUSE_SET_ATTR_MTIME_NOW)
		ts[1] = os_realtime();
	else if (a->valid & FUSE_SET_ATTR_MTIME)
		ts[1] = a->attr.st_mtim;
	return file_set_times(inode, fd, ts);
}

/* Who writes or cuts a file without the right to keep them: bits off. */
static int kill_suid(struct inode *inode)
{
	struct stat st;
	mode_t mode;
	int fd, err;

	if (!atomic_load(&inode->has_suid))
		return 0;
	fd = inode_path_get(inode);
	if (fd < 0)
		return fd;
	err = fstatat(fd, "", &st, AT_EMPTY_PATH) < 0 ? -errno : 0;
	mode = st.st_mode & ~(mode_t)S_ISUID;
	if (mode & S_IXGRP) /* else it means mandatory locking */
		mode &= ~(mode_t)S_ISGID;
	if (!err && mode != st.st_mode)
		err = set_mode(fd, mode & ~(mode_t)S_IFMT);
	inode_path_put(inode, fd);
	if (!err)
		atomic_store(&inode->has_suid, false);
	return err;
}

static int setattr(struct inode *inode, const struct args *a)
{
	int fd = inode_path_get(inode);
	int err = 0;

	if (fd < 0)
		return fd;
	if (a->valid & FUSE_SET_ATTR_SIZE)
		err = file_truncate(inode, (uint64_t)a->attr.st_size);
	if (!err && (a->valid & FUSE_SET_ATTR_KILL_SUID))
		err = kill_suid(inode);
	if (!err && (a->valid & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)))
		err = set_owner(fd, a);
	if (!err && (a->valid & FUSE_SET_ATTR_MODE))
		err = set_mode(fd, a->attr.st_mode & ~(mode_t)S_IFMT);
	if (!err &&
	    (a->valid & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW |
			 FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)))
		err = set_times(inode, fd, a);
	inode_path_put(inode, fd);
	return err;
}

static void run_setattr(struct request *rq)
{
	end_attr(rq, setattr(rq->inode, args_of(rq)));
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int valid, struct fuse_file_info *fi)
{
	struct request *rq;
	struct stat st;

	(void)fi;
	if (control_has(ino)) {
		/* "echo 1 >file" truncates first; let it. */
		if (!(valid & FUSE_SET_ATTR_SIZE) ||
		    control_getattr(session_of(req)->vol->control, ino, &st) <
			    0)
			fuse_reply_err(req, EPERM);
		else
			fuse_reply_attr(req, &st, 0);
		return;
	}
	rq = defer(req, ino);
	args_of(rq)->attr = *attr;
	args_of(rq)->valid = valid;
	/* A cut waits for writeback. */
	queue(rq, valid & FUSE_SET_ATTR_SIZE ? REQUEST_SYNC : REQUEST_SERVE,
	      run_setattr);
}

/* --- open files ------------------------------------------------------------ */

static void fill_file_info(struct fuse_file_info *fi, struct open_file *file,
			   int flags)
{
	*fi = (struct fuse_file_info){
		.flags = flags,
		.fh = (uintptr_t)file,
		.direct_io = 1,
		.parallel_direct_writes = 1,
		.keep_cache = 1,
		.noflush = 1,
	};
}

static void run_open(struct request *rq)
{
	struct fuse_file_info fi;
	struct open_file *file;
	int err, flags = args_of(rq)->flags;

	inode_ref(rq->inode);
	file = file_open(rq->inode, flags, &err);
	if (!file) {
		inode_put(rq->inode);
		end_err(rq, err);
		return;
	}
	if (flags & O_TRUNC)
		err = file_truncate(rq->inode, 0);
	if (!err && args_of(rq)->valid)
		err = kill_suid(rq->inode);
	if (err) {
		file_release(file);
		end_err(rq, err);
		return;
	}
	fill_file_info(&fi, file, flags);
	if (fuse_reply_open(rq->token, &fi) < 0)
		file_release(file);
	session_end(rq);
}

static void control_reply_open(fuse_req_t req, fuse_ino_t ino,
			       struct fuse_file_info *fi)
{
	struct volume *vol = session_of(req)->vol;
	uid_t uid = fuse_req_ctx(req)->uid;
	int h = -EACCES;

	if (uid == vol->owner || uid == 0)
		h = control_open(vol->control, ino,
				 (fi->flags & O_ACCMODE) != O_RDONLY);
	else
		vmstat_inc(vol->mm, CONTROL_DENIED);
	if (h < 0) {
		fuse_reply_err(req, -h);
		return;
	}
	fi->fh = (uint64_t)h;
	fi->direct_io = 1;
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) < 0)
		control_release(vol->control, h);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		control_reply_open(req, ino, fi);
		return;
	}
	rq = defer(req, ino);
	args_of(rq)->flags = fi->flags;
	args_of(rq)->valid = fi->kill_suidgid;
	queue(rq, fi->flags & O_TRUNC ? REQUEST_SYNC : REQUEST_SERVE, run_open);
}

static void run_create(struct request *rq)
{
	struct args *a = args_of(rq);
	struct dir_make make = {
		.name = a->name,
		.mode = (a->mode & ~(mode_t)S_IFMT) | S_IFREG,
		.exclusive = a->flags & O_EXCL,
		.caller = a->caller,
	};
	struct fuse_entry_param e;
	struct fuse_file_info fi;
	struct dir_entry entry;
	struct open_file *file = NULL;
	int err = dir_make(rq->inode, &make, &entry);

	if (err) {
		end_err(rq, err);
		return;
	}
	if (a->flags & O_TRUNC && entry.attr.st_size > 0)
		err = file_truncate(entry.inode, 0);
	if (!err)
		file = file_open(entry.inode, a->flags, &err);
	if (!file) {
		inode_forget(entry.inode, 1);
		inode_put(entry.inode);
		end_err(rq, err);
		return;
	}
	if (dir_extra_mode(a->mode)) {
		entry.attr.st_mode &= ~dir_extra_mode(a->mode);
		fchmod(entry.inode->fds.buffered,
		       entry.attr.st_mode & ~(mode_t)S_IFMT);
	}
	fill_entry(&entry, &e);
	fill_file_info(&fi, file, a->flags);
	if (fuse_reply_create(rq->token, &e, &fi) < 0) {
		inode_forget(entry.inode, 1); /* (3) */
		file_release(file);
	}
	session_end(rq);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct request *rq;

	if (refuse_control(req, parent, name))
		return;
	rq = defer(req, parent);
	args_of(rq)->name = name;
	args_of(rq)->mode = mode;
	args_of(rq)->flags = fi->flags;
	queue(rq, REQUEST_NAME, run_create);
}

static void run_release(struct request *rq)
{
	file_release((struct open_file *)(uintptr_t)args_of(rq)->fh);
	end_err(rq, 0);
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		control_release(session_of(req)->vol->control, (int)fi->fh);
		fuse_reply_err(req, 0);
		return;
	}
	rq = defer(req, ino);
	args_of(rq)->fh = fi->fh;
	queue(rq, REQUEST_SERVE, run_release);
}

/* --- reading and writing --------------------------------------------------- */

static void reply_pages(fuse_req_t req, const struct request *rq)
{
	struct iovec iov[REQUEST_PAGES_MAX];
	size_t from = rq->offset & PAGE_MASK, left = rq->size;

	for (unsigned int i = 0; i < rq->nr_pages; i++) {
		size_t len = min_of(PAGE_SIZE - from, left);

		iov[i] = (struct iovec){ (char *)page_address(
						 &rq->vol->mm->arena,
						 rq->pages[i]) +
						 from,
					 len };
		left -= len;
		from = 0;
	}
	ASSERT(left == 0);
	if (rq->nr_pages <= 1)
		fuse_reply_buf(req, rq->nr_pages ? iov[0].iov_base : NULL,
			       rq->size);
	else
		fuse_reply_iov(req, iov, (int)rq->nr_pages);
}

static void finish_read(struct request *rq, int err)
{
	if (err) {
		end_err(rq, err);
		return;
	}
	if (rq->nr_pages == 0 && rq->data)
		fuse_reply_buf(rq->token, rq->data, rq->size);
	else
		reply_pages(rq->token, rq);
	file_read_end(rq);
	session_end(rq);
}

static void control_reply_read(fuse_req_t req, size_t size, off_t offset,
			       struct fuse_file_info *fi)
{
	const char *data = NULL;
	size_t n = control_read(session_of(req)->vol->control, (int)fi->fh,
				(uint64_t)offset, size, &data);

	fuse_reply_buf(req, data, n);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct session *s = session_of(req);
	struct request hit, *rq;

	if (control_has(ino)) {
		control_reply_read(req, size, offset, fi);
		return;
	}
	hit.vol = s->vol;
	hit.inode = inode_of(s, ino);
	hit.file = (struct open_file *)(uintptr_t)fi->fh;
	hit.offset = (uint64_t)offset;
	hit.size = min_of(size, s->vol->fs->request_max);
	if (file_read_hit(&hit)) {
		reply_pages(req, &hit);
		file_read_end(&hit);
		return;
	}
	vmstat_inc(s->vol->mm, PATH_MISS);
	rq = defer(req, ino);
	session_return_buffer(rq);
	rq->file = hit.file;
	rq->offset = hit.offset;
	rq->size = hit.size;
	rq->nr_pages = hit.nr_pages;
	memcpy(rq->pages, hit.pages, hit.nr_pages * sizeof(hit.pages[0]));
	rq->finish = finish_read;
	file_read_miss(rq);
}

/* O_SYNC: the answer says that it is durable. */
static void run_sync_write(struct request *rq)
{
	bool data_only = (args_of(rq)->flags & O_SYNC) != O_SYNC;
	int err = file_fsync(rq->file, data_only);

	if (err) {
		end_err(rq, err);
		return;
	}
	fuse_reply_write(rq->token, rq->done);
	session_end(rq);
}

static void finish_sync_write(struct request *rq, int err)
{
	if (err) {
		end_err(rq, err);
		return;
	}
	session_drop_buffer(rq); /* all of it was taken */
	queue(rq, REQUEST_SYNC, run_sync_write);
}

static void finish_write(struct request *rq, int err)
{
	if (err) {
		end_err(rq, err);
		return;
	}
	fuse_reply_write(rq->token, rq->done);
	session_end(rq);
}

static void run_control_write(struct request *rq)
{
	int err = control_write(rq->vol->control, args_of(rq)->fh, rq->data,
				rq->size);

	if (err)
		end_err(rq, err);
	else {
		fuse_reply_write(rq->token, rq->size);
		session_end(rq);
	}
}

/*
 * The mode changed without a reply that says so. A negative offset: attributes
 * only, which waits for nothing.
 */
static void forget_mode(struct request *rq)
{
	struct session *s = rq->vol->session;

	fuse_lowlevel_notify_inval_inode(s->se, inode_nodeid(rq->inode), -1, 0);
}

static void run_suid_write(struct request *rq)
{
	int err = kill_suid(rq->inode);

	if (err) {
		end_err(rq, err);
		return;
	}
	forget_mode(rq);
	file_write_slow(rq);
}

/* The write was taken; its answer has to wait. */
static void run_paused_write(struct request *rq)
{
	request_park(&rq->fs->requests, rq, rq->until_ns, file_write_finish);
}

static struct request *defer_write(fuse_req_t req, fuse_ino_t ino,
				   const struct request *from)
{
	struct request *rq = defer(req, ino);

	rq->file = from->file;
	rq->offset = from->offset;
	rq->size = from->size;
	rq->data = from->data;
	rq->done = from->done;
	rq->finish = finish_write;
	return rq;
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data,
		     size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct session *s = session_of(req);
	struct request hit, *rq;
	uint64_t pause = 0;
	int err;

	hit.vol = s->vol;
	hit.file = (struct open_file *)(uintptr_t)fi->fh;
	hit.data = data;
	hit.offset = (uint64_t)offset;
	hit.size = size;
	hit.done = 0;
	if (control_has(ino)) {
		/* No inode of ours: the root stands for it. */
		rq = defer_write(req, FUSE_ROOT_ID, &hit);
		args_of(rq)->fh = ino;
		queue(rq, REQUEST_SYNC, run_control_write);
		return;
	}
	hit.inode = inode_of(s, ino);
	if (fi->kill_suidgid && atomic_load(&hit.inode->has_suid)) {
		queue(defer_write(req, ino, &hit), REQUEST_GROW,
		      run_suid_write);
		return;
	}
	if (fi->flags & (O_SYNC | O_DSYNC) || s->vol->sync) {
		rq = defer_write(req, ino, &hit);
		args_of(rq)->flags = s->vol->sync ? O_SYNC : fi->flags;
		rq->finish = finish_sync_write;
		queue(rq, REQUEST_GROW, file_write_slow);
	} else if (!file_write_hit(&hit, &err, &pause)) {
		queue(defer_write(req, ino, &hit), REQUEST_GROW,
		      file_write_slow);
	} else if (err) {
		fuse_reply_err(req, -err);
	} else if (pause == 0) {
		fuse_reply_write(req, hit.done);
	} else {
		rq = defer_write(req, ino, &hit);
		session_return_buffer(rq);
		rq->until_ns = pause;
		queue(rq, REQUEST_GROW, run_paused_write);
	}
}

static void run_fsync(struct request *rq)
{
	end_err(rq, file_fsync(rq->file, args_of(rq)->flags));
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_err(req, 0);
		return;
	}
	rq = defer(req, ino);
	rq->file = (struct open_file *)(uintptr_t)fi->fh;
	args_of(rq)->flags = datasync;
	queue(rq, REQUEST_SYNC, run_fsync);
}

static void run_fallocate(struct request *rq)
{
	struct args *a = args_of(rq);

	end_err(rq, file_fallocate(rq->inode, a->flags, rq->offset,
				   (uint64_t)a->length));
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
			 off_t length, struct fuse_file_info *fi)
{
	struct request *rq;

	(void)fi;
	if (control_has(ino)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	rq = defer(req, ino);
	rq->offset = (uint64_t)offset;
	args_of(rq)->flags = mode;
	args_of(rq)->length = length;
	queue(rq, REQUEST_SYNC, run_fallocate);
}

static void run_lseek(struct request *rq)
{
	int64_t at = file_seek(rq->inode, rq->offset, args_of(rq)->flags);

	if (at < 0) {
		end_err(rq, (int)at);
		return;
	}
	fuse_reply_lseek(rq->token, at);
	session_end(rq);
}

static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	struct request *rq;

	(void)fi;
	if (control_has(ino)) {
		fuse_reply_err(req, EINVAL);
		return;
	}
	rq = defer(req, ino);
	rq->offset = (uint64_t)offset;
	args_of(rq)->flags = whence;
	queue(rq, REQUEST_SYNC, run_lseek);
}

/* --- directories ----------------------------------------------------------- */

static void run_opendir(struct request *rq)
{
	struct fuse_file_info fi = { .flags = args_of(rq)->flags };
	struct dir_stream *stream;
	int err;

	inode_ref(rq->inode);
	stream = dir_open(rq->inode, &err);
	if (!stream) {
		inode_put(rq->inode);
		end_err(rq, err);
		return;
	}
	fi.fh = (uintptr_t)stream;
	if (fuse_reply_open(rq->token, &fi) < 0)
		dir_close(stream);
	session_end(rq);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_open(req, fi);
		return;
	}
	rq = defer(req, ino);
	args_of(rq)->flags = fi->flags;
	queue(rq, REQUEST_SERVE, run_opendir);
}

static void run_releasedir(struct request *rq)
{
	dir_close((struct dir_stream *)(uintptr_t)args_of(rq)->fh);
	end_err(rq, 0);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_err(req, 0);
		return;
	}
	rq = defer(req, ino);
	args_of(rq)->fh = fi->fh;
	queue(rq, REQUEST_SERVE, run_releasedir);
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
	struct fuse_entry_param e = { .attr = { .st_ino = n->ino,
						.st_mode = n->type } };
	struct dir_entry entry = { .inode = NULL };
	size_t need;

	/* A name that is gone meanwhile is listed without attributes. */
	if (!is_dot(n->name) && dir_lookup(l->rq->inode, n->name, &entry) == 0)
		fill_entry(&entry, &e);
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

static bool list_name(void *arg, const struct dir_name *n)
{
	struct listing *l = arg;

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
	err = dir_read((struct dir_stream *)(uintptr_t)a->fh, rq->offset,
		       list_name, &l);
	if (err && l.len == 0) {
		end_err(rq, err);
		return;
	}
	fuse_reply_buf(rq->token, l.buf, l.len);
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
	struct request *rq = defer(req, ino);

	rq->offset = (uint64_t)offset;
	rq->size = min_of(size, rq->fs->request_max);
	args_of(rq)->fh = fi->fh;
	args_of(rq)->flags = plus;
	queue(rq, REQUEST_SERVE, run_readdir);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size,
		       off_t offset, struct fuse_file_info *fi)
{
	if (control_has(ino))
		control_reply_readdir(req, ino, size, offset, false);
	else
		defer_readdir(req, ino, size, offset, fi, 0);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t offset, struct fuse_file_info *fi)
{
	if (control_has(ino))
		control_reply_readdir(req, ino, size, offset, true);
	else
		defer_readdir(req, ino, size, offset, fi, 1);
}

static void run_fsyncdir(struct request *rq)
{
	struct dir_stream *s = (struct dir_stream *)(uintptr_t)args_of(rq)->fh;

	end_err(rq, page_io_sync(rq->fs->mm->io, s->fd, args_of(rq)->flags));
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
			struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_err(req, 0);
		return;
	}
	rq = defer(req, ino);
	args_of(rq)->fh = fi->fh;
	args_of(rq)->flags = datasync;
	queue(rq, REQUEST_SYNC, run_fsyncdir);
}

static void run_statfs(struct request *rq)
{
	struct space *s = &rq->vol->space;
	struct statvfs st;
	uint64_t blocks;

	if (fstatvfs(rq->vol->root_fd, &st) < 0) {
		end_err(rq, -errno);
		return;
	}
	/* What is dirty is as good as written. */
	mutex_lock(&s->lock);
	blocks = s->reserved / st.f_frsize;
	mutex_unlock(&s->lock);
	st.f_bfree -= min_of((uint64_t)st.f_bfree, blocks);
	st.f_bavail -= min_of((uint64_t)st.f_bavail, blocks);
	fuse_reply_statfs(rq->token, &st);
	session_end(rq);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	queue(defer(req, control_has(ino) ? FUSE_ROOT_ID : ino), REQUEST_SERVE,
	      run_statfs);
}

/* --- extended attributes --------------------------------------------------- */

/* Call one of the l*xattr functions on what a descriptor stands for. */
static void run_getxattr(struct request *rq)
{
	struct args *a = args_of(rq);
	int fd = inode_path_get(rq->inode);
	char path[32];
	ssize_t n;

	if (fd < 0) {
		end_err(rq, fd);
		return;
	}
	/* The name is in the buffer's first page, the value goes behind. */
	char *value = session_buffer(rq, rq->size + PAGE_SIZE) + PAGE_SIZE;

	backing_fd_path(fd, path);
	n = a->name ? getxattr(path, a->name, value, rq->size)
		    : listxattr(path, value, rq->size);
	if (n < 0)
		n = -errno;
	inode_path_put(rq->inode, fd);
	if (n < 0) {
		end_err(rq, (int)n);
		return;
	}
	if (rq->size == 0)
		fuse_reply_xattr(rq->token, (size_t)n);
	else
		fuse_reply_buf(rq->token, value, (size_t)n);
	session_end(rq);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			size_t size)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_err(req, ENODATA);
		return;
	}
	rq = defer(req, ino);
	rq->size = min_of(size, (size_t)XATTR_SIZE_MAX);
	args_of(rq)->name = name;
	queue(rq, REQUEST_SERVE, run_getxattr);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	op_getxattr(req, ino, NULL, size);
}

static void run_setxattr(struct request *rq)
{
	struct args *a = args_of(rq);
	int err = 0, fd = inode_path_get(rq->inode);
	char path[32];

	if (fd < 0) {
		end_err(rq, fd);
		return;
	}
	backing_fd_path(fd, path);
	if ((rq->data ? setxattr(path, a->name, rq->data, rq->size, a->flags)
		      : removexattr(path, a->name)) < 0)
		err = -errno;
	inode_path_put(rq->inode, fd);
	end_err(rq, err);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	struct request *rq;

	if (control_has(ino)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	rq = defer(req, ino);
	rq->data = value;
	rq->size = size;
	args_of(rq)->name = name;
	args_of(rq)->flags = flags;
	queue(rq, REQUEST_GROW, run_setxattr);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	op_setxattr(req, ino, name, NULL, 0, 0);
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
