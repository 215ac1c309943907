/* open_file.h - one open(2) of a regular file, of whatever kind. */
#ifndef FS_OPEN_FILE_H
#define FS_OPEN_FILE_H

#include "fs/inode.h"
#include "mm/readahead.h"

struct dir_entry;
struct dir_make;
struct volume;

struct open_file {
	struct list_head link; /* in volume.open_files */
	struct inode *inode;
	struct mutex lock; /* of the window */
	struct readahead ra;
	uint8_t mode;		      /* O_RDONLY, O_WRONLY, O_RDWR */
	bool append_only;	      /* see volume_ops.is_append_only */
	bool noatime;		      /* O_NOATIME */
	_Atomic pgoff_t last_written; /* page of the last write */
	uint32_t wb_err_since; /* errors up to here were reported (lock) */
};

/* Memory for one, before anything is made that it is for; NULL: none. */
struct open_file *open_file_alloc(struct volume *vol);
/* It was not begun after all. */
void open_file_free(struct volume *vol, struct open_file *file);
/*
 * Open for O_RDONLY, O_WRONLY or O_RDWR (of flags). 0 or -errno. The inode's ref
 * is taken over unless it fails.
 */
int open_file_begin(struct open_file *file, struct inode *inode, int flags);
/*
 * open(2) and what its flags ask for: O_TRUNC, by one who may keep set-id bits or
 * not. 0 or -errno.
 */
int open_file_open(struct inode *inode, int flags, bool keeps_setid,
		   struct open_file **file);
/*
 * Reads that the kernel answers from a copy of its own do not come: where it has
 * some, who opens a file to read it is taken to have done so. Not with O_NONBLOCK:
 * that is for those who do not know what it is, or have it synced. Returns whether
 * its access time has changed.
 */
bool open_file_note_access(struct open_file *file, int flags);
/*
 * The same of open(2) with O_CREAT, of what "make" says. 0 or -errno, -ENOROOM;
 * if it fails no name is left for want of memory.
 */
int open_file_create(struct inode *dir, const struct dir_make *how, int flags,
		     struct dir_entry *entry, struct open_file **file);
/* The last reference of one open(2) is gone. */
void open_file_release(struct open_file *file);

/* volume_ops.fsync, and an error since the last report. 0 or -errno. */
int open_file_sync(struct open_file *file, bool data_only);

#endif
