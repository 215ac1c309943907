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
 *       its block is reserved in inode->space until it is written or void. Or
 *       the block was allocated before the page became dirty.
 */
#include "fs/file.h"

#include "fs/file_append.h"
#include "fs/file_volume.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What a tick takes at most (CONFIG_HZ=100). */
#define TICK_MAX_NS (10 * NSEC_PER_MSEC)

/* --- descriptors, and who uses them -------------------------------------- */

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void note_seen(struct file_inode *fi, const struct stat *st)
	must_hold(fi->attr_lock)
{
	fi->seen_mtime = st->st_mtim;
	fi->seen_ctime = st->st_ctim;
	fi->seen_size = (uint64_t)st->st_size;
	atomic_store(&fi->changed_by_us, false);
}

/*
 * Blocks can be for attributes and extents, too: that there are enough says nothing.
 * What was allocated and not written counts as one.
 */
static bool may_have_holes(int fd, const struct stat *st)
{
	return st->st_size > 0 &&
	       (st->st_blocks * 512ll < st->st_size ||
		backing_seek(fd, 0, SEEK_HOLE) != st->st_size);
}

/*
 * First open after a while. What others have changed since we closed the file
 * is not what we have in memory (close-to-open). Nobody has it open: waiting
 * for reads in flight is safe.
 */
static void refresh(struct file_inode *fi, const struct stat *st)
	must_hold(fi->attr_lock)
{
	uint64_t size = (uint64_t)st->st_size;
	bool same = same_time(&fi->seen_mtime, &st->st_mtim) &&
		    same_time(&fi->seen_ctime, &st->st_ctim) &&
		    fi->seen_size == (uint64_t)st->st_size;

	if (!address_space_is_clean(&fi->inode.mapping))
		return;
	note_seen(fi, st);
	if (!same) {
		page_cache_truncate(&fi->inode.mapping, 0);
		atomic_store(&fi->inode.stale_copies, true);
		file_privs_forget(fi);
		fi->ctime_known = false;
	}
	/* What was not acknowledged is nobody's. */
	if (atomic_load(&fi->too_long))
		size = min_of(size, atomic_load(&fi->inode.size));
	atomic_store(&fi->inode.size, size);
	atomic_store(&fi->backing_size, (uint64_t)st->st_size);
	fi->maybe_sparse = may_have_holes(fi->fds.buffered, st);
}

static bool has_fds(const struct file_inode *fi)
{
	return fi->fds.buffered >= 0;
}

/* With attr_lock held. What is being read needs them still. */
static void close_fds(struct file_inode *fi) must_hold(fi->attr_lock)
{
	if (!has_fds(fi) || fi->users > 0 || atomic_load(&fi->nr_reads) > 0)
		return;
	backing_close_data(file_volume_of(fi), &fi->fds);
}

int file_users_get(struct file_inode *fi)
{
	struct stat st;
	int err = 0;

	mutex_lock(&fi->attr_lock);
	if (!has_fds(fi))
		err = backing_open_data(file_volume_of(fi), &fi->id, &fi->fds);
	if (!err && fi->users == 0 && backing_stat(fi->fds.buffered, &st) == 0)
		refresh(fi, &st);
	if (!err)
		fi->users++;
	mutex_unlock(&fi->attr_lock);
	return err;
}

void file_users_put(struct file_inode *fi)
{
	struct stat st;

	mutex_lock(&fi->attr_lock);
	ASSERT(fi->users > 0);
	if (--fi->users == 0) {
		/*
		 * What it is like when we have changed it. Else it is as it was
		 * at the open: a change of others since then, when everybody
		 * believes it closed, must not pass for ours.
		 */
		if (atomic_load(&fi->changed_by_us) &&
		    backing_stat(fi->fds.buffered, &st) == 0)
			note_seen(fi, &st);
		file_blocks_forget(fi);
		close_fds(fi);
	}
	mutex_unlock(&fi->attr_lock);
}

/* --- ... and reads that are under way ---------------------------------------- */

