/*
 * test_cpu_stack.c - a stack with a cold end against an array; and threads that
 * pass tokens through the stacks of their CPUs while others drain them.
 *
 *	thread ──push──► stack of its CPU ──pop──► thread
 *	                      │ seize
 *	                      ▼
 *	                   drainer ──► back to the threads
 *
 * A token is a counter that is raised by whoever has it, and not atomically:
 * had two threads the same one, a step would be lost. In the end all tokens are
 * there, once each. Both ways of taking the lock are tried.
 */
#include "mm/cpu_stack.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

enum { MAX = 60, SIZE = 100, NR_STEPS = 200000 };

struct stack {
	_Alignas(CACHE_LINE) struct cpu_stack s;
	void *items[SIZE];
};

static uint64_t tokens[SIZE];
static void *deck[SIZE]; /* deck[0] is the coldest */
static unsigned int nr_deck;

static void take_lock(struct cpu_stack *s) unchecked
{
	cpu_seize(&s->lock);
}

static void drop_lock(struct cpu_stack *s) unchecked
{
	cpu_unlock(&s->lock);
}

/* One operation with the lock, chosen by chance, on both. */
static void locked_step(struct cpu_stack *s, void *item) unchecked
{
	bool cold = rnd(2);

	take_lock(s);
	if (nr_deck > 0 && (nr_deck == MAX || rnd(2))) {
		void *expected = cold ? deck[0] : deck[nr_deck - 1];
		void *got = cold ? cpu_stack_take_cold(s) : cpu_stack_take(s);

		assert_ptr_equal(got, expected);
		nr_deck--;
		if (cold)
			memmove(deck, deck + 1, nr_deck * sizeof(deck[0]));
	} else if (cold) {
		cpu_stack_put_cold(s, item);
		memmove(deck + 1, deck, nr_deck++ * sizeof(deck[0]));
		deck[0] = item;
	} else {
		cpu_stack_put(s, item);
		deck[nr_deck++] = item;
	}
	drop_lock(s);
}

static void free_step(struct cpu_stack *s, unsigned int cpu, int32_t rseq,
		      void *item)
{
	if (rnd(2)) {
		void *got = cpu_stack_pop(s, cpu, rseq);

		/* None: the stack is empty, or we were interrupted. */
		if (got) {
			assert_true(nr_deck > 0);
			assert_ptr_equal(got, deck[--nr_deck]);
		}
	} else if (cpu_stack_push(s, item, cpu, rseq)) {
		assert_true(nr_deck < MAX);
		deck[nr_deck++] = item;
	}
}

static void compare_with_array(int32_t rseq)
{
	static struct stack stack;
	unsigned int cpu = rseq ? os_cpu() : 0, done = 0;

	cpu_stack_init(&stack.s, MAX, SIZE, cpu, rseq);
	nr_deck = 0;
	for (int n = 0; n < NR_STEPS; n++) {
		void *item = &tokens[rnd(SIZE)];
		unsigned int before = nr_deck;

		if (rnd(4) == 0)
			locked_step(&stack.s, item);
		else
			free_step(&stack.s, cpu, rseq, item);
		done += nr_deck != before;
		assert_int_equal(cpu_stack_count(&stack.s), nr_deck);
	}
	assert_true(done > NR_STEPS / 4);
}

static void is_a_stack_with_a_cold_end(void **state)
{
	(void)state;
	unit_pin(0);
	compare_with_array(0);
	compare_with_array(os_rseq_start());
}

/* What is another CPU's, or held, cannot be had; without waiting. */
static void is_refused_to_others(void **state)
{
	int32_t rseq = os_rseq_start();
	unsigned int here;
	struct stack stack;

	(void)state;
	unit_pin(0);
	here = os_cpu();
	for (unsigned int cpu = here; cpu <= here + 1; cpu++) {
		cpu_stack_init(&stack.s, MAX, SIZE, cpu, rseq);
		take_lock(&stack.s);
		assert_false(cpu_stack_push(&stack.s, tokens, cpu, rseq));
		assert_null(cpu_stack_pop(&stack.s, cpu, rseq));
		drop_lock(&stack.s);
	}
	if (!rseq)
		return;
	assert_false(cpu_stack_push(&stack.s, tokens, here + 1, rseq));
	assert_null(cpu_stack_pop(&stack.s, here + 1, rseq));
	assert_int_equal(cpu_stack_count(&stack.s), 0);
}

