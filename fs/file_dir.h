/*
 * file_dir.h - names in a file volume: looking them up, making, removing and
 * listing them.
 *
 * Every function resolves one name in one directory, relative to a descriptor
 * of that directory and never through a symbolic link. All are volume_ops.
 */
#ifndef FS_FILE_DIR_H
#define FS_FILE_DIR_H

#include "fs/dir.h"

/* An open directory. */
struct file_dir_stream {
	struct dir_stream stream;
	struct mutex lock; /* of the descriptor's position */
	int fd;
	off_t at; /* (lock) */
};

int file_dir_lookup(struct inode *dir, const char *name,
		    struct dir_entry *entry);
int file_dir_make(struct inode *dir, const struct dir_make *make,
		  struct dir_entry *entry);
int file_dir_link(struct inode *inode, struct inode *dir, const char *name,
		  struct dir_entry *entry);
int file_dir_unlink(struct inode *dir, const char *name, bool is_dir);
int file_dir_rename(struct inode *from, const char *name, struct inode *to,
		    const char *new_name, unsigned int flags);
int file_dir_readlink(struct inode *inode, char *buf, size_t size);

struct dir_stream *file_dir_open(struct inode *inode, int *err);
void file_dir_close(struct dir_stream *stream);
int file_dir_read(struct dir_stream *stream, uint64_t offset,
		  bool (*emit)(void *arg, const struct dir_name *name),
		  void *arg);
int file_dir_sync(struct dir_stream *stream, bool data_only);

#endif
