/*
 * read_write.c - reading and writing through cached pages, on three paths.
 *
 *   (1) A page that is to be written in part is filled first.
 *   (2) A page that was not written after all, and has no contents, is found
 *       by nobody.
 *   (3) What is written around the cache is in the file before the cache is
 *       looked at: a page found there is given it, one that comes later reads it.
 */
#include "fs/read_write.h"

#include "fs/fs.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>
#include <string.h>

/*
 * The largest window; a share of the arena where that is small. Twice the
 * largest request, so that there is always one on its way.
 */
enum { READAHEAD_PAGES_MAX = 512, READAHEAD_SHARE = 64 };

/* --- reading ------------------------------------------------------------- */

static unsigned int window_max(const struct mm *mm)
{
	return (unsigned int)min_of(mm->arena.nr_pages / READAHEAD_SHARE,
				    (pfn_t)READAHEAD_PAGES_MAX);
}

/* The pages of a read that is cut at the end of the file. */
static void read_range(struct request *rq, pgoff_t *first, unsigned int *nr)
{
	uint64_t size = atomic_load(&rq->inode->size);

	if (rq->offset >= size)
		rq->size = 0;
	else
		rq->size =
			(size_t)min_of((uint64_t)rq->size, size - rq->offset);
	*first = rq->offset >> PAGE_SHIFT;
	*nr = rq->size == 0 ? 0
			    : (unsigned int)(pages_of(rq->offset + rq->size) -
					     *first);
	ASSERT(*nr <= REQUEST_PAGES_MAX);
}

/* Ask readahead what to read, and begin. Never blocks with GFP_NOWAIT. */
static void read_ahead(struct request *rq, enum readahead_cause cause,
		       pgoff_t index, unsigned int nr, gfp_t gfp)
{
	struct inode *inode = rq->inode;
	struct mm *mm = rq->vol->mm;
	struct readahead_request ask = {
		.cause = cause,
		.index = index,
		.nr = nr,
		.nr_file = pages_of(atomic_load(&inode->size)),
		.max = max_of(window_max(mm), 1u),
	};
	struct readahead_plan plan;
	unsigned int started;

	mutex_lock(&rq->file->lock);
	plan = readahead_next(&rq->file->ra, &ask);
	mutex_unlock(&rq->file->lock);
	if (plan.nr == 0)
		return;
	started = page_cache_read_plan(&inode->mapping, &plan, gfp);
	if (plan.nr > plan.nr_asked)
		vmstat_add(mm, READAHEAD_PAGES,
			   (long)(plan.nr - plan.nr_asked));
	if (started < plan.nr && plan.nr > plan.nr_asked)
		vmstat_inc(mm, READAHEAD_STOPPED);
}

/* Collect what is there; what is missing begins at rq->nr_pages. */
static bool collect(struct request *rq, pgoff_t first, unsigned int nr)
{
	rq->nr_pages += page_cache_find_run(
		&rq->inode->mapping, first + rq->nr_pages, nr - rq->nr_pages,
		rq->pages + rq->nr_pages);
	return rq->nr_pages == nr;
}

static void note_access(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;

	if (ops->accessed && !rq->file->noatime)
		ops->accessed(rq->inode);
}

/*
 * Mark what was read as used; reading on inside a page is no further use of
 * it. A marker met on the way starts the next window.
 */
static void note_read(struct request *rq, pgoff_t first)
{
	struct mm *mm = rq->vol->mm;
	pgoff_t next;

	note_access(rq);
	mutex_lock(&rq->file->lock);
	next = rq->file->ra.next;
	readahead_note(&rq->file->ra, first, rq->nr_pages);
	mutex_unlock(&rq->file->lock);
	for (unsigned int i = 0; i < rq->nr_pages; i++) {
		bool again =
			i == 0 && first + 1 == next && (rq->offset & PAGE_MASK);

		if (!again)
			page_mark_accessed(mm, rq->pages[i]);
		if (!page_test(rq->pages[i], PG_readahead | PG_ahead))
			continue;
		page_clear(rq->pages[i], PG_ahead);
		if (page_test_and_clear(rq->pages[i], PG_readahead))
			read_ahead(rq, RA_MARKER, first + i, rq->nr_pages,
				   GFP_NOWAIT);
	}
}

