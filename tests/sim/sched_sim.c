/*
 * sched_sim.c - which thread runs is drawn from a seed.
 *
 *   (1) Exactly one thread runs; it gives way only in sched_step(),
 *       sched_block(), sim_preempt() and at its end. What it does between two
 *       of those is atomic.
 *   (2) A thread is blocked with what it waits for and until when; it becomes
 *       runnable when that is woken, or when the clock gets there.
 *   (3) Every decision comes from the generator "schedule", every number a
 *       test or the disk asks for from "numbers": both start from the seed.
 *       Addresses decide nothing: the arena is always at the same place.
 */
#include "tests/sim/sched.h"

#include "mm/bug.h"

#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ASan ends the program by itself. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#endif
#ifdef SIM_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { TRACE_MAX = 32 };

/* How a seed mixes threads; drawn at its start. */
struct manner {
	uint64_t switch_mask; /* one of mask + 1 steps switches */
	uint64_t stall_mask;  /* one of mask + 1 switches stalls a thread */
	uint64_t step_ns;     /* longest step */
	uint64_t preempt_max; /* calls of sim_preempt() between two switches */
};

static struct {
	bool running;
	uint64_t seed;
	struct sim_options options;
	struct manner manner;
	uint64_t schedule, numbers; /* generators (3) */
	uint64_t hash, nr_steps, nr_switches;
	uint64_t now_ns;
	uint64_t preempt_in; /* calls left */
	unsigned int nr_arenas;
	unsigned int nr_threads; /* slots of threads[] ever used */
	struct sim_thread threads[SIM_THREADS_MAX];
	struct sim_thread *current;
	bool reporting; /* a failure; each thread is asked for its stack */
	struct sim_thread *reporter;
	struct fiber outside; /* sim_run() itself */
} sim;

struct sim_thread *sched_current(void)
{
	return sim.current;
}

uint64_t sched_now_ns(void)
{
	return sim.now_ns;
}

unsigned int sched_nr_cpus(void)
{
	return sim.options.nr_cpus;
}

unsigned int sched_next_arena(void)
{
	return sim.nr_arenas++;
}

/* --- random numbers -------------------------------------------------------- */

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t sim_random(void)
{
	return next_random(&sim.numbers);
}

uint64_t sim_between(uint64_t least, uint64_t most)
{
	ASSERT(least <= most);
	return least + sim_random() % (most - least + 1);
}

bool sim_chance(unsigned int percent)
{
	return sim_random() % 100 < percent;
}

uint64_t sched_random(void)
{
	return next_random(&sim.schedule);
}

/* One of 2, 8, 32, ...: threads that change often, and threads that do not. */
static void draw_manner(struct manner *m)
{
	static const uint64_t switches[] = { 0, 1, 3, 15, 63 };
	static const uint64_t stalls[] = { 31, 127, 1023 };
	static const uint64_t steps[] = { 1000, 4000, 20000 };
	static const uint64_t preempts[] = { 50, 500, 5000 };

	m->switch_mask = switches[sched_random() % ARRAY_SIZE(switches)];
	m->stall_mask = stalls[sched_random() % ARRAY_SIZE(stalls)];
	m->step_ns = steps[sched_random() % ARRAY_SIZE(steps)];
	m->preempt_max = preempts[sched_random() % ARRAY_SIZE(preempts)];
}

/* --- switching -------------------------------------------------------------- */

static void print_stack(void)
{
	void *trace[TRACE_MAX];
	int nr = backtrace(trace, TRACE_MAX);

	backtrace_symbols_fd(trace, nr, STDERR_FILENO);
}

static void switch_to(struct sim_thread *to)
{
	struct sim_thread *from = sim.current;

	sim.nr_switches++;
	sim.hash = (sim.hash ^ to->id ^ sim.now_ns) * 0x100000001b3u;
	if (to == from)
		return;
	sim.current = to;
	if (from->state == THREAD_DEAD)
		fiber_leave(&from->fiber, &to->fiber);
	fiber_jump(&from->fiber, &to->fiber);
	while (sim.reporting) {
		print_stack();
		fiber_jump(&from->fiber, &sim.reporter->fiber);
	}
}

/* --- what went wrong ------------------------------------------------------- */

static void print_thread(struct sim_thread *t)
{
	static const char *const states[] = {
		[THREAD_RUNNABLE] = "can run",
		[THREAD_BLOCKED] = "waits",
		[THREAD_DEAD] = "has ended",
	};

	fprintf(stderr, "%c %-15s %s", t == sim.current ? '*' : ' ', t->name,
		states[t->state]);
	if (t->state == THREAD_BLOCKED)
		fprintf(stderr, " for %s %p since %.6f s", t->why, t->waits_for,
			(double)t->since_ns / 1e9);
	if (t->state == THREAD_BLOCKED && t->until_ns != SIM_FOREVER)
		fprintf(stderr, " until %.6f s", (double)t->until_ns / 1e9);
	fprintf(stderr, ", holds %u locks\n", t->nr_locks);
}

