/*
 * io_path.h - which path a read(2) or write(2) takes (fs/request.h), whatever
 * transport it came by.
 *
 * The transport decodes an operation into a struct request on the stack, and
 * tries it. If that did not answer it, it makes a request of its pool of it, with
 * the same inode and file, and has it go on; the answer is given by one of the
 * functions of volume.front.
 */
#ifndef FS_IO_PATH_H
#define FS_IO_PATH_H

#include "fs/copy_wait.h"
#include "fs/read_write.h"
#include "fs/volume.h"

/* How a transport answers; each but the last two ends the request. */
struct request_front {
	/* An error: -errno; -ENOROOM: rq->run may be called once more. */
	void (*end_err)(struct request *rq, int err);
	/* The bytes are in rq->pages, or at rq->data. It calls rw_read_end(). */
	void (*end_read)(struct request *rq);
	/* rq->done bytes. */
	void (*end_write)(struct request *rq);
	/* May this thread answer it? */
	bool (*can_reply)(const struct request *rq);
	/* The data of a write are not needed any longer. */
	void (*data_taken)(struct request *rq);
	/* The mode of rq->inode changed, and no reply says so. */
	void (*mode_changed)(struct request *rq);
};

/* --- for threads that receive: none of it blocks ------------------------------ */

/*
 * Read from the cache: with vol, inode, file, offset, size and kept set. True:
 * answer with hit->pages, and rw_read_end(). Else *fits is for the next.
 */
static inline bool io_read_try(struct request *hit, bool *fits)
{
	*fits = !hit->kept || copy_charge(hit->inode, hit->offset, hit->size);
	hit->nr_pages = 0;
	return *fits && rw_read_hit(hit);
}

/* Not all of it was there: rq, which may wait, goes on. */
void io_read_go_on(struct request *rq, const struct request *hit, bool fits);

enum io_write_path {
	IO_WRITE_ENDED,	 /* hit->done bytes were taken, or *err */
	IO_WRITE_PRIVS,	 /* privileges have to go first */
	IO_WRITE_APPEND, /* of an append-only file: around the cache */
	IO_WRITE_SYNC,	 /* durable before it is answered */
	IO_WRITE_SLOW,	 /* a worker goes on */
	IO_WRITE_COPIES, /* taken; waits for room for copies */
	IO_WRITE_PAUSED, /* taken; the writer is too fast */
};

/* What is asked of a write. */
struct io_write {
	bool keeps_setid; /* by one who may keep set-id bits */
	bool sync;
	bool data_only; /* O_DSYNC */
};

/* Has the file privileges that the write takes? What was mapped takes none. */
static inline bool io_write_takes(const struct request *rq,
				  const struct io_write *w)
{
	return !rq->mapped && (rq->vol->ops->privs(rq->inode) &
			       privs_of_write(w->keeps_setid));
}

/* What was mapped is written where it belongs, or not at all. */
static inline bool io_write_appends(const struct request *rq)
{
	return rq->file->append_only && !rq->mapped;
}

/* With vol, inode, file, data, offset, size, kept, mapped set, and done 0. */
static inline enum io_write_path io_write_try(struct request *hit,
					      const struct io_write *w,
					      int *err, uint64_t *pause_ns)
{
	/* Until the kernel has written a page back it cannot let go of it. */
	bool fits = !hit->kept ||
		    copy_charge(hit->inode, hit->offset, hit->size) ||
		    hit->mapped;

	*err = 0;
	*pause_ns = 0;
	if (io_write_takes(hit, w))
		return IO_WRITE_PRIVS;
	if (io_write_appends(hit))
		return IO_WRITE_APPEND;
	if (w->sync)
		return IO_WRITE_SYNC;
	if (!rw_write_hit(hit, err, pause_ns))
		return IO_WRITE_SLOW;
	if (*err || (*pause_ns == 0 && fits))
		return IO_WRITE_ENDED;
	return *pause_ns == 0 ? IO_WRITE_COPIES : IO_WRITE_PAUSED;
}

/* Are its data taken already, so that a buffer can be given back? */
static inline bool io_write_is_taken(enum io_write_path path)
{
	return path == IO_WRITE_COPIES || path == IO_WRITE_PAUSED;
}

/* rq, which may wait, goes on where "hit" has stopped. */
void io_write_go_on(struct request *rq, const struct request *hit,
		    const struct io_write *w, enum io_write_path path,
		    uint64_t pause_ns);

/* --- for workers ----------------------------------------------------------------- */

/*
 * fallocate(2) of [rq->offset, +len), by one who may keep set-id bits or not.
 * 0 or -errno.
 */
int io_fallocate(struct request *rq, int mode, uint64_t len, bool keeps_setid);

#endif
