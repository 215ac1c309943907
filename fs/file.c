/*
 * file.c - pages of a file volume, and the file they belong to.
 *
 *   (1) inode->size is what has been acknowledged. The backing file may be
 *       shorter while pages are dirty, and is never longer.
 *   (2) A page is filled from the file before a part of it is written, unless
 *       it lies behind the end of what the backing file has.
 *   (3) Bytes of the last page behind the size are zero in memory.
 *   (4) While the file is cut (io_lock held alone) no writeback begins
 *       (mapping_freeze), and none is in flight behind the cut.
 *   (5) A dirty page whose block may not be allocated has PG_reserved_space;
 *       its block is reserved in vol->space until it is written or void.
 */
#include "fs/file.h"

#include "fs/fs.h"
#include "mm/oom.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The largest window; a share of the arena where that is small. */
enum { READAHEAD_PAGES_MAX = 128, READAHEAD_SHARE = 64 };

static struct inode *inode_of(struct address_space *m)
{
	return container_of(m, struct inode, mapping);
}

/* --- descriptors, and who uses them -------------------------------------- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/*
 * First open after a while. What others have changed since we closed the file
 * is not what we have in memory (close-to-open). Nobody has it open: waiting
 * for reads in flight is safe.
 */
static void refresh(struct inode *inode, const struct stat *st)
	must_hold(inode->attr_lock)
{
	bool same = same_time(&inode->seen_mtime, &st->st_mtim) &&
		    same_time(&inode->seen_ctime, &st->st_ctim) &&
		    inode->seen_size == (uint64_t)st->st_size;

	if (!address_space_is_clean(&inode->mapping))
		return;
	if (!same) {
		page_cache_truncate(&inode->mapping, 0);
		inode->ctime_known = false;
	}
	atomic_store(&inode->size, (uint64_t)st->st_size);
	atomic_store(&inode->backing_size, (uint64_t)st->st_size);
	inode->maybe_sparse = st->st_blocks * 512ll < st->st_size;
}

/* One more user of the descriptors; the first opens them. */
static int users_get(struct inode *inode)
{
	struct stat st;
	int err = 0;

	mutex_lock(&inode->attr_lock);
	if (inode->users == 0) {
		err = backing_open_data(inode->vol, &inode->id, &inode->fds);
		if (!err && fstat(inode->fds.buffered, &st) == 0)
			refresh(inode, &st);
	}
	if (!err)
		inode->users++;
	mutex_unlock(&inode->attr_lock);
	return err;
}

static void users_put(struct inode *inode)
{
	struct stat st;

	mutex_lock(&inode->attr_lock);
	ASSERT(inode->users > 0);
	if (--inode->users == 0) {
		if (fstat(inode->fds.buffered, &st) == 0) {
			inode->seen_mtime = st.st_mtim;
			inode->seen_ctime = st.st_ctim;
			inode->seen_size = (uint64_t)st.st_size;
		}
		backing_close_data(inode->vol, &inode->fds);
	}
	mutex_unlock(&inode->attr_lock);
}

static void file_hold(struct address_space *m)
{
	struct inode *inode = inode_of(m);

	/* Whoever makes a page dirty has the file open. */
	inode_ref(inode);
	ASSERT(inode->users > 0);
	inode->users++; /* not from 0: needs no lock */
}

static void file_put(struct address_space *m)
{
	struct inode *inode = inode_of(m);

	users_put(inode);
	inode_put(inode);
}

/* It could not be opened for writing when the first came; perhaps it can now. */
static void become_writable(struct inode *inode)
{
	struct backing_fds *have = &inode->fds, now;

	mutex_lock(&inode->attr_lock);
	if (!have->writable && !inode->vol->read_only &&
	    backing_open_data(inode->vol, &inode->id, &now) == 0) {
		/* Over the old numbers, which others are using. */
		if (now.writable && (now.direct < 0) == (have->direct < 0) &&
		    dup3(now.buffered, have->buffered, O_CLOEXEC) >= 0 &&
		    (now.direct < 0 ||
		     dup3(now.direct, have->direct, O_CLOEXEC) >= 0))
			have->writable = true;
		backing_close_data(inode->vol, &now);
	}
	mutex_unlock(&inode->attr_lock);
}

