/* arena.c - map the memory; what is in it is others' business. */
#include "mm/arena.h"

#include "mm/os.h"

#include <errno.h>

int arena_init(struct arena *a, size_t size)
{
	ASSERT(size % PAGE_SIZE == 0);
	*a = (struct arena){ .size = size, .fd = -1 };
	if (size >> PAGE_SHIFT > UINT32_MAX)
		return -ENOMEM;
	a->nr_pages = (pfn_t)(size >> PAGE_SHIFT);
	a->base = os_arena_map(size, &a->fd);
	return a->base ? 0 : -ENOMEM;
}

void arena_destroy(struct arena *a)
{
	os_arena_unmap(a->base, a->size, a->fd);
	a->base = NULL;
}
