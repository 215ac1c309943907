/* os_posix.c - the outside world as Linux and POSIX threads provide it. */
#include "mm/os.h"

#include "mm/bug.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct os_mutex), "size");
_Static_assert(sizeof(pthread_rwlock_t) <= sizeof(struct os_rwlock), "size");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(struct os_cond), "size");
_Static_assert(sizeof(pthread_t) <= sizeof(struct os_thread), "size");

static pthread_mutex_t *mutex_of(struct os_mutex *m)
{
	return (pthread_mutex_t *)m->space;
}

static pthread_rwlock_t *rwlock_of(struct os_rwlock *l)
{
	return (pthread_rwlock_t *)l->space;
}

static pthread_cond_t *cond_of(struct os_cond *c)
{
	return (pthread_cond_t *)c->space;
}

void os_mutex_init(struct os_mutex *m)
{
	pthread_mutex_init(mutex_of(m), NULL);
}

void os_mutex_lock(struct os_mutex *m)
{
	int err = pthread_mutex_lock(mutex_of(m));

	ASSERT(err == 0);
}

bool os_mutex_trylock(struct os_mutex *m)
{
	return pthread_mutex_trylock(mutex_of(m)) == 0;
}

void os_mutex_unlock(struct os_mutex *m)
{
	pthread_mutex_unlock(mutex_of(m));
}

void os_rwlock_init(struct os_rwlock *l)
{
	pthread_rwlock_init(rwlock_of(l), NULL);
}

void os_rwlock_lock_shared(struct os_rwlock *l)
{
	int err = pthread_rwlock_rdlock(rwlock_of(l));

	ASSERT(err == 0);
}

void os_rwlock_lock(struct os_rwlock *l)
{
	int err = pthread_rwlock_wrlock(rwlock_of(l));

	ASSERT(err == 0);
}

bool os_rwlock_trylock_shared(struct os_rwlock *l)
{
	return pthread_rwlock_tryrdlock(rwlock_of(l)) == 0;
}

bool os_rwlock_trylock(struct os_rwlock *l)
{
	return pthread_rwlock_trywrlock(rwlock_of(l)) == 0;
}

void os_rwlock_unlock(struct os_rwlock *l)
{
	pthread_rwlock_unlock(rwlock_of(l));
}

void os_cond_init(struct os_cond *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond_of(c), &attr);
	pthread_condattr_destroy(&attr);
}

void os_cond_wait(struct os_cond *c, struct os_mutex *m)
{
	pthread_cond_wait(cond_of(c), mutex_of(m));
}

bool os_cond_timedwait(struct os_cond *c, struct os_mutex *m,
		       uint64_t timeout_ns)
{
	uint64_t until = os_now_ns() + timeout_ns;
	struct timespec ts = {
		.tv_sec = (time_t)(until / NSEC_PER_SEC),
		.tv_nsec = (long)(until % NSEC_PER_SEC),
	};

	return pthread_cond_timedwait(cond_of(c), mutex_of(m), &ts) !=
	       ETIMEDOUT;
}

void os_cond_signal(struct os_cond *c)
{
	pthread_cond_signal(cond_of(c));
}

void os_cond_broadcast(struct os_cond *c)
{
	pthread_cond_broadcast(cond_of(c));
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* What a new thread needs to find its way. */
struct trampoline {
	void (*fn)(void *);
	void *arg;
};

static void *thread_main(void *arg)
{
	struct trampoline t = *(struct trampoline *)arg;

	free(arg);
	t.fn(t.arg);
	return NULL;
}

int os_thread_start(struct os_thread *t, const char *name, void (*fn)(void *),
		    void *arg)
{
	pthread_t *id = (pthread_t *)t->space;
	struct trampoline *tramp = malloc(sizeof(*tramp));
	int err;

	if (!tramp)
		return -ENOMEM;
	*tramp = (struct trampoline){ fn, arg };
	err = pthread_create(id, NULL, thread_main, tramp);
	if (err) {
		free(tramp);
		return -err;
	}
	pthread_setname_np(*id, name);
	return 0;
}

static void ignore(int sig)
{
	(void)sig;
}

void os_thread_interrupt(struct os_thread *t)
{
	/* A handler, and no SA_RESTART: system calls return. */
	struct sigaction action = { .sa_handler = ignore };

	sigaction(SIGUSR1, &action, NULL);
	pthread_kill(*(pthread_t *)t->space, SIGUSR1);
}

void os_thread_join(struct os_thread *t)
{
	pthread_join(*(pthread_t *)t->space, NULL);
}

static pthread_key_t adopted;
static pthread_once_t adopted_once = PTHREAD_ONCE_INIT;

static _Thread_local void (*adopted_ended)(void *arg);

static void call_ended(void *arg)
{
	adopted_ended(arg);
}

static void make_adopted(void)
{
	int err = pthread_key_create(&adopted, call_ended);

	ASSERT(err == 0);
}

void os_thread_adopt(void (*ended)(void *arg), void *arg)
{
	int old, err;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
	pthread_once(&adopted_once, make_adopted);
	adopted_ended = ended;
	err = pthread_setspecific(adopted, arg);
	ASSERT(err == 0);
}

void os_thread_exit(void)
{
	pthread_exit(NULL);
}

uint64_t os_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

struct timespec os_realtime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts;
}