void file_read_begins(struct file_inode *fi)
{
	/* Whoever has it read has the file open. */
	ASSERT(fi->users > 0);
	inode_ref(&fi->inode);
	atomic_fetch_add(&fi->nr_reads, 1);
	atomic_fetch_add(&file_volume_of(fi)->nr_reads, 1);
}

/* It may be for file_tidy() to close its descriptors; with the caller's ref. */
static void leave(struct file_inode *fi)
{
	struct file_volume *fv = file_volume_of(fi);
	bool was_left;

	mutex_lock(&fv->left_lock);
	was_left = !list_empty(&fi->left_link);
	if (!was_left)
		list_add_tail(&fv->left, &fi->left_link);
	mutex_unlock(&fv->left_lock);
	if (was_left)
		inode_put_later(&fi->inode);
	else if (fv->vol.prune)
		fv->vol.prune(&fv->vol, 0);
}

/*
 * The last read and the last user may end at the same time: each looks at the
 * other's count after it has changed its own, so one of them at least closes.
 */
void file_read_ended(struct file_inode *fi)
{
	struct file_volume *fv = file_volume_of(fi);

	if (atomic_fetch_sub(&fi->nr_reads, 1) == 1 && fi->users == 0)
		leave(fi);
	else
		inode_put_later(&fi->inode);
	atomic_fetch_sub(&fv->nr_reads, 1);
}

void file_tidy(struct volume *vol)
{
	struct file_volume *fv = file_volume(vol);
	struct file_inode *fi;

	mutex_lock(&fv->left_lock);
	while (!list_empty(&fv->left)) {
		fi = list_first_entry(&fv->left, struct file_inode, left_link);
		list_del_init(&fi->left_link);
		mutex_unlock(&fv->left_lock);
		mutex_lock(&fi->attr_lock);
		close_fds(fi);
		mutex_unlock(&fi->attr_lock);
		inode_put(&fi->inode);
		mutex_lock(&fv->left_lock);
	}
	mutex_unlock(&fv->left_lock);
}

void file_reads_drain(struct file_volume *fv)
{
	while (atomic_load(&fv->nr_reads) > 0)
		os_sleep_ns(NSEC_PER_MSEC);
	file_tidy(&fv->vol);
}

/* It could not be opened for writing when the first came; perhaps it can now. */
static void become_writable(struct file_inode *fi)
{
	struct backing_fds *have = &fi->fds, now;

	mutex_lock(&fi->attr_lock);
	if (!have->writable && !fi->inode.vol->read_only &&
	    backing_open_data(file_volume_of(fi), &fi->id, &now) == 0) {
		/* Over the old numbers, which others are using. */
		if (now.writable && (now.direct < 0) == (have->direct < 0) &&
		    backing_replace(have->buffered, now.buffered) == 0 &&
		    (now.direct < 0 ||
		     backing_replace(have->direct, now.direct) == 0))
			have->writable = true;
		have->refused = now.refused;
		backing_close_data(file_volume_of(fi), &now);
	}
	mutex_unlock(&fi->attr_lock);
}

/*
 * It was made with more rights than it is to have, see make_regular() in
 * fs/file_dir.c: whoever made it has it open now.
 */
static void set_final_mode(struct file_inode *fi)
{
	mutex_lock(&fi->attr_lock);
	if (fi->mode_once_open)
		backing_set_mode(fi->fds.buffered,
				 fi->mode_once_open & ~(mode_t)S_IFMT);
	fi->mode_once_open = 0;
	mutex_unlock(&fi->attr_lock);
}

int file_open(struct inode *inode, int flags)
{
	struct file_inode *fi = file_inode(inode);
	int err = file_users_get(fi);

	if (err)
		return err;
	if ((flags & O_ACCMODE) != O_RDONLY) {
		become_writable(fi);
		err = file_append_open(fi, flags);
		if (err) {
			file_users_put(fi);
			return err;
		}
		file_privs_opened(fi);
	}
	set_final_mode(fi);
	return 0;
}

