/* fuse_file.c - requests for what is in a file. */
#include "fs/fuse_copy.h"

#include "fs/io_path.h"
#include "fs/seek.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* --- open files ------------------------------------------------------------ */

static void fill_file_info(struct fuse_file_info *fi, struct open_file *file,
			   int flags)
{
	os_handed_over(file);
	*fi = (struct fuse_file_info){
		.flags = flags,
		.fh = (uintptr_t)file,
	};
	copy_choose(file->inode, fi);
	/* Where it goes the kernel does not know: no page of it can be kept. */
	if (file->append_only)
		fi->direct_io = 1;
}

/*
 * The open file that a request names: nobody else makes one of a number. NULL:
 * it is one of the taker's, with which there is nothing to be done but what
 * fs/fuse_copy.c does, whoever has got hold of it; that is answered.
 */
static struct open_file *file_or_answer(fuse_req_t req,
					const struct fuse_file_info *fi)
{
	struct open_file *file = (struct open_file *)(uintptr_t)fi->fh;

	if (copy_is_takers(fi)) {
		fuse_reply_err(req, EBADF);
		return NULL;
	}
	os_received(file);
	return file;
}

/*
 * Attributes changed without a reply that says so. A negative offset: attributes
 * only, which waits for nothing.
 */
static void forget_attributes(struct request *rq)
{
	struct session *s = rq->vol->session;

	fuse_lowlevel_notify_inval_inode(s->se, inode_nodeid(rq->inode), -1, 0);
}

static void run_open(struct request *rq)
{
	int flags = args_of(rq)->flags;
	struct fuse_file_info fi;
	struct open_file *file;
	int err = open_file_open(rq->inode, flags, !args_of(rq)->valid, &file);

	if (err) {
		op_end_err(rq, err);
		return;
	}
	if (open_file_note_access(file, flags))
		forget_attributes(rq);
	fill_file_info(&fi, file, flags);
	if (op_reply(rq, fuse_reply_open(rq->token, &fi)) < 0)
		open_file_release(file);
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

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		control_reply_open(req, ino, fi);
		return;
	}
	if (copy_open(req, ino, fi))
		return;
	rq = op_defer(req, ino);
	args_of(rq)->flags = fi->flags;
	args_of(rq)->valid = fi->kill_suidgid;
	op_queue(rq, fi->flags & O_TRUNC ? REQUEST_SYNC : REQUEST_SERVE,
		 run_open);
}

static void run_create(struct request *rq)
{
	struct args *a = args_of(rq);
	struct dir_make make = {
		.name = a->name,
		.mode = (a->mode & ~(mode_t)S_IFMT) | S_IFREG,
		.exclusive = a->flags & O_EXCL,
		.to_open = true,
		.caller = a->caller,
	};
	struct fuse_entry_param e;
	struct fuse_file_info fi;
	struct dir_entry entry;
	struct open_file *file;
	int err = open_file_create(rq->inode, &make, a->flags, &entry, &file);

	if (err) {
		op_end_err(rq, err);
		return;
	}
	op_fill_entry(&entry, &e);
	fill_file_info(&fi, file, a->flags);
	if (op_reply(rq, fuse_reply_create(rq->token, &e, &fi)) < 0) {
		inode_forget(entry.inode, 1); /* (3) */
		open_file_release(file);
	}
	session_end(rq);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct request *rq;

	if (op_control_refuse(req, parent, name))
		return;
	rq = op_defer(req, parent);
	args_of(rq)->name = name;
	args_of(rq)->mode = mode;
	args_of(rq)->flags = fi->flags;
	op_queue(rq, REQUEST_NAME, run_create);
}

void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode,
		struct fuse_file_info *fi)
{
	struct request *rq;

	if (op_control_done(req, parent, EPERM))
		return;
	rq = op_defer(req, parent);
	args_of(rq)->mode = mode;
	args_of(rq)->flags = fi->flags;
	op_queue(rq, REQUEST_NAME, run_create);
}