bool rw_read_hit(struct request *rq)
{
	unsigned int nr;
	pgoff_t first;

	read_range(rq, &first, &nr);
	rq->nr_pages = 0;
	if (!collect(rq, first, nr))
		return false;
	note_read(rq, first);
	vmstat_add(rq->vol->mm, CACHE_HIT, nr);
	vmstat_inc(rq->vol->mm, PATH_HIT);
	return true;
}

void rw_read_end(struct request *rq)
{
	/* One copy is enough: ours is the dearer one. */
	for (unsigned int i = 0; i < rq->nr_pages; i++)
		if (rq->kept)
			page_cache_put_unused(rq->vol->mm, rq->pages[i]);
		else
			page_put(rq->vol->mm, rq->pages[i]);
	rq->nr_pages = 0;
}

static void read_done(struct request *rq, pgoff_t first)
{
	note_read(rq, first);
	rq->finish(rq, 0);
}

static void read_resume(struct page_waiter *w)
{
	struct request *rq = container_of(w, struct request, waiter);

	page_put(rq->vol->mm, w->page);
	rw_read_miss(rq);
}

/*
 * A page of the read, with a reference, that is worth waiting for: the last, as
 * the others will be there by then; or else the first that is missing, NULL if
 * nobody has begun to read it.
 */
static struct page *page_to_wait_for(struct request *rq, pgoff_t first,
				     unsigned int nr)
{
	struct address_space *m = &rq->inode->mapping;
	struct page *page = page_cache_find(m, first + rq->nr_pages);
	struct page *last;

	if (!page || rq->nr_pages + 1 == nr)
		return page;
	last = page_cache_find(m, first + nr - 1);
	if (!last || !page_test(last, PG_locked)) {
		if (last)
			page_put(rq->vol->mm, last);
		return page;
	}
	page_put(rq->vol->mm, page);
	return last;
}

/*
 * Called again whenever a page that was missing has been read; each time there
 * is one page less to wait for, or a worker takes over.
 */
void rw_read_miss(struct request *rq)
{
	struct page *page;
	unsigned int nr;
	pgoff_t first;
	bool there;

	for (;;) {
		read_range(rq, &first, &nr);
		if (rq->nr_pages > nr || collect(rq, first, nr)) {
			read_done(rq, first);
			return;
		}
		page = page_to_wait_for(rq, first, nr);
		if (!page && rq->nr_begun <= rq->nr_pages) {
			unsigned int missing = nr - rq->nr_pages;

			rq->nr_begun = rq->nr_pages + 1;
			vmstat_add(rq->vol->mm, CACHE_MISS, missing);
			read_ahead(rq, RA_MISS, first + rq->nr_pages, missing,
				   GFP_NOWAIT);
			page = page_to_wait_for(rq, first, nr);
		}
		if (!page)
			break; /* no frame, or it failed */
		rq->waiter.wake = read_resume;
		if (page_wait_async(&rq->vol->mm->page_waits, page, PG_locked,
				    &rq->waiter))
			return;
		/* Not locked any more: there, or gone again. */
		there = page_test(page, PG_uptodate);
		page_put(rq->vol->mm, page);
		if (!there)
			break;
	}
	rq->run = rw_read_slow;
	request_queue(&rq->vol->fs->requests, rq, REQUEST_SERVE);
}

/*
 * No frame to be had, or a page that cannot be read: go around the cache, a
 * page at a time, into the emergency buffer. Cached pages are newer than the
 * file. rq->data points to the result.
 */
