/*
 * file_pages.c - the owner of a file's pages: address_space_ops of a file
 * volume, and what fs/read_write.c asks of it. The numbers are the invariants
 * of fs/file.c.
 */
#include "fs/file.h"

#include "fs/file_volume.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"

#include <errno.h>
#include <string.h>

static void file_hold(struct address_space *m)
{
	struct file_inode *fi = file_inode_of_mapping(m);

	/* Whoever makes a page dirty has the file open. */
	inode_ref(&fi->inode);
	ASSERT(fi->users > 0);
	fi->users++; /* not from 0: needs no lock */
}

static void file_put(struct address_space *m)
{
	struct file_inode *fi = file_inode_of_mapping(m);

	file_users_put(fi);
	inode_put(&fi->inode);
}

static void run_io_done(struct page_io *io, unsigned int which);

static void io0_done(struct page_io *io)
{
	run_io_done(io, 0);
}

static void io1_done(struct page_io *io)
{
	run_io_done(io, 1);
}

/* The end of a run that is written, or is not: err. */
static void write_done(struct page_run *run, int err)
{
	struct file_inode *fi = file_inode_of_mapping(run->mapping);

	if (err)
		unwritten_note(fi, err);
	if (space_is_full(err))
		space_refused(fi->space);
	page_run_write_done(run, err);
}

static void end_written(struct page_run *run, int err)
{
	struct file_inode *fi = file_inode_of_mapping(run->mapping);
	uint64_t bytes = 0;

	if (run->bounce)
		mempool_free(&run->mapping->mm->bounce, run->bounce);
	/* The blocks are there now (5). */
	for (unsigned int i = 0; !err && i < run->nr; i++)
		if (page_test_and_clear(run->pages[i], PG_reserved_space))
			bytes += PAGE_SIZE;
	if (bytes)
		space_release(fi->space, bytes, true);
	file_privs_written(&fi->privs);
	write_done(run, err);
}

/*
 * What a read did not deliver is zeroes only where the file has ended, or had
 * when it began ("before"): writeback may make it longer meanwhile, others cut
 * it. A short read before that is an error: it is tried again, a page at a time.
 */
static int check_short(struct file_inode *fi, uint64_t before, uint64_t offset,
		       uint64_t want, int64_t got)
{
	uint64_t size = min_of(before, atomic_load(&fi->backing_size));

	if (got < 0)
		return (int)got;
	return (uint64_t)got < want && offset + (uint64_t)got < size ? -EIO : 0;
}

static void end_read(struct page_run *run)
{
	struct file_inode *fi = file_inode_of_mapping(run->mapping);

	page_run_read_done(run, atomic_load(&run->nr_bytes),
			   atomic_load(&run->error));
	file_read_ended(fi);
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
		err = check_short(file_inode_of_mapping(run->mapping),
				  run->size_before, io->offset, io->nr_bytes,
				  io->result);
		atomic_fetch_add(&run->nr_bytes, (uint64_t)io->result);
	}
	if (err)
		atomic_compare_exchange_strong(&run->error, &none, err);
	if (atomic_fetch_sub(&run->nr_io, 1) > 1)
		return;
	if (io->op == PAGE_IO_WRITE)
		end_written(run, atomic_load(&run->error));
	else
		end_read(run);
}

static void run_init(struct page_run *run, unsigned int nr_io)
{
	atomic_store(&run->nr_io, nr_io);
	atomic_store(&run->error, 0);
	atomic_store(&run->nr_bytes, 0);
	run->bounce = NULL;
}

/* The last of a run is its end: the run is not to be touched after it. */
static void run_io(struct page_run *run, unsigned int which,
		   const struct page_io *io)
{
	run->io[which] = *io;
	run->io[which].done = which ? io1_done : io0_done;
	if (io->op == PAGE_IO_WRITE && run->here)
		page_io_do(run->mapping->mm->io, &run->io[which]);
	else
		page_io_queue(run->mapping->mm->io, &run->io[which]);
}

