/*
 * os_order.h - what the kernel puts in order, said to ThreadSanitizer (part of
 * mm/os.h).
 *
 * A thread gives something to the kernel, in the answer to a request: a handle, an
 * inode's number. Another gets it back with a later request, which nobody can make
 * before the answer. That is as good as a lock, but a checker does not see it. Both
 * sides name the very thing, so that no other order is taken for granted. Nothing
 * but for ThreadSanitizer.
 */
#ifndef MM_OS_ORDER_H
#define MM_OS_ORDER_H

#ifdef __SANITIZE_THREAD__
#define OS_TELLS_ORDER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OS_TELLS_ORDER 1
#endif
#endif

#ifdef OS_TELLS_ORDER
void __tsan_release(void *thing);
void __tsan_acquire(void *thing);

/* All that was done to it happened before it is given away, */
static inline void os_handed_over(void *thing)
{
	__tsan_release(thing);
}

/* and is seen by who got it back. */
static inline void os_received(void *thing)
{
	__tsan_acquire(thing);
}
#else
static inline void os_handed_over(void *thing)
{
	(void)thing;
}

static inline void os_received(void *thing)
{
	(void)thing;
}
#endif

#endif
