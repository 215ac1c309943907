/*
 * swap_entry.h - where the contents of an anonymous page are while it has no
 * frame: a value of 62 bits in the tree of its mapping (Linux: swp_entry_t).
 *
 *	 61     60 59                                                 0
 *	+---------+---------------------------------------------------+
 *	|  type   | STORED: area 4, cluster 30, offset 14, size 10     |
 *	|         | SAME:   the 32-bit word the page is filled with    |
 *	|         | ZERO:   nothing                                    |
 *	+---------+---------------------------------------------------+
 *
 * Offset and size of a stored object are in units of 8 bytes within its
 * cluster. No entry is 0.
 */
#ifndef SWAP_SWAP_ENTRY_H
#define SWAP_SWAP_ENTRY_H

#include "mm/types.h"

typedef uint64_t swap_entry_t;

#define SWAP_UNIT	   8u
#define SWAP_AREAS_MAX	   16u
#define SWAP_CLUSTER_SHIFT 17 /* 128 KiB: 31 pages that cannot be compressed */
#define SWAP_CLUSTER_SIZE  (1u << SWAP_CLUSTER_SHIFT)
#define SWAP_CLUSTERS_MAX  (1u << 30)

enum swap_entry_type { SWAP_STORED = 1, SWAP_SAME = 2, SWAP_ZERO = 3 };

/* Where a stored object is; bytes. */
struct swap_place {
	unsigned int area;
	uint32_t cluster;
	uint32_t offset; /* in the cluster */
	uint32_t size;	 /* header and padding included */
};

static inline enum swap_entry_type swap_entry_type(swap_entry_t e)
{
	return (enum swap_entry_type)(e >> 60);
}

static inline swap_entry_t swap_entry_stored(const struct swap_place *p)
{
	return (uint64_t)SWAP_STORED << 60 | (uint64_t)p->area << 54 |
	       (uint64_t)p->cluster << 24 |
	       (uint64_t)(p->offset / SWAP_UNIT) << 10 | p->size / SWAP_UNIT;
}

static inline struct swap_place swap_entry_place(swap_entry_t e)
{
	return (struct swap_place){
		.area = e >> 54 & (SWAP_AREAS_MAX - 1),
		.cluster = e >> 24 & (SWAP_CLUSTERS_MAX - 1),
		.offset = (uint32_t)(e >> 10 & 0x3fff) * SWAP_UNIT,
		.size = (uint32_t)(e & 0x3ff) * SWAP_UNIT,
	};
}

static inline swap_entry_t swap_entry_same(uint32_t word)
{
	return word ? (uint64_t)SWAP_SAME << 60 | word
		    : (uint64_t)SWAP_ZERO << 60;
}

/* The word a page of type SAME or ZERO is filled with. */
static inline uint32_t swap_entry_word(swap_entry_t e)
{
	return (uint32_t)e;
}

#endif
