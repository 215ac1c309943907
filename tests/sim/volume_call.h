/*
 * volume_call.h - one operation of a client, and what its reply says: between
 * those who make requests as fs/fuse_*.c does. For volume_*_sim.c.
 */
#ifndef TESTS_SIM_VOLUME_CALL_H
#define TESTS_SIM_VOLUME_CALL_H

#include "tests/sim/volume_world.h"

/* What the client waits for; request.token. */
struct call {
	struct client *c;
	struct mutex lock;
	struct cond ended;
	bool done;
	int64_t result;
	/* arguments, and what the reply has */
	const char *name, *new_name;
	struct inode *other;
	unsigned int flags;
	int mode, whence;
	uint64_t length, ino;
	void *to;
	struct open_file *file;
	struct inode *inode;
	struct stat *st;
	struct wvolume *wv;
	const void *from; /* attributes, a value */
	size_t size;
};

static inline struct call *call_of(struct request *rq)
{
	return rq->token;
}

void call_init(struct call *call, struct client *c);
int64_t call_wait(struct call *call);
/* A request that goes on after its handler, with a ref of the inode. */
struct request *call_defer(struct call *call, struct volume *vol,
			   struct inode *inode);
/* A call that is deferred at once, and its result. */
int64_t call_do(struct call *call, struct volume *vol, struct inode *inode,
		enum request_class class, void (*run)(struct request *rq));
/* Reply, and end the request; the second: 0, a count, or -errno. */
void call_end(struct request *rq, int64_t result);
void call_end_err(struct request *rq, int64_t err);

/* How the engine answers. */
extern const struct request_front sim_front;

#endif
