/*
 * file_blocks.c - fallocate(2), and what is known of the blocks.
 *
 *   (1) What lies between "from" and "to" has its blocks, for as long as nothing
 *       but the functions here changes it: writers hold io_lock shared, who cuts
 *       the file or punches holes holds it alone.
 *   (2) One range is enough: files grow at their end. A page elsewhere is asked
 *       for again, which the file system answers in no time.
 */
#include "fs/file_blocks.h"

#include "fs/file_privs.h"
#include "fs/file_volume.h"

#include <errno.h>

bool file_blocks_there(struct file_inode *fi, uint64_t start, uint64_t end)
{
	const struct file_blocks *b = &fi->blocks;
	bool there;

	mutex_lock(&fi->inode.time_lock);
	there = start >= b->from && end <= b->to;
	mutex_unlock(&fi->inode.time_lock);
	return there;
}

/* They are there; next to those that are known, or instead of them (2). */
static void note(struct file_inode *fi, uint64_t start, uint64_t end)
{
	struct file_blocks *b = &fi->blocks;

	mutex_lock(&fi->inode.time_lock);
	if (start > b->to || end < b->from) {
		b->from = start;
		b->to = end;
	} else {
		b->from = min_of(b->from, start);
		b->to = max_of(b->to, end);
	}
	mutex_unlock(&fi->inode.time_lock);
}

/* Also if it fails: some may have been had. */
static void note_behind(struct file_inode *fi, uint64_t end)
{
	mutex_lock(&fi->inode.time_lock);
	fi->blocks.behind |= end > atomic_load(&fi->backing_size);
	mutex_unlock(&fi->inode.time_lock);
}

bool file_blocks_precise(struct file_inode *fi)
{
	return atomic_load(&fi->space->blocks_first) &&
	       atomic_load(&fi->space->block) < PAGE_SIZE;
}

/* Where the blocks are to end for what is written up to end. */
static uint64_t round_end(struct file_inode *fi, uint64_t end)
{
	uint64_t page_end = pages_of(end) << PAGE_SHIFT;
	uint64_t block = atomic_load(&fi->space->block);

	if (!file_blocks_precise(fi))
		return page_end;
	end = max_of(end, atomic_load(&fi->inode.size));
	return min_of(page_end, (end + block - 1) / block * block);
}

bool file_blocks_unsupported(struct file_inode *fi, int err)
{
	if (err != -EOPNOTSUPP && err != -ENOSYS)
		return false;
	/* One without extents on a file system that has them, for one. */
	atomic_store(&fi->no_fallocate, true);
	return true;
}

bool file_blocks_found(struct file_inode *fi, int err, uint64_t start,
		       uint64_t end)
{
	return space_is_full(err) &&
	       (file_blocks_there(fi, start, end) ||
		backing_has_blocks(fi->fds.buffered, start, end));
}

static int allocate(struct file_inode *fi, uint64_t start, uint64_t end)
	must_hold(fi->attr_lock)
{
	struct mm *mm = fi->inode.vol->mm;
	struct space *s = fi->space;
	int err;

	/* Another writer may have been faster. */
	if (file_blocks_there(fi, start, end))
		return 0;
	err = space_check(s, fi->fds.buffered, end - start);
	if (err)
		return err;
	vmstat_inc(mm, BLOCKS_FIRST);
	note_behind(fi, end);
	/* It sets the backing file's times: ours, to whoever looks. */
	atomic_store(&fi->changed_by_us, true);
	err = page_io_allocate(mm->io, fi->fds.buffered, start, end - start);
	if (!err)
		space_allocated(s, end - start);
	else if (file_blocks_found(fi, err, start, end))
		err = 0;
	if (!err)
		note(fi, start, end);
	return err;
}

int file_blocks_try(struct file_inode *fi, uint64_t start, uint64_t end)
{
	bool keep;
	int err;

	if (atomic_load(&fi->no_fallocate))
		return -EOPNOTSUPP;
	start &= ~PAGE_MASK;
	end = round_end(fi, end);
	keep = file_privs_keep(fi); /* for the backing file it is a write */
	mutex_lock(&fi->attr_lock);
	err = allocate(fi, start, end);
	mutex_unlock(&fi->attr_lock);
	file_privs_end(fi, keep);
	return file_blocks_unsupported(fi, err) ? -EOPNOTSUPP : err;
}

int file_blocks_allocate(struct file_inode *fi, uint64_t start, uint64_t end)
{
	struct mm *mm = fi->inode.vol->mm;
	int err = file_blocks_try(fi, start, end);

	if (err == -ENOSPC)
		vmstat_inc(mm, ENOSPC_BACKING);
	if (err == -EDQUOT)
		vmstat_inc(mm, EDQUOT_BACKING);
	if (space_is_full(err))
		space_refused(fi->space);
	return err;
}

int file_blocks_fill_tail(struct file_inode *fi, uint64_t size)
{
	uint64_t old = atomic_load(&fi->inode.size);
	uint64_t end = min_of(size, pages_of(old) << PAGE_SHIFT);
	int err;

	if (!file_blocks_precise(fi) || end <= old ||
	    file_blocks_there(fi, old & ~PAGE_MASK, end))
		return 0;
	err = file_blocks_allocate(fi, old, end);
	return space_is_full(err) ? err : 0;
}

bool file_blocks_behind(struct file_inode *fi)
{
	bool behind;

	mutex_lock(&fi->inode.time_lock);
	behind = fi->blocks.behind;
	mutex_unlock(&fi->inode.time_lock);
	return behind;
}

void file_blocks_cut(struct file_inode *fi, uint64_t size, bool shrunk)
{
	struct file_blocks *b = &fi->blocks;

	mutex_lock(&fi->inode.time_lock);
	/* Of the page it ends in a part may be gone: blocks can be small. */
	b->to = min_of(b->to, size & ~PAGE_MASK);
	b->from = min_of(b->from, b->to);
	b->behind &= !shrunk;
	mutex_unlock(&fi->inode.time_lock);
}

void file_blocks_forget(struct file_inode *fi)
{
	mutex_lock(&fi->inode.time_lock);
	fi->blocks = (struct file_blocks){ .from = 0 };
	mutex_unlock(&fi->inode.time_lock);
}
