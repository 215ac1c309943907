/*
 * backing.h - files of the backing directory: finding them again, opening
 * them, and all that is asked of the system for them.
 *
 * No path is ever resolved twice: a name is opened once, relative to its
 * directory's descriptor and without following links, and from then on the
 * file is known by its handle (name_to_handle_at(2)) or by that descriptor.
 *
 * What is decided here is in fs/backing.c. What the system does is below the
 * line, and has two implementations, as mm/os.h has: fs/backing_posix.c, and
 * the simulator's (tests/sim/backing_sim.c), whose files lie on its fake disk.
 * Contents go by mm/page_io.h.
 */
#ifndef FS_BACKING_H
#define FS_BACKING_H

#include "mm/types.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

struct file_volume;

/* Handles up to this many bytes are kept; ext4 needs 8, XFS 12, btrfs 20. */
#define BACKING_HANDLE_MAX 40

/*
 * What a file is recognised by: its file system and its handle, by whatever
 * mount and name it was found; without a handle, the kernel's inode. A
 * directory's mount counts as well: what is mounted below it differs.
 *
 * How it is opened again is another question: what was found on the mount of
 * the backing directory itself by the handle, anything else by a descriptor,
 * which also stands for what its mount allows.
 */
struct backing_id {
	uint64_t dev, ino; /* when it became known */
	uint64_t mount;	   /* of a directory; else 0 */
	int path_fd;	   /* kept open, or -1: opened by its handle */
	int watch;	   /* no handle: of fs/watch.h; 0: not even that */
	bool by_number;	   /* nor is it to have a watch */
	int32_t handle_type;
	uint8_t handle_bytes; /* 0: none */
	uint8_t handle[BACKING_HANDLE_MAX];
};

/* The descriptors data goes through. */
struct backing_fds {
	int direct;   /* O_DIRECT, or -1 */
	int buffered; /* not; always there while any is */
	int append; /* for writing at the end alone, or -1; fs/file_append.h */
	_Atomic bool writable; /* the first two are for writing too */
	int refused;	       /* if not: why, -errno */
};

#define BACKING_FDS_NONE \
	((struct backing_fds){ .direct = -1, .buffered = -1, .append = -1 })

/* What a file system has for data; see fs/space.h. */
struct backing_room {
	uint64_t bytes; /* that anybody may have: root's reserve is nobody's */
	uint64_t total; /* of it, used or not */
	uint32_t block; /* they come in blocks of so many */
	bool limited;	/* some may have less: quotas */
	bool copies;	/* what is rewritten takes a block, too */
	bool as_other;	/* takes blocks as who mounted it, whoever we are */
};

/* st_dev, as of stat(2). */
static inline uint64_t backing_dev(const struct statx *st)
{
	return makedev(st->stx_dev_major, st->stx_dev_minor);
}

/*
 * Identify the file behind an O_PATH descriptor. The descriptor becomes part
 * of the id if it cannot be opened by a handle, else it stays the caller's.
 */
void backing_identify(struct file_volume *fv, int path_fd,
		      const struct statx *st, struct backing_id *id);
bool backing_id_equal(const struct backing_id *a, const struct backing_id *b);
/* With a watch, of that alone. */
uint64_t backing_id_hash(const struct backing_id *id);
/* Of device and number alone. */
uint64_t backing_ino_hash(const struct backing_id *id);

/*
 * Open it with these flags (O_PATH, O_RDONLY, O_DIRECTORY, …). A descriptor or
 * -errno. If O_PATH and the id has a descriptor, that very one is returned.
 */
int backing_open(struct file_volume *fv, const struct backing_id *id,
		 int flags);

/* Open for data, for writing too if that is possible. 0 or -errno. */
int backing_open_data(struct file_volume *fv, const struct backing_id *id,
		      struct backing_fds *fds);
/* ... for writing at the end, too. 0 or -errno. */
int backing_open_append(struct file_volume *fv, const struct backing_id *id,
			struct backing_fds *fds);
