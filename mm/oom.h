/*
 * oom.h - what to tell a writer for whom there is no frame.
 *
 * A kernel picks a process and kills it. Here it is the write that asked for
 * more that fails, and only if waiting would not help: nothing is being
 * written or swapped out, what is dirty cannot be, no cluster of swap is being
 * made free, no file is on its way to be deleted, and nothing was freed since
 * the writer was last told to wait. The kernel's copies may be held by this very
 * writer: they are waited for, but not for long.
 */
#ifndef MM_OOM_H
#define MM_OOM_H

#include "mm/types.h"

struct mm;

enum oom_verdict {
	OOM_WAIT,   /* something is on its way out: park, and try again */
	OOM_REFUSE, /* -ENOSPC */
};

/* One per write; all zeroes at its beginning. */
struct oom_patience {
	unsigned long progress; /* what had been freed and written, last time */
	unsigned int tries; /* told to wait for luck; other_way: or at all */
	bool other_way; /* a refusal is not its end: it does not hope for luck */
};

/* To be called after an allocation with GFP_KERNEL has failed. Counted. */
enum oom_verdict oom_judge(struct mm *mm, struct oom_patience *p);

#endif