struct open_file *file_open(struct inode *inode, int flags, int *err)
{
	struct open_file *file;

	*err = users_get(inode);
	if (*err)
		return NULL;
	if ((flags & O_ACCMODE) != O_RDONLY)
		become_writable(inode);
	if ((flags & O_ACCMODE) != O_RDONLY && !inode->fds.writable) {
		*err = inode->vol->read_only ? -EROFS : -EACCES;
		goto out_users;
	}
	file = kmem_cache_zalloc(&inode->vol->fs->open_files, GFP_KERNEL);
	*err = -ENOMEM;
	if (!file)
		goto out_users;
	mutex_init(&file->lock);
	file->inode = inode;
	mutex_lock(&inode->vol->opens_lock);
	list_add(&inode->vol->open_files, &file->link);
	mutex_unlock(&inode->vol->opens_lock);
	file->wb_err_since = errseq_sample(&inode->mapping.wb_err);
	*err = 0;
	return file;

out_users:
	users_put(inode);
	return NULL;
}

/* Can nobody but the caller's "users", and the flusher, reach it? */
static bool is_last(struct inode *inode, unsigned int users)
{
	bool last;

	mutex_lock(&inode->attr_lock);
	users += atomic_load(&inode->mapping.on_dirty_list);
	last = inode->unlinked && inode->users <= users;
	mutex_unlock(&inode->attr_lock);
	return last;
}

/* Then what is dirty need not be written. */
static void drop_if_unlinked(struct inode *inode, unsigned int users)
{
	if (!is_last(inode, users))
		return;
	rwlock_lock(&inode->io_lock);
	/* Again, now that nobody is between marking a page and holding us. */
	if (is_last(inode, users))
		page_cache_truncate(&inode->mapping, 0);
	rwlock_unlock(&inode->io_lock);
}

void file_set_unlinked(struct inode *inode)
{
	mutex_lock(&inode->attr_lock);
	inode->unlinked = true;
	mutex_unlock(&inode->attr_lock);
	drop_if_unlinked(inode, 0);
}

void file_release(struct open_file *file)
{
	struct inode *inode = file->inode;

	drop_if_unlinked(inode, 1);
	writeback_kick(&inode->mapping);
	mutex_lock(&inode->vol->opens_lock);
	list_del(&file->link);
	mutex_unlock(&inode->vol->opens_lock);
	kmem_cache_free(&inode->vol->fs->open_files, file);
	users_put(inode);
	inode_put(inode);
}

/* --- the backing file's times -------------------------------------------- */

static void touch(struct inode *inode)
{
	struct timespec now = os_realtime();

	mutex_lock(&inode->time_lock);
	inode->mtime = inode->ours_ctime = now;
	inode->times_dirty = true;
	mutex_unlock(&inode->time_lock);
}

int file_set_times(struct inode *inode, int fd, const struct timespec times[2])
{
	int err = 0;

	/* Not between the two halves of restore_times(). */
	mutex_lock(&inode->attr_lock);
	if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
		err = -errno;
	mutex_lock(&inode->time_lock);
	if (!err && times[1].tv_nsec != UTIME_OMIT) {
		inode->ctime_known = false;
		inode->mtime = times[1];
		inode->ours_ctime = os_realtime();
		/* Writeback in flight would set the time of its own. */
		inode->times_dirty = !address_space_is_clean(&inode->mapping);
	}
	mutex_unlock(&inode->time_lock);
	mutex_unlock(&inode->attr_lock);
	return err;
}

