/* errseq.c - the counter only moves when the last error has been seen. */
#include "mm/errseq.h"

#include "mm/bug.h"

enum { ERRNO_MASK = 0xfff, SEEN = 0x1000, COUNTER_STEP = 0x2000 };

void errseq_set(errseq_t *seq, int err)
{
	uint32_t old = atomic_load(seq), new;

	ASSERT(err < 0 && -err <= ERRNO_MASK);
	do {
		new = (old & ~(uint32_t)(ERRNO_MASK | SEEN)) | (uint32_t)-err;
		if (old & SEEN)
			new += COUNTER_STEP;
		/* The first error ever must differ from "none". */
	} while (new != old && !atomic_compare_exchange_weak(seq, &old, new));
}

uint32_t errseq_sample(errseq_t *seq)
{
	uint32_t now = atomic_load(seq);

	/* Not seen by anybody: the newcomer shall hear of it. */
	return now & SEEN ? now : 0;
}

int errseq_peek(errseq_t *seq)
{
	return -(int)(atomic_load(seq) & ERRNO_MASK);
}

int errseq_check_and_advance(errseq_t *seq, uint32_t *since)
{
	uint32_t now = atomic_load(seq);

	if ((now & ~(uint32_t)SEEN) == (*since & ~(uint32_t)SEEN))
		return 0;
	while (!(now & SEEN) &&
	       !atomic_compare_exchange_weak(seq, &now, now | SEEN))
		;
	*since = now | SEEN;
	return -(int)(now & ERRNO_MASK);
}
