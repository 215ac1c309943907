/*
 * readahead.c - the size of the next window.
 *
 * A first window is four times the request, or twice if that is large; each
 * one after it doubles, up to the limit. (Linux: get_init_ra_size() and
 * get_next_ra_size() do much the same.)
 */
#include "mm/readahead.h"

#include "mm/bug.h"

static unsigned int first_size(unsigned int nr, unsigned int max)
{
	unsigned int size = 1;

	while (size < nr)
		size *= 2;
	if (size <= max / 32)
		return size * 4;
	return size <= max / 4 ? size * 2 : max;
}

static unsigned int next_size(unsigned int size, unsigned int max)
{
	return size < max / 16 ? size * 4 : min_of(size * 2, max);
}

/* The window, cut where the file ends, as a plan. */
static struct readahead_plan plan_of(struct readahead *ra,
				     const struct readahead_request *req)
{
	struct readahead_plan plan = { .first = ra->start,
				       .marker = UINT64_MAX };

	if (ra->start >= req->nr_file)
		return plan;
	plan.nr = (unsigned int)min_of((pgoff_t)ra->size,
				       req->nr_file - ra->start);
	if (ra->async_size > 0)
		plan.marker = ra->start + ra->size - ra->async_size;
	return plan;
}

struct readahead_plan readahead_next(struct readahead *ra,
				     const struct readahead_request *req)
{
	unsigned int max = max_of(req->max, req->nr);
	bool follows = req->index == ra->start + ra->size;

	ASSERT(req->max > 0);
	if (req->cause == RA_MARKER) {
		/* Where the window is not ours, another stream's marker. */
		if (req->index < ra->start ||
		    req->index >= ra->start + ra->size) {
			ra->start = req->index + 1;
			ra->size = first_size(req->nr, max);
		} else {
			ra->start += ra->size;
			ra->size = next_size(ra->size, max);
		}
		ra->async_size = ra->size;
		return plan_of(ra, req);
	}
	if (ra->size > 0 && follows) {
		ra->start += ra->size;
		ra->size = max_of(next_size(ra->size, max), req->nr);
		ra->async_size = ra->size - req->nr;
		return plan_of(ra, req);
	}
	if (req->index == 0 || req->index == ra->next ||
	    (ra->next > 0 && req->index == ra->next - 1)) {
		ra->start = req->index;
		ra->size = max_of(first_size(req->nr, max), req->nr);
		ra->async_size = ra->size - req->nr;
		return plan_of(ra, req);
	}
	/* Random: the pages asked for; the window stays for its stream. */
	return (struct readahead_plan){
		.first = req->index,
		.nr = (unsigned int)min_of((pgoff_t)req->nr,
					   req->nr_file > req->index
						   ? req->nr_file - req->index
						   : 0),
		.marker = UINT64_MAX,
	};
}
