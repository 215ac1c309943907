/*
 * fault.h - failures on purpose (Linux: lib/fault-inject.c).
 *
 * Each place that can be made to fail has one struct fault_attr. Its settings
 * are the kernel's: fail with "probability" percent of every "interval"-th
 * call, at most "times" times (-1: no limit), after "space" (bytes or pages,
 * as the place counts them) has passed. "seed" starts the generator: the same
 * seed and the same calls give the same failures.
 */
#ifndef MM_FAULT_H
#define MM_FAULT_H

#include "mm/lock.h"

#include <stdatomic.h>

/* (L) guarded by lock. */
struct fault_attr {
	const char *name;   /* of its directory below fault/ */
	_Atomic bool armed; /* probability is not 0 */
	struct mutex lock;
	uint64_t probability, interval; /* percent; calls (L) */
	int64_t times;			/* left; -1: for ever (L) */
	int64_t space;			/* left before the first (L) */
	uint64_t seed;			/* as it was set (L) */
	uint64_t state, calls;		/* generator; calls so far (L) */
	uint64_t injected;		/* failures so far (L) */
};

enum fault_field {
	FAULT_PROBABILITY,
	FAULT_INTERVAL,
	FAULT_TIMES,
	FAULT_SPACE,
	FAULT_SEED,
	FAULT_INJECTED,
	NR_FAULT_FIELDS
};

void fault_attr_init(struct fault_attr *attr, const char *name);

const char *fault_field_name(enum fault_field field);
int64_t fault_get(struct fault_attr *attr, enum fault_field field);
/* 0, or -EINVAL if the field cannot have that value. */
int fault_set(struct fault_attr *attr, enum fault_field field, int64_t value);

/* The slow part of should_fail(). */
bool fault_decide(struct fault_attr *attr, size_t size);

/* Can a call fail at all? */
static inline bool fault_armed(struct fault_attr *attr)
{
	return atomic_load_explicit(&attr->armed, memory_order_relaxed);
}

/* Is this call, about size bytes or pages, to fail? One branch when off. */
static inline bool should_fail(struct fault_attr *attr, size_t size)
{
	return fault_armed(attr) && fault_decide(attr, size);
}

#endif
