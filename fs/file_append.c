/*
 * file_append.c - appends, around the cache.
 *
 *   (1) Who has opened the file before it became append-only goes on as before,
 *       as on any file system: those descriptors stay open while it is in use,
 *       and so while anything is dirty. That is written back before anything is
 *       appended: the backing file's end is the file's.
 *   (2) io_lock is held alone: nothing is written meanwhile but by others, in the
 *       backing directory.
 */
#include "fs/file_append.h"

#include "fs/file.h"
#include "fs/file_volume.h"
#include "mm/page_cache.h"

#include <errno.h>
#include <fcntl.h>

/* --- opening ---------------------------------------------------------------------- */

/*
 * The backing file's flags, of the moment: those of a descriptor that is open
 * already are asked by nobody else. None where the file system does not tell.
 */
static uint64_t flags_of(const struct file_inode *fi)
{
	struct statx st;

	if (backing_statx(fi->fds.buffered, &st) < 0)
		return 0;
	return st.stx_attributes & (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE);
}

int file_append_may_cut(struct file_inode *fi)
{
	if (flags_of(fi))
		return -EPERM;
	return fi->fds.writable ? 0 : fi->fds.refused;
}

int file_append_open(struct file_inode *fi, int flags)
{
	uint64_t has = flags_of(fi);
	int err = 0;

	if (!has && fi->fds.writable) {
		atomic_store(&fi->append_only, false);
		return 0;
	}
	if (has & STATX_ATTR_IMMUTABLE)
		return -EPERM;
	if (!(flags & O_APPEND) || (flags & O_TRUNC))
		return has ? -EPERM : fi->fds.refused;
	mutex_lock(&fi->attr_lock);
	if (fi->fds.append < 0)
		err = backing_open_append(file_volume_of(fi), &fi->id,
					  &fi->fds);
	mutex_unlock(&fi->attr_lock);
	if (!err)
		atomic_store(&fi->append_only, true);
	return err;
}

bool file_is_append_only(struct inode *inode)
{
	return atomic_load(&file_inode(inode)->append_only);
}

int file_append_fd(struct file_inode *fi)
{
	int fd;

	if (fi->fds.writable)
		return fi->fds.buffered;
	mutex_lock(&fi->attr_lock);
	fd = fi->fds.append >= 0 ? fi->fds.append : fi->fds.refused;
	mutex_unlock(&fi->attr_lock);
	return fd;
}

/* --- writing ---------------------------------------------------------------------- */

/* Pages that are cached and hold bytes before the end get what follows them. */
static void patch(struct file_inode *fi, uint64_t at, const char *from,
		  size_t len)
{
	while (len > 0) {
		size_t in = min_of(len, PAGE_SIZE - (size_t)(at & PAGE_MASK));

		page_cache_patch(&fi->inode.mapping, at, from, in);
		at += in;
		from += in;
		len -= in;
	}
}

/* The backing file has been given it, and so it is the file. */
static void appended(struct inode *inode, const char *from, size_t len,
		     uint64_t end) must_hold(inode->io_lock)
{
	struct file_inode *fi = file_inode(inode);
	uint64_t size = atomic_load(&inode->size), start = end - len;

	if (start == size) {
		patch(fi, start, from, len);
	} else {
		/* Others have appended, too: what was its end is none. */
		page_cache_truncate(&inode->mapping,
				    min_of(start, size) >> PAGE_SHIFT);
		atomic_store(&inode->stale_copies, true);
	}
	mutex_lock(&fi->attr_lock);
	atomic_store(&fi->backing_size, end);
	mutex_lock(&inode->time_lock);
	atomic_store(&inode->size, end);
	/* Its times are right, too. */
	fi->times_dirty = fi->ctime_known = false;
	mutex_unlock(&inode->time_lock);
	mutex_unlock(&fi->attr_lock);
	atomic_store(&fi->changed_by_us, true);
}

/*
 * Room that is counted on for what is dirty in other files is not to be taken. Where
 * that has its blocks the backing file's answer is enough.
 */
static ssize_t append_reserved(struct file_inode *fi, const void *from,
			       size_t len, uint64_t *end)
{
	uint64_t size = atomic_load(&fi->inode.size);
	uint64_t room = (pages_of(size + len) - pages_of(size)) << PAGE_SHIFT;
	ssize_t n = room ? space_reserve(fi->space, fi->fds.buffered, room,
					 GFP_KERNEL)
			 : 0;
	bool keep;

	if (n < 0)
		return n;
	if (n == SPACE_ALLOCATE)
		room = 0;
	keep = file_privs_keep(fi);
	n = backing_append(fi->fds.append, from, len, end);
	file_privs_end(fi, keep);
	if (room)
		space_release(fi->space, room, n > 0);
	return n;
}

static ssize_t append(struct inode *inode, const void *from, size_t len)
	must_hold(inode->io_lock)
{
	struct file_inode *fi = file_inode(inode);
	uint64_t end;
	ssize_t n;

	ASSERT(fi->fds.append >= 0);
	n = mapping_sync(&inode->mapping, 0, UINT64_MAX); /* (1) */
	if (n < 0)
		return n;
	if (atomic_load(&fi->too_long))
		return -EIO;
	crash_note_growth(fi);
	crash_note_write(fi, (unsigned int)pages_of(len));
	n = append_reserved(fi, from, len, &end);
	if (n > 0)
		appended(inode, from, (size_t)n, end);
	return n;
}

ssize_t file_append(struct inode *inode, const void *from, size_t len)
{
	ssize_t n;

	rwlock_lock(&inode->io_lock); /* (2) */
	n = append(inode, from, len);
	rwlock_unlock(&inode->io_lock);
	if (n > 0)
		vmstat_add(inode->vol->mm, APPENDED_BYTES, n);
	return n;
}
