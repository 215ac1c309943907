/*
 * cpu_stack.c - the stack as it is seen by who has its lock.
 *
 *   (1) bottom <= top <= limit <= size; top - bottom <= max.
 *   (2) Without the lock only top changes, and only in restartable sequences
 *       on the stack's own CPU: none of them ends while the lock is held.
 *   (3) limit is as far as (1) lets top go.
 */
#include "mm/cpu_stack.h"

#include <string.h>

/* What the sequences in mm/os_cpu_lock.h are written for. */
_Static_assert(offsetof(struct cpu_stack, lock) == 0, "layout");
_Static_assert(offsetof(struct cpu_stack, top) == OS_STACK_TOP, "layout");
_Static_assert(offsetof(struct cpu_stack, bottom) == OS_STACK_BOTTOM, "layout");
_Static_assert(offsetof(struct cpu_stack, limit) == OS_STACK_LIMIT, "layout");
_Static_assert(sizeof(struct cpu_stack) == OS_STACK_ITEMS, "layout");

static uint32_t load(_Atomic uint32_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

static void store(_Atomic uint32_t *p, uint32_t v)
{
	atomic_store_explicit(p, v, memory_order_relaxed);
}

static void **items(struct cpu_stack *s)
{
	return (void **)(s + 1);
}

static void set_bottom(struct cpu_stack *s, uint32_t bottom)
{
	store(&s->bottom, bottom);
	s->limit = min_of(bottom + s->max, (uint32_t)s->size); /* (3) */
}

/* Where an empty stack starts: there is room above and below. */
static uint32_t home(const struct cpu_stack *s)
{
	return (uint32_t)(s->size - s->max) / 2;
}

void cpu_stack_init(struct cpu_stack *s, unsigned int max, unsigned int size,
		    unsigned int cpu, int32_t rseq)
{
	ASSERT(max > 0 && max <= size && size <= UINT16_MAX);
	*s = (struct cpu_stack){ .max = (uint16_t)max, .size = (uint16_t)size };
	cpu_lock_init(&s->lock, cpu, rseq);
	store(&s->top, home(s));
	set_bottom(s, home(s));
}

unsigned int cpu_stack_count(struct cpu_stack *s)
{
	uint32_t bottom = load(&s->bottom), top = load(&s->top);

	/* Both may have moved in between. */
	return top > bottom ? min_of(top - bottom, (uint32_t)s->max) : 0;
}

/* It has come to an end of the array: back to the middle. */
static void move_home(struct cpu_stack *s) must_hold(s->lock)
{
	uint32_t count = load(&s->top) - load(&s->bottom);

	memmove(items(s) + home(s), items(s) + load(&s->bottom),
		count * sizeof(void *));
	store(&s->top, home(s) + count);
	set_bottom(s, home(s));
}

void *cpu_stack_take(struct cpu_stack *s)
{
	uint32_t top = load(&s->top);

	VM_ASSERT(top > load(&s->bottom) && top <= s->limit); /* (1) */
	store(&s->top, top - 1);
	return items(s)[top - 1];
}

void *cpu_stack_take_cold(struct cpu_stack *s)
{
	uint32_t bottom = load(&s->bottom);

	VM_ASSERT(bottom < load(&s->top));
	set_bottom(s, bottom + 1);
	return items(s)[bottom];
}

void cpu_stack_put(struct cpu_stack *s, void *item)
{
	uint32_t top;

	VM_ASSERT(load(&s->top) - load(&s->bottom) < s->max); /* (1) */
	if (load(&s->top) == s->size)
		move_home(s);
	top = load(&s->top);
	items(s)[top] = item;
	store(&s->top, top + 1);
}

void cpu_stack_put_cold(struct cpu_stack *s, void *item)
{
	uint32_t bottom;

	VM_ASSERT(load(&s->top) - load(&s->bottom) < s->max); /* (1) */
	VM_ASSERT(home(s) > 0);
	if (load(&s->bottom) == 0)
		move_home(s);
	bottom = load(&s->bottom) - 1;
	items(s)[bottom] = item;
	set_bottom(s, bottom);
}

unsigned int cpu_stack_seize(void *first, size_t stride, unsigned int nr,
			     struct cpu_stack *seized[])
{
	struct os_cpu_lock *locks[CPU_STACKS_MAX];
	unsigned int n = 0;

	ASSERT(nr <= CPU_STACKS_MAX);
	for (unsigned int i = 0; i < nr; i++) {
		struct cpu_stack *s =
			(void *)((char *)first + (size_t)i * stride);

		if (cpu_stack_count(s) == 0)
			continue;
		locks[n] = &s->lock.impl;
		seized[n++] = s;
	}
	if (n > 0)
		os_cpu_lock_seize(locks, n);
	return n;
}

void *cpu_stack_pop_shared(struct cpu_stack *s)
{
	void *item = NULL;

	if (!cpu_trylock(&s->lock))
		return NULL;
	if (load(&s->top) > load(&s->bottom))
		item = cpu_stack_take(s);
	cpu_unlock(&s->lock);
	return item;
}

bool cpu_stack_push_shared(struct cpu_stack *s, void *item)
{
	bool room;

	if (!cpu_trylock(&s->lock))
		return false;
	room = load(&s->top) < s->limit;
	if (room)
		cpu_stack_put(s, item);
	cpu_unlock(&s->lock);
	return room;
}
