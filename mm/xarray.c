/*
 * xarray.c - walk down by six bits of the index at a time.
 *
 *   (1) A node other than the root has at least one slot in use; an empty
 *       tree has no root.
 *   (2) The root's shift says how high the tree is; it only holds indices
 *       below 2^(shift + 6), and has more than slot 0 in use unless shift is 0.
 *   (3) Bit n of tags[t] in a node is set exactly when slot n is an entry with
 *       tag t, or a node with any bit of tags[t].
 */
#include "mm/xarray.h"

#include "mm/bug.h"
#include "mm/mm.h"
#include "mm/slab.h"

#include <errno.h>

static unsigned int slot_of(const struct xa_node *node, uint64_t index)
{
	return (index >> node->shift) & (XA_NR_SLOTS - 1);
}

/* The largest index a tree with this root can hold. */
static uint64_t max_index(const struct xa_node *root)
{
	unsigned int bits = root->shift + XA_SLOT_BITS;

	return bits >= 64 ? UINT64_MAX : (1ull << bits) - 1;
}

/* A node, or NULL. */
static struct xa_node *node_alloc(struct xarray *xa, gfp_t gfp)
{
	struct mm *mm = xa->nodes->mm;

	if (should_fail_alloc(&mm->fail_xarray_node, 1, gfp, 0)) {
		vmstat_inc(mm, XA_NODE_FAIL_INJECTED);
		return NULL;
	}
	return kmem_cache_alloc(xa->nodes, gfp);
}

int xa_stash_fill(struct xarray *xa, struct xa_stash *stash, gfp_t gfp)
{
	while (stash->nr < ARRAY_SIZE(stash->nodes)) {
		struct xa_node *node = node_alloc(xa, gfp);

		if (!node) {
			xa_stash_drain(xa, stash);
			return -ENOMEM;
		}
		stash->nodes[stash->nr++] = node;
	}
	return 0;
}

void xa_stash_drain(struct xarray *xa, struct xa_stash *stash)
{
	while (stash->nr > 0)
		kmem_cache_free(xa->nodes, stash->nodes[--stash->nr]);
}

static struct xa_node *node_new(struct xarray *xa, struct xa_stash *stash,
				unsigned int shift)
{
	struct xa_node *node;

	if (!stash)
		node = node_alloc(xa, GFP_NOWAIT);
	else if (stash->nr > 0)
		node = stash->nodes[--stash->nr];
	else if (stash->gfp)
		node = node_alloc(xa, stash->gfp);
	else
		node = NULL;
	if (node)
		*node = (struct xa_node){ .shift = (uint8_t)shift };
	return node;
}

static void slot_set(struct xa_node *node, unsigned int slot, void *entry)
{
	node->count += !node->slots[slot] && entry;
	node->count -= node->slots[slot] && !entry;
	node->slots[slot] = entry;
}

void *xa_load(const struct xarray *xa, uint64_t index)
{
	const struct xa_node *node = xa->root;

	if (!node || index > max_index(node))
		return NULL;
	while (node && node->shift > 0)
		node = node->slots[slot_of(node, index)];
	return node ? node->slots[slot_of(node, index)] : NULL;
}

/* The leaf that would hold index, or NULL. */
static struct xa_node *leaf_of(const struct xarray *xa, uint64_t index)
{
	struct xa_node *node = xa->root;

	if (!node || index > max_index(node))
		return NULL;
	while (node && node->shift > 0)
		node = node->slots[slot_of(node, index)];
	return node;
}

/* Put roots on top until index fits. */
static int grow(struct xarray *xa, uint64_t index, struct xa_stash *stash)
{
	if (!xa->root) {
		unsigned int shift = 0;

		while (shift + XA_SLOT_BITS < 64 &&
		       index >> (shift + XA_SLOT_BITS) != 0)
			shift += XA_SLOT_BITS;
		xa->root = node_new(xa, stash, shift);
		return xa->root ? 0 : -ENOMEM;
	}
	while (index > max_index(xa->root)) {
		struct xa_node *old = xa->root;
		struct xa_node *top =
			node_new(xa, stash, old->shift + XA_SLOT_BITS);

		if (!top)
			return -ENOMEM;
		slot_set(top, 0, old);
		for (int t = 0; t < XA_NR_TAGS; t++)
			top->tags[t] = old->tags[t] != 0;
		old->parent = top;
		old->offset = 0;
		xa->root = top;
	}
	return 0;
}

/* Take out nodes that hold nothing, from node upwards, and useless roots. */
static void prune(struct xarray *xa, struct xa_node *node)
{
	while (node && node->count == 0) {
		struct xa_node *parent = node->parent;

		if (parent)
			slot_set(parent, node->offset, NULL);
		else
			xa->root = NULL;
		kmem_cache_free(xa->nodes, node);
		node = parent;
	}
	while (xa->root && xa->root->shift > 0 && xa->root->count == 1 &&
	       xa->root->slots[0]) {
		struct xa_node *old = xa->root;

		xa->root = old->slots[0];
		xa->root->parent = NULL;
		kmem_cache_free(xa->nodes, old);
	}
}

static void tag_clear_up(struct xa_node *node, unsigned int slot,
			 enum xa_tag tag)
{
	while (node && (node->tags[tag] & 1ull << slot)) {
		node->tags[tag] &= ~(1ull << slot);
		if (node->tags[tag])
			return;
		slot = node->offset;
		node = node->parent;
	}
}

