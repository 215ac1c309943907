/*
 * fuse_session.h - the transport: /dev/fuse, one session a volume.
 *
 * Our own loop receives into buffers of our own, so that a request that is not
 * answered at once can take its buffer along.
 */
#ifndef FS_FUSE_SESSION_H
#define FS_FUSE_SESSION_H

#include "fs/fs.h"
#include "fs/fuse_buffer.h"

struct fuse_session;

#define RECEIVERS_MAX 4u

/* The transport's part of a volume. */
struct session {
	struct volume *vol;
	struct fuse_session *se;
	struct fuse_buffer_pool *buffers;
	struct os_thread receivers[RECEIVERS_MAX];
	unsigned int nr_receivers;
	_Atomic unsigned int nr_running;  /* receivers not yet at their end */
	_Atomic unsigned int nr_deferred; /* requests not yet answered */
	_Atomic bool stop;
	_Atomic bool answered; /* the kernel has greeted us: INIT */
	struct notifier *notifier;
	bool mounted;
};

/* What is received into must be this large. */
size_t session_buffer_size(const struct fs *fs);

/*
 * Mount vol with the options of a mount helper, and start to receive. Returns
 * 0, or -errno after libfuse has said why. Returns when the mount answers.
 */
int session_start(struct session *s, struct volume *vol,
		  struct fuse_buffer_pool *buffers, const char *options);

/* The last thing libfuse had to say, in one line; "": nothing. */
const char *session_complaint(void);

/* Has the volume been unmounted? */
static inline bool session_ended(struct session *s)
{
	return atomic_load(&s->nr_running) == 0;
}

/* Unmount if that has not been done, wait for what is deferred, and end. */
void session_stop(struct session *s);

/* For fs/fuse_ops.c: the request being handled goes on after its handler. */
struct request *session_defer(struct session *s, void *req,
			      struct inode *inode);
/* Its arguments are copied: the receiver can have its buffer back. */
void session_return_buffer(struct request *rq);
/* It needs its buffer no longer. */
void session_drop_buffer(struct request *rq);
/* The memory of its buffer, of which "size" bytes will be used. */
char *session_buffer(struct request *rq, size_t size);
/* It was answered. */
void session_end(struct request *rq);

/* The thread behind session->answered; called by the INIT handler. */
void session_note_init(struct session *s);

#endif
