/* fiber.h - a stack of its own for each simulated thread, known to sanitizers. */
#ifndef TESTS_SIM_FIBER_H
#define TESTS_SIM_FIBER_H

#include "mm/types.h"

#include <ucontext.h>

struct fiber {
	ucontext_t context;
	const void *stack;
	size_t stack_size;
	void *fake_stack; /* ASan's */
	void *tsan;	  /* TSan's */
};

/* A fiber that will run main(), which must not return. */
void fiber_init(struct fiber *f, const char *name, void (*main)(void));
void fiber_destroy(struct fiber *f);
/* Stand for the stack this program was started with. */
void fiber_init_outside(struct fiber *f);
/*
 * To be called first in main(). outside: not NULL in the first fiber; then it
 * learns where the stack is that the fiber was entered from.
 */
void fiber_entered(struct fiber *outside);
/* Go on in "to"; returns when somebody jumps back. */
void fiber_jump(struct fiber *from, struct fiber *to);
/* The same for a fiber that has ended: does not return. */
void fiber_leave(struct fiber *from, struct fiber *to);

/* For TSan: what was done before the release is seen after the acquire. */
void fiber_note_acquire(void *object);
void fiber_note_release(void *object);

#endif
