/* memblock.c - a pointer that moves up, and a list of what it passed. */
#include "mm/memblock.h"

#include "mm/bug.h"

void memblock_init(struct memblock *mb, void *memory, size_t size)
{
	ASSERT(size % PAGE_SIZE == 0);
	*mb = (struct memblock){ .memory = memory, .end = size };
}

void *memblock_alloc(struct memblock *mb, const char *name, size_t size,
		     size_t align)
{
	size_t base = (mb->next + align - 1) & ~(align - 1);

	ASSERT(mb->nr_regions < MEMBLOCK_NR_REGIONS);
	ASSERT(align != 0 && (align & (align - 1)) == 0);
	if (base > mb->end || size > mb->end - base)
		return NULL;
	mb->next = base + size;
	mb->reserved[mb->nr_regions++] =
		(struct memblock_region){ name, base, size };
	return mb->memory + base;
}

pfn_t memblock_end_boot(struct memblock *mb)
{
	mb->next = (mb->next + PAGE_MASK) & ~PAGE_MASK;
	return (pfn_t)(mb->next >> PAGE_SHIFT);
}
