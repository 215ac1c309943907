/*
 * read_write.h - read(2) and write(2), through cached pages, whatever the kind
 * of volume.
 *
 * A page that is not in the cache need not be read: that is for the mapping's
 * owner to know. All that differs between kinds is in struct volume_ops.
 */
#ifndef FS_READ_WRITE_H
#define FS_READ_WRITE_H

#include "fs/request.h"

/*
 * Read rq->size bytes at rq->offset. All three end in rq->finish(rq, err),
 * with rq->nr_pages pages, of which rq->size bytes count, from
 * rq->offset % PAGE_SIZE on.
 *
 * rw_read_hit(): true if everything is in the cache; rq->pages and rq->size
 * are set, and the caller finishes. Never blocks.
 * rw_read_miss(): begin what is missing without blocking; its completion
 * goes on, on the thread it comes to, or hands over to a worker.
 * rw_read_slow(): for workers.
 */
bool rw_read_hit(struct request *rq);
void rw_read_miss(struct request *rq);
void rw_read_slow(struct request *rq);
/* Drop the references of a read that was answered. */
void rw_read_end(struct request *rq);

/*
 * Write rq->size bytes of rq->data at rq->offset; rq->done says how far it
 * got, also before.
 *
 * rw_write_hit(): true if all of it was taken without blocking; *err is 0 or
 * -errno, *pause_ns how long the answer has to be held back. False: a worker
 * must go on from rq->done.
 * rw_write_slow(): for workers; ends in rq->finish(rq, err), perhaps later,
 * after it was parked.
 */
bool rw_write_hit(struct request *rq, int *err, uint64_t *pause_ns);
void rw_write_slow(struct request *rq);
/* As unpark function: the write was taken, its pause is over. */
void rw_write_finish(struct request *rq);

#endif
