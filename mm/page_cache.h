/*
 * page_cache.h - pages of files, found by mapping and index (Linux:
 * mm/filemap.c).
 *
 * A page in the cache has one reference from it. Its contents are the file's
 * when PG_uptodate is set; while they are being read it is locked. It is taken
 * out only by whoever holds the page lock, and never while dirty or under
 * writeback, except by page_cache_truncate(), for which they are void.
 *
 * Where a page is not in memory its index may have a value, which a page that
 * comes takes over and may leave behind when it goes: address_space_ops.
 */
#ifndef MM_PAGE_CACHE_H
#define MM_PAGE_CACHE_H

#include "mm/address_space.h"
#include "mm/readahead.h"

/* The page at index with a reference, or NULL. */
struct page *page_cache_find(struct address_space *m, pgoff_t index);

/*
 * References to the pages from first on, as many as are there, up to date and
 * without a gap, at most nr. Where an anon mapping has a hole, or a value that
 * means the same, it is the page of zeroes. Returns how many. One lock for all
 * of them.
 */
unsigned int page_cache_find_run(struct address_space *m, pgoff_t first,
				 unsigned int nr, struct page **pages);

/*
 * Put a locked page without owner at index. 0, -EEXIST, or -ENOMEM for want of
 * tree nodes (got with gfp).
 */
int page_cache_add(struct address_space *m, struct page *page, pgoff_t index,
		   gfp_t gfp);

/*
 * The page at index, locked, with a reference; a new one, not up to date, if
 * there is none. NULL and *err: -ENOMEM, or, without GFP_RECLAIM in gfp,
 * -EAGAIN if another has it locked.
 */
struct page *page_cache_grab(struct address_space *m, pgoff_t index, gfp_t gfp,
			     int *err);

/*
 * If the page with pos has contents, len bytes of them, all in that page, become
 * those at data; NULL: zeroes. It does not become dirty. Waits for its lock.
 */
void page_cache_patch(struct address_space *m, uint64_t pos, const void *data,
		      size_t len);

/* Take a locked page out. It must be clean. A value of it stays behind. */
void page_cache_remove(struct address_space *m, struct page *page);
/*
 * The same if nobody but the cache and the caller (one reference) uses it and
 * it is clean; the references are then frozen at 0. Returns whether it was.
 */
bool page_cache_remove_unused(struct address_space *m, struct page *page);

/*
 * Drop all pages and values from first on, whatever their state. Waits for
 * writeback. The caller keeps others from adding pages there.
 */
void page_cache_truncate(struct address_space *m, pgoff_t first);
/* The same for [first, last]. */
void page_cache_truncate_range(struct address_space *m, pgoff_t first,
			       pgoff_t last);

/*
 * Drop the pages of [first, last] that are clean and that nobody uses now.
 * Returns how many.
 */
unsigned long page_cache_invalidate(struct address_space *m, pgoff_t first,
				    pgoff_t last);

/*
 * Drop a reference of the caller's, and the page with it if it is clean and
 * nobody else uses it: it is kept elsewhere. Does not block. Its mapping may be
 * gone.
 */
void page_cache_put_unused(struct mm *mm, struct page *page);

/*
 * Begin to read those pages of [first, first + nr) that are not in the cache.
 * The page at "marker" (if it is one of them) gets PG_readahead. Returns how
 * many pages have a read under way now; fewer than are missing if memory
 * (within gfp) is short. Does not wait for the reads.
 */
unsigned int page_cache_read(struct address_space *m, pgoff_t first,
			     unsigned int nr, pgoff_t marker, gfp_t gfp);

/*
 * The same for what readahead planned. Pages behind those that were asked for
 * get PG_ahead.
 */
unsigned int page_cache_read_plan(struct address_space *m,
				  const struct readahead_plan *plan, gfp_t gfp);

/*
 * By the owner, when a run was read: nr_bytes of it are in the pages (the rest
 * is behind the end of the file: zeroes), or err is -errno.
 */
void page_run_read_done(struct page_run *run, uint64_t nr_bytes, int err);

/* Fill run->iov with the frames of pages [from, to) of the run. */
void page_run_map(struct page_run *run, unsigned int from, unsigned int to);

#endif
