/*
 * file.c - one file of a volume: who has it open, its times, its length.
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
#include "fs/internal.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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
int file_users_get(struct inode *inode)
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

void file_users_put(struct inode *inode)
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

	*err = file_users_get(inode);
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
	file_users_put(inode);
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
	file_users_put(inode);
	inode_put(inode);
}

/* --- the backing file's times -------------------------------------------- */

void file_touch(struct inode *inode)
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

	/* Not between the two halves of file_restore_times(). */
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
void file_restore_times(struct inode *inode)
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
	file_restore_times(inode);
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
	file_touch(inode);
	return 0;
}

int file_truncate(struct inode *inode, uint64_t size)
{
	int err;

	if (size > inode->vol->max_file_size)
		return -EFBIG;
	err = file_users_get(inode);
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
		file_restore_times(inode);
	file_users_put(inode);
	return err;
}

int file_fallocate(struct inode *inode, int mode, uint64_t offset, uint64_t len)
{
	bool allocates = !(mode & FALLOC_FL_PUNCH_HOLE);
	struct address_space *m = &inode->mapping;
	struct stat st;
	int err;

	err = file_users_get(inode);
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
		file_touch(inode);
	}
	rwlock_unlock(&inode->io_lock);
	if (!err)
		file_restore_times(inode);
	file_users_put(inode);
	return err;
}

int64_t file_seek(struct inode *inode, uint64_t offset, int whence)
{
	int64_t at;
	int err = file_users_get(inode);

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
	file_users_put(inode);
	return at;
}
