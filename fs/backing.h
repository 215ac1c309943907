/*
 * backing.h - files of the backing directory: finding them again, opening
 * them.
 *
 * No path is ever resolved twice: a name is opened once, relative to its
 * directory's descriptor and without following links, and from then on the
 * file is known by its handle (name_to_handle_at(2)) or by that descriptor.
 */
#ifndef FS_BACKING_H
#define FS_BACKING_H

#include "mm/types.h"

#include <sys/stat.h>

struct file_volume;

/* Handles up to this many bytes are kept; ext4 needs 8, XFS 12, btrfs 20. */
#define BACKING_HANDLE_MAX 40

/* What a file is recognised by. */
struct backing_id {
	uint64_t dev, ino;
	int path_fd; /* kept open, or -1: there is a handle */
	int32_t handle_type;
	uint8_t handle_bytes; /* 0: none */
	uint8_t handle[BACKING_HANDLE_MAX];
};

/* The descriptors data goes through. */
struct backing_fds {
	int direct;   /* O_DIRECT, or -1 */
	int buffered; /* not; always there while any is */
	bool writable;
};

/*
 * Identify the file behind an O_PATH descriptor. The descriptor becomes part
 * of the id if there is no handle to be had, else it stays the caller's.
 */
void backing_identify(struct file_volume *fv, int path_fd,
		      const struct statx *st, struct backing_id *id);
bool backing_id_equal(const struct backing_id *a, const struct backing_id *b);
uint64_t backing_id_hash(const struct backing_id *id);

/*
 * Open it with these flags (O_PATH, O_RDONLY, O_DIRECTORY, …). A descriptor or
 * -errno. If O_PATH and the id has a descriptor, that very one is returned.
 */
int backing_open(struct file_volume *fv, const struct backing_id *id,
		 int flags);

/* Open for data, for writing too if that is possible. 0 or -errno. */
int backing_open_data(struct file_volume *fv, const struct backing_id *id,
		      struct backing_fds *fds);
void backing_close_data(struct file_volume *fv, struct backing_fds *fds);

/* Find out about handles, O_DIRECT and limits; sets them in fv. */
void backing_probe(struct file_volume *fv);

/* A path to fd for system calls that take no descriptor. buf: 32 bytes. */
const char *backing_fd_path(int fd, char *buf);

#endif
