/*
 * host.h - what the process asks of the system it runs on, so that it goes on
 * where memory is short.
 */
#ifndef FS_HOST_H
#define FS_HOST_H

#include "mm/types.h"

/*
 * What limits the files of who mounts is not for all who write to the mount, nor
 * for swap and memory. Where more cannot be had files end there (fs/backing.c);
 * no signal ends the process. Before any file is made.
 */
void host_lift_file_limit(void);

/*
 * Limits, and the C library's habits. Before any thread is started: what is set
 * is the calling thread's, and inherited by those it makes. True if its pages
 * can be what writeback waits for (PR_SET_IO_FLUSHER), which takes
 * CAP_SYS_RESOURCE.
 */
bool host_prepare(void);

/*
 * What file systems keep for root, and what is past a quota, is not for those we
 * write for: CAP_SYS_RESOURCE goes, for good. After host_prepare(), which uses
 * it, and before any thread is started. See mm/io_cred.h for the rest.
 */
void host_give_up_reserves(void);

struct host_lock {
	size_t need;  /* bytes that may have to be locked */
	size_t limit; /* bytes that may be */
};

/*
 * Keep all memory of the process, present and future, in memory once it has been
 * touched. need: bytes that it may come to; nr_threads: that are still to be
 * started, whose stacks count in full. 0; -EPERM: *l says what is needed and what
 * is allowed; or -errno.
 */
int host_lock_memory(struct host_lock *l, size_t need, unsigned int nr_threads);

#endif