static int read_uncached(struct request *rq, pgoff_t first, unsigned int nr)
{
	const struct volume_ops *ops = rq->vol->ops;
	struct fs *fs = rq->vol->fs;
	struct mm *mm = rq->vol->mm;
	int err = 0;

	for (unsigned int i = 0; i < nr && !err; i++) {
		char *to = fs->emergency + ((size_t)i << PAGE_SHIFT);
		struct page *page = NULL;

		vmstat_inc(mm, CACHE_UNCACHED_READ);
		/* Twice: it may have been cached while we read the file. */
		for (int try = 0; try < 2 && !page; try++) {
			if (page_cache_find_run(&rq->inode->mapping, first + i,
						1, &page) == 0)
				page = NULL;
			if (!page && try == 0)
				err = ops->read_page(rq->inode, first + i, to);
		}
		if (page) {
			memcpy(to, page_address(&mm->arena, page), PAGE_SIZE);
			page_put(mm, page);
			err = 0;
		}
	}
	return err;
}

void rw_read_slow(struct request *rq)
{
	struct address_space *m = &rq->inode->mapping;
	struct mm *mm = rq->vol->mm;
	struct fs *fs = rq->vol->fs;
	unsigned int nr;
	pgoff_t first;
	int err;

	for (int failures = 0; failures < 2;) {
		struct page *page;

		read_range(rq, &first, &nr);
		if (rq->nr_pages > nr || collect(rq, first, nr)) {
			read_done(rq, first);
			return;
		}
		page_cache_read(m, first + rq->nr_pages, nr - rq->nr_pages,
				UINT64_MAX, GFP_KERNEL);
		page = page_cache_find(m, first + rq->nr_pages);
		if (!page) {
			failures++;
			continue;
		}
		page_wait(&mm->page_waits, page, PG_locked);
		failures += !page_test(page, PG_uptodate);
		page_put(mm, page);
	}
	rw_read_end(rq);
	mutex_lock(&fs->emergency_lock);
	read_range(rq, &first, &nr);
	err = read_uncached(rq, first, nr);
	if (!err)
		note_access(rq);
	rq->data = fs->emergency + (rq->offset & PAGE_MASK);
	rq->finish(rq, err);
	mutex_unlock(&fs->emergency_lock);
}

/* --- writing ------------------------------------------------------------- */

/* A new page that was not filled goes again, so that nobody finds it (2). */
static void abandon(struct inode *inode, struct page *page)
{
	if (!page_test(page, PG_uptodate))
		page_cache_remove(&inode->mapping, page);
}

/*
 * Take the part of the write that falls into one page. 0, -EAGAIN: needs to
 * block (gfp did not allow it), -ENOMEM, or -errno.
 */
static int write_page(struct request *rq, gfp_t gfp)
{
	const struct volume_ops *ops = rq->vol->ops;
	struct inode *inode = rq->inode;
	struct mm *mm = rq->vol->mm;
	uint64_t at = rq->offset + rq->done;
	size_t from = at & PAGE_MASK;
	size_t len = min_of(PAGE_SIZE - from, rq->size - rq->done);
	struct page *page;
	int err;

	if (ops->is_reserved && ops->is_reserved(inode, at >> PAGE_SHIFT))
		gfp &= ~GFP_GROWTH;
	page = page_cache_grab(&inode->mapping, at >> PAGE_SHIFT, gfp, &err);
	if (!page)
		return err;
	if (!page_test(page, PG_uptodate) && len < PAGE_SIZE)
		err = ops->fill_page(inode, page, gfp); /* (1) */
	if (!err)
		err = ops->prepare_page(inode, page, at + len, gfp);
	if (err)
		goto out_abandon;
	memcpy((char *)page_address(&mm->arena, page) + from,
	       rq->data + rq->done, len);
	ops->page_written(inode, page, at, at + len);
	rq->done += len;
	page_unlock(&mm->page_waits, page);
	/* Writing on inside a page is no further use of it. */
	if (from == 0 ||
	    atomic_load(&rq->file->last_written) != at >> PAGE_SHIFT)
		page_mark_accessed(mm, page);
	atomic_store(&rq->file->last_written, at >> PAGE_SHIFT);
	page_put(mm, page);
	return 0;

out_abandon:
	abandon(inode, page);
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
	return err;
}

