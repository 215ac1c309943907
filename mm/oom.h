/*
 * oom.h - what to tell a writer for whom there is no frame.
 *
 * A kernel picks a process and kills it. Here it is the write that asked for
 * more that fails, and only if waiting would not help: nothing is being
 * written out, and what is dirty cannot be.
 */
#ifndef MM_OOM_H
#define MM_OOM_H

struct mm;

enum oom_verdict {
	OOM_WAIT,   /* something is on its way out: park, and try again */
	OOM_REFUSE, /* -ENOSPC */
};

/* To be called after an allocation with GFP_KERNEL has failed. Counted. */
enum oom_verdict oom_judge(struct mm *mm);

#endif
