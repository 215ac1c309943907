/*
 * compress.h - one page, smaller (zstd; the only file that knows it).
 *
 * A compressor has a fixed number of workspaces each way, made when it is
 * created; who finds all of them in use waits for one. They lie outside the
 * arena.
 */
#ifndef SWAP_COMPRESS_H
#define SWAP_COMPRESS_H

#include "mm/types.h"

struct compressor;

/* NULL if there is no memory. */
struct compressor *compressor_create(unsigned int nr_workspaces);
void compressor_destroy(struct compressor *c);
/* Bytes it takes outside the arena, all of them from the start. */
size_t compressor_size(const struct compressor *c);

/*
 * Compress a page into out, which has room for max bytes. Returns the size, or
 * 0 if it does not fit: incompressible.
 */
size_t compress_page(struct compressor *c, const void *page, void *out,
		     size_t max);

/* The other way. 0, or -EIO if the data is no page compressed. */
int decompress_page(struct compressor *c, const void *data, size_t size,
		    void *page);

/* Is the whole page filled with one 32-bit word? Sets it. */
bool page_is_same_filled(const void *page, uint32_t *word);
void page_fill_same(void *page, uint32_t word);

#endif
