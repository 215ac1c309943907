/* swap_map.c - a table of frames full of cluster descriptors, and a queue. */
#include "swap/swap_map.h"

#include "mm/mm.h"
#include "mm/page_alloc.h"

#include <errno.h>

#define CHUNK_CLUSTERS (PAGE_SIZE / sizeof(struct swap_cluster))

#define GFP_MAP (GFP_GROWTH | GFP_ZERO)

struct swap_cluster *swap_map_at(const struct swap_map *map, uint32_t nr)
{
	ASSERT(nr < map->nr);
	return &map->chunks[nr / CHUNK_CLUSTERS][nr % CHUNK_CLUSTERS];
}

void swap_map_give(struct swap_map *map, uint32_t nr)
{
	struct swap_cluster *c = swap_map_at(map, nr);

	ASSERT(c->users == 0 && c->live == 0);
	c->state = CLUSTER_FREE;
	c->next = 0;
	if (map->free_last)
		swap_map_at(map, map->free_last)->next = nr;
	else
		map->free_first = nr;
	map->free_last = nr;
	map->nr_free++;
}

uint32_t swap_map_take(struct swap_map *map)
{
	uint32_t nr = map->free_first;
	struct swap_cluster *c;

	if (!nr)
		return 0;
	c = swap_map_at(map, nr);
	ASSERT(c->state == CLUSTER_FREE && c->users == 0);
	map->free_first = c->next;
	if (!c->next)
		map->free_last = 0;
	map->nr_free--;
	c->state = CLUSTER_OPEN;
	c->next = 0;
	return nr;
}

/* Out of the middle of the queue; only while an area is being set up. */
static void unqueue(struct swap_map *map, uint32_t nr)
{
	uint32_t before = 0;

	for (uint32_t n = map->free_first; n && n != nr;
	     n = swap_map_at(map, n)->next)
		before = n;
	if (before)
		swap_map_at(map, before)->next = swap_map_at(map, nr)->next;
	else
		map->free_first = swap_map_at(map, nr)->next;
	if (map->free_last == nr)
		map->free_last = before;
	map->nr_free--;
}

void swap_map_set_bad(struct swap_map *map, uint32_t nr)
{
	struct swap_cluster *c = swap_map_at(map, nr);

	ASSERT(c->users == 0);
	if (c->state == CLUSTER_FREE)
		unqueue(map, nr);
	c->state = CLUSTER_BAD;
	map->nr_bad++;
}

struct page *swap_frames_alloc(struct mm *mm, gfp_t gfp, unsigned int order)
{
	struct page *page = page_alloc(mm, GFP_KERNEL | gfp, order);

	if (page)
		vmstat_add(mm, NR_SWAP_BUFFERS, 1l << order);
	return page;
}

void swap_frames_free(struct mm *mm, struct page *page)
{
	if (!page)
		return;
	vmstat_add(mm, NR_SWAP_BUFFERS, -(long)page_nr(page));
	page_put(mm, page);
}

int swap_map_init(struct swap_map *map, struct mm *mm, uint32_t nr)
{
	uint32_t nr_chunks =
		(uint32_t)((nr + CHUNK_CLUSTERS - 1) / CHUNK_CLUSTERS);
	unsigned int order = 0;

	*map = (struct swap_map){ .mm = mm, .nr = nr };
	while (PAGE_SIZE << order < nr_chunks * sizeof(map->chunks[0]))
		order++;
	/* More than half of the budget for what is not in it is no use. */
	if (order > BUDDY_MAX_ORDER || nr_chunks > mm->arena.nr_pages / 2)
		return -ENOMEM;
	map->table_page = swap_frames_alloc(mm, GFP_MAP, order);
	if (!map->table_page)
		return -ENOMEM;
	map->chunks = page_address(&mm->arena, map->table_page);
	for (; map->nr_chunks < nr_chunks; map->nr_chunks++) {
		struct page *page = swap_frames_alloc(mm, GFP_MAP, 0);

		if (!page) {
			swap_map_destroy(map);
			return -ENOMEM;
		}
		map->chunks[map->nr_chunks] = page_address(&mm->arena, page);
	}
	swap_map_at(map, 0)->state = CLUSTER_BAD;
	map->nr_bad = 1;
	for (uint32_t n = 1; n < nr; n++)
		swap_map_give(map, n);
	return 0;
}

void swap_map_destroy(struct swap_map *map)
{
	struct mm *mm = map->mm;

	while (map->nr_chunks > 0)
		swap_frames_free(mm,
				 virt_to_page(&mm->arena,
					      map->chunks[--map->nr_chunks]));
	swap_frames_free(mm, map->table_page);
}
