/*
 * xarray.h - a sparse array of pointers or values, with tags (Linux:
 * lib/xarray.c).
 *
 * A tree of nodes with 64 slots; the path to an index is its bits, six at a
 * time. An entry is a pointer (aligned to 8) or a *value*: a number of 62 bits
 * marked by its lowest bit, for what is remembered of a page that is not in
 * memory. Each entry has four tags, and each node knows which of its slots
 * has a tagged entry below it, so that "the next dirty page" costs the height
 * of the tree.
 *
 * The owner's lock guards all of it. Nodes come from a slab cache; inserting
 * takes them from a stash that is filled before the lock is taken.
 */
#ifndef MM_XARRAY_H
#define MM_XARRAY_H

#include "mm/gfp.h"
#include "mm/list.h"

struct kmem_cache;

#define XA_SLOT_BITS 6
#define XA_NR_SLOTS  (1u << XA_SLOT_BITS)
#define XA_MAX_LEVEL 11 /* 64 bits, six at a time */

/* XA_RESERVED stays when one entry takes another's place: see xa_store(). */
enum xa_tag { XA_DIRTY, XA_WRITEBACK, XA_TOWRITE, XA_RESERVED, XA_NR_TAGS };
#define XA_PRESENT XA_NR_TAGS /* for xa_find(): any entry */

struct xa_node {
	uint8_t shift;	/* bits of the index below this node */
	uint8_t offset; /* its slot in the parent */
	uint8_t count;	/* slots in use */
	struct xa_node *parent;
	uint64_t tags[XA_NR_TAGS]; /* bit n: slot n has a tagged entry */
	void *slots[XA_NR_SLOTS];
};

struct xarray {
	struct kmem_cache *nodes;
	struct xa_node *root; /* NULL: empty */
};

/* Nodes for one insertion: new roots up to its height, and a path down. */
struct xa_stash {
	struct xa_node *nodes[2 * XA_MAX_LEVEL];
	unsigned int nr;
	gfp_t gfp; /* when it is empty: how to get more, at once; 0: do not */
};

static inline bool xa_is_value(const void *entry)
{
	return (uintptr_t)entry & 1;
}

static inline void *xa_mk_value(uint64_t value)
{
	return (void *)(uintptr_t)(value << 1 | 1);
}

static inline uint64_t xa_to_value(const void *entry)
{
	return (uint64_t)(uintptr_t)entry >> 1;
}

/* Size of the objects of the node cache. */
static inline size_t xa_node_size(void)
{
	return sizeof(struct xa_node);
}

static inline void xa_init(struct xarray *xa, struct kmem_cache *nodes)
{
	xa->nodes = nodes;
	xa->root = NULL;
}

/* Have enough nodes for any insertion into xa. 0 or -ENOMEM. */
int xa_stash_fill(struct xarray *xa, struct xa_stash *stash, gfp_t gfp);
/* Give back what was not used. */
void xa_stash_drain(struct xarray *xa, struct xa_stash *stash);

/* The entry at index, or NULL. */
void *xa_load(const struct xarray *xa, uint64_t index);

/*
 * Put entry (not NULL) at index, in place of what was there, and without its
 * tags but XA_RESERVED, which is the index's rather than the entry's. Nodes come
 * from the stash, or, if stash is NULL, from the cache at once. Returns 0,
 * or -ENOMEM and nothing has changed but the tree's height.
 */
int xa_store(struct xarray *xa, uint64_t index, void *entry,
	     struct xa_stash *stash);

/* Take the entry at index out, tags and all. Returns it, or NULL. */
void *xa_erase(struct xarray *xa, uint64_t index);

bool xa_get_tag(const struct xarray *xa, uint64_t index, enum xa_tag tag);
/* Without effect where there is no entry. */
void xa_set_tag(struct xarray *xa, uint64_t index, enum xa_tag tag);
void xa_clear_tag(struct xarray *xa, uint64_t index, enum xa_tag tag);
static inline bool xa_tagged(const struct xarray *xa, enum xa_tag tag)
{
	return xa->root && xa->root->tags[tag];
}

/*
 * The first entry at *index or later, not after max, that has the tag (or any,
 * with XA_PRESENT). Sets *index to where it is. NULL if there is none.
 */
void *xa_find(const struct xarray *xa, uint64_t *index, uint64_t max,
	      unsigned int tag);

/* Give all entries of [first, last] that have tag "from" also tag "to". */
void xa_tag_range(struct xarray *xa, uint64_t first, uint64_t last,
		  enum xa_tag from, enum xa_tag to);

/* Abort unless counts, tags and parents agree. */
void xa_check(const struct xarray *xa);

#endif
