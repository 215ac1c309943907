/*
 * readahead.h - what to read before it is asked for (Linux: mm/readahead.c).
 *
 * Each open file has a window, the pages that were read ahead for it last:
 *
 *	          |<------------- size ------------->|
 *	          |                 |<- async_size ->|
 *	 ─────────┼─────────────────┼────────────────┼────
 *	        start             marker
 *
 * A read that misses, or that reaches the page at the marker, moves the window
 * on; it doubles while reads are sequential, up to a limit. A read that is not
 * sequential reads what it asked for, and no more.
 */
#ifndef MM_READAHEAD_H
#define MM_READAHEAD_H

#include "mm/types.h"

struct readahead {
	pgoff_t start;		 /* of the window, in pages */
	unsigned int size;	 /* of the window */
	unsigned int async_size; /* of it behind the marker */
	pgoff_t next;		 /* page behind the last read */
};

enum readahead_cause { RA_MISS, RA_MARKER };

/* Where a read is, and what may be read. */
struct readahead_request {
	enum readahead_cause cause;
	pgoff_t index;	  /* the first page missing, or the marker's */
	unsigned int nr;  /* pages asked for from there */
	pgoff_t nr_file;  /* pages of the file */
	unsigned int max; /* limit of the window */
};

/* What to read: [first, first + nr), and which page gets the marker. */
struct readahead_plan {
	pgoff_t first;
	unsigned int nr;
	pgoff_t marker; /* UINT64_MAX: none */
};

/* Move the window; nr is 0 if there is nothing to read. */
struct readahead_plan readahead_next(struct readahead *ra,
				     const struct readahead_request *req);

/* A read of [index, index + nr) was answered. */
static inline void readahead_note(struct readahead *ra, pgoff_t index,
				  unsigned int nr)
{
	ra->next = index + nr;
}

#endif
