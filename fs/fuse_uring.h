/*
 * fuse_uring.h - FUSE over io_uring: libfuse's rings, made fit for replies from
 * other threads.
 *
 * A session with rings has one a CPU, each with a thread of libfuse's that
 * receives and calls the handlers. A request keeps its entry of the ring, names
 * and data in it, until it is answered. INIT, FORGET and notifications go
 * through /dev/fuse all the same.
 */
#ifndef FS_FUSE_URING_H
#define FS_FUSE_URING_H

#include "fs/request.h"

struct fuse_session;
struct uring;

/*
 * Room for nr rings of "depth" requests; the session that is started next
 * gets them: one at a time. NULL: no memory.
 */
struct uring *uring_create(unsigned int nr, unsigned int depth);

/* The lane of the ring in whose handler this thread is; NULL: in none. */
struct request_lane *uring_lane(void);

/*
 * May this thread answer rq? Not inside the handler of another ring; then a
 * worker has to.
 */
bool uring_can_reply(const struct request *rq);

/* Around fuse_reply_*() of a deferred request, whose payload is filled. */
void uring_reply_begin(const struct request *rq);
void uring_reply_end(const struct request *rq);

/* Receive no more; returns when no handler is at work. Replies still go out. */
void uring_drain(struct uring *u);
/* All are answered: end the threads, free libfuse's rings, and u. */
void uring_destroy(struct uring *u, struct fuse_session *se);

#endif
