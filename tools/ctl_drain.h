/*
 * ctl_drain.h - what a plimsoll does after umount(2) has returned.
 *
 * It writes back what is dirty, and only then lets go of the flock(2) it holds
 * on its SOURCE. The lock is the truth. A file in the run directory says how
 * far it is: "serving|draining|lost BYTES PID", then the SOURCE.
 */
#ifndef TOOLS_CTL_DRAIN_H
#define TOOLS_CTL_DRAIN_H

#include "tools/ctl_mount.h"

struct ctl_drain {
	const struct ctl_mount *m;
	bool nothing;	     /* is ever written back: an anon volume */
	int source;	     /* the SOURCE; -1: hidden by its own mount */
	long pid;	     /* who serves it; 0: not known */
	char run[PATH_MAX];  /* the run file; "": there is none */
	double since, shown; /* when the wait began; the last progress line */
	bool hinted;	     /* said why this may take for ever */
};

/* Before the unmounting. Opens the SOURCE where that can be done by now. */
void ctl_drain_begin(struct ctl_drain *d, const struct ctl_mount *m);
/*
 * After it: wait until all is written, with a line of progress on a terminal.
 * Returns an exit status, after a line if something was lost.
 */
int ctl_drain_wait(struct ctl_drain *d);
/* Instead of it, if the unmounting failed. */
void ctl_drain_cancel(struct ctl_drain *d);

#endif