/* Cut what the volume could never hold. */
static int limit_size(struct request *rq)
{
	uint64_t max = rq->vol->max_file_size;

	if (rq->size == 0)
		return 0;
	if (rq->offset >= max)
		return -EFBIG;
	rq->size = (size_t)min_of((uint64_t)rq->size, max - rq->offset);
	return 0;
}

static int write_pages(struct request *rq, gfp_t gfp)
{
	int err = 0;

	while (rq->done < rq->size && !err)
		err = write_page(rq, gfp);
	return err;
}

static uint64_t balance(struct request *rq)
{
	return rq->vol->ops->balance(rq->vol, pages_of(rq->size));
}

/* From where the write has come to, up to the first page that is cached. */
static size_t absent_bytes(struct request *rq)
{
	uint64_t at = rq->offset + rq->done, end = rq->offset + rq->size;
	struct page *page = NULL;
	pgoff_t index = at >> PAGE_SHIFT;

	/* The first one is known to be. */
	while (!page && ++index << PAGE_SHIFT < end)
		page = page_cache_find(&rq->inode->mapping, index);
	if (page)
		page_put(rq->vol->mm, page);
	return (size_t)(min_of(end, index << PAGE_SHIFT) - at);
}

/* The next pages, none of them cached, and no frame for one. */
static int write_absent(struct request *rq)
{
	uint64_t at = rq->offset + rq->done;
	size_t len = absent_bytes(rq);
	int err = rq->vol->ops->write_around(rq->inode, at, rq->data + rq->done,
					     len);

	if (err) {
		/* How much of it is in the file nobody knows: read that again. */
		page_cache_truncate_range(&rq->inode->mapping, at >> PAGE_SHIFT,
					  (at + len - 1) >> PAGE_SHIFT);
		return err;
	}
	vmstat_add(rq->vol->mm, CACHE_UNCACHED_WRITE,
		   (long)(pages_of(at + len) - (at >> PAGE_SHIFT)));
	while (len > 0) {
		size_t in = min_of(len, PAGE_SIZE - (size_t)(at & PAGE_MASK));

		/* One that a reader has brought meanwhile. */
		page_cache_patch(&rq->inode->mapping, at,
				 rq->data + (at - rq->offset), in);
		at += in;
		len -= in;
		rq->done += in;
	}
	return 0;
}

/*
 * Others have all the memory, and keep it. Nobody else writes meanwhile: a page
 * that comes is clean, and the file has its contents, or will have (3).
 */
static int write_around(struct request *rq)
{
	int err = 0;

	rwlock_lock(&rq->inode->io_lock);
	while (rq->done < rq->size && !err) {
		err = write_page(rq, GFP_NOWAIT | GFP_GROWTH);
		if (err == -EAGAIN)
			err = write_page(rq, GFP_KERNEL | GFP_GROWTH);
		if (err == -ENOMEM)
			err = write_absent(rq);
	}
	rwlock_unlock(&rq->inode->io_lock);
	return err;
}

static bool must_reserve(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;

	return ops->must_reserve &&
	       ops->must_reserve(rq->inode, rq->offset + rq->done,
				 rq->size - rq->done);
}

/*
 * All of it or nothing. What the kernel has taken already is not refused here:
 * there may be a frame.
 */
static int write_reserved(struct request *rq)
{
	int err;

	rwlock_lock(&rq->inode->io_lock);
	err = rq->vol->ops->reserve_write(rq->inode, rq->offset + rq->done,
					  rq->size - rq->done);
	if (!err || rq->mapped)
		err = write_pages(rq, GFP_KERNEL | GFP_GROWTH);
	rwlock_unlock(&rq->inode->io_lock);
	return err;
}

