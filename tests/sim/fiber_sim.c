/*
 * fiber_sim.c - ucontext, and what ASan and TSan want to be told about it.
 *
 * Switching is no synchronisation: TSan is told only of locks and the like, so
 * it sees races between threads although one runs at a time. For that, mm/ is
 * built with -fsanitize=thread, and tests/sim/ without it, but with -DSIM_TSAN.
 */
#include "tests/sim/fiber.h"

#include "mm/bug.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_ASAN 1
#elif __has_feature(thread_sanitizer)
#define SIM_TSAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SIM_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define SIM_TSAN 1
#endif

#ifdef SIM_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SIM_TSAN
#include <sanitizer/tsan_interface.h>
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

enum { STACK_SIZE = 256 << 10, FREE_MAX = 64 };

/* Stacks of ended fibers, for the next ones. */
static void *free_stacks[FREE_MAX];
static unsigned int nr_free_stacks;

static void *stack_get(void)
{
	void *stack;

	if (nr_free_stacks > 0) {
		stack = free_stacks[--nr_free_stacks];
	} else {
		stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT(stack != MAP_FAILED);
		mprotect(stack, PAGE_SIZE, PROT_NONE);
	}
#ifdef SIM_ASAN
	ASAN_UNPOISON_MEMORY_REGION((char *)stack + PAGE_SIZE,
				    STACK_SIZE - PAGE_SIZE);
#endif
	return stack;
}

void fiber_init(struct fiber *f, const char *name, void (*main)(void))
{
	*f = (struct fiber){ .stack = stack_get(), .stack_size = STACK_SIZE };
#ifdef SIM_TSAN
	f->tsan = __tsan_create_fiber(0);
	__tsan_set_fiber_name(f->tsan, name);
#endif
	(void)name;
	getcontext(&f->context);
	f->context.uc_stack.ss_sp = (void *)f->stack;
	f->context.uc_stack.ss_size = f->stack_size;
	f->context.uc_link = NULL;
	makecontext(&f->context, main, 0);
}

void fiber_destroy(struct fiber *f)
{
#ifdef SIM_TSAN
	__tsan_destroy_fiber(f->tsan);
#endif
	if (nr_free_stacks < FREE_MAX)
		free_stacks[nr_free_stacks++] = (void *)f->stack;
	else
		munmap((void *)f->stack, f->stack_size);
}

void fiber_init_outside(struct fiber *f)
{
	*f = (struct fiber){ .stack = NULL };
#ifdef SIM_TSAN
	f->tsan = __tsan_get_current_fiber();
#endif
}

void fiber_entered(struct fiber *outside)
{
#ifdef SIM_ASAN
	__sanitizer_finish_switch_fiber(NULL, outside ? &outside->stack : NULL,
					outside ? &outside->stack_size : NULL);
#endif
	(void)outside;
}

/* fake_stack: where ASan keeps its part of the fiber left; NULL: no more. */
static void jump(struct fiber *from, struct fiber *to, void **fake_stack)
{
#ifdef SIM_ASAN
	__sanitizer_start_switch_fiber(fake_stack, to->stack, to->stack_size);
#endif
#ifdef SIM_TSAN
	__tsan_switch_to_fiber(to->tsan, __tsan_switch_to_fiber_no_sync);
#endif
	(void)fake_stack;
	swapcontext(&from->context, &to->context);
#ifdef SIM_ASAN
	__sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

void fiber_jump(struct fiber *from, struct fiber *to)
{
	jump(from, to, &from->fake_stack);
}

void fiber_leave(struct fiber *from, struct fiber *to)
{
	jump(from, to, NULL);
	abort(); /* nobody goes back there */
}

void fiber_note_acquire(void *object)
{
#ifdef SIM_TSAN
	__tsan_acquire(object);
#endif
	(void)object;
}

void fiber_note_release(void *object)
{
#ifdef SIM_TSAN
	__tsan_release(object);
#endif
	(void)object;
}

void sim_ignore_races_begin(void)
{
#ifdef SIM_TSAN
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
}

void sim_ignore_races_end(void)
{
#ifdef SIM_TSAN
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}
