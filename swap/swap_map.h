/*
 * swap_map.h - the clusters of one swap area: which are free, and how many
 * users the others have (Linux: swap_map, cluster_info).
 *
 * Compressed pages differ in size, so what is counted here is a cluster: the
 * objects in it that are in use, and those who read one of them just now. A
 * cluster is written once, in one go, and written again only after all its
 * users are gone; what is left of a cluster most of whose objects are void is
 * moved together (swap/swap_compact.c).
 *
 * All of it is guarded by swap->lock.
 */
#ifndef SWAP_SWAP_MAP_H
#define SWAP_SWAP_MAP_H

#include "mm/gfp.h"
#include "swap/swap_entry.h"

struct mm;
struct page;

enum cluster_state {
	CLUSTER_FREE,
	CLUSTER_OPEN,	 /* its buffer is being filled */
	CLUSTER_WRITING, /* its buffer is on its way, or could not be written */
	CLUSTER_FULL,	 /* on the disk */
	CLUSTER_MOVING,	 /* on the disk, and being compacted */
	CLUSTER_STUCK,	 /* on the disk, damaged: never compacted */
	CLUSTER_BAD,	 /* never used (again): the header, bad slots */
};

struct swap_cluster {
	uint32_t live;	/* bytes of its objects in use */
	uint16_t users; /* objects in use, and readers of them */
	uint8_t state;	/* enum cluster_state */
	uint8_t buffer; /* OPEN, WRITING: which */
	uint32_t seq;	/* of its last writing: seeds the checksums */
	uint32_t next;	/* FREE: the next one; 0: none */
};
_Static_assert(sizeof(struct swap_cluster) == 16, "sixteen to a cache line");

struct swap_map {
	struct mm *mm;
	uint32_t nr;	  /* clusters; number 0 holds the header */
	uint32_t nr_free; /* of them */
	uint32_t nr_bad;
	uint32_t free_first, free_last; /* used in turn: a disk wears evenly */
	uint32_t nr_chunks;
	struct page *table_page;
	struct swap_cluster **chunks; /* a frame each */
};

/*
 * All of nr clusters free, but the first. 0; -ENOMEM: the budget is too small
 * for so large an area (16 bytes a cluster).
 */
int swap_map_init(struct swap_map *map, struct mm *mm, uint32_t nr);
void swap_map_destroy(struct swap_map *map);

/*
 * Frames of swap's own, counted as NR_SWAP_BUFFERS; NULL if there are none. gfp
 * is added to GFP_KERNEL. Free: NULL is none.
 */
struct page *swap_frames_alloc(struct mm *mm, gfp_t gfp, unsigned int order);
void swap_frames_free(struct mm *mm, struct page *page);

struct swap_cluster *swap_map_at(const struct swap_map *map, uint32_t nr);

/* A free cluster, state OPEN and not free any more, or 0. */
uint32_t swap_map_take(struct swap_map *map);
/* Nobody uses it any more. */
void swap_map_give(struct swap_map *map, uint32_t nr);
/* Never hand it out. It must be free, or without users. */
void swap_map_set_bad(struct swap_map *map, uint32_t nr);

#endif
