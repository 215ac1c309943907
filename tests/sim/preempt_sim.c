/*
 * preempt_sim.c - threads are switched between any two accesses to memory.
 *
 * Locks and waits are not the only places where a thread can be overtaken. The
 * compiler can mark the others: with -fsanitize=thread every access of mm/ is
 * preceded by, and every atomic operation replaced by, a call into TSan's
 * library. Linked without that library these calls come here, and here another
 * thread may run. -fsanitize-coverage=trace-pc does the same, coarser, at each
 * basic block. Files built without either are not affected.
 */
#include "tests/sim/sim.h"

/* A real sanitizer brings, or forbids, what follows. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	sim_preempt();
}

#if !defined(SANITIZED) && !defined(SIM_TSAN)

/* gcc knows these names; its idea of the types differs from the library's. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"
#endif

#define HOOK(name, ...)         \
	void name(__VA_ARGS__); \
	void name(__VA_ARGS__)

HOOK(__tsan_init, void)
{
}

/* Of what is handed over by way of the kernel; see mm/os_order.h. */
HOOK(__tsan_acquire, void *thing)
{
	(void)thing;
}

HOOK(__tsan_release, void *thing)
{
	(void)thing;
}

HOOK(__tsan_func_entry, void *pc)
{
	(void)pc;
}

HOOK(__tsan_func_exit, void)
{
}

#define PLAIN(size)                                 \
	HOOK(__tsan_read##size, void *p)            \
	{                                           \
		(void)p;                            \
		sim_preempt();                      \
	}                                           \
	HOOK(__tsan_write##size, void *p)           \
	{                                           \
		(void)p;                            \
		sim_preempt();                      \
	}                                           \
	HOOK(__tsan_unaligned_read##size, void *p)  \
	{                                           \
		(void)p;                            \
		sim_preempt();                      \
	}                                           \
	HOOK(__tsan_unaligned_write##size, void *p) \
	{                                           \
		(void)p;                            \
		sim_preempt();                      \
	}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

HOOK(__tsan_read_range, void *p, unsigned long size)
{
	(void)p;
	(void)size;
	sim_preempt();
}

HOOK(__tsan_write_range, void *p, unsigned long size)
{
	(void)p;
	(void)size;
	sim_preempt();
}

/* One operation on an object of "bits"; the order asked for is exceeded. */
#define FETCH(bits, op)                                                   \
	uint##bits##_t __tsan_atomic##bits##_fetch_##op(                  \
		volatile uint##bits##_t *p, uint##bits##_t v, int order); \
	uint##bits##_t __tsan_atomic##bits##_fetch_##op(                  \
		volatile uint##bits##_t *p, uint##bits##_t v, int order)  \
	{                                                                 \
		(void)order;                                              \
		sim_preempt();                                            \
		return __atomic_fetch_##op(p, v, __ATOMIC_SEQ_CST);       \
	}

/* May a weak one fail for no reason? Here it does, now and then. */
#define EXCHANGE(bits, strength, spurious)                                     \
	bool __tsan_atomic##bits##_compare_exchange_##strength(                \
		volatile uint##bits##_t *p, uint##bits##_t *old,               \
		uint##bits##_t v, int order, int failure);                     \
	bool __tsan_atomic##bits##_compare_exchange_##strength(                \
		volatile uint##bits##_t *p, uint##bits##_t *old,               \
		uint##bits##_t v, int order, int failure)                      \
	{                                                                      \
		(void)order;                                                   \
		(void)failure;                                                 \
		sim_preempt();                                                 \
		if (spurious && sim_chance(10)) {                              \
			*old = __atomic_load_n(p, __ATOMIC_SEQ_CST);           \
			return false;                                          \
		}                                                              \
		return __atomic_compare_exchange_n(                            \
			p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	}

#define ATOMIC(bits)                                                      \
	uint##bits##_t __tsan_atomic##bits##_load(                        \
		const volatile uint##bits##_t *p, int order);             \
	uint##bits##_t __tsan_atomic##bits##_load(                        \
		const volatile uint##bits##_t *p, int order)              \
	{                                                                 \
		(void)order;                                              \
		sim_preempt();                                            \
		return __atomic_load_n(p, __ATOMIC_SEQ_CST);              \
	}                                                                 \
	HOOK(__tsan_atomic##bits##_store, volatile uint##bits##_t *p,     \
	     uint##bits##_t v, int order)                                 \
	{                                                                 \
		(void)order;                                              \
		sim_preempt();                                            \
		__atomic_store_n(p, v, __ATOMIC_SEQ_CST);                 \
	}                                                                 \
	uint##bits##_t __tsan_atomic##bits##_exchange(                    \
		volatile uint##bits##_t *p, uint##bits##_t v, int order); \
	uint##bits##_t __tsan_atomic##bits##_exchange(                    \
		volatile uint##bits##_t *p, uint##bits##_t v, int order)  \
	{                                                                 \
		(void)order;                                              \
		sim_preempt();                                            \
		return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);       \
	}                                                                 \
	FETCH(bits, add)                                                  \
	FETCH(bits, sub)                                                  \
	FETCH(bits, and)                                                  \
	FETCH(bits, or)                                                   \
	FETCH(bits, xor)                                                  \
	EXCHANGE(bits, strong, false)                                     \
	EXCHANGE(bits, weak, true)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

#endif
