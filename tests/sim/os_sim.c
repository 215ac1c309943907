/*
 * os_sim.c - mm/os.h on top of the simulator's threads.
 *
 *   (1) A lock knows who has it. Taking it twice, or releasing another's, ends
 *       the run.
 *   (2) Whoever is woken looks again, as others may have been faster: locks
 *       are not handed over.
 *   (3) A wait may end for no reason, and does now and then.
 */
#include "tests/sim/sched.h"

#include "mm/bug.h"
#include "mm/os.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Far from everything the loader and the sanitizers use. */
#ifdef SIM_TSAN
static const uintptr_t arena_base = 0x1000000000;
#else
static const uintptr_t arena_base = 0x200000000000;
#endif
static const uintptr_t arena_distance = 1ul << 32;

/* --- threads --------------------------------------------------------------- */

static struct sim_thread **thread_of(struct os_thread *t)
{
	return (struct sim_thread **)(void *)t->space;
}

int os_thread_start(struct os_thread *t, const char *name, void (*fn)(void *),
		    void *arg)
{
	ASSERT(strlen(name) < sizeof(sched_current()->name));
	*thread_of(t) = sched_thread_new(name, fn, arg);
	if (!*thread_of(t))
		return -EAGAIN;
	fiber_note_release(*thread_of(t));
	sched_step();
	return 0;
}

void os_thread_join(struct os_thread *t)
{
	struct sim_thread *thread = *thread_of(t);

	sched_may_sleep();
	sched_step();
	while (thread->state != THREAD_DEAD)
		sched_block("the end of", thread, SIM_FOREVER);
	fiber_note_acquire(thread);
	sched_thread_free(thread);
}

/* There are no system calls here. */
void os_thread_interrupt(struct os_thread *t)
{
	ASSERT((*thread_of(t))->state != THREAD_FREE);
	sched_step();
}

/* --- locks ----------------------------------------------------------------- */

/* What the opaque storage of os.h holds here. */
enum magic { MUTEX_MAGIC = 0x6d757478, RWLOCK_MAGIC = 0x72776c6b };
enum { COND_MAGIC = 0x636f6e64 };

struct sim_mutex {
	uint32_t magic;
	struct sim_thread *owner;
};

struct sim_rwlock {
	uint32_t magic;
	struct sim_thread *owner; /* exclusive */
	uint64_t readers;	  /* bit n: thread n */
};

struct sim_cond {
	uint32_t magic;
	bool idle; /* who waits here waits for work */
};

_Static_assert(sizeof(struct sim_mutex) <= sizeof(struct os_mutex), "size");
_Static_assert(sizeof(struct sim_rwlock) <= sizeof(struct os_rwlock), "size");
_Static_assert(sizeof(struct sim_cond) <= sizeof(struct os_cond), "size");
_Static_assert(SIM_THREADS_MAX <= 64, "a reader is a bit");

/* Of a thread at a time, a wait for no reason so often; and so long. */
enum { SPURIOUS_PERCENT = 6 };
static const uint64_t spurious_max_ns = NSEC_PER_MSEC;

static struct sim_mutex *mutex_of(struct os_mutex *m)
{
	struct sim_mutex *mutex = (struct sim_mutex *)(void *)m->space;

	if (mutex->magic != MUTEX_MAGIC)
		sim_fail("mutex %p was not initialised", (void *)m);
	return mutex;
}

void os_mutex_init(struct os_mutex *m)
{
	*(struct sim_mutex *)(void *)m->space =
		(struct sim_mutex){ .magic = MUTEX_MAGIC };
}

/* Take it once it is free; no step of its own. */
static void mutex_take(struct os_mutex *m)
{
	struct sim_mutex *mutex = mutex_of(m);

	if (mutex->owner == sched_current())
		sim_fail("mutex %p taken twice", (void *)m);
	while (mutex->owner)
		sched_block("mutex", m, SIM_FOREVER); /* (2) */
	mutex->owner = sched_current();
	sched_current()->nr_locks++;
	fiber_note_acquire(m);
}

static void mutex_give(struct os_mutex *m)
{
	struct sim_mutex *mutex = mutex_of(m);

	if (mutex->owner != sched_current())
		sim_fail("mutex %p released by another than its owner",
			 (void *)m);
	fiber_note_release(m);
	mutex->owner = NULL;
	sched_current()->nr_locks--;
	sched_wake_all(m);
}

void os_mutex_lock(struct os_mutex *m)
{
	sched_step();
	mutex_take(m);
}

