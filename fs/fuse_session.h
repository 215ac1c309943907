/*
 * fuse_session.h - the connection to the kernel, one session a volume.
 *
 * Through /dev/fuse our own loop receives into buffers of our own, so that a
 * request that is not answered at once can take its buffer along. With rings
 * (fs/fuse_uring.h) libfuse's threads receive, and a request keeps its entry;
 * that loop then serves what still comes the old way.
 */
#ifndef FS_FUSE_SESSION_H
#define FS_FUSE_SESSION_H

#include "fs/fs.h"
#include "fs/fuse_buffer.h"
#include "fs/transport.h"

struct fuse_session;
struct uring;

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
	unsigned int depth;    /* of a ring; 0: there are none */
	struct notifier *notifier;
	bool mounted;
	struct mount_identity {
		dev_t device; /* 0: not known */
		uint64_t
			id; /* 0: this kernel has none that is not used again */
	} identity;	    /* of our mount */
	struct uring *uring; /* NULL: not asked for */
	_Atomic enum session_probe {
		PROBE_NONE, /* no request has been seen yet */
		PROBE_DEV,
		PROBE_URING,
	} probe;
	char why[192]; /* there is no ring; "": was not asked for */
};

/* What is received into must be this large. */
size_t session_buffer_size(const struct fs *fs);

struct session_config {
	struct fuse_buffer_pool *buffers;
	const struct transport *transport;
	const char *options; /* of a mount helper */
};

/*
 * Mount vol, and start to receive. Returns 0, or -errno after libfuse has said
 * why; -EOPNOTSUPP if there are no rings, and nothing else will do. Returns
 * when the mount answers; vol->transport says how requests come.
 */
int session_start(struct session *s, struct volume *vol,
		  const struct session_config *c);

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
/* Where its ring expects the answer's data; NULL: it is on no ring. */
char *session_payload(void *req);
/*
 * Its answer's data, put where the ring expects it. The names and data of the
 * request are gone.
 */
const char *session_result(struct request *rq, const char *from, size_t size);
/* It was answered. */
void session_end(struct request *rq);

/* A real request came, by a ring or not. */
void session_note_probe(struct session *s, bool uring);

/* The thread behind session->answered; called by the INIT handler. */
void session_note_init(struct session *s);

#endif