static int write_blocking(struct request *rq)
{
	int err = 0;
	bool unreserved;

	rwlock_lock_shared(&rq->inode->io_lock);
	unreserved = must_reserve(rq);
	if (!unreserved && rq->vol->ops->make_room)
		rq->vol->ops->make_room(rq->inode, rq->offset + rq->done,
					rq->size - rq->done);
	if (!unreserved)
		err = write_pages(rq, GFP_KERNEL | GFP_GROWTH);
	rwlock_unlock_shared(&rq->inode->io_lock);
	return unreserved ? write_reserved(rq) : err;
}

/* From the last frames: a copy in the kernel stands for it. */
static int write_received(struct request *rq)
{
	int err;

	if (!kernel_copies_receive(&rq->vol->fs->copies, rq->size - rq->done))
		return -ENOMEM;
	rwlock_lock_shared(&rq->inode->io_lock);
	err = write_pages(rq, GFP_KERNEL | GFP_RESERVE);
	rwlock_unlock_shared(&rq->inode->io_lock);
	return err;
}

bool rw_write_hit(struct request *rq, int *err, uint64_t *pause_ns)
{
	*pause_ns = 0;
	*err = limit_size(rq);
	if (*err)
		return true;
	if (!rwlock_trylock_shared(&rq->inode->io_lock))
		return false;
	*err = must_reserve(rq) ? -ENOMEM
				: write_pages(rq, GFP_NOWAIT | GFP_GROWTH);
	rwlock_unlock_shared(&rq->inode->io_lock);
	if (*err == -EAGAIN || *err == -ENOMEM)
		return false;
	if (rq->done > 0)
		*err = 0; /* a short write; the next one hears of it */
	*pause_ns = balance(rq);
	vmstat_inc(rq->vol->mm, PATH_HIT);
	return true;
}

/*
 * Of 20 ms each: a second, as for those who wait for memory. Others, who find no
 * place to be parked, go on without a pause, and could keep it at the limit for as
 * long as they write.
 */
enum { WRITE_PAUSES_MAX = 50 };

void rw_write_finish(struct request *rq)
{
	/* At the limit a pause is followed by another; but not for ever. */
	if (!rq->vol->ops->must_wait(rq->vol) ||
	    rq->nr_pauses++ == WRITE_PAUSES_MAX ||
	    !request_try_park(&rq->vol->fs->requests, rq,
			      BALANCE_PAUSE_MAX / 10, rw_write_finish))
		rq->finish(rq, 0);
}

static void write_again(struct request *rq)
{
	rq->run = rw_write_slow;
	request_queue(&rq->vol->fs->requests, rq, REQUEST_GROW);
}

void rw_write_slow(struct request *rq)
{
	struct request_engine *e = &rq->vol->fs->requests;
	uint64_t pause;
	int err = limit_size(rq);

	if (!err) {
		err = write_blocking(rq);
		if (err == -ENOMEM && rq->mapped)
			err = write_received(rq);
	}
	if (err == -EAGAIN) { /* a page that it may not wait for */
		request_park(e, rq, BALANCE_PAUSE_MAX / 10, write_again);
		return;
	}
	if (err == -ENOMEM) {
		kernel_copies_ask(&rq->vol->fs->copies);
		rq->oom.other_way = rq->vol->ops->write_around != NULL;
		if (oom_judge(rq->vol->mm, &rq->oom) == OOM_WAIT) {
			request_park(e, rq, BALANCE_PAUSE_MAX / 10,
				     write_again);
			return;
		}
		err = rq->oom.other_way ? write_around(rq) : -ENOSPC;
	}
	if (rq->done > 0)
		err = 0;
	pause = err ? 0 : balance(rq);
	if (pause == 0 || !request_try_park(e, rq, pause, rw_write_finish))
		rq->finish(rq, err);
}