/* The time to put back, if there is one; it is not dirty then. */
static bool take_mtime(struct inode *inode, struct timespec *mtime)
{
	bool dirty;

	mutex_lock(&inode->time_lock);
	dirty = inode->times_dirty && inode->fds.writable;
	*mtime = inode->mtime;
	if (dirty)
		inode->times_dirty = false;
	mutex_unlock(&inode->time_lock);
	return dirty;
}

/* Writing back has set the time of now: put the time of the write(2) back. */
static void restore_times(struct inode *inode)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;

	mutex_lock(&inode->attr_lock);
	if (inode->users > 0 && take_mtime(inode, &ts[1])) {
		futimens(inode->fds.buffered, ts);
		fstat(inode->fds.buffered, &st);
		mutex_lock(&inode->time_lock);
		inode->backing_ctime = st.st_ctim;
		inode->ctime_known = true;
		/* More writeback to come will set it again. */
		inode->times_dirty |= !address_space_is_clean(&inode->mapping);
		mutex_unlock(&inode->time_lock);
	}
	mutex_unlock(&inode->attr_lock);
}

/* --- address_space_ops ---------------------------------------------------- */

static void run_io_done(struct page_io *io, unsigned int which);

static void io0_done(struct page_io *io)
{
	run_io_done(io, 0);
}

static void io1_done(struct page_io *io)
{
	run_io_done(io, 1);
}

static void end_written(struct page_run *run, int err)
{
	struct inode *inode = inode_of(run->mapping);
	uint64_t bytes = 0;

	if (run->bounce)
		mempool_free(&run->mapping->mm->bounce, run->bounce);
	/* The blocks are there now (5). */
	for (unsigned int i = 0; !err && i < run->nr; i++)
		if (page_test_and_clear(run->pages[i], PG_reserved_space))
			bytes += PAGE_SIZE;
	if (bytes)
		space_release(inode->vol, bytes, true);
	page_run_write_done(run, err);
}

/*
 * What a read did not deliver is zeroes only where the file has ended. A short
 * read before that is an error: it is tried again, a page at a time.
 */
static int check_short(struct inode *inode, uint64_t offset, uint64_t want,
		       int64_t got)
{
	if (got < 0)
		return (int)got;
	if ((uint64_t)got < want &&
	    offset + (uint64_t)got < atomic_load(&inode->backing_size))
		return -EIO;
	return 0;
}

static void run_io_done(struct page_io *io, unsigned int which)
{
	struct page_run *run = container_of(io, struct page_run, io[which]);
	struct mm *mm = run->mapping->mm;
	int none = 0, err = io->result < 0 ? (int)io->result : 0;

	if (io->op == PAGE_IO_WRITE && !err) {
		vmstat_add(mm, PGPGOUT, (long)(io->result >> 10));
		if ((uint64_t)io->result < io->nr_bytes)
			err = -ENOSPC; /* all a short write can mean here */
	} else if (!err) {
		err = check_short(inode_of(run->mapping), io->offset,
				  io->nr_bytes, io->result);
		atomic_fetch_add(&run->nr_bytes, (uint64_t)io->result);
	}
	if (err)
		atomic_compare_exchange_strong(&run->error, &none, err);
	if (atomic_fetch_sub(&run->nr_io, 1) > 1)
		return;
	if (io->op == PAGE_IO_WRITE)
		end_written(run, atomic_load(&run->error));
	else
		page_run_read_done(run, atomic_load(&run->nr_bytes),
				   atomic_load(&run->error));
}

static void run_init(struct page_run *run, unsigned int nr_io)
{
	atomic_store(&run->nr_io, nr_io);
	atomic_store(&run->error, 0);
	atomic_store(&run->nr_bytes, 0);
	run->bounce = NULL;
}

static void run_io(struct page_run *run, unsigned int which,
		   const struct page_io *io)
{
	run->io[which] = *io;
	run->io[which].done = which ? io1_done : io0_done;
	page_io_queue(run->mapping->mm->io, &run->io[which]);
}

