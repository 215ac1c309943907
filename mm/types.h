/* types.h - the scalar types every layer shares, and a few arithmetic words. */
#ifndef MM_TYPES_H
#define MM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef uint32_t pfn_t;	  /* page frame number: index of a frame in the arena */
typedef uint64_t pgoff_t; /* index of a page in a file: offset / PAGE_SIZE */
typedef uint64_t mapping_id_t; /* names an address_space for ever; 0: none */

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((size_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)

#define CACHE_LINE 64

#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Each argument is evaluated once; the names differ, so that calls can nest. */
#define pick_named(x, op, y, a, b)   \
	({                           \
		__auto_type a = (x); \
		__auto_type b = (y); \
		a op b ? a : b;      \
	})
#define paste_(a, b)	  a##b
#define paste(a, b)	  paste_(a, b)
#define pick(x, op, y, n) pick_named(x, op, y, paste(x_, n), paste(y_, n))
#define min_of(x, y)	  pick(x, <, y, __COUNTER__)
#define max_of(x, y)	  pick(x, >, y, __COUNTER__)

/* Pages that hold the first "bytes" bytes. */
static inline pgoff_t pages_of(uint64_t bytes)
{
	return (bytes + PAGE_MASK) >> PAGE_SHIFT;
}

#endif
