/*
 * fuse_buffer.h - a fixed pool of buffers that requests are received into.
 *
 * A request that is not answered at once takes its buffer along: names and
 * data stay where they arrived. Buffers are large in address space and small
 * in memory: only what was written to counts, and the pool sees to it that
 * this stays below its limit.
 */
#ifndef FS_FUSE_BUFFER_H
#define FS_FUSE_BUFFER_H

#include "mm/list.h"
#include "mm/lock.h"

#define FUSE_BUFFERS 192

struct fuse_buffer {
	struct list_head link;
	char *mem;
	size_t touched; /* bytes ever written since it was last given back */
};

/* (L) guarded by lock. */
struct fuse_buffer_pool {
	struct mutex lock;
	struct cond returned;
	struct list_head free; /* the last used first (L) */
	size_t size;	       /* of a buffer */
	size_t limit;	       /* bytes touched by all, at most */
	size_t touched;	       /* (L) */
	char *memory;
	struct fuse_buffer buffers[FUSE_BUFFERS];
};

/* Buffers of "size" bytes that together take up "limit". 0 or -ENOMEM. */
int fuse_buffer_init(struct fuse_buffer_pool *p, size_t size, size_t limit);
void fuse_buffer_destroy(struct fuse_buffer_pool *p);

/*
 * A buffer; waits for one to be returned if all are in use, or if those in use
 * have reached the limit.
 */
struct fuse_buffer *fuse_buffer_get(struct fuse_buffer_pool *p);
/* So many bytes were received into it. */
void fuse_buffer_touch(struct fuse_buffer_pool *p, struct fuse_buffer *b,
		       size_t bytes);
void fuse_buffer_put(struct fuse_buffer_pool *p, struct fuse_buffer *b);

#endif
