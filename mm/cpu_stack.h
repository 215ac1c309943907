/*
 * cpu_stack.h - pointers to what one CPU has ready: free frames, free objects.
 *
 *	items	|   |   | c | b | a |   |   |	a: hottest, c: coldest
 *		0	  ^bottom     ^top  ^limit
 *
 * cpu_stack_pop() and cpu_stack_push() are what nearly every allocation and
 * every free is: a restartable sequence (mm/os_cpu_lock.h) of a dozen
 * instructions that ends in one store to top. They fail when the stack is empty
 * or full, when it is another CPU's by now, and when a drain has it; then the
 * caller tries the lock, to fill or empty the stack, and if it does not get
 * that, does without the stack.
 */
#ifndef MM_CPU_STACK_H
#define MM_CPU_STACK_H

#include "mm/bug.h"
#include "mm/lock.h"

/* (S) guarded by lock, or a restartable sequence; (C) constant. */
struct cpu_stack {
	struct cpu_lock lock;
	_Atomic uint32_t top;	 /* behind the hottest (S) */
	_Atomic uint32_t bottom; /* the coldest (lock) */
	uint32_t limit;		 /* top goes no further than this (lock) */
	uint16_t max;		 /* pointers at a time (C) */
	uint16_t size;		 /* of the array behind this (C) */
};

/*
 * An empty stack that can hold max pointers. Behind it is memory for size of
 * them: more than max if there are to be cold ones. cpu, rseq: see
 * cpu_lock_init().
 */
void cpu_stack_init(struct cpu_stack *s, unsigned int max, unsigned int size,
		    unsigned int cpu, int32_t rseq);

/* How many there are, as of a moment ago. */
unsigned int cpu_stack_count(struct cpu_stack *s);

/* With the lock: the stack is not empty; the stack is not full. */
void *cpu_stack_take(struct cpu_stack *s) must_hold(s->lock);
void *cpu_stack_take_cold(struct cpu_stack *s) must_hold(s->lock);
void cpu_stack_put(struct cpu_stack *s, void *item) must_hold(s->lock);
void cpu_stack_put_cold(struct cpu_stack *s, void *item) must_hold(s->lock);

/*
 * Take the locks of those of the stacks first, first + stride, ... that are
 * not empty, from any CPU; seized[] is where they are put. Returns how many.
 * What was pushed before, in the order of events the caller knows, is in them.
 */
unsigned int cpu_stack_seize(void *first, size_t stride, unsigned int nr,
			     struct cpu_stack *seized[]);
#define CPU_STACKS_MAX 64 /* in one such call */

/* When the stack is not one CPU's alone. */
void *cpu_stack_pop_shared(struct cpu_stack *s);
bool cpu_stack_push_shared(struct cpu_stack *s, void *item);

/*
 * The hottest, or NULL. cpu: where this thread is, so far as it knows; rseq as
 * it was in cpu_stack_init(). Both are arguments as callers have them at hand.
 */
static inline void *cpu_stack_pop(struct cpu_stack *s, unsigned int cpu,
				  int32_t rseq)
{
	VM_ASSERT(rseq == s->lock.impl.rseq);
	return rseq ? os_rseq_pop(&s->lock.impl, cpu, rseq)
		    : cpu_stack_pop_shared(s);
}

static inline bool cpu_stack_push(struct cpu_stack *s, void *item,
				  unsigned int cpu, int32_t rseq)
{
	VM_ASSERT(rseq == s->lock.impl.rseq);
	return rseq ? os_rseq_push(&s->lock.impl, item, cpu, rseq)
		    : cpu_stack_push_shared(s, item);
}

#endif