int xa_store(struct xarray *xa, uint64_t index, void *entry,
	     struct xa_stash *stash)
{
	struct xa_node *node;
	int err;

	ASSERT(entry != NULL);
	err = grow(xa, index, stash);
	if (err) {
		if (xa->root)
			prune(xa, xa->root);
		return err;
	}
	node = xa->root;
	while (node->shift > 0) {
		unsigned int slot = slot_of(node, index);

		if (!node->slots[slot]) {
			struct xa_node *child =
				node_new(xa, stash, node->shift - XA_SLOT_BITS);

			if (!child) {
				prune(xa, node);
				return -ENOMEM;
			}
			child->parent = node;
			child->offset = (uint8_t)slot;
			slot_set(node, slot, child);
		}
		node = node->slots[slot];
	}
	for (int t = 0; t < XA_NR_TAGS; t++)
		if (t != XA_RESERVED)
			tag_clear_up(node, slot_of(node, index),
				     (enum xa_tag)t);
	slot_set(node, slot_of(node, index), entry);
	return 0;
}

void *xa_erase(struct xarray *xa, uint64_t index)
{
	struct xa_node *leaf = leaf_of(xa, index);
	unsigned int slot;
	void *entry;

	if (!leaf)
		return NULL;
	slot = slot_of(leaf, index);
	entry = leaf->slots[slot];
	if (!entry)
		return NULL;
	for (int t = 0; t < XA_NR_TAGS; t++)
		tag_clear_up(leaf, slot, (enum xa_tag)t);
	slot_set(leaf, slot, NULL);
	prune(xa, leaf);
	return entry;
}

bool xa_get_tag(const struct xarray *xa, uint64_t index, enum xa_tag tag)
{
	const struct xa_node *leaf = leaf_of(xa, index);

	return leaf && (leaf->tags[tag] & 1ull << slot_of(leaf, index));
}

void xa_set_tag(struct xarray *xa, uint64_t index, enum xa_tag tag)
{
	struct xa_node *node = leaf_of(xa, index);

	if (!node || !node->slots[slot_of(node, index)])
		return;
	for (; node; node = node->parent)
		node->tags[tag] |= 1ull << slot_of(node, index);
}

void xa_clear_tag(struct xarray *xa, uint64_t index, enum xa_tag tag)
{
	struct xa_node *leaf = leaf_of(xa, index);

	if (leaf)
		tag_clear_up(leaf, slot_of(leaf, index), tag);
}

/* The first slot at or after "from" that has the tag, or XA_NR_SLOTS. */
static unsigned int next_slot(const struct xa_node *node, unsigned int from,
			      unsigned int tag)
{
	uint64_t mask;

	if (from >= XA_NR_SLOTS)
		return XA_NR_SLOTS;
	if (tag == XA_PRESENT) {
		while (from < XA_NR_SLOTS && !node->slots[from])
			from++;
		return from;
	}
	mask = node->tags[tag] & ~0ull << from;
	return mask ? (unsigned int)__builtin_ctzll(mask) : XA_NR_SLOTS;
}

void *xa_find(const struct xarray *xa, uint64_t *index, uint64_t max,
	      unsigned int tag)
{
	const struct xa_node *node = xa->root;
	uint64_t at = *index;

	if (!node || at > max_index(node))
		return NULL;
	while (node) {
		unsigned int from = slot_of(node, at);
		unsigned int slot = next_slot(node, from, tag);

		if (slot == XA_NR_SLOTS) {
			/* Nothing here: go on behind this node. */
			uint64_t span = max_index(node);
			uint64_t next = (at | span) + 1;

			if (next == 0 || next > max)
				return NULL;
			do
				node = node->parent;
			while (node && (at | max_index(node)) < next);
			at = next;
			continue;
		}
		if (slot != from)
			at = (at & ~max_index(node)) | (uint64_t)slot
							       << node->shift;
		if (at > max)
			return NULL;
		if (node->shift == 0) {
			*index = at;
			return node->slots[slot];
		}
		node = node->slots[slot];
	}
	return NULL;
}

void xa_tag_range(struct xarray *xa, uint64_t first, uint64_t last,
		  enum xa_tag from, enum xa_tag to)
{
	uint64_t index = first;

	while (xa_find(xa, &index, last, from)) {
		xa_set_tag(xa, index, to);
		if (index++ == last || index == 0)
			break;
	}
}

static void check_node(const struct xa_node *node)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < XA_NR_SLOTS; i++) {
		const struct xa_node *child = node->slots[i];

		count += child != NULL;
		for (int t = 0; t < XA_NR_TAGS; t++) {
			bool tagged = node->tags[t] & 1ull << i;

			ASSERT(child || !tagged); /* (3) */
			if (child && node->shift > 0)
				ASSERT(tagged == (child->tags[t] != 0));
		}
		if (child && node->shift > 0) {
			ASSERT(child->parent == node && child->offset == i);
			ASSERT(child->shift + XA_SLOT_BITS == node->shift);
			check_node(child);
		}
	}
	ASSERT(count == node->count && count > 0); /* (1) */
}

void xa_check(const struct xarray *xa)
{
	if (!xa->root)
		return;
	ASSERT(xa->root->parent == NULL);
	check_node(xa->root);
}