/* Can nobody but the caller's "users", and the flusher, reach it? */
static bool is_last(struct file_inode *fi, unsigned int users)
{
	bool last;

	mutex_lock(&fi->attr_lock);
	users += atomic_load(&fi->inode.mapping.on_dirty_list);
	last = fi->unlinked && fi->users <= users;
	mutex_unlock(&fi->attr_lock);
	return last;
}

/* Then what is dirty need not be written. */
static void drop_if_unlinked(struct file_inode *fi, unsigned int users)
{
	if (!is_last(fi, users))
		return;
	rwlock_lock(&fi->inode.io_lock);
	/* Again, now that nobody is between marking a page and holding us. */
	if (is_last(fi, users))
		page_cache_truncate(&fi->inode.mapping, 0);
	rwlock_unlock(&fi->inode.io_lock);
}

void file_set_unlinked(struct file_inode *fi)
{
	mutex_lock(&fi->attr_lock);
	fi->unlinked = true;
	mutex_unlock(&fi->attr_lock);
	drop_if_unlinked(fi, 0);
}

void file_release(struct inode *inode)
{
	struct file_inode *fi = file_inode(inode);

	drop_if_unlinked(fi, 1);
	file_cut_excess(fi);
	flusher_kick(&inode->mapping);
	file_users_put(fi);
}

/* --- the backing file's times -------------------------------------------- */

/*
 * A time for a change, of the last tick if that will do; never before one that
 * was given to another file of the volume: make(1) goes by the order.
 */
static struct timespec time_of_change(struct file_volume *fv, bool fine)
{
	struct timespec t = fine ? os_realtime() : os_realtime_coarse();
	uint64_t ns = (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
	uint64_t floor = atomic_load(&fv->time_floor_ns);

	while (fine && floor < ns &&
	       !atomic_compare_exchange_weak(&fv->time_floor_ns, &floor, ns))
		;
	/* More than a tick: the clock was set back. */
	if (ns < floor && floor - ns < TICK_MAX_NS) {
		t.tv_sec = (time_t)(floor / NSEC_PER_SEC);
		t.tv_nsec = (long)(floor % NSEC_PER_SEC);
	}
	return t;
}

void file_touch(struct file_inode *fi)
{
	struct timespec now;

	atomic_store(&fi->changed_by_us, true);
	mutex_lock(&fi->inode.time_lock);
	/* Who was told a time must see another one now. */
	now = time_of_change(file_volume_of(fi), fi->times_shown);
	fi->times_shown = fi->unstamped = false;
	fi->mtime = fi->ours_ctime = now;
	fi->times_dirty = true;
	mutex_unlock(&fi->inode.time_lock);
}

/* The last change was none of the backing file: nobody set its time. */
static void note_unstamped(struct file_inode *fi)
{
	mutex_lock(&fi->inode.time_lock);
	fi->unstamped = true;
	mutex_unlock(&fi->inode.time_lock);
}

int file_set_times(struct file_inode *fi, int fd,
		   const struct timespec times[2])
{
	int err;

	/* Not between the two halves of file_restore_times(). */
	mutex_lock(&fi->attr_lock);
	err = backing_set_times(fd, times);
	mutex_lock(&fi->inode.time_lock);
	if (!err && times[1].tv_nsec == UTIME_NOW) {
		fi->ctime_known = fi->times_dirty = false;
	} else if (!err && times[1].tv_nsec != UTIME_OMIT) {
		fi->ctime_known = false;
		fi->mtime = times[1];
		fi->ours_ctime = os_realtime();
		/* Writeback in flight would set the time of its own. */
		fi->times_dirty = !address_space_is_clean(&fi->inode.mapping);
	}
	mutex_unlock(&fi->inode.time_lock);
	mutex_unlock(&fi->attr_lock);
	return err;
}

/*
 * Has the backing file the time already? What was written back in the tick of
 * the write(2) was stamped with that; to set it once more would cost an fsync(2)
 * a commit of the journal. Perhaps not to the nanosecond: nobody can tell.
 */
static bool is_stamped(struct file_inode *fi) must_hold(fi->inode.time_lock)
{
	struct timespec now = os_realtime_coarse();

	return !fi->times_shown && !fi->unstamped &&
	       same_time(&fi->mtime, &now);
}

/* The time to put back, if there is one; it is not dirty then. */
static bool take_mtime(struct file_inode *fi, struct timespec *mtime)
{
	bool take;

	mutex_lock(&fi->inode.time_lock);
	take = fi->times_dirty && fi->fds.writable;
	*mtime = fi->mtime;
	if (take)
		fi->times_dirty = false;
	if (take && is_stamped(fi)) {
		/* More writeback to come will set it again. */
		fi->times_dirty = !address_space_is_clean(&fi->inode.mapping);
		take = false;
	}
	mutex_unlock(&fi->inode.time_lock);
	return take;
}

/* Writing back has set the time of now: put the time of the write(2) back. */
void file_restore_times(struct file_inode *fi)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;

