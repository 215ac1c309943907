/*
 * readahead.h - what to read before it is asked for (Linux: mm/readahead.c).
 *
 * Each open file remembers the streams that read it: where each reads next,
 * and its window, the pages that were read ahead for it last.
 *
 *	          |<------------- size ------------->|
 *	          |                 |<- async_size ->|
 *	 ─────────┼──────▲──────────┼────────────────┼────
 *	        start   next      marker
 *
 * A read that misses, or that reaches the page at the marker, moves the window
 * of its stream on; it doubles while reads are sequential, up to a limit. So
 * there are up to two windows on their way: the disk is busy while the first is
 * being used. A read that goes on where no earlier one ended reads what it
 * asked for, and no more: backwards, strided and random reads cost nothing.
 */
#ifndef MM_READAHEAD_H
#define MM_READAHEAD_H

#include "mm/types.h"

/* Streams of one open file that are told apart; a guess. */
enum { READAHEAD_STREAMS = 3 };

/* The ends of so many reads that belong to no stream are remembered. */
enum { READAHEAD_RECENT = 4 };

struct readahead_stream {
	pgoff_t start;		 /* of the window, in pages */
	unsigned int size;	 /* of the window; 0: no stream */
	unsigned int async_size; /* of it behind the marker */
	pgoff_t next;		 /* page behind its last read */
	uint64_t used;		 /* readahead.clock then */
};

/* All zeroes: nothing read yet. */
struct readahead {
	struct readahead_stream streams[READAHEAD_STREAMS];
	pgoff_t recent[READAHEAD_RECENT]; /* pages behind reads of no stream */
	pgoff_t next;			  /* page behind the last read */
	uint64_t clock;			  /* reads so far */
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
	unsigned int nr_asked; /* of these; the rest nobody has asked for yet */
	pgoff_t marker;	       /* UINT64_MAX: none */
};

/* Move the window; nr is 0 if there is nothing to read. */
struct readahead_plan readahead_next(struct readahead *ra,
				     const struct readahead_request *req);

/* A read of [index, index + nr) was answered. */
void readahead_note(struct readahead *ra, pgoff_t index, unsigned int nr);

#endif
