/* fuse_file.c - requests for what is in a file. */
#include "fs/fuse_copy.h"

#include "fs/read_write.h"

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
	copy_choose(file->inode, flags, fi);
}

static struct open_file *file_of(uint64_t fh)
{
	struct open_file *file = (struct open_file *)(uintptr_t)fh;

	os_received(file);
	return file;
}

static void run_open(struct request *rq)
{
	struct fuse_file_info fi;
	struct open_file *file = open_file_alloc(rq->vol);
	int err, flags = args_of(rq)->flags;

	if (!file) {
		op_end_err(rq, -ENOMEM);
		return;
	}
	inode_ref(rq->inode);
	err = open_file_begin(file, rq->inode, flags);
	if (err) {
		open_file_free(rq->vol, file);
		inode_put(rq->inode);
		op_end_err(rq, err);
		return;
	}
	if (flags & O_TRUNC)
		err = rq->vol->ops->truncate(rq->inode, 0);
	if (!err && args_of(rq)->valid)
		err = rq->vol->ops->kill_suid(rq->inode);
	if (err) {
		open_file_release(file);
		op_end_err(rq, err);
		return;
	}
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

static int make_to_open(struct request *rq, const struct dir_make *make,
			struct dir_entry *entry)
{
	const struct volume_ops *ops = rq->vol->ops;

	if (make->name)
		return ops->make(rq->inode, make, entry);
	return ops->make_unnamed ? ops->make_unnamed(rq->inode, make, entry)
				 : -EOPNOTSUPP;
}

static void run_create(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;
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
	/* First, so that no name is left if there is none. */
	struct open_file *file = open_file_alloc(rq->vol);
	int err = file ? make_to_open(rq, &make, &entry) : -ENOROOM;

	if (err) {
		if (file)
			open_file_free(rq->vol, file);
		op_end_err(rq, err);
		return;
	}
	if (a->flags & O_TRUNC && entry.attr.st_size > 0)
		err = ops->truncate(entry.inode, 0);
	if (!err)
		err = open_file_begin(file, entry.inode, a->flags);
	if (err) {
		open_file_free(rq->vol, file);
		inode_forget(entry.inode, 1);
		inode_put(entry.inode);
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
	open_file_release(file_of(args_of(rq)->fh));
	op_end_err(rq, 0);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct request *rq;

	if (control_has(ino)) {
		control_release(session_of(req)->vol->control, (int)fi->fh);
		fuse_reply_err(req, 0);
		return;
	}
	if (copy_release(req, fi))
		return;
	rq = op_defer(req, ino);
	args_of(rq)->fh = fi->fh;
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

static void finish_read(struct request *rq, int err);

static void run_finish_read(struct request *rq)
{
	finish_read(rq, rq->err);
}

static void finish_read(struct request *rq, int err)
{
	/* A page was unlocked in the handler of another ring. */
	if (!uring_can_reply(rq)) {
		vmstat_inc(rq->vol->mm, REPLY_HANDED_OVER);
		rq->err = err;
		op_queue(rq, REQUEST_SERVE, run_finish_read);
		return;
	}
	if (err) {
		op_end_err(rq, err);
		return;
	}
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
	const char *data = NULL;
	size_t n = control_read(session_of(req)->vol->control, (int)fi->fh,
				(uint64_t)offset, size, &data);

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
	hit.vol = s->vol;
	hit.lane = uring_lane();
	hit.inode = inode_of(s, ino);
	hit.file = file_of(fi->fh);
	hit.offset = (uint64_t)offset;
	hit.size = min_of(size, s->vol->fs->request_max);
	hit.kept = copy_is_kept(fi);
	fits = !hit.kept || copy_charge(hit.inode, hit.offset, hit.size);
	hit.nr_pages = 0;
	if (fits && rw_read_hit(&hit)) {
		reply_pages(req, &hit);
		rw_read_end(&hit);
		return;
	}
	vmstat_inc(s->vol->mm, PATH_MISS);
	rq = op_defer(req, ino);
	session_return_buffer(rq);
	rq->file = hit.file;
	rq->offset = hit.offset;
	rq->size = hit.size;
	rq->nr_pages = hit.nr_pages;
	memcpy(rq->pages, hit.pages, hit.nr_pages * sizeof(hit.pages[0]));
	rq->kept = hit.kept;
	rq->finish = finish_read;
	if (fits)
		rw_read_miss(rq);
	else
		copy_wait(rq, rw_read_miss);
}

/* O_SYNC: the answer says that it is durable. */
static void run_sync_write(struct request *rq)
{
	bool data_only = (args_of(rq)->flags & O_SYNC) != O_SYNC;
	int err = open_file_sync(rq->file, data_only);

	if (err) {
		op_end_err(rq, err);
		return;
	}
	op_reply(rq, fuse_reply_write(rq->token, rq->done));
	session_end(rq);
}

static void finish_sync_write(struct request *rq, int err)
{
	if (err) {
		op_end_err(rq, err);
		return;
	}
	session_drop_buffer(rq); /* all of it was taken */
	op_queue(rq, REQUEST_SYNC, run_sync_write);
}

static void finish_write(struct request *rq, int err)
{
	if (err) {
		op_end_err(rq, err);
		return;
	}
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
	int err = rq->vol->ops->kill_suid(rq->inode);

	if (err) {
		op_end_err(rq, err);
		return;
	}
	forget_mode(rq);
	rw_write_slow(rq);
}

static struct request *defer_write(fuse_req_t req, fuse_ino_t ino,
				   const struct request *from)
{
	struct request *rq = op_defer(req, ino);

	rq->file = from->file;
	rq->offset = from->offset;
	rq->size = from->size;
	rq->data = from->data;
	rq->done = from->done;
	rq->mapped = from->mapped;
	rq->finish = finish_write;
	return rq;
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
	      off_t offset, struct fuse_file_info *fi)
{
	struct session *s = session_of(req);
	struct request hit, *rq;
	uint64_t pause = 0;
	bool fits;
	int err;

	hit.vol = s->vol;
	hit.file = NULL;
	hit.data = data;
	hit.offset = (uint64_t)offset;
	hit.size = size;
	hit.done = 0;
	hit.mapped = fi->writepage;
	if (control_has(ino) && !control_waits(s->vol->control, ino)) {
		/* Not behind those who may be waiting for just that. */
		err = control_write(s->vol->control, ino, data, size);
		if (err)
			fuse_reply_err(req, -err);
		else
			fuse_reply_write(req, size);
		return;
	}
	if (control_has(ino)) {
		/* No inode of ours: the root stands for it. */
		rq = defer_write(req, FUSE_ROOT_ID, &hit);
		args_of(rq)->fh = ino;
		op_queue(rq, REQUEST_SYNC, run_control_write);
		return;
	}
	if (copy_write(req, ino, size, offset, fi))
		return;
	/* What a mapping had: it is dropped by the crash. */
	if (fi->writepage && atomic_load(&s->vol->crashing)) {
		fuse_reply_write(req, size);
		return;
	}
	hit.file = file_of(fi->fh);
	hit.inode = inode_of(s, ino);
	/* Until the kernel has written a page back it cannot let go of it. */
	fits = !copy_is_kept(fi) || copy_charge(hit.inode, hit.offset, size) ||
	       fi->writepage;
	if (fi->kill_suidgid && s->vol->ops->has_suid(hit.inode)) {
		op_queue(defer_write(req, ino, &hit), REQUEST_GROW,
			 run_suid_write);
		return;
	}
	if (fi->flags & (O_SYNC | O_DSYNC) || s->vol->sync) {
		rq = defer_write(req, ino, &hit);
		args_of(rq)->flags = s->vol->sync ? O_SYNC : fi->flags;
		rq->finish = finish_sync_write;
		op_queue(rq, REQUEST_GROW, rw_write_slow);
	} else if (!rw_write_hit(&hit, &err, &pause)) {
		op_queue(defer_write(req, ino, &hit), REQUEST_GROW,
			 rw_write_slow);
	} else if (err) {
		op_hand_over(&hit);
		fuse_reply_err(req, -err);
	} else if (pause == 0 && fits) {
		op_hand_over(&hit);
		fuse_reply_write(req, hit.done);
	} else if (pause == 0) {
		rq = defer_write(req, ino, &hit);
		session_return_buffer(rq);
		copy_wait(rq, rw_write_finish);
	} else {
		rq = defer_write(req, ino, &hit);
		session_return_buffer(rq);
		/* It was taken; its answer has to wait. */
		if (!request_try_park(&rq->fs->requests, rq, pause,
				      rw_write_finish))
			finish_write(rq, 0);
	}
}

static void run_fsync(struct request *rq)
{
	op_end_err(rq, open_file_sync(rq->file, args_of(rq)->flags));
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi)
{
	struct request *rq;

	if (op_control_done(req, ino, 0))
		return;
	rq = op_defer(req, ino);
	rq->file = file_of(fi->fh);
	args_of(rq)->flags = datasync;
	op_queue(rq, REQUEST_SYNC, run_fsync);
}

/* It writes; but the kernel does not say if by one who may keep the bits. */
static int fallocate_kill_suid(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;
	int err;

	if (args_of(rq)->caller.uid == 0 || !ops->has_suid(rq->inode))
		return 0;
	err = ops->kill_suid(rq->inode);
	if (!err)
		forget_mode(rq);
	return err;
}

static void run_fallocate(struct request *rq)
{
	struct args *a = args_of(rq);
	int err = fallocate_kill_suid(rq);

	if (!err)
		err = rq->vol->ops->fallocate(rq->inode, a->flags, rq->offset,
					      (uint64_t)a->length);
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
	int64_t at =
		rq->vol->ops->seek(rq->inode, rq->offset, args_of(rq)->flags);

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
