/*
 * copy_taker.h - a process that takes the kernel's copies of pages back.
 *
 * Who makes the kernel drop pages may have to wait for a read in flight, which
 * ends only when plimsoll answers it. A thread of plimsoll that waits so would
 * keep the FUSE descriptor open when the process is killed, and the mount would
 * be dead for ever. A process without that descriptor can wait: when plimsoll
 * dies the connection ends, and with it the wait.
 *
 * It is plimsoll itself, executed once more. It sees each mount through a
 * detached clone, so that the mount is not busy because of it, and opens files
 * by handle. Its opens are told from others by the group it opens as: a number
 * drawn at random for each such process, which only who may take on any group can
 * have, and nobody has by chance; and by its process id, which is nobody else's
 * before it is reaped. (Who is outside our PID namespace, and the kernel itself,
 * has the id 0.) What it does with them:
 *
 *	posix_fadvise(DONTNEED)	 drops what is clean and not mapped
 *	pwrite()		 to a file that is open for direct I/O: writes
 *				 back, unmaps and drops; the data are not taken
 *				 (fs/fuse_copy.c)
 *	open(O_SYNC)		 is told not to keep what the kernel has of the
 *				 file: all of it is written back and dropped
 *	cachestat()		 says what is left, and what is dirty
 *	sync_file_range()	 has what is dirty handed over
 *
 * It needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH, not just in a user namespace,
 * and Linux 6.5 for cachestat(2).
 */
#ifndef FS_COPY_TAKER_H
#define FS_COPY_TAKER_H

#include "fs/kernel_copy.h"

#include <sys/types.h>

/* The hidden operand with which plimsoll is executed for this. */
#define COPY_TAKER_ARG "--take-copies"

enum { COPY_TAKER_MOUNTS = 16 };

struct copy_taker {
	int fd;		       /* of the conversation (lock) */
	_Atomic pid_t pid;     /* 0: there is none; changed with (pid_lock) */
	_Atomic gid_t token;   /* the group it opens as */
	struct mutex pid_lock; /* inside of lock: a pid that is not reaped */
	size_t chunk;	       /* bytes of the largest write */
	bool locked;	       /* its memory is to stay in memory, if it may */
	struct mutex lock;
	_Atomic unsigned int nr_waiting; /* for the lock, and more urgent */
	_Atomic bool dead;
	const char *mounts[COPY_TAKER_MOUNTS]; /* paths, or NULL (lock) */
	dev_t devices[COPY_TAKER_MOUNTS]; /* what is mounted there (lock) */
};

/*
 * Start the process; chunk: bytes of the largest write a mount takes; its memory
 * is locked if t->locked. Returns 0, or -errno if this user or this system cannot
 * have one.
 */
int copy_taker_start(struct copy_taker *t, size_t chunk);
/* It ends, too, when this process does. */
void copy_taker_stop(struct copy_taker *t);

/* It has ended: start another one, which knows the same mounts. 0 or -errno. */
int copy_taker_restart(struct copy_taker *t);

/*
 * Mount number "mount", of that device, is at this path (which stays) now: -errno
 * if nothing can be taken back from it; -ESTALE: another mount lies on top. Or it
 * is about to be unmounted.
 */
int copy_taker_mounted(struct copy_taker *t, unsigned int mount,
		       const char *path, dev_t device);
void copy_taker_unmounting(struct copy_taker *t, unsigned int mount);

/*
 * Carry out orders, which blocks, and fill in nr_left. -EIO: there is no such
 * process any more.
 */
int copy_taker_take(struct copy_taker *t, struct copy_order *orders,
		    unsigned int nr);

/* Is it the process that asks, with this id and as this user and group? */
bool copy_taker_is(struct copy_taker *t, pid_t pid, uid_t uid, gid_t gid);

/*
 * Look at the file and the range of an order. 0; -EAGAIN: it is busy taking copies
 * back; or -errno. Waits for no more than an answer that needs nobody else.
 */
int copy_taker_look(struct copy_taker *t, const struct copy_order *order,
		    struct kernel_view *view);

/*
 * Have the kernel hand over what is dirty of the file of an order, and wait for that;
 * of a nodeid of 0, of the whole mount, without waiting for all of it. 0 or -errno;
 * -ETIMEDOUT after patience_ns: the process is killed then, as nothing else ends it.
 */
int copy_taker_push(struct copy_taker *t, const struct copy_order *order,
		    uint64_t patience_ns);

/*
 * The calling thread shall not wait for a CPU behind those whose pages it takes
 * back: there may be many of them, and all of them fill while it waits.
 */
void copy_taker_hurry(void);

/* The main function of that process. */
int copy_taker_main(void);

#endif