static void file_read_run(struct address_space *m, struct page_run *run)
{
	struct inode *inode = inode_of(m);
	bool direct = inode->fds.direct >= 0;

	page_run_map(run, 0, run->nr);
	run_init(run, 1);
	run_io(run, 0,
	       &(struct page_io){
		       .op = PAGE_IO_READ,
		       .fd = direct ? inode->fds.direct : inode->fds.buffered,
		       .drop_behind = !direct,
		       .offset = run->first << PAGE_SHIFT,
		       .iov = run->iov,
		       .nr_iov = run->nr,
		       .nr_bytes = (uint64_t)run->nr << PAGE_SHIFT,
	       });
}

/*
 * Make room for [start, end) and let the file grow to end, which is not past
 * what was acknowledged: writes behind the end would each move it, and wait.
 */
static int extend(struct inode *inode, uint64_t start, uint64_t end)
{
	struct volume *vol = inode->vol;
	struct page_io_engine *io = vol->mm->io;
	int err = -EOPNOTSUPP;

	if (end <= atomic_load(&inode->backing_size))
		return 0;
	if (!atomic_load(&vol->no_fallocate))
		err = page_io_fallocate(io, inode->fds.buffered, start,
					end - start);
	mutex_lock(&inode->attr_lock);
	if (err == -EOPNOTSUPP || err == -ENOSYS) {
		atomic_store(&vol->no_fallocate, true);
		err = 0;
		/* Looked at again: another run may have gone further. */
		if (end > atomic_load(&inode->backing_size))
			err = page_io_truncate(io, inode->fds.buffered, end);
	}
	if (!err && end > atomic_load(&inode->backing_size))
		atomic_store(&inode->backing_size, end);
	mutex_unlock(&inode->attr_lock);
	return err;
}

/* Send the partial page from a registered frame, if one is to be had. */
static void bounce_tail(struct page_run *run, unsigned int i, unsigned int len)
{
	struct mm *mm = run->mapping->mm;

	run->iov[i].iov_len = len;
	run->bounce = mempool_alloc(&mm->bounce, GFP_MEMALLOC);
	if (!run->bounce)
		return;
	memcpy(page_address(&mm->arena, run->bounce), run->iov[i].iov_base,
	       len);
	run->iov[i].iov_base = page_address(&mm->arena, run->bounce);
}

static void file_write_run(struct address_space *m, struct page_run *run)
{
	struct inode *inode = inode_of(m);
	uint64_t start = run->first << PAGE_SHIFT;
	uint64_t size = atomic_load(&inode->size);
	uint64_t end = min_of(start + ((uint64_t)run->nr << PAGE_SHIFT), size);
	bool direct = inode->fds.direct >= 0;
	unsigned int whole, tail;
	int err;

	ASSERT(end > start); /* (4): pages behind the end are gone */
	err = extend(inode, start, end);
	if (err) {
		page_run_write_done(run, err);
		return;
	}
	whole = (unsigned int)((end - start) >> PAGE_SHIFT);
	tail = (unsigned int)((end - start) & PAGE_MASK);
	if (!direct && tail) /* one buffered write takes both */
		whole = run->nr;
	page_run_map(run, 0, run->nr);
	ASSERT(whole + (tail > 0 && direct) == run->nr);
	run_init(run, (whole > 0) + (tail > 0 && direct));
	if (whole > 0) {
		if (!direct)
			run->iov[run->nr - 1].iov_len -=
				(start + ((uint64_t)run->nr << PAGE_SHIFT)) -
				end;
		run_io(run, 0,
		       &(struct page_io){
			       .op = PAGE_IO_WRITE,
			       .fd = direct ? inode->fds.direct
					    : inode->fds.buffered,
			       .drop_behind = !direct,
			       .offset = start,
			       .iov = run->iov,
			       .nr_iov = whole,
			       .nr_bytes = direct ? (uint64_t)whole
							    << PAGE_SHIFT
						  : end - start,
		       });
	}
	if (tail && direct) {
		/* Exactly as long as it is; never past the end, even briefly. */
		vmstat_inc(m->mm, WRITE_IO_TAIL);
		bounce_tail(run, whole, tail);
		run_io(run, 1,
		       &(struct page_io){
			       .op = PAGE_IO_WRITE,
			       .fd = inode->fds.buffered,
			       .drop_behind = true,
			       .offset =
				       start + ((uint64_t)whole << PAGE_SHIFT),
			       .iov = &run->iov[whole],
			       .nr_iov = 1,
			       .nr_bytes = tail,
		       });
	}
}

