/*
 * readahead.c - whose read it is, and the size of the next window.
 *
 * A read goes on with a stream if it begins where the last one of the stream
 * ended, or inside the page where it did. It begins a stream if it goes on
 * where one of the last few others ended, or if it is the first of the open
 * file and at its beginning. The stream that was used least recently gives way.
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

/* Does a read that begins at index go on where one ended before next? */
static bool goes_on(pgoff_t next, pgoff_t index)
{
	return index == next || index + 1 == next;
}

static bool in_window(const struct readahead_stream *s, pgoff_t index)
{
	return index >= s->start && index < s->start + s->size;
}

/* The stream a read at index goes on with, or NULL. */
static struct readahead_stream *stream_of(struct readahead *ra, pgoff_t index)
{
	for (int i = 0; i < READAHEAD_STREAMS; i++) {
		struct readahead_stream *s = &ra->streams[i];

		if (s->size > 0 && goes_on(s->next, index))
			return s;
	}
	return NULL;
}

/* The stream whose window begins, or ends, around index; or NULL. */
static struct readahead_stream *window_of(struct readahead *ra,
					  const struct readahead_request *req)
{
	for (int i = 0; i < READAHEAD_STREAMS; i++) {
		struct readahead_stream *s = &ra->streams[i];

		if (s->size == 0)
			continue;
		if (req->cause == RA_MARKER ? in_window(s, req->index)
					    : s->start + s->size == req->index)
			return s;
	}
	return NULL;
}

static pgoff_t *recent_of(struct readahead *ra, pgoff_t index)
{
	for (int i = 0; i < READAHEAD_RECENT; i++)
		if (ra->recent[i] > 0 && goes_on(ra->recent[i], index))
			return &ra->recent[i];
	return NULL;
}

/* The place of the stream that was used least recently. */
static struct readahead_stream *oldest(struct readahead *ra)
{
	struct readahead_stream *s = &ra->streams[0];

	for (int i = 1; i < READAHEAD_STREAMS; i++)
		if (ra->streams[i].used < s->used)
			s = &ra->streams[i];
	return s;
}

/* The window, cut where the file ends, as a plan. */
static struct readahead_plan plan_of(const struct readahead_stream *s,
				     const struct readahead_request *req)
{
	struct readahead_plan plan = { .first = s->start,
				       .marker = UINT64_MAX };

	if (s->start >= req->nr_file)
		return plan;
	plan.nr =
		(unsigned int)min_of((pgoff_t)s->size, req->nr_file - s->start);
	if (req->cause == RA_MISS)
		plan.nr_asked = min_of(req->nr, plan.nr);
	if (s->async_size > 0)
		plan.marker = s->start + s->size - s->async_size;
	return plan;
}

/* The window behind the one that is being used. */
static struct readahead_plan go_on(struct readahead_stream *s,
				   const struct readahead_request *req,
				   unsigned int max)
{
	s->start += s->size;
	s->size = next_size(s->size, max);
	if (req->cause == RA_MISS)
		s->size = max_of(s->size, req->nr);
	s->async_size = s->size - (req->cause == RA_MISS ? req->nr : 0);
	return plan_of(s, req);
}

static struct readahead_plan begin(struct readahead_stream *s,
				   const struct readahead_request *req,
				   unsigned int max)
{
	s->start = req->index + (req->cause == RA_MARKER);
	s->size = first_size(req->nr, max);
	s->async_size = s->size;
	if (req->cause == RA_MISS) {
		s->size = max_of(s->size, req->nr);
		s->async_size = s->size - req->nr;
	}
	return plan_of(s, req);
}

/* What was asked for. */
static struct readahead_plan exactly(const struct readahead_request *req)
{
	pgoff_t left =
		req->nr_file > req->index ? req->nr_file - req->index : 0;
	unsigned int nr = (unsigned int)min_of((pgoff_t)req->nr, left);

	return (struct readahead_plan){
		.first = req->index,
		.nr = req->cause == RA_MISS ? nr : 0,
		.nr_asked = nr,
		.marker = UINT64_MAX,
	};
}

struct readahead_plan readahead_next(struct readahead *ra,
				     const struct readahead_request *req)
{
	unsigned int max = max_of(req->max, req->nr);
	struct readahead_stream *s = window_of(ra, req);
	pgoff_t *recent;

	ASSERT(req->max > 0);
	if (s)
		return go_on(s, req, max);
	/* Its window is gone, or it came upon another open file's marker. */
	s = stream_of(ra, req->index);
	if (s)
		return begin(s, req, max);
	recent = recent_of(ra, req->index);
	if (!recent && (req->index > 0 || ra->clock > 0))
		return exactly(req);
	if (recent)
		*recent = 0;
	s = oldest(ra);
	s->next = req->index;
	s->used = ra->clock;
	return begin(s, req, max);
}

/* The stream a read of [index, index + nr) was part of, or NULL. */
static struct readahead_stream *reader_of(struct readahead *ra, pgoff_t index,
					  unsigned int nr)
{
	for (int i = 0; i < READAHEAD_STREAMS; i++) {
		struct readahead_stream *s = &ra->streams[i];

		/* It may have become one in the middle of the read. */
		if (s->size > 0 && s->next <= index + nr &&
		    (index <= s->next || goes_on(s->next, index)))
			return s;
	}
	return NULL;
}

void readahead_note(struct readahead *ra, pgoff_t index, unsigned int nr)
{
	struct readahead_stream *s = reader_of(ra, index, nr);
	pgoff_t *recent;

	ra->next = index + nr;
	ra->clock++;
	if (s) {
		s->next = index + nr;
		s->used = ra->clock;
		return;
	}
	recent = recent_of(ra, index);
	if (!recent)
		recent = &ra->recent[ra->clock % READAHEAD_RECENT];
	*recent = index + nr;
}
