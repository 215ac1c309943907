/*
 * request.h - one operation of a client, from arrival to reply.
 *
 * A request is a struct that can be resumed, not a stack. It takes one of
 * three paths:
 *
 *	hit      answered by the thread that received it
 *	miss     the read is begun there, its completion answers
 *	worker   everything that may block
 *
 * Classes of workers: some serve only what reads or frees memory, so that it
 * never queues behind growing writes, nor behind an fsync. A write that has to
 * pause is parked: it holds its buffer, but no thread.
 */
#ifndef FS_REQUEST_H
#define FS_REQUEST_H

#include "mm/lock.h"
#include "mm/oom.h"
#include "mm/page_wait.h"

struct fs;
struct inode;
struct open_file;
struct volume;

/* Pages of the largest request, with one more for one that is not aligned. */
#define REQUEST_PAGES_MAX (256 + 1)

/* Room for the decoded arguments of any operation. */
#define REQUEST_ARGS 256

enum request_class {
	REQUEST_SERVE, /* reads, names, and what frees memory */
	REQUEST_GROW,  /* writes */
	REQUEST_NAME,  /* what makes names: the kernel locks the directory */
	REQUEST_SYNC,  /* what waits for the disk: fsync and its like */
	NR_REQUEST_CLASSES
};

/*
 * A queue of the transport that holds a bounded number of requests, those that
 * wait included: when all of them do, nobody is served there any more.
 */
struct request_lane {
	unsigned int nr_parked; /* (request_engine.lock) */
	unsigned int nr_parked_max;
};

struct request {
	struct fs *fs;
	struct volume *vol;
	struct inode *inode;	/* a ref of ours, or NULL */
	struct open_file *file; /* or NULL */
	void *token;		/* the transport's: whom to answer */
	void *buffer;		/* the transport's: where names and data are */
	struct request_lane *lane;		      /* it came by, or NULL */
	_Alignas(8) unsigned char args[REQUEST_ARGS]; /* the transport's */
	uint64_t offset;
	size_t size;

	enum request_class class; /* it was queued for */
	/* What a worker runs; it answers, and ends the request. */
	void (*run)(struct request *rq);
	/* Called once when a read or write has ended; see below. */
	void (*finish)(struct request *rq, int err);

	bool mapped;	/* a write of what was dirtied through a mapping */
	bool kept;	/* the kernel keeps a copy of what is read or written */
	bool data_only; /* a write with O_DSYNC: times need not be durable */
	unsigned int privs; /* that a write takes: enum priv */
	/* reads: the pages of [offset, offset + size), with references */
	unsigned int nr_pages;
	unsigned int nr_begun; /* reading began for those below */
	struct page_waiter waiter;

	/* writes */
	const char *data;
	size_t done; /* bytes taken so far */
	int err;     /* to be answered, by another thread */
	struct oom_patience oom;
	unsigned int nr_pauses; /* after it was taken */

	struct list_head link; /* in a queue, or the parking */
	uint64_t until_ns;     /* parked: not longer than this */
	void (*unpark)(struct request *rq);
	/* held back for the kernel's copies: until when, and what comes then */
	uint64_t patience_ns;
	unsigned long nr_taken; /* of kernel_copies, then */
	void (*after)(struct request *rq);
	struct page *pages[REQUEST_PAGES_MAX];
};

struct request_queue {
	struct list_head requests;
	struct cond more;
};

#define WORKERS_MAX 8

/* (L) guarded by lock. */
struct request_engine {
	struct mm *mm;
	struct mutex lock;
	struct request_queue queues[NR_REQUEST_CLASSES]; /* (L) */
	struct list_head parked;			 /* (L) */
	unsigned int nr_parked;				 /* (L) */
	unsigned int nr_parked_max;
	struct cond parked_more;
	struct request *pool;  /* all of them */
	struct list_head free; /* (L) */
	struct cond returned;  /* to free */
	bool stop;	       /* (L) */
	struct os_thread workers[NR_REQUEST_CLASSES][WORKERS_MAX];
	struct os_thread parker;
	unsigned int nr_started[NR_REQUEST_CLASSES];
	bool parker_started;
};

/* Start the workers. parked_max: how many may be parked at all. 0, -errno. */
int request_engine_start(struct request_engine *e, struct mm *mm,
			 unsigned int nr_requests, unsigned int parked_max);
/* Stop them; nothing may be queued. */
void request_engine_stop(struct request_engine *e);

/* A request from the pool; waits for one to be returned if there is none. */
struct request *request_get(struct request_engine *e);
void request_put(struct request_engine *e, struct request *rq);

/* Have a worker of the class call rq->run. */
void request_queue(struct request_engine *e, struct request *rq,
		   enum request_class class);

/*
 * Call unpark in ns at the latest, without a thread until then. False, and
 * nothing done, if too many are parked already, of all or of its lane.
 */
bool request_try_park(struct request_engine *e, struct request *rq, uint64_t ns,
		      void (*unpark)(struct request *rq));

/* For workers: if too many are parked, the caller sleeps, and calls unpark. */
void request_park(struct request_engine *e, struct request *rq, uint64_t ns,
		  void (*unpark)(struct request *rq));

#endif