static enum pageout_result file_pageout(struct address_space *m,
					struct page *page)
{
	(void)page;
	/* The flusher writes it with its neighbours, in order. */
	writeback_kick(m);
	return PAGEOUT_STARTED;
}

static void file_page_dropped(struct address_space *m, struct page *page)
{
	if (page_test_and_clear(page, PG_reserved_space))
		space_release(inode_of(m)->vol, PAGE_SIZE, false);
}

static void file_written(struct address_space *m)
{
	restore_times(inode_of(m));
}

const struct address_space_ops file_aops = {
	.read_run = file_read_run,
	.write_run = file_write_run,
	.pageout = file_pageout,
	.page_dropped = file_page_dropped,
	.written = file_written,
	.hold = file_hold,
	.release = file_put,
};

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
	started = page_cache_read(&inode->mapping, plan.first, plan.nr,
				  plan.marker, gfp);
	if (plan.nr > nr)
		vmstat_add(mm, READAHEAD_PAGES, (long)(plan.nr - nr));
	if (started < plan.nr && plan.nr > nr)
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

/*
 * Mark what was read as used; reading on inside a page is no further use of
 * it. A marker met on the way starts the next window.
 */
static void note_read(struct request *rq, pgoff_t first)
{
	struct mm *mm = rq->vol->mm;
	pgoff_t next;

	mutex_lock(&rq->file->lock);
	next = rq->file->ra.next;
	readahead_note(&rq->file->ra, first, rq->nr_pages);
	mutex_unlock(&rq->file->lock);
	for (unsigned int i = 0; i < rq->nr_pages; i++) {
		bool again =
			i == 0 && first + 1 == next && (rq->offset & PAGE_MASK);

		if (!again)
			page_mark_accessed(mm, rq->pages[i]);
		if (page_test(rq->pages[i], PG_readahead) &&
		    page_test_and_clear(rq->pages[i], PG_readahead))
			read_ahead(rq, RA_MARKER, first + i, rq->nr_pages,
				   GFP_NOWAIT);
	}
}

bool file_read_hit(struct request *rq)
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

void file_read_end(struct request *rq)
{
	for (unsigned int i = 0; i < rq->nr_pages; i++)
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
	file_read_miss(rq);
}

/*
 * Called again whenever the first page that was missing has been read; each
 * time there is at least one page more, or a worker takes over.
 */
