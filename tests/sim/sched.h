/*
 * sched.h - who runs, who waits and what time it is: between os_sim.c, which
 * knows what a lock is, and sched_sim.c, which does not.
 */
#ifndef TESTS_SIM_SCHED_H
#define TESTS_SIM_SCHED_H

#include "tests/sim/fiber.h"
#include "tests/sim/sim.h"

#define SIM_THREADS_MAX 64
#define SIM_FOREVER	UINT64_MAX

enum thread_state { THREAD_FREE, THREAD_RUNNABLE, THREAD_BLOCKED, THREAD_DEAD };

struct sim_thread {
	unsigned int id;
	char name[16];
	enum thread_state state;
	bool started;
	void (*fn)(void *);
	void *arg;

	const char *why;	/* blocked: kind of thing waited for */
	const void *waits_for;	/* ... which one */
	uint64_t until_ns;	/* ... until when */
	uint64_t since_ns;	/* ... since when */
	bool woken;		/* was: not by the clock */
	bool idle;		/* may wait for ever */
	uint64_t stalled_until; /* step; runs only if nobody else can */

	unsigned int cpu;
	unsigned int nr_locks; /* held */
	unsigned int no_sleep;
	struct fiber fiber;
};

struct sim_thread *sched_current(void);
uint64_t sched_now_ns(void);
unsigned int sched_nr_cpus(void);
/* How many arenas were asked for before in this run? */
unsigned int sched_next_arena(void);
/* The schedule's own random numbers; a test's are sim_random(). */
uint64_t sched_random(void);

/* NULL if there are too many. It runs when its turn comes. */
struct sim_thread *sched_thread_new(const char *name, void (*fn)(void *),
				    void *arg);
/* It has ended. */
void sched_thread_free(struct sim_thread *t);

/* A step: time passes, and another thread may run. */
void sched_step(void);
/* Sleep until woken or until that time; returns whether woken. */
bool sched_block(const char *why, const void *waits_for, uint64_t until_ns);
void sched_wake_one(const void *what);
void sched_wake_all(const void *what);
/* Who sleeps there may do so for ever. */
void sched_set_idle(const void *what);
/* Fail unless this thread may sleep now. */
void sched_may_sleep(void);

#endif