static void report(void)
{
	fprintf(stderr,
		"SIM: seed %llu failed at step %llu, %.6f s; * is running\n",
		(unsigned long long)sim.seed, (unsigned long long)sim.nr_steps,
		(double)sim.now_ns / 1e9);
	for (unsigned int i = 0; i < sim.nr_threads; i++)
		if (sim.threads[i].state != THREAD_FREE)
			print_thread(&sim.threads[i]);
	if (!sim.current)
		return;
	fprintf(stderr, "stack of %s:\n", sim.current->name);
	print_stack();
	sim.reporting = true;
	sim.reporter = sim.current;
	for (unsigned int i = 0; i < sim.nr_threads; i++) {
		struct sim_thread *t = &sim.threads[i];

		if (t == sim.current || !t->started ||
		    (t->state != THREAD_RUNNABLE && t->state != THREAD_BLOCKED))
			continue;
		fprintf(stderr, "stack of %s:\n", t->name);
		fiber_jump(&sim.reporter->fiber, &t->fiber);
	}
}

_Noreturn void sim_fail(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "SIM: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	abort();
}

/* An assertion, or a wild pointer: what happened, then the usual end. */
static void on_signal(int sig)
{
	signal(sig, SIG_DFL);
	signal(SIGABRT, SIG_DFL);
	if (sim.running)
		report();
	raise(sig);
}

#ifdef SIM_ASAN
static void on_death(void)
{
	if (sim.running)
		fprintf(stderr, "SIM: seed %llu failed\n",
			(unsigned long long)sim.seed);
}
#endif

static void catch_failures(void)
{
	signal(SIGABRT, on_signal);
#ifdef SIM_ASAN
	__sanitizer_set_death_callback(on_death);
#else
	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	signal(SIGFPE, on_signal);
#endif
}

/* --- who is next ----------------------------------------------------------- */

static void expire_timers(void)
{
	for (unsigned int i = 0; i < sim.nr_threads; i++) {
		struct sim_thread *t = &sim.threads[i];

		if (t->state == THREAD_BLOCKED && t->until_ns <= sim.now_ns) {
			t->state = THREAD_RUNNABLE;
			t->woken = false;
		}
	}
}

/* One of those that can run, at random; NULL if there is none. */
static struct sim_thread *choose(bool stalled_too)
{
	struct sim_thread *ready[SIM_THREADS_MAX];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < sim.nr_threads; i++) {
		struct sim_thread *t = &sim.threads[i];

		if (t->state == THREAD_RUNNABLE &&
		    (stalled_too || t->stalled_until <= sim.nr_steps))
			ready[nr++] = t;
	}
	return nr ? ready[sched_random() % nr] : NULL;
}

static void check_hangs(void)
{
	for (unsigned int i = 0; i < sim.nr_threads; i++) {
		struct sim_thread *t = &sim.threads[i];

		if (t->state == THREAD_BLOCKED && t->until_ns == SIM_FOREVER &&
		    !t->idle && strcmp(t->why, "the end of") != 0 &&
		    sim.now_ns - t->since_ns > sim.options.hang_ns)
			sim_fail("%s waits too long", t->name);
	}
}

/* Nobody can run: on to the next timer. */
static void jump_clock(void)
{
	uint64_t next = SIM_FOREVER;

	for (unsigned int i = 0; i < sim.nr_threads; i++)
		if (sim.threads[i].state == THREAD_BLOCKED)
			next = min_of(next, sim.threads[i].until_ns);
	if (next == SIM_FOREVER)
		sim_fail("deadlock: nobody can run");
	sim.now_ns = max_of(sim.now_ns, next);
	check_hangs();
}

static void reschedule(void)
{
	struct sim_thread *next;

	for (;;) {
		expire_timers();
		next = choose(false);
		if (!next)
			next = choose(true);
		if (next)
			break;
		jump_clock();
	}
	switch_to(next);
}

void sched_step(void)
{
	uint64_t r = sched_random();

	ASSERT(sim.current); /* os.h outside sim_run() */
	sim.now_ns += r % sim.manner.step_ns;
	if (++sim.nr_steps > sim.options.max_steps)
		sim_fail("livelock: too many steps");
	if (sim.now_ns > sim.options.max_ns)
		sim_fail("livelock: too late");
	if ((r >> 32 & sim.manner.switch_mask) != 0)
		return;
	if ((r >> 40 & sim.manner.stall_mask) == 0)
		sim.current->stalled_until =
			sim.nr_steps + (1u << (r >> 56) % 13);
	reschedule();
}

void sim_yield(void)
{
	sched_step();
}

bool sched_block(const char *why, const void *waits_for, uint64_t until_ns)
{
	struct sim_thread *t = sim.current;

	t->state = THREAD_BLOCKED;
	t->why = why;
	t->waits_for = waits_for;
	t->since_ns = sim.now_ns;
	t->until_ns = until_ns;
	sim.nr_steps++;
	reschedule();
	return t->woken;
}

static void wake(struct sim_thread *t)
{
	t->state = THREAD_RUNNABLE;
	t->woken = true;
}