bool os_mutex_trylock(struct os_mutex *m)
{
	sched_step();
	if (mutex_of(m)->owner)
		return false;
	mutex_take(m);
	return true;
}

void os_mutex_unlock(struct os_mutex *m)
{
	mutex_give(m);
	sched_step(); /* m may be gone afterwards */
}

static struct sim_rwlock *rwlock_of(struct os_rwlock *l)
{
	struct sim_rwlock *lock = (struct sim_rwlock *)(void *)l->space;

	if (lock->magic != RWLOCK_MAGIC)
		sim_fail("rwlock %p was not initialised", (void *)l);
	return lock;
}

static uint64_t reader_bit(void)
{
	return 1ull << sched_current()->id;
}

static void check_not_mine(struct os_rwlock *l)
{
	struct sim_rwlock *lock = rwlock_of(l);

	if (lock->owner == sched_current() || (lock->readers & reader_bit()))
		sim_fail("rwlock %p taken twice", (void *)l);
}

static void rwlock_taken(struct os_rwlock *l, bool shared)
{
	struct sim_rwlock *lock = rwlock_of(l);

	if (shared)
		lock->readers |= reader_bit();
	else
		lock->owner = sched_current();
	sched_current()->nr_locks++;
	fiber_note_acquire(l);
}

void os_rwlock_init(struct os_rwlock *l)
{
	*(struct sim_rwlock *)(void *)l->space =
		(struct sim_rwlock){ .magic = RWLOCK_MAGIC };
}

void os_rwlock_lock_shared(struct os_rwlock *l)
{
	sched_step();
	check_not_mine(l);
	while (rwlock_of(l)->owner)
		sched_block("rwlock (shared)", l, SIM_FOREVER);
	rwlock_taken(l, true);
}

void os_rwlock_lock(struct os_rwlock *l)
{
	sched_step();
	check_not_mine(l);
	while (rwlock_of(l)->owner || rwlock_of(l)->readers)
		sched_block("rwlock", l, SIM_FOREVER);
	rwlock_taken(l, false);
}

bool os_rwlock_trylock_shared(struct os_rwlock *l)
{
	sched_step();
	check_not_mine(l);
	if (rwlock_of(l)->owner)
		return false;
	rwlock_taken(l, true);
	return true;
}

bool os_rwlock_trylock(struct os_rwlock *l)
{
	sched_step();
	check_not_mine(l);
	if (rwlock_of(l)->owner || rwlock_of(l)->readers)
		return false;
	rwlock_taken(l, false);
	return true;
}

void os_rwlock_unlock(struct os_rwlock *l)
{
	struct sim_rwlock *lock = rwlock_of(l);

	if (lock->owner != sched_current() && !(lock->readers & reader_bit()))
		sim_fail("rwlock %p released by another than its owner",
			 (void *)l);
	fiber_note_release(l);
	if (lock->owner == sched_current())
		lock->owner = NULL;
	else
		lock->readers &= ~reader_bit();
	sched_current()->nr_locks--;
	sched_wake_all(l);
	sched_step();
}

/* --- waits ----------------------------------------------------------------- */

static void check_cond(const struct os_cond *c)
{
	const struct sim_cond *cond = (const void *)c->space;

	if (cond->magic != COND_MAGIC)
		sim_fail("cond %p was not initialised", (const void *)c);
}

void os_cond_init(struct os_cond *c)
{
	*(struct sim_cond *)(void *)c->space =
		(struct sim_cond){ .magic = COND_MAGIC };
}

/* Returns whether it was signalled. */
static bool cond_sleep(struct os_cond *c, struct os_mutex *m, uint64_t until_ns)
{
	bool woken;

	sched_may_sleep();
	check_cond(c);
	mutex_give(m);
	if (((struct sim_cond *)(void *)c->space)->idle)
		sim_set_idle(true);
	woken = sched_block("cond", c, until_ns);
	sim_set_idle(false);
	mutex_take(m);
	return woken;
}

void sim_set_idle_cond(struct os_cond *c)
{
	check_cond(c);
	((struct sim_cond *)(void *)c->space)->idle = true;
	sched_set_idle(c);
}

/* Now and then a wait is to end for no reason. */
static uint64_t spurious_ns(void)
{
	if (sched_random() % 100 >= SPURIOUS_PERCENT)
		return SIM_FOREVER;
	return sched_now_ns() + sched_random() % spurious_max_ns;
}

