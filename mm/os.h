/*
 * os.h - the outside world: threads, locks, waits, clock, randomness, memory.
 *
 * Nothing else in the tree calls pthread_*, clock_gettime() or sched_getcpu();
 * I/O is behind mm/page_io.h in the same way. There are two implementations,
 * chosen when a program is linked: mm/os_posix.c, and tests/sim/os_sim.c, which
 * lets one thread run at a time, picks the next by seed at every lock, wait and
 * I/O, and has a clock of its own.
 *
 * The lock types are opaque storage, so that no header of either one leaks in.
 * Code takes locks through mm/lock.h, which adds the contracts clang proves.
 */
#ifndef MM_OS_H
#define MM_OS_H

#include "mm/os_cpu_lock.h"
#include "mm/os_order.h"
#include "mm/types.h"

#include <time.h>

struct os_mutex {
	_Alignas(8) unsigned char space[40];
};

struct os_rwlock {
	_Alignas(8) unsigned char space[56];
};

struct os_cond {
	_Alignas(8) unsigned char space[48];
};

struct os_thread {
	_Alignas(8) unsigned char space[16];
};

void os_mutex_init(struct os_mutex *m);
void os_mutex_lock(struct os_mutex *m);
bool os_mutex_trylock(struct os_mutex *m);
void os_mutex_unlock(struct os_mutex *m);

void os_rwlock_init(struct os_rwlock *l);
void os_rwlock_lock_shared(struct os_rwlock *l);
void os_rwlock_lock(struct os_rwlock *l);
bool os_rwlock_trylock_shared(struct os_rwlock *l);
bool os_rwlock_trylock(struct os_rwlock *l);
void os_rwlock_unlock(struct os_rwlock *l);

void os_cond_init(struct os_cond *c);
/* Release m, sleep until woken (perhaps for no reason), take m again. */
void os_cond_wait(struct os_cond *c, struct os_mutex *m);
/* The same, but at most timeout_ns. Returns false if that ran out. */
bool os_cond_timedwait(struct os_cond *c, struct os_mutex *m,
		       uint64_t timeout_ns);
void os_cond_signal(struct os_cond *c);
void os_cond_broadcast(struct os_cond *c);

/*
 * Start a thread that runs fn(arg). name: at most 15 characters. Returns 0 or
 * -errno.
 */
int os_thread_start(struct os_thread *t, const char *name, void (*fn)(void *),
		    void *arg);
void os_thread_join(struct os_thread *t);
/* Make the system call it is in return early (EINTR), if it can be. */
void os_thread_interrupt(struct os_thread *t);

/*
 * The calling thread was started by a library: it shall not be cancelled any
 * more; ended(arg) is called by it when it ends.
 */
void os_thread_adopt(void (*ended)(void *arg), void *arg);
/* End such a thread here. */
_Noreturn void os_thread_exit(void);

/* Nanoseconds of a clock that never goes back. */
uint64_t os_now_ns(void);
/* The time of day. */
struct timespec os_realtime(void);
/* As of the last tick, which is what kernels stamp files with. */
struct timespec os_realtime_coarse(void);
void os_sleep_ns(uint64_t ns);

uint64_t os_random(void);

/* The CPU this thread is on at this instant; it may be another at the next. */
unsigned int os_cpu(void);
/* CPUs there may ever be: every os_cpu() is below it. */
unsigned int os_nr_cpus(void);

/* Bytes of memory that this process may lock. */
size_t os_lockable_bytes(void);

/*
 * size bytes of zeroed memory that can be given back in parts. *fd: the memory
 * file behind it, or -1 where there is none. Returns NULL if there is not as
 * much.
 */
void *os_arena_map(size_t size, int *fd);
void os_arena_unmap(void *base, size_t size, int fd);
/*
 * Whole pages of it, size bytes from offset on, are zeroes again, and their
 * memory the system's until they are used. 0 or -errno.
 */
int os_arena_punch(void *base, int fd, size_t offset, size_t size);
/* Take memory for whole pages of it now, not when they are used. 0 or -errno. */
int os_arena_populate(void *addr, size_t size);

#endif
