/*
 * errseq.h - an error everybody hears of once (Linux: lib/errseq.c).
 *
 * A sequence number that moves on with each new error, together with that
 * error. Whoever wants to hear of errors keeps the sequence it saw last; when
 * the two differ there is something new to report. An error that nobody has
 * looked at yet is reported also to those who come later.
 *
 *	| counter (19) | seen (1) | errno (12) |
 */
#ifndef MM_ERRSEQ_H
#define MM_ERRSEQ_H

#include "mm/types.h"

#include <stdatomic.h>

typedef _Atomic uint32_t errseq_t;

/* Record err (a negative errno). */
void errseq_set(errseq_t *seq, int err);
/* Where somebody who begins to watch now starts from. */
uint32_t errseq_sample(errseq_t *seq);
/* The last error, seen or not, as -errno, or 0. */
int errseq_peek(errseq_t *seq);
/* The error since *since, as -errno, or 0; moves *since on. */
int errseq_check_and_advance(errseq_t *seq, uint32_t *since);

#endif