	mutex_lock(&fi->attr_lock);
	if (fi->users > 0 && take_mtime(fi, &ts[1])) {
		backing_set_times(fi->fds.buffered, ts);
		backing_stat(fi->fds.buffered, &st);
		mutex_lock(&fi->inode.time_lock);
		fi->backing_ctime = st.st_ctim;
		fi->ctime_known = true;
		fi->times_dirty |= !address_space_is_clean(&fi->inode.mapping);
		mutex_unlock(&fi->inode.time_lock);
	}
	mutex_unlock(&fi->attr_lock);
}

/* --- durability, and cutting the file ------------------------------------ */

int file_write_back(struct file_inode *fi)
{
	int err;

	rwlock_lock_shared(&fi->inode.io_lock);
	err = mapping_sync(&fi->inode.mapping, 0, UINT64_MAX);
	rwlock_unlock_shared(&fi->inode.io_lock);
	return err;
}

int file_flush(struct file_inode *fi)
{
	int err;

	if (address_space_is_clean(&fi->inode.mapping))
		return 0;
	err = file_users_get(fi);
	if (err)
		return err;
	err = file_write_back(fi);
	file_users_put(fi);
	return err;
}

/* What the backing file tells once is kept for each who has the file open. */
static int sync_once(void *arg, bool data_only)
{
	struct file_inode *fi = arg;
	struct inode *inode = &fi->inode;
	int err = page_io_sync(inode->vol->mm->io, fi->fds.buffered, data_only);

	if (err)
		errseq_set(&inode->mapping.wb_err, err);
	return err;
}

/*
 * Sync what is written, also if a part could not be (err): the rest is to be
 * safe, and what the backing file has to tell of that failure it is to tell now,
 * and not to a later sync. Returns err, or 0 or -errno.
 */
static int sync_backing(struct file_inode *fi, bool data_only, int err)
{
	int sync_err;

	file_privs_restore(fi);
	/* fdatasync(2) says nothing of times; they are put back later. */
	if (!data_only)
		file_restore_times(fi);
	crash_sync_begins(fi);
	sync_err = sync_group_sync(&fi->syncs, sync_once, fi, data_only);
	return err ? err : sync_err;
}

/*
 * The same where only a sync writes back: what is synced when this returns, a
 * crash has to know, and it must not come in between.
 */
static int fsync_held(struct file_inode *fi, bool data_only)
{
	struct inode *inode = &fi->inode;
	int err;

	atomic_fetch_add(&fi->nr_syncs, 1);
	rwlock_lock_shared(&inode->io_lock);
	err = mapping_sync(&inode->mapping, 0, UINT64_MAX);
	err = sync_backing(fi, data_only, err);
	if (!err)
		crash_synced(fi);
	rwlock_unlock_shared(&inode->io_lock);
	atomic_fetch_sub(&fi->nr_syncs, 1);
	return err;
}

