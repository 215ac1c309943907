/*
 * fuse_buffer.c - memory given back where it is more than the limit.
 *
 * "touched" of the pool counts what is in use or may still be resident. The
 * request being received needs room for the largest one.
 */
#include "fs/fuse_buffer.h"

#include "mm/bug.h"

#include <errno.h>
#include <sys/mman.h>

int fuse_buffer_init(struct fuse_buffer_pool *p, size_t size, size_t limit)
{
	*p = (struct fuse_buffer_pool){ .limit = limit };
	p->size = (size + PAGE_MASK) & ~PAGE_MASK;
	mutex_init(&p->lock);
	cond_init(&p->returned);
	list_init(&p->free);
	p->memory = mmap(NULL, p->size * FUSE_BUFFERS, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->memory == MAP_FAILED)
		return -ENOMEM;
	madvise(p->memory, p->size * FUSE_BUFFERS, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < FUSE_BUFFERS; i++) {
		p->buffers[i].mem = p->memory + i * p->size;
		list_add(&p->free, &p->buffers[i].link);
	}
	return 0;
}

void fuse_buffer_destroy(struct fuse_buffer_pool *p)
{
	munmap(p->memory, p->size * FUSE_BUFFERS);
}

static void give_back(struct fuse_buffer_pool *p, struct fuse_buffer *b)
	must_hold(p->lock)
{
	madvise(b->mem, b->touched, MADV_DONTNEED);
	p->touched -= b->touched;
	b->touched = 0;
}

/* Free buffers' memory goes first, the coldest first of all. */
static void trim(struct fuse_buffer_pool *p) must_hold(p->lock)
{
	struct fuse_buffer *b, *n;

	for (b = list_last_entry(&p->free, struct fuse_buffer, link);
	     &b->link != &p->free && p->touched > p->limit; b = n) {
		n = list_last_entry(&b->link, struct fuse_buffer, link);
		if (b->touched > 0)
			give_back(p, b);
	}
}

struct fuse_buffer *fuse_buffer_get(struct fuse_buffer_pool *p)
{
	struct fuse_buffer *b;

	mutex_lock(&p->lock);
	trim(p);
	while (list_empty(&p->free) || p->touched > p->limit) {
		cond_wait(&p->returned, &p->lock);
		trim(p);
	}
	b = list_first_entry(&p->free, struct fuse_buffer, link);
	list_del(&b->link);
	mutex_unlock(&p->lock);
	return b;
}

void fuse_buffer_touch(struct fuse_buffer_pool *p, struct fuse_buffer *b,
		       size_t bytes)
{
	if (bytes <= b->touched)
		return;
	bytes = (bytes + PAGE_MASK) & ~PAGE_MASK;
	mutex_lock(&p->lock);
	p->touched += bytes - b->touched;
	b->touched = bytes;
	mutex_unlock(&p->lock);
}

void fuse_buffer_put(struct fuse_buffer_pool *p, struct fuse_buffer *b)
{
	mutex_lock(&p->lock);
	list_add(&p->free, &b->link);
	cond_signal(&p->returned);
	mutex_unlock(&p->lock);
}
