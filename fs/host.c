/*
 * host.c - prctl(2), setrlimit(2), mlockall(2).
 *
 * Locked when touched (MCL_ONFAULT), and not before: each thread's stack, 8 MiB
 * by default, would be filled with memory that nobody uses. (The arena has all of
 * its own from the start, but for the balloon, which must not.) What is to come is
 * included (MCL_FUTURE): stacks of threads that libfuse makes, and the heap. The
 * kernel counts the address space against RLIMIT_MEMLOCK all the same.
 */
#include "fs/host.h"

#include <errno.h>
#include <linux/capability.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void host_lift_file_limit(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 &&
	    getrlimit(RLIMIT_FSIZE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_FSIZE, &limit);
	}
	signal(SIGXFSZ, SIG_IGN);
}

bool host_prepare(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	/* Modes come from the callers, whose own umask was applied. */
	umask(0);
	/* The C library's heap serves requests' small change: keep it small. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 64 << 10);
	mallopt(M_TRIM_THRESHOLD, 256 << 10);
	/*
	 * Who needs memory to write pages back must not wait for pages to be
	 * written back, nor be slowed down because many are dirty.
	 */
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0;
}

void host_give_up_reserves(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int n = CAP_TO_INDEX(CAP_SYS_RESOURCE);

	if (syscall(SYS_capget, &head, data) < 0)
		return;
	data[n].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
	data[n].permitted &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
	syscall(SYS_capset, &head, data);
}

/* Then there is no limit. */
static bool may_lock_all(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &head, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective &
		CAP_TO_MASK(CAP_IPC_LOCK));
}

/* Bytes of address space. */
static size_t address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (f && fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	if (f)
		fclose(f);
	return (size_t)pages << PAGE_SHIFT;
}

/* Bytes of a stack where nobody asks for less, as the C library has it. */
static size_t stack_size(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit) < 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return 8ul << 20;
	return (size_t)limit.rlim_cur;
}

int host_lock_memory(struct host_lock *l, size_t need, unsigned int nr_threads)
{
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };
	size_t space = address_space() + nr_threads * stack_size();

	*l = (struct host_lock){ .need = max_of(need, space),
				 .limit = SIZE_MAX };
	if (!may_lock_all() && getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY)
		l->limit = (size_t)limit.rlim_cur;
	if (l->need > l->limit)
		return -EPERM;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0 ? -errno
								    : 0;
}
