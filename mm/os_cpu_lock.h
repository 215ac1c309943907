/*
 * os_cpu_lock.h - the lock of what belongs to one CPU (part of mm/os.h).
 *
 * A thread on that CPU takes it without an atomic operation, and never waits:
 * if another has it the caller does without the data of its CPU, and uses what
 * they stand in front of. Any thread may take it from elsewhere, by waiting,
 * which is dear (some microseconds) and meant for drains.
 *
 * How: the owner looks at "holder" and sets it in a restartable sequence
 * (rseq(2)): if the thread is moved or interrupted before the last store, the
 * kernel sends it to the label "fail" instead of that store. So two threads of
 * one CPU never both get it. One from elsewhere writes itself down as holder by
 * compare-and-swap, then has membarrier(2) restart every sequence that is on
 * its way, and looks again: the last store may have come in between. If not, it
 * has the lock, as every later sequence sees it. Releasing is a plain store.
 *
 * Where the kernel has none of that, where a lock is shared by several CPUs,
 * for ThreadSanitizer, and in the simulator, "rseq" is 0 and every taking is a
 * function of the outside world: there, an atomic one.
 */
#ifndef MM_OS_CPU_LOCK_H
#define MM_OS_CPU_LOCK_H

#include "mm/types.h"

#include <stdatomic.h>

struct os_cpu_lock {
	_Atomic uint64_t holder; /* 0: free */
	uint32_t cpu;		 /* whose it is; constant */
	int32_t rseq; /* where a thread has its struct rseq, or 0; constant */
};

/* Where it is, from the thread pointer on, for all locks to come; or 0. */
int32_t os_rseq_start(void);

/* When rseq is 0. */
bool os_cpu_lock_try_shared(struct os_cpu_lock *l);
void os_cpu_lock_release_shared(struct os_cpu_lock *l);

/* Take all of them, from anywhere; in the same order in each caller. */
void os_cpu_lock_seize(struct os_cpu_lock *const locks[], unsigned int nr);
void os_cpu_lock_init(struct os_cpu_lock *l, unsigned int cpu, int32_t rseq);

/*
 * A stack of pointers behind such a lock (mm/cpu_stack.h): where from the lock
 * on its parts are.
 */
#define OS_STACK_TOP	16
#define OS_STACK_BOTTOM 20
#define OS_STACK_LIMIT	24
#define OS_STACK_ITEMS	32

#if defined(__x86_64__)

/*
 * struct rseq: cpu_id at 4, rseq_cs at 8. A descriptor of the sequence 1 to 2
 * in its own section; in front of the code it aborts to stands a signature, in
 * an instruction that is none (all of it: rseq(2), <linux/rseq.h>).
 */
#define RSEQ_DESCRIPTOR_                   \
	".pushsection __rseq_cs, \"aw\"\n" \
	".balign 32\n"                     \
	"3: .long 0, 0\n"                  \
	".quad 1f, 2f - 1f, 4f\n"          \
	".popsection\n"                    \
	"leaq 3b(%%rip), %%rax\n"          \
	"movq %%rax, %%fs:8(%[rseq])\n"
#define RSEQ_ABORT_(code)                       \
	".pushsection __rseq_failure, \"ax\"\n" \
	".byte 0x0f, 0xb9, 0x3d\n"              \
	".long 0x53053053\n"                    \
	"4: " code ".popsection\n"
#define RSEQ_BEGIN_                         \
	RSEQ_DESCRIPTOR_                    \
	"1: cmpl %[cpu], %%fs:4(%[rseq])\n" \
	"jne %l[fail]\n"
#define RSEQ_END_ "2:\n" RSEQ_ABORT_("jmp %l[fail]\n")

/* The CPU of this thread, or what is no CPU. */
static inline unsigned int os_rseq_cpu(int32_t rseq)
{
	unsigned int cpu;

	__asm__ volatile("movl %%fs:4(%1), %0" : "=r"(cpu) : "r"((long)rseq));
	return cpu;
}

/* Set *holder from 0 to 1, on that CPU. */
static inline bool os_rseq_take(_Atomic uint64_t *holder, unsigned int cpu,
				int32_t rseq)
{
	__asm__ goto(
		RSEQ_BEGIN_ "cmpq $0, (%[holder])\n"
			    "jne %l[fail]\n"
			    "movq $1, (%[holder])\n" RSEQ_END_
		:
		: [holder] "r"(holder), [cpu] "r"(cpu), [rseq] "r"((long)rseq)
		: "rax", "memory", "cc"
		: fail);
	return true;
fail:
	return false;
}

