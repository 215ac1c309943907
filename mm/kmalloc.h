/*
 * kmalloc.h - objects of sizes that are no type of their own: names, targets
 * of symbolic links, extended attributes (Linux: mm/slab_common.c).
 *
 * One slab cache a size class; an object comes from the smallest that holds
 * it. Whose it is says the descriptor of its page, so that no size is needed
 * to free it. Contents are unknown; the address is a multiple of 16.
 */
#ifndef MM_KMALLOC_H
#define MM_KMALLOC_H

#include "mm/slab.h"

/* Powers of two, and two between them where names and small values are. */
#define KMALLOC_NR_CLASSES 10
#define KMALLOC_MAX	   4096

struct mm;

/* By mm_create(): 0 or -ENOMEM. */
int kmalloc_init(struct mm *mm);
/* Everything has been freed. */
void kmalloc_destroy(struct mm *mm);

/*
 * size bytes, at most KMALLOC_MAX, or NULL within the rules of gfp (without
 * GFP_ZERO).
 */
void *kmalloc(struct mm *mm, size_t size, gfp_t gfp);
/* p: from kmalloc(), or NULL. */
void kfree(struct mm *mm, void *p);

/* What an object of size bytes takes. */
size_t kmalloc_size(size_t size);

#endif