/* --- threads ---------------------------------------------------------------- */

enum { NR_THREADS = 6, NR_TOKENS = 40, NR_CPUS = 2 };
/* A sequence takes a few nanoseconds: to be hit in it needs many. */
enum { SHARED_STEPS = 100000, RSEQ_STEPS = 3000000 };

static struct {
	struct stack stacks[NR_CPUS];
	int32_t rseq;
	pthread_mutex_t lock;
	uint64_t *spare[NR_TOKENS]; /* tokens nobody has (lock) */
	unsigned int nr_spare;	    /* (lock) */
	uint64_t values[NR_TOKENS];
	_Atomic uint64_t nr_uses, nr_fast, nr_drained;
	_Atomic bool stop;
} w;

static uint64_t *spare_get(void)
{
	uint64_t *token;

	pthread_mutex_lock(&w.lock);
	token = w.nr_spare > 0 ? w.spare[--w.nr_spare] : NULL;
	pthread_mutex_unlock(&w.lock);
	return token;
}

static void spare_put(uint64_t *token)
{
	pthread_mutex_lock(&w.lock);
	ASSERT(w.nr_spare < NR_TOKENS);
	w.spare[w.nr_spare++] = token;
	pthread_mutex_unlock(&w.lock);
}

static void worker_main(void *arg)
{
	uint64_t state = (uintptr_t)arg, uses = 0, fast = 0;

	for (int n = 0; n < (w.rseq ? RSEQ_STEPS : SHARED_STEPS); n++) {
		unsigned int cpu = os_cpu() % NR_CPUS;
		struct cpu_stack *s = &w.stacks[cpu].s;
		uint64_t *token = cpu_stack_pop(s, cpu, w.rseq);

		fast += token != NULL;
		if (!token)
			token = spare_get();
		if (!token)
			continue;
		++*token;
		uses++;
		if (rnd_of(&state) % 50000 == 0)
			unit_nap(); /* and is woken on another CPU, perhaps */
		if (!cpu_stack_push(s, token, cpu, w.rseq))
			spare_put(token);
	}
	atomic_fetch_add(&w.nr_uses, uses);
	atomic_fetch_add(&w.nr_fast, fast);
}

static void drain_all(void) unchecked
{
	struct cpu_stack *seized[NR_CPUS];
	unsigned int nr = cpu_stack_seize(&w.stacks[0].s, sizeof(w.stacks[0]),
					  NR_CPUS, seized);

	for (unsigned int i = 0; i < nr; i++) {
		while (cpu_stack_count(seized[i]) > 0) {
			spare_put(rnd(2) ? cpu_stack_take_cold(seized[i])
					 : cpu_stack_take(seized[i]));
			atomic_fetch_add(&w.nr_drained, 1);
		}
		cpu_unlock(&seized[i]->lock);
	}
}

static void drainer_main(void *arg)
{
	(void)arg;
	while (!atomic_load(&w.stop))
		drain_all();
}

static void pass_tokens(int32_t rseq)
{
	struct os_thread workers[NR_THREADS], drainer;
	uint64_t sum = 0;

	memset(&w, 0, sizeof(w));
	pthread_mutex_init(&w.lock, NULL);
	w.rseq = rseq;
	for (unsigned int i = 0; i < NR_CPUS; i++)
		cpu_stack_init(&w.stacks[i].s, MAX, SIZE, i, rseq);
	for (int i = 0; i < NR_TOKENS; i++)
		spare_put(&w.values[i]);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(os_thread_start(&workers[i], "worker",
						 worker_main,
						 (void *)(rnd(1000) + i)),
				 0);
	assert_int_equal(
		os_thread_start(&drainer, "drainer", drainer_main, NULL), 0);
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&workers[i]);
	atomic_store(&w.stop, true);
	os_thread_join(&drainer);
	drain_all(); /* what threads that have ended left */
	assert_int_equal(w.nr_spare, NR_TOKENS);
	for (int i = 0; i < NR_TOKENS; i++) {
		uint64_t *token = w.spare[i];

		assert_true(token >= w.values && token < w.values + NR_TOKENS);
		sum += *token;
		*token = 0; /* a second time it would be missed */
	}
	assert_int_equal(sum, w.nr_uses);
	assert_true(w.nr_fast > 0 && w.nr_drained > 0);
}

static void tokens_are_neither_lost_nor_doubled(void **state)
{
	(void)state;
	pass_tokens(0);
	if (os_rseq_start() && os_nr_cpus() <= NR_CPUS)
		pass_tokens(os_rseq_start());
}

