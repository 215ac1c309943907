/* page_io.c - waiting for one operation, on top of any engine. */
#include "mm/page_io.h"

#include "mm/lock.h"

struct page_io_wait {
	struct page_io io;
	struct mutex lock;
	struct cond ended;
	bool done;
};

static void wait_done(struct page_io *io)
{
	struct page_io_wait *w = container_of(io, struct page_io_wait, io);

	mutex_lock(&w->lock);
	w->done = true;
	cond_signal(&w->ended);
	mutex_unlock(&w->lock);
}

int64_t page_io_submit_wait(struct page_io_engine *e, const struct page_io *io)
{
	struct page_io_wait w = { .io = *io };

	mutex_init(&w.lock);
	cond_init(&w.ended);
	w.io.done = wait_done;
	page_io_submit(e, &w.io);
	mutex_lock(&w.lock);
	while (!w.done)
		cond_wait(&w.ended, &w.lock);
	mutex_unlock(&w.lock);
	return w.io.result;
}
