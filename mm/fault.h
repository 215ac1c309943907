/*
 * fault.h - failures on purpose (Linux: lib/fault-inject.c).
 *
 * Each place that can be made to fail has one struct fault_attr. Its settings
 * are the kernel's: fail with "probability" percent of every "interval"-th
 * call, at most "times" times (-1: no limit), after "space" (bytes or pages,
 * as the place counts them) has passed. "seed" starts the generator: the same
 * seed and the same calls give the same failures.
 *
 * What allocates can be told to spare small orders (min-order), those who may
 * block (ignore-gfp-wait), and frames of movable pages (ignore-gfp-highmem).
 * What does I/O has a kind of failure (error), and can be told to spare reads
 * or writes (op). A call that is spared is not counted.
 */
#ifndef MM_FAULT_H
#define MM_FAULT_H

#include "mm/gfp.h"
#include "mm/lock.h"

#include <stdatomic.h>

enum fault_field {
	FAULT_PROBABILITY,
	FAULT_INTERVAL,
	FAULT_TIMES,
	FAULT_SPACE,
	FAULT_SEED,
	FAULT_MIN_ORDER,
	FAULT_IGNORE_GFP_WAIT,
	FAULT_IGNORE_GFP_HIGHMEM,
	FAULT_ERROR, /* enum fault_kind */
	FAULT_OP,    /* enum fault_op */
	FAULT_DELAY_MS,
	FAULT_INJECTED,
	NR_FAULT_FIELDS
};

/* How an operation fails. */
enum fault_kind {
	FAULT_EIO,
	FAULT_ENOSPC, /* writes */
	FAULT_EDQUOT, /* writes */
	FAULT_SHORT,  /* a part is transferred, and that is said */
	FAULT_TORN,   /* writes: a part is written, and the rest is EIO */
	FAULT_LOST,   /* writes: a part is written, and it is said to be all */
	FAULT_DELAY,  /* it begins later */
	FAULT_HANG,   /* it begins when told */
	NR_FAULT_KINDS
};

enum fault_op { FAULT_ALL, FAULT_READS, FAULT_WRITES, NR_FAULT_OPS };

/* Which of the fields an attr has. */
enum fault_class {
	FAULT_CLASS_PLAIN, /* those of every attr */
	FAULT_CLASS_ALLOC, /* and the gfp filter */
	FAULT_CLASS_PAGE,  /* and min-order */
	FAULT_CLASS_IO,	   /* error, op, delay-ms */
	FAULT_CLASS_SYNC,  /* the same, but for op and parts */
};

/* (C) constant, (L) guarded by lock. */
struct fault_attr {
	const char *name;	/* of its directory below fault/ (C) */
	enum fault_class class; /* (C) */
	_Atomic bool armed;	/* probability is not 0 */
	/* Counts what was written to probability and error: hangs end then. */
	_Atomic uint32_t told;
	struct mutex lock;
	int64_t value[NR_FAULT_FIELDS]; /* times, space: what is left (L) */
	uint64_t state, calls;		/* generator; calls so far (L) */
};

/* One failure, of an operation. */
struct fault_shot {
	enum fault_kind kind;
	uint64_t delay_ns;
	uint64_t random;
	uint32_t told; /* attr->told, then */
};

void fault_attr_init(struct fault_attr *attr, const char *name,
		     enum fault_class class);

const char *fault_field_name(enum fault_field field);
bool fault_has(const struct fault_attr *attr, enum fault_field field);
int64_t fault_get(struct fault_attr *attr, enum fault_field field);
/* 0, or -EINVAL if the field cannot have that value. */
int fault_set(struct fault_attr *attr, enum fault_field field, int64_t value);

/* The word for a value of a field that has words, or NULL. */
const char *fault_word(enum fault_field field, int64_t value);
/* Its value, or -EINVAL. */
int64_t fault_word_value(enum fault_field field, const char *word);

/* The next of a sequence that begins with a seed. */
uint64_t fault_random(uint64_t *state);

/* The slow parts of what is below. */
bool fault_decide(struct fault_attr *attr, size_t size);
bool fault_decide_alloc(struct fault_attr *attr, size_t size, gfp_t gfp,
			unsigned int order);

/*
 * Is this operation to fail, and how? parts: it can be done in part. Not for
 * the fast path: ask fault_armed() first.
 */
bool fault_decide_io(struct fault_attr *attr, enum fault_op op, bool parts,
		     uint64_t bytes, struct fault_shot *shot);

/* What a failure says that transfers nothing, or not all: -errno. */
int fault_errno(enum fault_kind kind);

/* It could not be made to fail: that was no failure. */
void fault_take_back(struct fault_attr *attr);

/* Can a call fail at all? One branch when off, and the compiler told so. */
static inline bool fault_armed(struct fault_attr *attr)
{
	return __builtin_expect(
		atomic_load_explicit(&attr->armed, memory_order_relaxed), 0);
}

/* Is this call, about size bytes or pages, to fail? */
static inline bool should_fail(struct fault_attr *attr, size_t size)
{
	return fault_armed(attr) && fault_decide(attr, size);
}

/* The same of an allocation. Never of one that makes others free. */
static inline bool should_fail_alloc(struct fault_attr *attr, size_t size,
				     gfp_t gfp, unsigned int order)
{
	return fault_armed(attr) && fault_decide_alloc(attr, size, gfp, order);
}

#endif