int file_fsync(struct inode *inode, bool data_only)
{
	struct file_inode *fi = file_inode(inode);
	int err;

	err = file_cut_excess(fi);
	if (err)
		return err;
	if (atomic_load(&inode->vol->hold_back))
		return fsync_held(fi, data_only);
	err = sync_backing(fi, data_only, file_write_back(fi));
	if (!err && atomic_load(&inode->vol->hold_back))
		crash_synced(fi); /* armed meanwhile: what was noted is */
	return err;
}

/* (3): what is behind the new end must read as zeroes if it grows again. */
void file_zero_tail(struct file_inode *fi, uint64_t size)
{
	page_cache_patch(&fi->inode.mapping, size, NULL,
			 PAGE_SIZE - (size & PAGE_MASK));
}

/*
 * Readers do not wait: one that finds the file shorter than backing_size says
 * takes that for an error, and looks again when the cut is over, see
 * file_read_page(). Before that nobody knows whether what is behind it is gone.
 */
int file_cut_backing(struct file_inode *fi, uint64_t size)
{
	struct page_io_engine *io = fi->inode.vol->mm->io;
	bool keep = file_privs_keep(fi);
	bool shrunk;
	int err;

	/* Writeback in flight may be about to make it longer: not after us. */
	mutex_lock(&fi->attr_lock);
	shrunk = size <= atomic_load(&fi->backing_size);
	err = page_io_truncate(io, fi->fds.buffered, size);
	if (!err) {
		atomic_store(&fi->backing_size, size);
		file_blocks_cut(fi, size, shrunk);
	}
	mutex_unlock(&fi->attr_lock);
	file_privs_end(fi, keep);
	if (!err)
		crash_note_cut(fi, size);
	return err;
}

/* With io_lock held alone: before it grows over what is behind the size. */
static int cut_excess(struct file_inode *fi)
{
	uint64_t size = atomic_load(&fi->inode.size);
	int err = 0;

	if (!atomic_load(&fi->too_long))
		return 0;
	if (atomic_load(&fi->backing_size) > size)
		err = file_cut_backing(fi, size);
	if (err)
		return err;
	if (size & PAGE_MASK)
		file_zero_tail(fi, size);
	atomic_store(&fi->too_long, false);
	return 0;
}

/* Cut, with io_lock held alone and writeback frozen. */
static int truncate_frozen(struct file_inode *fi, uint64_t size)
{
	uint64_t old = atomic_load(&fi->inode.size);
	/* Blocks of pages that go now lie behind an end that stays, perhaps. */
	bool cuts = size != atomic_load(&fi->backing_size) ||
		    (size < old && file_blocks_behind(fi));
	int err = cut_excess(fi);

	if (!err && size > old)
		err = file_blocks_fill_tail(fi, size);
	if (err)
		return err;
	if (size < old)
		mapping_wait_writeback(&fi->inode.mapping, size >> PAGE_SHIFT,
				       UINT64_MAX);
	/*
	 * The file first: if that fails nothing has happened. It may be shorter
	 * than both sizes, when the pages that would make it longer go now.
	 */
	cuts |= size != atomic_load(&fi->backing_size);
	if (cuts) {
		if (size > atomic_load(&fi->backing_size))
			crash_note_growth(fi);
		err = file_cut_backing(fi, size);
		if (err)
			return err;
		if (size > old)
			fi->maybe_sparse = true;
	}
	atomic_store(&fi->inode.size, size);
	if (size < old) {
		page_cache_truncate(&fi->inode.mapping, pages_of(size));
		if (size & PAGE_MASK)
			file_zero_tail(fi, size);
	}
	file_touch(fi);
	if (!cuts)
		note_unstamped(fi);
	return 0;
}

int file_cut_excess(struct file_inode *fi)
{
	struct inode *inode = &fi->inode;
	int err;

	if (!atomic_load(&fi->too_long))
		return 0;
	rwlock_lock(&inode->io_lock);
	mapping_freeze(&inode->mapping);
	err = cut_excess(fi);
	mapping_thaw(&inode->mapping);
	rwlock_unlock(&inode->io_lock);
	return err;
}

