/*
 * file.h - the contents of a file: reading, writing, writing back.
 */
#ifndef FS_FILE_H
#define FS_FILE_H

#include "fs/inode.h"
#include "fs/request.h"
#include "mm/readahead.h"

/* One open(2). */
struct open_file {
	struct list_head link; /* in volume.open_files */
	struct inode *inode;
	struct mutex lock; /* of the window */
	struct readahead ra;
	_Atomic pgoff_t last_written; /* page of the last write */
	uint32_t wb_err_since; /* errors up to here were reported (lock) */
};

extern const struct address_space_ops file_aops;

/*
 * Open for O_RDONLY, O_WRONLY or O_RDWR (of flags). Returns NULL and *err =
 * -errno. The inode's ref is taken over.
 */
struct open_file *file_open(struct inode *inode, int flags, int *err);
/* The last reference of one open(2) is gone: write-out starts. */
void file_release(struct open_file *file);

/*
 * Read rq->size bytes at rq->offset. All three end in rq->finish(rq, err),
 * with rq->nr_pages pages, of which rq->size bytes count, from
 * rq->offset % PAGE_SIZE on.
 *
 * file_read_hit(): true if everything is in the cache; rq->pages and rq->size
 * are set, and the caller finishes. Never blocks.
 * file_read_miss(): begin what is missing without blocking; its completion
 * goes on, on the thread it comes to, or hands over to a worker.
 * file_read_slow(): for workers.
 */
bool file_read_hit(struct request *rq);
void file_read_miss(struct request *rq);
void file_read_slow(struct request *rq);
/* Drop the references of a read that was answered. */
void file_read_end(struct request *rq);

/*
 * Write rq->size bytes of rq->data at rq->offset; rq->done says how far it
 * got, also before.
 *
 * file_write_hit(): true if all of it was taken without blocking; *err is 0 or
 * -errno, *pause_ns how long the answer has to be held back. False: a worker
 * must go on from rq->done.
 * file_write_slow(): for workers; ends in rq->finish(rq, err), perhaps later,
 * after it was parked.
 */
bool file_write_hit(struct request *rq, int *err, uint64_t *pause_ns);
void file_write_slow(struct request *rq);
/* As unpark function: the write was taken, its pause is over. */
void file_write_finish(struct request *rq);

/* Make [first, last] durable, and the attributes. 0 or -errno. */
int file_fsync(struct open_file *file, bool data_only);
/* An error since the last report to this open file, or 0. */
int file_check_error(struct open_file *file);

int file_truncate(struct inode *inode, uint64_t size);
int file_fallocate(struct inode *inode, int mode, uint64_t offset,
		   uint64_t len);
/* lseek(2) with SEEK_DATA or SEEK_HOLE. The offset, or -errno. */
int64_t file_seek(struct inode *inode, uint64_t offset, int whence);

/* Its last name is gone: when it is closed, what is dirty is dropped. */
void file_set_unlinked(struct inode *inode);

/* Write back what is dirty and wait. 0 or -errno. */
int file_write_back(struct inode *inode);

/*
 * utimens(2) of atime and mtime, on a descriptor of the file: writeback will
 * not undo it. 0 or -errno.
 */
int file_set_times(struct inode *inode, int fd, const struct timespec times[2]);

#endif
