/*
 * dir.h - names: looking them up, making, removing and listing them.
 *
 * Every function resolves one name in one directory, relative to a descriptor
 * of that directory and never through a symbolic link. All may block; all
 * return 0 or -errno.
 */
#ifndef FS_DIR_H
#define FS_DIR_H

#include "fs/cred.h"
#include "fs/inode.h"

#include <unistd.h>

/* What a name turned out to be: with a kernel ref and a ref of ours. */
struct dir_entry {
	struct inode *inode;
	struct stat attr;
};

int dir_lookup(struct inode *dir, const char *name, struct dir_entry *entry);

/* What mknod(2), mkdir(2), symlink(2) and open(O_CREAT) want to make. */
struct dir_make {
	const char *name;
	mode_t mode;	    /* with the type: S_IFREG, S_IFDIR, S_IFLNK, … */
	dev_t rdev;	    /* for devices */
	const char *target; /* for symbolic links */
	bool exclusive;	    /* S_IFREG: -EEXIST if it is there */
	struct cred caller;
};
/*
 * A new file is opened once more, for writing. Who is not root needs these bits
 * for that; they are to be taken away when it is open.
 */
static inline mode_t dir_extra_mode(mode_t mode)
{
	return geteuid() == 0 ? 0 : 0600 & ~mode;
}
int dir_make(struct inode *dir, const struct dir_make *make,
	     struct dir_entry *entry);

int dir_link(struct inode *inode, struct inode *dir, const char *name,
	     struct dir_entry *entry);
int dir_unlink(struct inode *dir, const char *name, bool is_dir);
int dir_rename(struct inode *from, const char *name, struct inode *to,
	       const char *new_name, unsigned int flags);
/* The target, at most size - 1 bytes and a NUL, into buf. */
int dir_readlink(struct inode *inode, char *buf, size_t size);

/* An open directory. */
struct dir_stream {
	struct list_head link; /* in volume.open_dirs */
	struct inode *inode;
	struct mutex lock; /* of the descriptor's position */
	int fd;
	off_t at; /* (lock) */
};
/* NULL and *err = -errno. The inode's ref is taken over. */
struct dir_stream *dir_open(struct inode *inode, int *err);
void dir_close(struct dir_stream *s);

/*
 * Call emit for each name from offset on, until it returns false or the
 * directory ends. next is the offset behind the entry. 0 or -errno.
 */
struct dir_name {
	const char *name;
	uint64_t ino;
	mode_t type; /* S_IFMT bits; 0: unknown */
	uint64_t next;
};
int dir_read(struct dir_stream *s, uint64_t offset,
	     bool (*emit)(void *arg, const struct dir_name *name), void *arg);

#endif