void file_read_miss(struct request *rq)
{
	struct address_space *m = &rq->inode->mapping;
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
		page = page_cache_find(m, first + rq->nr_pages);
		if (!page && rq->nr_begun <= rq->nr_pages) {
			unsigned int missing = nr - rq->nr_pages;

			rq->nr_begun = rq->nr_pages + 1;
			vmstat_add(rq->vol->mm, CACHE_MISS, missing);
			read_ahead(rq, RA_MISS, first + rq->nr_pages, missing,
				   GFP_NOWAIT);
			page = page_cache_find(m, first + rq->nr_pages);
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
	rq->run = file_read_slow;
	request_queue(&rq->vol->fs->requests, rq, REQUEST_SERVE);
}

/* Read whole pages into memory that is not in the cache. */
static int read_around(struct inode *inode, pgoff_t first, unsigned int nr,
		       char *to)
{
	struct iovec iov = { to, (size_t)nr << PAGE_SHIFT };
	bool direct = inode->fds.direct >= 0;
	struct page_io io = {
		.op = PAGE_IO_READ,
		.fd = direct ? inode->fds.direct : inode->fds.buffered,
		.drop_behind = !direct,
		.offset = first << PAGE_SHIFT,
		.iov = &iov,
		.nr_iov = 1,
		.nr_bytes = iov.iov_len,
	};
	int64_t n = page_io_submit_wait(inode->vol->mm->io, &io);
	int err = check_short(inode, io.offset, io.nr_bytes, n);

	if (err)
		return err;
	memset(to + n, 0, iov.iov_len - (size_t)n);
	return 0;
}

/*
 * No frame to be had, or a page that cannot be read: go around the cache, a
 * page at a time, into the emergency buffer. Cached pages are newer than the
 * file. rq->data points to the result.
 */
static int read_uncached(struct request *rq, pgoff_t first, unsigned int nr)
{
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
				err = read_around(rq->inode, first + i, 1, to);
		}
		if (page) {
			memcpy(to, page_address(&mm->arena, page), PAGE_SIZE);
			page_put(mm, page);
			err = 0;
		}
	}
	return err;
}

void file_read_slow(struct request *rq)
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
	file_read_end(rq);
	mutex_lock(&fs->emergency_lock);
	read_range(rq, &first, &nr);
	err = read_uncached(rq, first, nr);
	rq->data = fs->emergency + (rq->offset & PAGE_MASK);
	rq->finish(rq, err);
	mutex_unlock(&fs->emergency_lock);
}

/* --- writing ------------------------------------------------------------- */

/* Fill a locked page that is to be written in part (2). May block. */
static int fill(struct inode *inode, struct page *page)
{
	struct mm *mm = inode->vol->mm;
	char *to = page_address(&mm->arena, page);
	int err = 0;

	if (page->index << PAGE_SHIFT >= atomic_load(&inode->backing_size))
		memset(to, 0, PAGE_SIZE);
	else
		err = read_around(inode, page->index, 1, to);
	if (!err)
		page_set(page, PG_uptodate);
	return err;
}

static bool needs_block(struct inode *inode, const struct page *page)
{
	return !page_test(page, PG_dirty | PG_reserved_space) &&
	       (inode->maybe_sparse ||
		(page->index + 1) << PAGE_SHIFT >
			atomic_load(&inode->backing_size));
}

static void grow_size(struct inode *inode, uint64_t start, uint64_t end)
{
	mutex_lock(&inode->time_lock);
	if (start > atomic_load(&inode->size))
		inode->maybe_sparse = true;
	if (end > atomic_load(&inode->size))
		atomic_store(&inode->size, end);
	mutex_unlock(&inode->time_lock);
}

/* A new page that was not filled goes again, so that nobody finds it (3). */
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
	struct inode *inode = rq->inode;
	struct mm *mm = rq->vol->mm;
	uint64_t at = rq->offset + rq->done;
	size_t from = at & PAGE_MASK;
	size_t len = min_of(PAGE_SIZE - from, rq->size - rq->done);
	struct page *page;
	int err;

	page = page_cache_grab(&inode->mapping, at >> PAGE_SHIFT, gfp, &err);
	if (!page)
		return err;
	if (!page_test(page, PG_uptodate) && len < PAGE_SIZE) {
		bool behind = page->index << PAGE_SHIFT >=
			      atomic_load(&inode->backing_size);

		err = behind || (gfp & GFP_RECLAIM) ? fill(inode, page)
						    : -EAGAIN;
		if (err)
			goto out_abandon;
	}
	if (needs_block(inode, page)) {
		err = space_reserve(rq->vol, PAGE_SIZE);
		if (err)
			goto out_abandon;
		page_set(page, PG_reserved_space); /* (5) */
	}
	memcpy((char *)page_address(&mm->arena, page) + from,
	       rq->data + rq->done, len);
	page_set(page, PG_uptodate);
	/* Before it is dirty: writeback cuts at the size. */
	grow_size(inode, at, at + len);
	page_set_dirty(&inode->mapping, page);
	touch(inode); /* while it cannot be written back */
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

