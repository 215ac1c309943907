/*
 * memblock.h - the allocator before there are allocators.
 *
 * At boot the arena is one range of usable memory. What must be there before
 * pages can be given out (the page array, wait queues, per-CPU slots) is
 * carved from its start and never freed; the rest becomes zones.
 *
 *	0                  memblock.next                     memblock.end
 *	| reserved, by name |            usable                     |
 */
#ifndef MM_MEMBLOCK_H
#define MM_MEMBLOCK_H

#include "mm/types.h"

#define MEMBLOCK_NR_REGIONS 16

/* What was carved, for the boot message and the tests. */
struct memblock_region {
	const char *name;
	size_t base, size; /* bytes from the start of the arena */
};

struct memblock {
	char *memory; /* where the arena is mapped; all zeroes */
	size_t next, end;
	unsigned int nr_regions;
	struct memblock_region reserved[MEMBLOCK_NR_REGIONS];
};

void memblock_init(struct memblock *mb, void *memory, size_t size);

/*
 * size bytes of zeroes, aligned to align (a power of two), or NULL if the
 * arena is too small. name: what for.
 */
void *memblock_alloc(struct memblock *mb, const char *name, size_t size,
		     size_t align);

/* No more of that: the first page that is free, as a frame number. */
pfn_t memblock_end_boot(struct memblock *mb);

#endif