static void file_read_run(struct address_space *m, struct page_run *run)
{
	struct file_inode *fi = file_inode_of_mapping(m);
	bool direct = fi->fds.direct >= 0;

	file_read_begins(fi);
	page_run_map(run, 0, run->nr);
	run_init(run, 1);
	run->size_before = atomic_load(&fi->backing_size);
	run_io(run, 0,
	       &(struct page_io){
		       .op = PAGE_IO_READ,
		       .fd = direct ? fi->fds.direct : fi->fds.buffered,
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
static int extend(struct file_inode *fi, uint64_t start, uint64_t end)
{
	struct page_io_engine *io = fi->inode.vol->mm->io;
	int err = -EOPNOTSUPP;
	struct stat st;

	if (end <= atomic_load(&fi->backing_size))
		return 0;
	crash_note_growth(fi);
	if (!atomic_load(&fi->no_fallocate))
		err = page_io_fallocate(io, fi->fds.buffered, start,
					end - start);
	mutex_lock(&fi->attr_lock);
	if (file_blocks_unsupported(fi, err) ||
	    file_blocks_found(fi, err, start, end)) {
		err = 0;
		/* Looked at again: another run may have gone further. */
		if (end > atomic_load(&fi->backing_size))
			err = page_io_truncate(io, fi->fds.buffered, end);
	}
	if (!err && end > atomic_load(&fi->backing_size))
		atomic_store(&fi->backing_size, end);
	/* It may have come some of the way: ext4 grows an extent at a time. */
	if (err && backing_stat(fi->fds.buffered, &st) == 0 &&
	    (uint64_t)st.st_size > atomic_load(&fi->backing_size))
		atomic_store(&fi->backing_size, (uint64_t)st.st_size);
	mutex_unlock(&fi->attr_lock);
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

static void write_run(struct address_space *m, struct page_run *run)
{
	struct file_inode *fi = file_inode_of_mapping(m);
	uint64_t start = run->first << PAGE_SHIFT;
	uint64_t size = atomic_load(&fi->inode.size);
	uint64_t end = min_of(start + ((uint64_t)run->nr << PAGE_SHIFT), size);
	bool direct = fi->fds.direct >= 0;
	unsigned int whole, tail;
	int err;

	ASSERT(end > start); /* (4): pages behind the end are gone */
	crash_note_write(fi, run->nr);
	err = extend(fi, start, end);
	if (err) {
		file_privs_written(&fi->privs);
		write_done(run, err);
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
			       .fd = direct ? fi->fds.direct : fi->fds.buffered,
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
			       .fd = fi->fds.buffered,
			       .drop_behind = true,
			       .offset =
				       start + ((uint64_t)whole << PAGE_SHIFT),
			       .iov = &run->iov[whole],
			       .nr_iov = 1,
			       .nr_bytes = tail,
		       });
	}
}

/*
 * Of a file with privileges they are written here and now, so that what a write
 * takes is missing for no longer than that.
 */
static void file_write_run(struct address_space *m, struct page_run *run)
{
	struct file_inode *fi = file_inode_of_mapping(m);
	bool keep = file_privs_keep(fi);

	run->here |= keep;
	write_run(m, run);
	if (keep)
		file_privs_kept(fi);
}

static bool file_hold_back(struct address_space *m)
{
	return atomic_load(&file_inode_of_mapping(m)->inode.vol->hold_back);
}

static enum pageout_result file_pageout(struct address_space *m,
					struct page *page)
{
	(void)page;
	if (file_hold_back(m) && dirty_pressure(m->mm) == 0)
		return PAGEOUT_KEEP; /* there are enough others */
	/* The flusher writes it with its neighbours, in order. */
	flusher_kick(m);
	return PAGEOUT_STARTED;
}

static void file_page_dropped(struct address_space *m, struct page *page)
{
	if (page_test_and_clear(page, PG_reserved_space))
		space_release(file_inode_of_mapping(m)->space, PAGE_SIZE,
			      false);
}

static void file_written(struct address_space *m)
{
	struct file_inode *fi = file_inode_of_mapping(m);

	file_privs_restore(fi);
	file_restore_times(fi);
	unwritten_clear(fi);
}

const struct address_space_ops file_aops = {
	.read_run = file_read_run,
	.write_run = file_write_run,
	.pageout = file_pageout,
	.hold_back = file_hold_back,
	.page_dropped = file_page_dropped,
	.written = file_written,
	.hold = file_hold,
	.release = file_put,
};

/* Returns what io has read, or -errno; -EIO if it should have been more. */
static int64_t read_once(struct file_inode *fi, struct page_io *io)
{
	uint64_t before = atomic_load(&fi->backing_size);
	int64_t n = page_io_submit_wait(fi->inode.vol->mm->io, io);
	int err = check_short(fi, before, io->offset, io->nr_bytes, n);

	if (err && n >= 0) {
		/* The file is being cut, perhaps: how long is it after that? */
		mutex_lock(&fi->attr_lock);
		err = check_short(fi, before, io->offset, io->nr_bytes, n);
		mutex_unlock(&fi->attr_lock);
	}
	return err ? err : n;
}

int file_read_page(struct inode *inode, pgoff_t index, void *to)
{
	struct file_inode *fi = file_inode(inode);
	struct iovec iov = { to, PAGE_SIZE };
	bool direct = fi->fds.direct >= 0;
	struct page_io io = {
		.op = PAGE_IO_READ,
		.fd = direct ? fi->fds.direct : fi->fds.buffered,
		.drop_behind = !direct,
		.offset = index << PAGE_SHIFT,
		.iov = &iov,
		.nr_iov = 1,
		.nr_bytes = PAGE_SIZE,
	};
	int64_t n = read_once(fi, &io);

	/* It was not cut after all, or has grown again: it is all there now. */
	if (n == -EIO)
		n = read_once(fi, &io);
	if (n < 0)
		return (int)n;
	memset((char *)to + n, 0, PAGE_SIZE - (size_t)n);
	return 0;
}

/* (2) */
int file_fill_page(struct inode *inode, struct page *page, gfp_t gfp)
{
	bool behind = page->index << PAGE_SHIFT >=
		      atomic_load(&file_inode(inode)->backing_size);
	void *to = page_address(&inode->vol->mm->arena, page);
	int err = 0;

	if (!behind && !(gfp & GFP_RECLAIM))
		return -EAGAIN;
	if (behind)
		memset(to, 0, PAGE_SIZE);
	else
		err = file_read_page(inode, page->index, to);
	if (!err)
		page_set(page, PG_uptodate);
	return err;
}

/* Are blocks of [start, end) perhaps not there? */
static bool may_lack(struct file_inode *fi, uint64_t start, uint64_t end)
{
	return (fi->maybe_sparse || end > atomic_load(&fi->backing_size)) &&
	       !file_blocks_there(fi, start, end);
}

/* Does writing take blocks even if they are there? What was allocated is not. */
static bool copies(struct file_inode *fi, uint64_t start)
{
	return atomic_load(&fi->space->copies) &&
	       start < atomic_load(&fi->backing_size);
}

/*
 * See to it that there is room for what is about to be written to [start, end).
 * *reserved: so much is reserved for it. 0, -EAGAIN as of prepare_page(), or
 * -errno.
 */
static int get_room(struct file_inode *fi, uint64_t start, uint64_t end,
		    gfp_t gfp, uint64_t *reserved)
{
	uint64_t bytes = (pages_of(end) << PAGE_SHIFT) - (start & ~PAGE_MASK);
	int fd = fi->fds.buffered, err;
	bool lacks, count;

	*reserved = 0;
	err = space_know(fi->space, fd, gfp);
	if (err)
		return err;
	lacks = may_lack(fi, start, end);
	count = copies(fi, start);
	if (!lacks && !count)
		return 0;
	err = space_reserve(fi->space, fd, bytes, gfp);
	if (err == SPACE_ALLOCATE) {
		if (!(gfp & GFP_RECLAIM))
			return -EAGAIN;
		err = file_blocks_fill_tail(fi, start);
		if (!err && lacks)
			err = file_blocks_allocate(fi, start, end);
		if (space_is_full(err) || (!err && !count))
			return err;
		/* It could not be done, or not now: no more is to be had. */
		err = space_count(fi->space, fd, bytes);
	}
	if (!err) {
		*reserved = bytes;
		disk_watch_wake(file_volume_of(fi));
	}
	return err;
}

void file_make_room(struct inode *inode, uint64_t at, size_t len)
{
	struct file_inode *fi = file_inode(inode);

	if (atomic_load(&fi->space->blocks_first) && may_lack(fi, at, at + len))
		file_blocks_try(fi, at, at + len);
}

/*
 * Where rewriting takes blocks, what is being written has used up what was reserved
 * for it: the next contents need as much again. 0 or -EAGAIN, as prepare_page().
 */
static int wait_written(struct file_inode *fi, struct page *page, gfp_t gfp)
{
	if (!atomic_load(&fi->space->copies) || !page_test(page, PG_writeback))
		return 0;
	if (!(gfp & GFP_RECLAIM))
		return -EAGAIN;
	page_wait(&fi->inode.vol->mm->page_waits, page, PG_writeback);
	return 0;
}

int file_prepare_page(struct inode *inode, struct page *page, uint64_t end,
		      gfp_t gfp)
{
	uint64_t start = page->index << PAGE_SHIFT, reserved;
	struct file_inode *fi = file_inode(inode);
	int err;

	/* What could not be written back is not taken. */
	if (!fi->fds.writable)
		return fi->fds.refused;
	/* What lies behind the end must be gone before it is in the file. */
	if (atomic_load(&fi->too_long) &&
	    start + PAGE_SIZE > atomic_load(&inode->size))
		return -EIO;
	err = wait_written(fi, page, gfp);
	if (err)
		return err;
	if (page_test(page, PG_reserved_space) ||
	    (page_test(page, PG_dirty) && !file_blocks_precise(fi)))
		return 0;
	/* The rest of it may be written without being asked for. */
	if (!file_blocks_precise(fi))
		end = start + PAGE_SIZE;
	err = get_room(fi, start, end, gfp, &reserved);
	if (!err && reserved)
		page_set(page, PG_reserved_space); /* (5) */
	return err;
}

static void grow_size(struct file_inode *fi, uint64_t start, uint64_t end)
{
	struct inode *inode = &fi->inode;

	/* It does not shrink under us, who have io_lock. */
	if (max_of(start, end) <= atomic_load(&inode->size))
		return;
	mutex_lock(&inode->time_lock);
	if (start > atomic_load(&inode->size))
		fi->maybe_sparse = true;
	if (end > atomic_load(&inode->size))
		atomic_store(&inode->size, end);
	mutex_unlock(&inode->time_lock);
}

void file_page_written(struct inode *inode, struct page *page, uint64_t start,
		       uint64_t end)
{
	struct file_inode *fi = file_inode(inode);

	page_set(page, PG_uptodate);
	/* Before it is dirty: writeback cuts at the size. */
	grow_size(fi, start, end);
	page_set_dirty(&inode->mapping, page);
	file_touch(fi); /* while it cannot be written back */
}

int file_write_buffered(struct file_inode *fi, uint64_t at, const void *from,
			size_t len)
{
	struct iovec iov = { (void *)from, len };
	const struct page_io io = {
		.op = PAGE_IO_WRITE,
		.fd = fi->fds.buffered,
		.drop_behind = true,
		.offset = at,
		.iov = &iov,
		.nr_iov = 1,
		.nr_bytes = len,
	};
	struct mm *mm = fi->inode.vol->mm;
	int64_t n = page_io_submit_wait(mm->io, &io);

	if (n < 0)
		return (int)n;
	vmstat_add(mm, PGPGOUT, (long)(n >> 10));
	return (size_t)n < len ? -ENOSPC : 0;
}

int file_write_around(struct inode *inode, uint64_t at, const void *from,
		      size_t len)
{
	struct file_inode *fi = file_inode(inode);
	uint64_t size = atomic_load(&inode->size);
	uint64_t pages = pages_of(at + len) - (at >> PAGE_SHIFT), reserved = 0;
	bool keep;
	int err = 0;

	/* As above. */
	if (atomic_load(&fi->too_long) && at + len > size)
		err = -EIO;
	if (!err)
		err = get_room(fi, at, at + len, GFP_KERNEL, &reserved);
	if (err)
		return err;
	crash_note_write(fi, (unsigned int)pages);
	keep = file_privs_keep(fi);
	err = extend(fi, at, at + len);
	if (!err)
		err = file_write_buffered(fi, at, from, len);
	file_privs_end(fi, keep);
	if (reserved)
		space_release(fi->space, reserved, !err);
	/*
	 * (1) of fs/file.c. Not to where it ended before: up to the size it may
	 * be writeback that has made it longer meanwhile.
	 */
	if (err && atomic_load(&fi->backing_size) > size) {
		if (file_cut_backing(fi, size) < 0)
			atomic_store(&fi->too_long, true);
		else if (size & PAGE_MASK)
			file_zero_tail(fi, size);
	}
	if (err)
		return err;
	grow_size(fi, at, at + len);
	file_touch(fi);
	file_restore_times(fi);
	return 0;
}