void sched_wake_all(const void *what)
{
	for (unsigned int i = 0; i < sim.nr_threads; i++) {
		struct sim_thread *t = &sim.threads[i];

		if (t->state == THREAD_BLOCKED && t->waits_for == what)
			wake(t);
	}
}

void sched_wake_one(const void *what)
{
	struct sim_thread *waiting[SIM_THREADS_MAX];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < sim.nr_threads; i++)
		if (sim.threads[i].state == THREAD_BLOCKED &&
		    sim.threads[i].waits_for == what)
			waiting[nr++] = &sim.threads[i];
	if (nr > 0)
		wake(waiting[sched_random() % nr]);
}

void sched_set_idle(const void *what)
{
	for (unsigned int i = 0; i < sim.nr_threads; i++)
		if (sim.threads[i].state == THREAD_BLOCKED &&
		    sim.threads[i].waits_for == what)
			sim.threads[i].idle = true;
}

void sched_may_sleep(void)
{
	if (sim.current->no_sleep > 0)
		sim_fail("%s sleeps where it must not", sim.current->name);
}

void sim_no_sleep_begin(void)
{
	sim.current->no_sleep++;
}

void sim_no_sleep_end(void)
{
	ASSERT(sim.current->no_sleep > 0);
	sim.current->no_sleep--;
}

void sim_set_idle(bool idle)
{
	sim.current->idle = idle;
}

void sim_preempt(void)
{
	if (!sim.current || sim.reporting || sim.preempt_in-- > 0)
		return;
	sim.preempt_in = sched_random() % sim.manner.preempt_max;
	sim.now_ns++;
	sim.nr_steps++;
	reschedule();
}

/* --- threads --------------------------------------------------------------- */

static void thread_main(void)
{
	struct sim_thread *t = sim.current;

	fiber_entered(t->id == 0 ? &sim.outside : NULL);
	t->started = true;
	fiber_note_acquire(t);
	t->fn(t->arg);
	if (t->nr_locks > 0)
		sim_fail("%s ends with %u locks", t->name, t->nr_locks);
	fiber_note_release(t);
	t->state = THREAD_DEAD;
	sched_wake_all(t);
	if (t->id == 0)
		fiber_leave(&t->fiber, &sim.outside);
	reschedule();
}

struct sim_thread *sched_thread_new(const char *name, void (*fn)(void *),
				    void *arg)
{
	struct sim_thread *t = NULL;

	for (unsigned int i = 0; i < SIM_THREADS_MAX && !t; i++)
		if (sim.threads[i].state == THREAD_FREE)
			t = &sim.threads[i];
	if (!t)
		return NULL;
	sim.nr_threads =
		max_of(sim.nr_threads, (unsigned int)(t - sim.threads) + 1);
	*t = (struct sim_thread){ .id = (unsigned int)(t - sim.threads),
				  .state = THREAD_RUNNABLE,
				  .fn = fn,
				  .arg = arg };
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->cpu = (unsigned int)(sched_random() % sim.options.nr_cpus);
	fiber_init(&t->fiber, t->name, thread_main);
	return t;
}

void sched_thread_free(struct sim_thread *t)
{
	ASSERT(t->state == THREAD_DEAD);
	fiber_destroy(&t->fiber);
	t->state = THREAD_FREE;
}

static void set_defaults(struct sim_options *o)
{
	if (!o->nr_cpus)
		o->nr_cpus = 2 + sched_random() % 3;
	if (!o->max_steps)
		o->max_steps = 20000000;
	if (!o->max_ns)
		o->max_ns = 86400 * NSEC_PER_SEC;
	if (!o->hang_ns)
		o->hang_ns = 300 * NSEC_PER_SEC;
}

static void check_ended(void)
{
	for (unsigned int i = 1; i < sim.nr_threads; i++)
		if (sim.threads[i].state != THREAD_FREE)
			sim_fail("%s was not joined", sim.threads[i].name);
}

struct sim_result sim_run(uint64_t seed, const struct sim_options *options,
			  void (*fn)(void *), void *arg)
{
	memset(&sim, 0, sizeof(sim));
	sim.seed = seed;
	sim.schedule = seed * 2;
	sim.numbers = ~seed;
	sim.options = options ? *options : (struct sim_options){ 0 };
	set_defaults(&sim.options);
	draw_manner(&sim.manner);
	catch_failures();
	sim_disk_reset();
	sim.running = true;
	fiber_init_outside(&sim.outside);
	sim.current = sched_thread_new("main", fn, arg);
	fiber_note_release(sim.current);
	fiber_jump(&sim.outside, &sim.current->fiber);
	fiber_note_acquire(sim.current);
	check_ended();
	sched_thread_free(sim.current);
	sim.current = NULL;
	sim.running = false;
	return (struct sim_result){ .hash = sim.hash ^ sim.numbers,
				    .nr_steps = sim.nr_steps,
				    .nr_switches = sim.nr_switches,
				    .now_ns = sim.now_ns };
}