static void run_release(struct request *rq)
{
	open_file_release(args_of(rq)->file);
	op_end_err(rq, 0);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_file *file;
	struct request *rq;

	if (control_has(ino)) {
		control_release(session_of(req)->vol->control, (int)fi->fh);
		fuse_reply_err(req, 0);
		return;
	}
	if (copy_release(req, fi))
		return;
	file = file_or_answer(req, fi);
	if (!file)
		return;
	rq = op_defer(req, ino);
	args_of(rq)->file = file;
	op_queue(rq, REQUEST_SERVE, run_release);
}

/* --- reading and writing --------------------------------------------------- */

static void copy_pages(const struct request *rq, char *to)
{
	size_t from = rq->offset & PAGE_MASK, left = rq->size;

	for (unsigned int i = 0; i < rq->nr_pages; i++) {
		size_t len = min_of(PAGE_SIZE - from, left);
		const char *page =
			page_address(&rq->vol->mm->arena, rq->pages[i]);

		memcpy(to, page + from, len);
		to += len;
		left -= len;
		from = 0;
	}
	ASSERT(left == 0);
}

/* On a ring they are copied, before the reply; else libfuse does. */
static void reply_pages(fuse_req_t req, const struct request *rq)
{
	struct iovec iov[REQUEST_PAGES_MAX];
	char *payload = session_payload(req);
	size_t from = rq->offset & PAGE_MASK, left = rq->size;

	op_hand_over(rq);
	if (payload) {
		copy_pages(rq, payload);
		op_reply(rq, fuse_reply_buf(req, payload, rq->size));
		return;
	}
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

static void end_read(struct request *rq)
{
	if (rq->nr_pages == 0 && rq->data)
		op_reply_data(rq, rq->data, rq->size);
	else
		reply_pages(rq->token, rq);
	rw_read_end(rq);
	session_end(rq);
}

static void control_reply_read(fuse_req_t req, size_t size, off_t offset,
			       struct fuse_file_info *fi)
{
	struct control *c = session_of(req)->vol->control;
	char *payload = session_payload(req);
	const char *data = NULL;
	size_t n = control_read(c, (int)fi->fh, (uint64_t)offset, size, &data);

	if (payload && n > 0)
		data = memcpy(payload, data, n);
	control_read_end(c, (int)fi->fh);
	fuse_reply_buf(req, data, n);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	     struct fuse_file_info *fi)
{
	struct session *s = session_of(req);
	struct request hit, *rq;
	bool fits;

	if (control_has(ino)) {
		control_reply_read(req, size, offset, fi);
		return;
	}
	hit.file = file_or_answer(req, fi);
	if (!hit.file)
		return;
	hit.vol = s->vol;
	hit.lane = uring_lane();
	hit.inode = inode_of(s, ino);
	hit.offset = (uint64_t)offset;
	hit.size = min_of(size, s->vol->fs->request_max);
	hit.kept = copy_is_kept(fi);
	if (io_read_try(&hit, &fits)) {
		reply_pages(req, &hit);
		rw_read_end(&hit);
		return;
	}
	vmstat_inc(s->vol->mm, PATH_MISS);
	rq = op_defer(req, ino);
	session_return_buffer(rq);
	io_read_go_on(rq, &hit, fits);
}

static void end_write(struct request *rq)
{
	op_reply(rq, fuse_reply_write(rq->token, rq->done));
	session_end(rq);
}

static void run_control_write(struct request *rq)
{
	int err = control_write(rq->vol->control, args_of(rq)->fh, rq->data,
				rq->size);

	if (err)
		op_end_err(rq, err);
	else {
		op_reply(rq, fuse_reply_write(rq->token, rq->size));
		session_end(rq);
	}
}

const struct request_front fuse_front = {
	.end_err = op_end_err,
	.end_read = end_read,
	.end_write = end_write,
	.can_reply = uring_can_reply,
	.data_taken = session_drop_buffer,
	.mode_changed = forget_attributes,
};

/* A control file that may wait: no inode of ours, the root stands for it. */
static void control_defer_write(fuse_req_t req, fuse_ino_t ino,
				const char *data, size_t size)
{
	struct request *rq = op_defer(req, FUSE_ROOT_ID);

	rq->data = data;
	rq->size = size;
	args_of(rq)->fh = ino;
	op_queue(rq, REQUEST_SYNC, run_control_write);
}

static void control_take_write(fuse_req_t req, fuse_ino_t ino, const char *data,
			       size_t size)
{
	struct control *control = session_of(req)->vol->control;
	int err;

	if (control_waits(control, ino)) {
		control_defer_write(req, ino, data, size);
		return;
	}
	/* Not behind those who may be waiting for just that. */
	err = control_write(control, ino, data, size);
	if (err)
		fuse_reply_err(req, -err);
	else
		fuse_reply_write(req, size);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
	      off_t offset, struct fuse_file_info *fi)
{
	struct session *s = session_of(req);
	const struct io_write how = {
		.keeps_setid = !fi->kill_suidgid,
		.sync = fi->flags & (O_SYNC | O_DSYNC) || s->vol->sync,
		.data_only = !s->vol->sync && (fi->flags & O_SYNC) != O_SYNC,
	};
	struct request hit, *rq;
	enum io_write_path path;
	uint64_t pause;
	int err;

	if (control_has(ino)) {
		control_take_write(req, ino, data, size);
		return;
	}
	if (copy_write(req, ino, size, offset, fi))
		return;
	/* What a mapping had: it is dropped by the crash. */
	if (fi->writepage && atomic_load(&s->vol->crashing)) {
		fuse_reply_write(req, size);
		return;
	}
	hit.file = file_or_answer(req, fi);
	if (!hit.file)
		return;
	hit.vol = s->vol;
	hit.inode = inode_of(s, ino);
	hit.data = data;
	hit.offset = (uint64_t)offset;
	hit.size = size;
	hit.done = 0;
	hit.mapped = fi->writepage;
	hit.kept = copy_is_kept(fi);
	path = io_write_try(&hit, &how, &err, &pause);
	if (path == IO_WRITE_ENDED) {
		op_hand_over(&hit);
		if (err)
			fuse_reply_err(req, -err);
		else
			fuse_reply_write(req, hit.done);
		return;
	}
	rq = op_defer(req, ino);
	if (io_write_is_taken(path))
		session_return_buffer(rq);
	io_write_go_on(rq, &hit, &how, path, pause);
}

static void run_fsync(struct request *rq)
{
	op_end_err(rq, open_file_sync(rq->file, args_of(rq)->flags));
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	struct open_file *file;
	struct request *rq;

	if (op_control_done(req, ino, 0))
		return;
	file = file_or_answer(req, fi);
	if (!file)
		return;
	rq = op_defer(req, ino);
	rq->file = file;
	args_of(rq)->flags = datasync;
	op_queue(rq, REQUEST_SYNC, run_fsync);
}

static void run_fallocate(struct request *rq)
{
	struct args *a = args_of(rq);
	/* The kernel does not say if it is by one who may keep set-id bits. */
	int err = io_fallocate(rq, a->flags, (uint64_t)a->length,
			       a->caller.uid == 0);

	op_end_err(rq, err);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
		  off_t length, struct fuse_file_info *fi)
{
	struct request *rq;

	(void)fi;
	if (op_control_done(req, ino, EPERM))
		return;
	rq = op_defer(req, ino);
	rq->offset = (uint64_t)offset;
	args_of(rq)->flags = mode;
	args_of(rq)->length = length;
	op_queue(rq, REQUEST_SYNC, run_fallocate);
}

static void run_lseek(struct request *rq)
{
	int64_t at = seek_find(rq->inode, rq->offset, args_of(rq)->flags);

	if (at < 0) {
		op_end_err(rq, (int)at);
		return;
	}
	op_reply(rq, fuse_reply_lseek(rq->token, at));
	session_end(rq);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
	      struct fuse_file_info *fi)
{
	struct request *rq;

	(void)fi;
	if (op_control_done(req, ino, EINVAL))
		return;
	rq = op_defer(req, ino);
	rq->offset = (uint64_t)offset;
	args_of(rq)->flags = whence;
	op_queue(rq, REQUEST_SYNC, run_lseek);
}