/* --- interrupted in between -------------------------------------------------- */

enum { NR_SIGNALS = 4000, PERIOD_US = 30 };

static struct {
	struct stack stack;
	unsigned int cpu;
	int32_t rseq;
	void *mine; /* the handler's */
	_Atomic unsigned int nr_signals;
} sig;

/* As another thread of this CPU would: one out, next time in again. */
static void handler(int signo)
{
	(void)signo;
	atomic_fetch_add(&sig.nr_signals, 1);
	if (!sig.mine)
		sig.mine = cpu_stack_pop(&sig.stack.s, sig.cpu, sig.rseq);
	else if (cpu_stack_push(&sig.stack.s, sig.mine, sig.cpu, sig.rseq))
		sig.mine = NULL;
}

static void count_token(const void *token)
{
	ASSERT((const uint64_t *)token >= tokens);
	tokens[(const uint64_t *)token - tokens]++;
}

/* Each is there once: in the stack, with the handler, or with "held". */
static void check_tokens(void *held) unchecked
{
	memset(tokens, 0, sizeof(tokens));
	take_lock(&sig.stack.s);
	while (cpu_stack_count(&sig.stack.s) > 0)
		count_token(cpu_stack_take(&sig.stack.s));
	drop_lock(&sig.stack.s);
	if (sig.mine)
		count_token(sig.mine);
	if (held)
		count_token(held);
	for (int i = 0; i < NR_TOKENS; i++)
		assert_int_equal(tokens[i], 1);
}

static void starts_over_when_interrupted(void **state)
{
	struct itimerval period = { { 0, PERIOD_US }, { 0, PERIOD_US } };
	struct itimerval none = { { 0, 0 }, { 0, 0 } };
	void *held = NULL;

	(void)state;
	memset(&sig, 0, sizeof(sig));
	sig.rseq = os_rseq_start();
	if (!sig.rseq)
		return;
	unit_pin(0);
	sig.cpu = os_cpu();
	cpu_stack_init(&sig.stack.s, MAX, SIZE, sig.cpu, sig.rseq);
	for (int i = 0; i < NR_TOKENS; i++)
		assert_true(cpu_stack_push(&sig.stack.s, &tokens[i], sig.cpu,
					   sig.rseq));
	signal(SIGALRM, handler);
	setitimer(ITIMER_REAL, &period, NULL);
	while (atomic_load(&sig.nr_signals) < NR_SIGNALS)
		if (!held)
			held = cpu_stack_pop(&sig.stack.s, sig.cpu, sig.rseq);
		else if (cpu_stack_push(&sig.stack.s, held, sig.cpu, sig.rseq))
			held = NULL;
	setitimer(ITIMER_REAL, &none, NULL);
	signal(SIGALRM, SIG_DFL);
	alarm(UNIT_HANG_SECONDS);
	check_tokens(held);
}

/* The same for counts: no addition is lost. */
static struct vmstat_slot slots[NR_CPUS];

static void counter_main(void *arg)
{
	int32_t rseq = os_rseq_start();
	uint64_t sum = 0;

	for (int n = 0; n < RSEQ_STEPS; n++) {
		unsigned int cpu = os_cpu() % NR_CPUS;

		sum += vmstat_slot_add(&slots[cpu], NR_DIRTIED, 1, cpu, rseq);
	}
	*(uint64_t *)arg = sum;
}

static void no_count_is_lost(void **state)
{
	struct os_thread threads[NR_THREADS];
	uint64_t added[NR_THREADS], sum = 0;

	(void)state;
	if (!os_rseq_start())
		return;
	for (int i = 0; i < NR_THREADS; i++)
		assert_int_equal(os_thread_start(&threads[i], "counter",
						 counter_main, &added[i]),
				 0);
	for (int i = 0; i < NR_THREADS; i++) {
		os_thread_join(&threads[i]);
		sum += added[i];
	}
	assert_true(sum > 0);
	for (int i = 0; i < NR_CPUS; i++)
		sum -= (uint64_t)slots[i].count[NR_DIRTIED];
	assert_int_equal(sum, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_a_stack_with_a_cold_end),
		cmocka_unit_test(is_refused_to_others),
		cmocka_unit_test(tokens_are_neither_lost_nor_doubled),
		cmocka_unit_test(starts_over_when_interrupted),
		cmocka_unit_test(no_count_is_lost),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