void os_cond_wait(struct os_cond *c, struct os_mutex *m)
{
	cond_sleep(c, m, spurious_ns());
}

bool os_cond_timedwait(struct os_cond *c, struct os_mutex *m,
		       uint64_t timeout_ns)
{
	uint64_t until = sched_now_ns() + timeout_ns;
	bool woken = cond_sleep(c, m, min_of(until, spurious_ns()));

	return woken || sched_now_ns() < until;
}

void os_cond_signal(struct os_cond *c)
{
	check_cond(c);
	sched_wake_one(c);
	sched_step();
}

void os_cond_broadcast(struct os_cond *c)
{
	check_cond(c);
	sched_wake_all(c);
	sched_step();
}

/* --- locks of a CPU's own -------------------------------------------------- */

/* Always shared: threads move between any two steps. */
int32_t os_rseq_start(void)
{
	return 0;
}

void os_cpu_lock_init(struct os_cpu_lock *l, unsigned int cpu, int32_t rseq)
{
	ASSERT(rseq == 0);
	*l = (struct os_cpu_lock){ .cpu = cpu };
}

static uint64_t me(void)
{
	return sched_current()->id + 1ull;
}

static void cpu_lock_taken(struct os_cpu_lock *l)
{
	l->holder = me();
	sched_current()->nr_locks++;
	fiber_note_acquire(l);
}

bool os_cpu_lock_try_shared(struct os_cpu_lock *l)
{
	sched_step();
	if (l->holder == me())
		sim_fail("CPU lock %p taken twice", (void *)l);
	if (l->holder != 0)
		return false;
	cpu_lock_taken(l);
	return true;
}

void os_cpu_lock_release_shared(struct os_cpu_lock *l)
{
	if (l->holder != me())
		sim_fail("CPU lock %p released by another than its owner",
			 (void *)l);
	fiber_note_release(l);
	l->holder = 0;
	sched_current()->nr_locks--;
	sched_wake_all(l);
	sched_step();
}

void os_cpu_lock_seize(struct os_cpu_lock *const locks[], unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		sched_step();
		if (locks[i]->holder == me())
			sim_fail("CPU lock %p taken twice", (void *)locks[i]);
		while (locks[i]->holder != 0)
			sched_block("CPU lock", locks[i], SIM_FOREVER);
		cpu_lock_taken(locks[i]);
	}
}

/* --- clock, chance, CPUs, memory --------------------------------------------------- */

uint64_t os_now_ns(void)
{
	return sched_now_ns();
}

struct timespec os_realtime(void)
{
	static const time_t start = 1000000000; /* any will do */

	return (struct timespec){
		.tv_sec = start + (time_t)(sched_now_ns() / NSEC_PER_SEC),
		.tv_nsec = (long)(sched_now_ns() % NSEC_PER_SEC),
	};
}

struct timespec os_realtime_coarse(void)
{
	struct timespec now = os_realtime();

	now.tv_nsec -= now.tv_nsec % (long)(4 * NSEC_PER_MSEC);
	return now;
}

uint64_t os_random(void)
{
	return sim_random();
}

void os_sleep_ns(uint64_t ns)
{
	sched_may_sleep();
	sched_block("sleep", NULL, sched_now_ns() + ns);
}

/* Few migrations, or per-CPU data would be shared all the time. */
enum { MIGRATE_MASK = 63 };

unsigned int os_cpu(void)
{
	sched_step();
	if ((sched_random() & MIGRATE_MASK) == 0)
		sched_current()->cpu =
			(unsigned int)(sched_random() % sched_nr_cpus());
	return sched_current()->cpu;
}

unsigned int os_nr_cpus(void)
{
	return sched_nr_cpus();
}

/* The same everywhere, or seeds would not be. */
size_t os_lockable_bytes(void)
{
	return 8ul << 20;
}

void *os_arena_map(size_t size, int *fd)
{
	uintptr_t at = arena_base + sched_next_arena() * arena_distance;
	void *base;

	ASSERT(size <= arena_distance);
	*fd = -1;
	base = mmap((void *)at, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return base == MAP_FAILED ? NULL : base;
}

void os_arena_unmap(void *base, size_t size, int fd)
{
	ASSERT(fd == -1);
	munmap(base, size);
}

int os_arena_punch(void *base, int fd, size_t offset, size_t size)
{
	ASSERT(fd == -1);
	memset((char *)base + offset, 0, size);
	return 0;
}

int os_arena_populate(void *addr, size_t size)
{
	(void)addr;
	(void)size;
	return 0;
}