/* Cut what the backing file system could never hold. */
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
	return balance_dirty_pages(rq->vol->mm, pages_of(rq->size));
}

bool file_write_hit(struct request *rq, int *err, uint64_t *pause_ns)
{
	*pause_ns = 0;
	*err = limit_size(rq);
	if (*err)
		return true;
	if (!rwlock_trylock_shared(&rq->inode->io_lock))
		return false;
	*err = write_pages(rq, GFP_NOWAIT | GFP_GROWTH);
	rwlock_unlock_shared(&rq->inode->io_lock);
	if (*err == -EAGAIN || *err == -ENOMEM)
		return false;
	if (rq->done > 0)
		*err = 0; /* a short write; the next one hears of it */
	*pause_ns = balance(rq);
	vmstat_inc(rq->vol->mm, PATH_HIT);
	return true;
}

void file_write_finish(struct request *rq)
{
	/* At the limit a pause is followed by another. */
	if (dirty_limit_reached(rq->vol->mm))
		request_repark(&rq->vol->fs->requests, rq,
			       BALANCE_PAUSE_MAX / 10);
	else
		rq->finish(rq, 0);
}

static void write_again(struct request *rq)
{
	rq->run = file_write_slow;
	request_queue(&rq->vol->fs->requests, rq, REQUEST_GROW);
}

void file_write_slow(struct request *rq)
{
	struct request_engine *e = &rq->vol->fs->requests;
	uint64_t pause;
	int err = limit_size(rq);

	if (!err) {
		rwlock_lock_shared(&rq->inode->io_lock);
		err = write_pages(rq, GFP_KERNEL | GFP_GROWTH);
		rwlock_unlock_shared(&rq->inode->io_lock);
	}
	if (err == -ENOMEM) {
		if (oom_judge(rq->vol->mm, &rq->oom) == OOM_WAIT) {
			request_park(e, rq, BALANCE_PAUSE_MAX / 10,
				     write_again);
			return;
		}
		err = -ENOSPC;
	}
	if (rq->done > 0)
		err = 0;
	pause = err ? 0 : balance(rq);
	if (pause > 0)
		request_park(e, rq, pause, file_write_finish);
	else
		rq->finish(rq, err);
}

/* --- durability, and cutting the file ------------------------------------ */

int file_write_back(struct inode *inode)
{
	int err;

	rwlock_lock_shared(&inode->io_lock);
	err = mapping_sync(&inode->mapping, 0, UINT64_MAX);
	rwlock_unlock_shared(&inode->io_lock);
	return err;
}

int file_check_error(struct open_file *file)
{
	int err;

	mutex_lock(&file->lock);
	err = errseq_check_and_advance(&file->inode->mapping.wb_err,
				       &file->wb_err_since);
	mutex_unlock(&file->lock);
	return err;
}

int file_fsync(struct open_file *file, bool data_only)
{
	struct inode *inode = file->inode;
	int err, seen;

	err = file_write_back(inode);
	restore_times(inode);
	if (!err)
		err = page_io_sync(inode->vol->mm->io, inode->fds.buffered,
				   data_only);
	seen = file_check_error(file);
	return seen ? seen : err;
}

/* (3): what is behind the new end must read as zeroes if it grows again. */
static void zero_tail(struct inode *inode, uint64_t size)
{
	struct mm *mm = inode->vol->mm;
	struct page *page =
		page_cache_find(&inode->mapping, size >> PAGE_SHIFT);

	if (!page)
		return;
	page_lock(&mm->page_waits, page);
	if (page->mapping == inode->mapping.id && page_test(page, PG_uptodate))
		memset((char *)page_address(&mm->arena, page) +
			       (size & PAGE_MASK),
		       0, PAGE_SIZE - (size & PAGE_MASK));
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
}