struct timespec os_realtime_coarse(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return ts;
}

void os_sleep_ns(uint64_t ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NSEC_PER_SEC),
		.tv_nsec = (long)(ns % NSEC_PER_SEC),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, &ts) == EINTR)
		;
}

uint64_t os_random(void)
{
	uint64_t r = 0;
	ssize_t n = getrandom(&r, sizeof(r), GRND_NONBLOCK);

	return n == (ssize_t)sizeof(r) ? r : os_now_ns();
}

unsigned int os_cpu(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (unsigned int)cpu;
}

unsigned int os_nr_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);

	return n < 1 ? 1 : (unsigned int)n;
}

/* --- locks of a CPU's own --------------------------------------------------- */

#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

static bool fence(int command)
{
	return syscall(SYS_membarrier, command, 0, 0) == 0;
}

int32_t os_rseq_start(void)
{
#if defined(__x86_64__) && !defined(UNDER_TSAN)
	/* The first of this process counts; others cost nothing. */
	if (__rseq_size > 0 && __rseq_offset != 0 &&
	    os_rseq_cpu((int32_t)__rseq_offset) < os_nr_cpus() &&
	    fence(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ))
		return (int32_t)__rseq_offset;
#endif
	return 0;
}

void os_cpu_lock_init(struct os_cpu_lock *l, unsigned int cpu, int32_t rseq)
{
	*l = (struct os_cpu_lock){ .cpu = cpu, .rseq = rseq };
}

static bool holder_swap(struct os_cpu_lock *l, uint64_t holder)
{
	uint64_t none = 0;

	return atomic_compare_exchange_strong_explicit(
		&l->holder, &none, holder, memory_order_acquire,
		memory_order_relaxed);
}

bool os_cpu_lock_try_shared(struct os_cpu_lock *l)
{
	return holder_swap(l, 1);
}

void os_cpu_lock_release_shared(struct os_cpu_lock *l)
{
	atomic_store_explicit(&l->holder, 0, memory_order_release);
}

/* Whoever has it does not keep it long, but may not be running. */
static void holder_wait(struct os_cpu_lock *l, uint64_t self)
{
	enum { SPINS = 100, YIELDS = 50, NAP_NS = 20000 };

	for (int n = 0; !holder_swap(l, self); n++) {
		if (n >= SPINS + YIELDS)
			os_sleep_ns(NAP_NS);
		else if (n >= SPINS)
			sched_yield();
	}
}

/* Those of them that self has, from an earlier look. */
static void holder_drop(struct os_cpu_lock *const locks[], unsigned int nr,
			uint64_t self)
{
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t mine = self;

		atomic_compare_exchange_strong(&locks[i]->holder, &mine, 0);
	}
}

void os_cpu_lock_seize(struct os_cpu_lock *const locks[], unsigned int nr)
{
	/* No other thread has this address; it is never 0 or 1. */
	uint64_t self = (uint64_t)(uintptr_t)&self;
	bool again = true;

	while (again) {
		bool exclusive = false;

		again = false;
		for (unsigned int i = 0; i < nr; i++) {
			if (atomic_load(&locks[i]->holder) != self) {
				/* Who waits holds none that comes later. */
				holder_drop(locks + i + 1, nr - i - 1, self);
				holder_wait(locks[i], self);
			}
			exclusive |= locks[i]->rseq != 0;
		}
		if (!exclusive)
			return;
		/* It may lack memory for a moment. */
		while (!fence(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ))
			os_sleep_ns(NSEC_PER_MSEC);
		for (unsigned int i = 0; i < nr; i++)
			again |= atomic_load(&locks[i]->holder) != self;
	}
}

size_t os_lockable_bytes(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return 0;
	return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX
					       : (size_t)limit.rlim_cur;
}

void *os_arena_map(size_t size, int *fd)
{
	void *base;

	*fd = memfd_create("plimsoll-arena", MFD_CLOEXEC);
	if (*fd < 0)
		return NULL;
	if (ftruncate(*fd, (off_t)size) < 0)
		goto out_close;
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (base == MAP_FAILED)
		goto out_close;
	return base;

out_close:
	close(*fd);
	*fd = -1;
	return NULL;
}

void os_arena_unmap(void *base, size_t size, int fd)
{
	munmap(base, size);
	if (fd >= 0)
		close(fd);
}

int os_arena_punch(void *base, int fd, size_t offset, size_t size)
{
	(void)base;
	/* madvise(2) refuses to do it where memory is locked. */
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 (off_t)offset, (off_t)size) < 0
		       ? -errno
		       : 0;
}

int os_arena_populate(void *addr, size_t size)
{
	int err;

	do
		err = madvise(addr, size, MADV_POPULATE_WRITE) < 0 ? -errno : 0;
	while (err == -EINTR || err == -EAGAIN);
	return err;
}
