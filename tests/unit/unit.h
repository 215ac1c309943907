/*
 * unit.h - what the unit tests share: a seed, random numbers, a memory.
 *
 * Each test program takes its seed from its first argument or from SEED, and
 * prints it first; the same seed gives the same steps (threads aside). TEST
 * names one test to run, with * and ? as wildcards. The first failure aborts:
 * it leaves a memory in use, which cannot be taken down.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include "mm/mm.h"
#include "mm/page_alloc.h"

#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A hang is a failure: nothing here takes a tenth of that. */
enum { UNIT_HANG_SECONDS = 60 };

static uint64_t unit_state;

/* splitmix64, with a state of the caller's, for threads. */
static inline uint64_t rnd_of(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A number in [0, below). */
static inline uint64_t rnd(uint64_t below)
{
	return rnd_of(&unit_state) % below;
}

static inline void unit_seed(int argc, char **argv)
{
	const char *s = argc > 1 ? argv[1] : getenv("SEED");

	unit_state = s ? strtoull(s, NULL, 0) : os_random() >> 32;
	printf("seed=%" PRIu64 "\n", unit_state);
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	if (getenv("TEST"))
		cmocka_set_test_filter(getenv("TEST"));
	fflush(stdout);
	alarm(UNIT_HANG_SECONDS);
}

/* Stay on one CPU: per-CPU slots are then one slot. */
static inline void unit_pin(unsigned int cpu)
{
	cpu_set_t one, allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return;
	while (!CPU_ISSET(cpu % CPU_SETSIZE, &allowed))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu % CPU_SETSIZE, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* A memory with its daemons running. */
static inline struct mm *unit_mm_of(const struct mm_config *config)
{
	int err;
	struct mm *mm = mm_create(config, &err);

	assert_non_null(mm);
	assert_int_equal(err, 0);
	return mm;
}

static inline struct mm *unit_mm(size_t size)
{
	struct mm_config config = { .size = size, .io_depth = 16 };

	return unit_mm_of(&config);
}

/* One in which nothing happens but what the test does. */
static inline struct mm *unit_mm_quiet(size_t size)
{
	struct mm *mm = unit_mm(size);

	kswapd_stop(mm);
	flusher_stop(mm);
	return mm;
}

/* For cmocka: a quiet memory of the smallest size. */
static inline int unit_setup(void **state)
{
	*state = unit_mm_quiet(MM_SIZE_MIN);
	return 0;
}

/* For cmocka: all frames must be back. */
static inline int unit_teardown(void **state)
{
	mm_destroy(*state);
	return 0;
}

#define unit_test_mm(f) \
	cmocka_unit_test_setup_teardown(f, unit_setup, unit_teardown)

static inline void unit_fault(struct fault_attr *attr, int percent,
			      int64_t times)
{
	assert_int_equal(fault_set(attr, FAULT_TIMES, times), 0);
	assert_int_equal(fault_set(attr, FAULT_PROBABILITY, percent), 0);
}

/* Let others run, when waiting for what they will do. */
static inline void unit_nap(void)
{
	os_sleep_ns(NSEC_PER_MSEC / 5);
}

#endif