void backing_close_data(struct file_volume *fv, struct backing_fds *fds);

/* --- the system's part -------------------------------------------------------
 *
 * Descriptors may be O_PATH ones unless it says "open file". All return 0 (a
 * descriptor, a count) or -errno, unless it says otherwise.
 */

/* Find out about handles, O_DIRECT and limits; sets them in fv. */
void backing_probe(struct file_volume *fv);

/* Descriptors: of a name, O_PATH and no link followed; */
int backing_open_name(int dir_fd, const char *name);
/* ... by a handle; of the same file once more, but with these flags; */
int backing_open_handle(int root_fd, const struct backing_id *id, int flags);
int backing_reopen(int fd, int flags);
/* ... the same one, under another number; */
int backing_dup(int fd);
/* ... "number", which others are using, stands for what fd does. */
int backing_replace(int number, int fd);
void backing_close(int fd);

/* Does a handle stand for a file for as long as that is there, and for no other? */
bool backing_handles_last(int fd);
/* Sets the handle in id. False: there is none that could be kept. */
bool backing_get_handle(int fd, struct backing_id *id);

/* Watches (fs/watch.h): a descriptor for them; */
int backing_watch_open(void);
/* ... one > 0, the same for the same inode as long as fd or it is there; */
int backing_watch(int watches_fd, int fd);
/* ... and an end of it, if it has not come to one. */
void backing_unwatch(int watches_fd, int watch);

/* Basic status and the mount's id. */
int backing_statx(int fd, struct statx *st);
/* The same as far as it is known here: nobody who serves the file is asked. */
int backing_statx_known(int fd, struct statx *st);
int backing_stat(int fd, struct stat *st);
int backing_statfs(int fd, struct statvfs *st);
int backing_room(int fd, struct backing_room *room);
int backing_syncfs(int fd);
/* What people know an open file by; "" if that cannot be told. */
void backing_name_of(int fd, char *path, size_t size);

/* Names. The mode of a new file has its type. */
int backing_make_file(int dir_fd, const char *name, mode_t mode);
int backing_make_dir(int dir_fd, const char *name, mode_t mode);
int backing_make_link(int dir_fd, const char *name, const char *target);
int backing_make_node(int dir_fd, const char *name, mode_t mode, dev_t rdev);
int backing_link(int fd, int dir_fd, const char *name);
int backing_unlink(int dir_fd, const char *name, bool is_dir);
int backing_rename(int from_fd, const char *name, int to_fd,
		   const char *new_name, unsigned int flags);
ssize_t backing_readlink(int fd, char *buf, size_t size);
/* From an open directory: struct dirent64, as getdents64(2). Bytes. */
ssize_t backing_read_dir(int fd, void *buf, size_t size);

/* Attributes. */
int backing_set_mode(int fd, mode_t mode);
int backing_set_owner(int fd, uid_t uid, gid_t gid);
int backing_set_times(int fd, const struct timespec times[2]);
ssize_t backing_getxattr(int fd, const char *name, void *value, size_t size);
ssize_t backing_listxattr(int fd, char *list, size_t size);
int backing_setxattr(int fd, const char *name, const void *value, size_t size,
		     int flags);
int backing_removexattr(int fd, const char *name);

/* Open files, and for the first open directories too: lseek(2). */
int64_t backing_seek(int fd, uint64_t offset, int whence);
/* Are there blocks of its own for all of [start, end)? False if it cannot be told. */
bool backing_has_blocks(int fd, uint64_t start, uint64_t end);
int backing_fallocate(int fd, int mode, uint64_t offset, uint64_t len);
/*
 * write(2) at the end of a file opened for that, wherever others have moved it:
 * bytes, and in *end where they end.
 */
ssize_t backing_append(int fd, const void *from, size_t len, uint64_t *end);
/* Nothing is to be read ahead into the host's page cache; nothing kept there. */
void backing_advise_random(int fd);
void backing_drop_cache(int fd);

#endif
