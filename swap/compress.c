/* compress.c - workspaces, each with a lock of its own. */
#include "swap/compress.h"

#include "mm/bug.h"
#include "mm/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

/*
 * The fastest that still compresses well: on pages of a heap of objects 5.1 to
 * one, where level 1 gives 5.4 at a lower speed.
 */
enum { LEVEL = -1 };

struct workspace {
	_Alignas(CACHE_LINE) struct mutex lock;
	ZSTD_CCtx *cctx; /* (lock) */
	ZSTD_DCtx *dctx; /* (lock) */
};

struct compressor {
	unsigned int nr;
	struct workspace spaces[];
};

/* Their first use allocates what they need: let it be now. */
static bool workspace_init(struct workspace *w)
{
	static const char page[PAGE_SIZE];
	char out[ZSTD_COMPRESSBOUND(4096)], back[PAGE_SIZE];
	size_t n;

	mutex_init(&w->lock);
	w->cctx = ZSTD_createCCtx();
	w->dctx = ZSTD_createDCtx();
	if (!w->cctx || !w->dctx)
		return false;
	n = ZSTD_compressCCtx(w->cctx, out, sizeof(out), page, sizeof(page),
			      LEVEL);
	if (ZSTD_isError(n))
		return false;
	n = ZSTD_decompressDCtx(w->dctx, back, sizeof(back), out, n);
	return n == sizeof(back);
}

struct compressor *compressor_create(unsigned int nr_workspaces)
{
	size_t size = sizeof(struct compressor) +
		      nr_workspaces * sizeof(struct workspace);
	struct compressor *c = aligned_alloc(CACHE_LINE, size);

	if (!c)
		return NULL;
	memset(c, 0, size);
	for (c->nr = 0; c->nr < nr_workspaces; c->nr++)
		if (!workspace_init(&c->spaces[c->nr])) {
			c->nr++; /* what there is of it */
			compressor_destroy(c);
			return NULL;
		}
	return c;
}

void compressor_destroy(struct compressor *c)
{
	for (unsigned int i = 0; i < c->nr; i++) {
		ZSTD_freeCCtx(c->spaces[i].cctx);
		ZSTD_freeDCtx(c->spaces[i].dctx);
	}
	free(c);
}

size_t compressor_size(const struct compressor *c)
{
	size_t size = sizeof(*c);

	for (unsigned int i = 0; i < c->nr; i++)
		size += sizeof(c->spaces[i]) +
			ZSTD_sizeof_CCtx(c->spaces[i].cctx) +
			ZSTD_sizeof_DCtx(c->spaces[i].dctx);
	return size;
}

/* One that is free, or else the one of this CPU. */
static struct workspace *workspace_get(struct compressor *c) unchecked
{
	unsigned int mine = os_cpu() % c->nr;

	for (unsigned int i = 0; i < c->nr; i++) {
		struct workspace *w = &c->spaces[(mine + i) % c->nr];

		if (mutex_trylock(&w->lock))
			return w;
	}
	mutex_lock(&c->spaces[mine].lock);
	return &c->spaces[mine];
}

static void workspace_put(struct workspace *w) unchecked
{
	mutex_unlock(&w->lock);
}

size_t compress_page(struct compressor *c, const void *page, void *out,
		     size_t max)
{
	struct workspace *w = workspace_get(c);
	size_t n = ZSTD_compressCCtx(w->cctx, out, max, page, PAGE_SIZE, LEVEL);

	workspace_put(w);
	return ZSTD_isError(n) ? 0 : n;
}

int decompress_page(struct compressor *c, const void *data, size_t size,
		    void *page)
{
	struct workspace *w = workspace_get(c);
	size_t n = ZSTD_decompressDCtx(w->dctx, page, PAGE_SIZE, data, size);

	workspace_put(w);
	return n == PAGE_SIZE ? 0 : -EIO;
}

bool page_is_same_filled(const void *page, uint32_t *word)
{
	const char *p = page;

	/* Equal to itself, one word further on. */
	memcpy(word, p, sizeof(*word));
	return memcmp(p, p + PAGE_SIZE - 64, 64) == 0 &&
	       memcmp(p, p + sizeof(*word), PAGE_SIZE - sizeof(*word)) == 0;
}

void page_fill_same(void *page, uint32_t word)
{
	uint32_t *p = page;

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*p); i++)
		p[i] = word;
}
