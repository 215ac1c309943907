/* io_path.c - what becomes of a read or write that was not answered at once. */
#include "fs/io_path.h"

#include "fs/fs.h"

#include <string.h>

static void queue(struct request *rq, enum request_class class,
		  void (*run)(struct request *rq))
{
	rq->run = run;
	request_queue(&rq->fs->requests, rq, class);
}

static const struct request_front *front_of(const struct request *rq)
{
	return rq->vol->front;
}

/* --- reads ---------------------------------------------------------------------- */

static void finish_read(struct request *rq, int err);

static void run_finish_read(struct request *rq)
{
	finish_read(rq, rq->err);
}

static void finish_read(struct request *rq, int err)
{
	/* A page was unlocked in the handler of another ring. */
	if (!front_of(rq)->can_reply(rq)) {
		vmstat_inc(rq->vol->mm, REPLY_HANDED_OVER);
		rq->err = err;
		queue(rq, REQUEST_SERVE, run_finish_read);
		return;
	}
	if (err)
		front_of(rq)->end_err(rq, err);
	else
		front_of(rq)->end_read(rq);
}

void io_read_go_on(struct request *rq, const struct request *hit, bool fits)
{
	rq->file = hit->file;
	rq->offset = hit->offset;
	rq->size = hit->size;
	rq->nr_pages = hit->nr_pages;
	memcpy(rq->pages, hit->pages, hit->nr_pages * sizeof(hit->pages[0]));
	rq->kept = hit->kept;
	rq->finish = finish_read;
	if (fits)
		rw_read_miss(rq);
	else
		copy_wait(rq, rw_read_miss);
}

/* --- writes --------------------------------------------------------------------- */

static void finish_write(struct request *rq, int err)
{
	if (err)
		front_of(rq)->end_err(rq, err);
	else
		front_of(rq)->end_write(rq);
}

/* O_SYNC: the answer says that it is durable. */
static void run_sync_write(struct request *rq)
{
	finish_write(rq, open_file_sync(rq->file, rq->data_only));
}

static void finish_sync_write(struct request *rq, int err)
{
	if (err) {
		front_of(rq)->end_err(rq, err);
		return;
	}
	front_of(rq)->data_taken(rq); /* all of it was taken */
	queue(rq, REQUEST_SYNC, run_sync_write);
}

static void run_append(struct request *rq)
{
	ssize_t n = rq->vol->ops->append(rq->inode, rq->data, rq->size);

	if (n > 0)
		rq->done = (size_t)n;
	rq->finish(rq, n < 0 ? (int)n : 0);
}

static void run_privs_write(struct request *rq)
{
	int err = rq->vol->ops->drop_privs(rq->inode, rq->privs);

	if (err) {
		front_of(rq)->end_err(rq, err);
		return;
	}
	front_of(rq)->mode_changed(rq);
	if (io_write_appends(rq))
		run_append(rq);
	else
		rw_write_slow(rq);
}

static void (*write_run_of(enum io_write_path path))(struct request *rq)
{
	if (path == IO_WRITE_PRIVS)
		return run_privs_write;
	return path == IO_WRITE_APPEND ? run_append : rw_write_slow;
}

void io_write_go_on(struct request *rq, const struct request *hit,
		    const struct io_write *w, enum io_write_path path,
		    uint64_t pause_ns)
{
	ASSERT(path != IO_WRITE_ENDED);
	rq->file = hit->file;
	rq->offset = hit->offset;
	rq->size = hit->size;
	rq->data = hit->data;
	rq->done = hit->done;
	rq->mapped = hit->mapped;
	rq->data_only = w->data_only;
	rq->privs = privs_of_write(w->keeps_setid);
	rq->finish = w->sync ? finish_sync_write : finish_write;
	if (path == IO_WRITE_COPIES) {
		copy_wait(rq, rw_write_finish);
	} else if (path == IO_WRITE_PAUSED) {
		/* It was taken; its answer has to wait. */
		if (!request_try_park(&rq->fs->requests, rq, pause_ns,
				      rw_write_finish))
			finish_write(rq, 0);
	} else {
		queue(rq, REQUEST_GROW, write_run_of(path));
	}
}

/* --- the rest --------------------------------------------------------------------- */

int io_fallocate(struct request *rq, int mode, uint64_t len, bool keeps_setid)
{
	const struct volume_ops *ops = rq->vol->ops;
	unsigned int which = privs_of_write(keeps_setid);
	int err = 0;

	if (ops->privs(rq->inode) & which) {
		err = ops->drop_privs(rq->inode, which);
		if (!err)
			front_of(rq)->mode_changed(rq);
	}
	return err ? err : ops->fallocate(rq->inode, mode, rq->offset, len);
}