int file_truncate(struct inode *inode, uint64_t size)
{
	struct file_inode *fi = file_inode(inode);
	int err;

	if (size > inode->vol->max_file_size)
		return -EFBIG;
	err = file_users_get(fi);
	if (err)
		return err;
	err = file_append_may_cut(fi);
	if (!err) {
		rwlock_lock(&inode->io_lock);
		mapping_freeze(&inode->mapping);
		err = truncate_frozen(fi, size);
		mapping_thaw(&inode->mapping);
		rwlock_unlock(&inode->io_lock);
	}
	if (!err && address_space_is_clean(&inode->mapping))
		file_restore_times(fi);
	file_users_put(fi);
	return err;
}

/* What a fallocate(2) that was done has made of the file. */
static void note_allocated(struct file_inode *fi, int mode, uint64_t end)
{
	uint64_t size = atomic_load(&fi->inode.size);
	bool sparse = true;
	struct stat st;

	if (backing_stat(fi->fds.buffered, &st) == 0) {
		size = (uint64_t)st.st_size;
		sparse = (mode & FALLOC_FL_PUNCH_HOLE) ||
			 may_have_holes(fi->fds.buffered, &st);
	} else if (!(mode & FALLOC_FL_KEEP_SIZE)) {
		size = max_of(size, end);
	}
	mutex_lock(&fi->attr_lock);
	atomic_store(&fi->backing_size, size);
	atomic_store(&fi->inode.size, size);
	fi->maybe_sparse |= sparse;
	mutex_unlock(&fi->attr_lock);
}

/* What is cached, and known, of the file from offset on: it is clean. */
static void forget_contents(struct file_inode *fi, uint64_t offset)
{
	file_blocks_forget(fi);
	page_cache_truncate(&fi->inode.mapping, offset >> PAGE_SHIFT);
	backing_drop_cache(fi->fds.buffered);
	mutex_lock(&fi->attr_lock);
	fi->maybe_sparse = true;
	mutex_unlock(&fi->attr_lock);
}

int file_fallocate(struct inode *inode, int mode, uint64_t offset, uint64_t len)
{
	struct file_inode *fi = file_inode(inode);
	struct address_space *m = &inode->mapping;
	bool keep;
	int fd, err;

	err = file_users_get(fi);
	if (err)
		return err;
	fd = file_append_fd(fi);
	rwlock_lock(&inode->io_lock);
	/* Do it in the file, on what is written, and forget what we had. */
	err = fd < 0 ? fd : mapping_sync(m, 0, UINT64_MAX);
	if (!err)
		err = cut_excess(fi);
	if (!err)
		crash_note_growth(fi);
	if (!err) {
		keep = file_privs_keep(fi);
		err = backing_fallocate(fd, mode, offset, len);
		file_privs_end(fi, keep);
		/* If it fails, too: some of it may have been done. */
		if (mode & ~FALLOC_FL_KEEP_SIZE)
			forget_contents(fi, offset);
	}
	if (!err) {
		note_allocated(fi, mode, offset + len);
		file_touch(fi);
		note_unstamped(fi); /* not by every file system */
	}
	rwlock_unlock(&inode->io_lock);
	if (!err)
		file_restore_times(fi);
	file_users_put(fi);
	return err;
}

int64_t file_seek(struct inode *inode, uint64_t offset, int whence)
{
	struct file_inode *fi = file_inode(inode);
	int64_t at;
	int err = file_users_get(fi);

	if (err)
		return err;
	rwlock_lock_shared(&inode->io_lock);
	at = mapping_sync(&inode->mapping, 0, UINT64_MAX);
	if (at == 0)
		at = backing_seek(fi->fds.buffered, offset, whence);
	rwlock_unlock_shared(&inode->io_lock);
	file_users_put(fi);
	return at;
}