/* Cut, with io_lock held alone and writeback frozen. */
static int truncate_frozen(struct inode *inode, uint64_t size)
{
	struct mm *mm = inode->vol->mm;
	uint64_t old = atomic_load(&inode->size);
	int err;

	if (size < old)
		mapping_wait_writeback(&inode->mapping, size >> PAGE_SHIFT,
				       UINT64_MAX);
	/*
	 * The file first: if that fails nothing has happened. It may be shorter
	 * than both sizes, when the pages that would make it longer go now.
	 */
	if (size != atomic_load(&inode->backing_size)) {
		err = page_io_truncate(mm->io, inode->fds.buffered, size);
		if (err)
			return err;
		mutex_lock(&inode->attr_lock);
		atomic_store(&inode->backing_size, size);
		if (size > old)
			inode->maybe_sparse = true;
		mutex_unlock(&inode->attr_lock);
	}
	atomic_store(&inode->size, size);
	if (size < old) {
		page_cache_truncate(&inode->mapping, pages_of(size));
		if (size & PAGE_MASK)
			zero_tail(inode, size);
	}
	touch(inode);
	return 0;
}

int file_truncate(struct inode *inode, uint64_t size)
{
	int err;

	if (size > inode->vol->max_file_size)
		return -EFBIG;
	err = users_get(inode);
	if (err)
		return err;
	err = inode->fds.writable ? 0 : -EROFS;
	if (!err) {
		rwlock_lock(&inode->io_lock);
		mapping_freeze(&inode->mapping);
		err = truncate_frozen(inode, size);
		mapping_thaw(&inode->mapping);
		rwlock_unlock(&inode->io_lock);
	}
	if (!err && address_space_is_clean(&inode->mapping))
		restore_times(inode);
	users_put(inode);
	return err;
}

int file_fallocate(struct inode *inode, int mode, uint64_t offset, uint64_t len)
{
	bool allocates = !(mode & FALLOC_FL_PUNCH_HOLE);
	struct address_space *m = &inode->mapping;
	struct stat st;
	int err;

	err = users_get(inode);
	if (err)
		return err;
	rwlock_lock(&inode->io_lock);
	/* Do it in the file, on what is written, and forget what we had. */
	err = mapping_sync(m, 0, UINT64_MAX);
	if (!err &&
	    fallocate(inode->fds.buffered, mode, (off_t)offset, (off_t)len) < 0)
		err = -errno;
	if (!err) {
		if (mode & ~FALLOC_FL_KEEP_SIZE) {
			page_cache_truncate(m, offset >> PAGE_SHIFT);
			posix_fadvise(inode->fds.buffered, 0, 0,
				      POSIX_FADV_DONTNEED);
		}
		if (fstat(inode->fds.buffered, &st) == 0) {
			mutex_lock(&inode->attr_lock);
			atomic_store(&inode->backing_size,
				     (uint64_t)st.st_size);
			atomic_store(&inode->size, (uint64_t)st.st_size);
			inode->maybe_sparse |=
				!allocates || st.st_blocks * 512ll < st.st_size;
			mutex_unlock(&inode->attr_lock);
		}
		touch(inode);
	}
	rwlock_unlock(&inode->io_lock);
	if (!err)
		restore_times(inode);
	users_put(inode);
	return err;
}

int64_t file_seek(struct inode *inode, uint64_t offset, int whence)
{
	int64_t at;
	int err = users_get(inode);

	if (err)
		return err;
	rwlock_lock_shared(&inode->io_lock);
	at = mapping_sync(&inode->mapping, 0, UINT64_MAX);
	if (at == 0) {
		at = lseek(inode->fds.buffered, (off_t)offset, whence);
		if (at < 0)
			at = -errno;
	}
	rwlock_unlock_shared(&inode->io_lock);
	users_put(inode);
	return at;
}
