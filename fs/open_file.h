/* open_file.h - one open(2) of a regular file, of whatever kind. */
#ifndef FS_OPEN_FILE_H
#define FS_OPEN_FILE_H

#include "fs/inode.h"
#include "mm/readahead.h"

struct open_file {
	struct list_head link; /* in volume.open_files */
	struct inode *inode;
	struct mutex lock; /* of the window */
	struct readahead ra;
	_Atomic pgoff_t last_written; /* page of the last write */
	uint32_t wb_err_since; /* errors up to here were reported (lock) */
};

/*
 * Open for O_RDONLY, O_WRONLY or O_RDWR (of flags). Returns NULL and *err =
 * -errno. The inode's ref is taken over.
 */
struct open_file *open_file_new(struct inode *inode, int flags, int *err);
/* The last reference of one open(2) is gone. */
void open_file_release(struct open_file *file);

/* volume_ops.fsync, and an error since the last report. 0 or -errno. */
int open_file_sync(struct open_file *file, bool data_only);

#endif
