/*
 * file.h - the contents of a file of a file volume: open, cut, durable; its
 * pages and its times.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs/file_inode.h"
#include "mm/gfp.h"

extern const struct address_space_ops file_aops;

/* As volume_ops. */
int file_open(struct inode *inode, int flags);
void file_release(struct inode *inode); /* write-out starts */
int file_truncate(struct inode *inode, uint64_t size);
int file_fallocate(struct inode *inode, int mode, uint64_t offset,
		   uint64_t len);
int64_t file_seek(struct inode *inode, uint64_t offset, int whence);
int file_fsync(struct inode *inode, bool data_only);

/* As volume_ops; fs/file_pages.c. */
int file_read_page(struct inode *inode, pgoff_t index, void *to);
int file_fill_page(struct inode *inode, struct page *page, gfp_t gfp);
void file_make_room(struct inode *inode, uint64_t at, size_t len);
int file_prepare_page(struct inode *inode, struct page *page, uint64_t end,
		      gfp_t gfp);
void file_page_written(struct inode *inode, struct page *page, uint64_t start,
		       uint64_t end);
int file_write_around(struct inode *inode, uint64_t at, const void *from,
		      size_t len);

/* Its last name is gone: when it is closed, what is dirty is dropped. */
void file_set_unlinked(struct file_inode *fi);

/* Write back what is dirty and wait. The file is in use. 0 or -errno. */
int file_write_back(struct file_inode *fi);
/* The same, if anything is, of a file that nobody need have open. */
int file_flush(struct file_inode *fi);

/*
 * utimens(2) of atime and mtime, on a descriptor of the file: writeback will
 * not undo it. 0 or -errno.
 */
int file_set_times(struct file_inode *fi, int fd,
		   const struct timespec times[2]);

/* For fs/file*.c alone ------------------------------------------------------ */

/* One more user of the descriptors; the first opens them. 0 or -errno. */
int file_users_get(struct file_inode *fi);
/* One user less; the last closes them. Takes attr_lock. */
void file_users_put(struct file_inode *fi);

/*
 * What is being read needs the descriptors, and the inode, also when they have no
 * user any more: whoever comes next is the first all the same, and sees what others
 * have changed. The end of a read must not block: the last one leaves the closing
 * to file_tidy(), as volume_ops.
 */
void file_read_begins(struct file_inode *fi);
void file_read_ended(struct file_inode *fi);
void file_tidy(struct volume *vol);
/* Wait for those that are under way, and tidy up. No more may begin. */
void file_reads_drain(struct file_volume *fv);

/*
 * Try again to cut a backing file that is too_long. 0 or -errno. Takes io_lock;
 * the file is in use.
 */
int file_cut_excess(struct file_inode *fi);
/*
 * Make the backing file that long, with io_lock held alone; the file is in use.
 * Readers are not told of an end that is not one. 0 or -errno.
 */
int file_cut_backing(struct file_inode *fi, uint64_t size);
/*
 * Write bytes to the backing file, around the cache, and wait: what is there is
 * as long as they need, and nobody else writes them. 0; -ENOSPC: not all of them;
 * or -errno.
 */
int file_write_buffered(struct file_inode *fi, uint64_t at, const void *from,
			size_t len);
/* What is cached behind the end, in the last page: zeroes. */
void file_zero_tail(struct file_inode *fi, uint64_t size);

/* The contents change now: mtime and ctime are this moment's. */
void file_touch(struct file_inode *fi);
/*
 * Give the backing file the time of the write(2). Takes attr_lock.
 *
 * The rule: stat(2) of the mount shows the time of the write(2) at once. The
 * backing file has it before an fsync(2) returns, so that it survives what the
 * data survives; after fdatasync(2), or writeback, it may have the time of that
 * instead, until the file leaves the dirty list: soon after its last close, and
 * in the flusher's next round otherwise.
 */
void file_restore_times(struct file_inode *fi);

#endif
