/* page_io.c - one operation for whoever wants its result, on any engine. */
#include "mm/page_io.h"

static void nothing_more(struct page_io *io)
{
	(void)io;
}

int64_t page_io_submit_wait(struct page_io_engine *e, const struct page_io *io)
{
	struct page_io copy = *io;

	copy.done = nothing_more;
	page_io_do(e, &copy);
	return copy.result;
}