/*
 * The topmost pointer, or NULL; on that CPU, if nobody has the lock. No "asm
 * goto": gcc 12 takes what such a one leaves in a register for its result where
 * it has jumped away. What was read must be forgotten in 4, as
 * the sequence can be aborted after that.
 */
static inline void *os_rseq_pop(struct os_cpu_lock *l, unsigned int cpu,
				int32_t rseq)
{
	void *item;

	__asm__ volatile(
		"xorl %k[item], %k[item]\n" RSEQ_DESCRIPTOR_
		"1: cmpl %[cpu], %%fs:4(%[rseq])\n"
		"jne 2f\n"
		"cmpq $0, (%[l])\n"
		"jne 2f\n"
		"movl %c[top](%[l]), %%eax\n"
		"cmpl %c[bottom](%[l]), %%eax\n"
		"je 2f\n"
		"movq %c[items] - 8(%[l], %%rax, 8), %[item]\n"
		"subl $1, %%eax\n"
		"movl %%eax, %c[top](%[l])\n"
		"2:\n" RSEQ_ABORT_("xorl %k[item], %k[item]\njmp 2b\n")
		: [item] "=&r"(item)
		: [l] "r"(l), [cpu] "r"(cpu), [rseq] "r"((long)rseq),
		  [top] "i"(OS_STACK_TOP), [bottom] "i"(OS_STACK_BOTTOM),
		  [items] "i"(OS_STACK_ITEMS)
		: "rax", "memory", "cc");
	return item;
}

/* Put one on top; false if that is not possible. */
static inline bool os_rseq_push(struct os_cpu_lock *l, void *item,
				unsigned int cpu, int32_t rseq)
{
	__asm__ goto(RSEQ_BEGIN_ "cmpq $0, (%[l])\n"
				 "jne %l[fail]\n"
				 "movl %c[top](%[l]), %%eax\n"
				 "cmpl %c[limit](%[l]), %%eax\n"
				 "jae %l[fail]\n"
				 "movq %[item], %c[items](%[l], %%rax, 8)\n"
				 "addl $1, %%eax\n"
				 "movl %%eax, %c[top](%[l])\n" RSEQ_END_
		     :
		     : [l] "r"(l), [item] "r"(item), [cpu] "r"(cpu),
		       [rseq] "r"((long)rseq), [top] "i"(OS_STACK_TOP),
		       [limit] "i"(OS_STACK_LIMIT), [items] "i"(OS_STACK_ITEMS)
		     : "rax", "memory", "cc"
		     : fail);
	return true;
fail:
	return false;
}

/* Add to what only threads on that CPU add to. */
static inline bool os_rseq_add(_Atomic long *count, long delta,
			       unsigned int cpu, int32_t rseq)
{
	__asm__ goto(RSEQ_BEGIN_ "addq %[delta], (%[count])\n" RSEQ_END_
		     :
		     : [count] "r"(count), [delta] "er"(delta), [cpu] "r"(cpu),
		       [rseq] "r"((long)rseq)
		     : "rax", "memory", "cc"
		     : fail);
	return true;
fail:
	return false;
}

#else /* os_rseq_start() returns 0 there */

static inline unsigned int os_rseq_cpu(int32_t rseq)
{
	return (unsigned int)rseq;
}

static inline bool os_rseq_take(_Atomic uint64_t *holder, unsigned int cpu,
				int32_t rseq)
{
	(void)holder, (void)cpu, (void)rseq;
	return false;
}

static inline void *os_rseq_pop(struct os_cpu_lock *l, unsigned int cpu,
				int32_t rseq)
{
	(void)l, (void)cpu, (void)rseq;
	return NULL;
}

static inline bool os_rseq_push(struct os_cpu_lock *l, void *item,
				unsigned int cpu, int32_t rseq)
{
	(void)l, (void)item, (void)cpu, (void)rseq;
	return false;
}

static inline bool os_rseq_add(_Atomic long *count, long delta,
			       unsigned int cpu, int32_t rseq)
{
	(void)count, (void)delta, (void)cpu, (void)rseq;
	return false;
}

#endif

static inline bool os_cpu_lock_try(struct os_cpu_lock *l)
{
	if (l->rseq == 0)
		return os_cpu_lock_try_shared(l);
	return os_rseq_take(&l->holder, l->cpu, l->rseq);
}

static inline void os_cpu_lock_release(struct os_cpu_lock *l)
{
	if (l->rseq == 0)
		os_cpu_lock_release_shared(l);
	else
		atomic_store_explicit(&l->holder, 0, memory_order_release);
}

#endif
