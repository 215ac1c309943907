/* backing.c - handles where there are some, descriptors where not. */
#include "fs/backing.h"

#include "fs/file_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A struct file_handle with room for what we keep. */
struct handle_space {
	struct file_handle fh;
	unsigned char bytes[MAX_HANDLE_SZ];
};

const char *backing_fd_path(int fd, char *buf)
{
	snprintf(buf, 32, "/proc/self/fd/%d", fd);
	return buf;
}

static bool get_handle(int fd, struct backing_id *id)
{
	struct handle_space h = { .fh.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;

	if (name_to_handle_at(fd, "", &h.fh, &mount_id, AT_EMPTY_PATH) < 0 ||
	    h.fh.handle_bytes > BACKING_HANDLE_MAX)
		return false;
	id->handle_type = h.fh.handle_type;
	id->handle_bytes = (uint8_t)h.fh.handle_bytes;
	memcpy(id->handle, h.fh.f_handle, h.fh.handle_bytes);
	return true;
}

void backing_identify(struct file_volume *fv, int path_fd,
		      const struct statx *st, struct backing_id *id)
{
	*id = (struct backing_id){
		.dev = makedev(st->stx_dev_major, st->stx_dev_minor),
		.ino = st->stx_ino,
		.path_fd = -1,
	};
	/* A handle is opened through the root: the same mount only. */
	if (!fv->has_handles || st->stx_mnt_id != fv->mnt_id ||
	    !get_handle(path_fd, id))
		id->path_fd = path_fd;
}

bool backing_id_equal(const struct backing_id *a, const struct backing_id *b)
{
	return a->dev == b->dev && a->ino == b->ino &&
	       a->handle_type == b->handle_type &&
	       a->handle_bytes == b->handle_bytes &&
	       memcmp(a->handle, b->handle, a->handle_bytes) == 0;
}

uint64_t backing_id_hash(const struct backing_id *id)
{
	return (id->ino ^ id->dev << 40) * 0x9e3779b97f4a7c15u;
}

static int open_handle(const struct file_volume *fv,
		       const struct backing_id *id, int flags)
{
	struct handle_space h = { .fh.handle_bytes = id->handle_bytes,
				  .fh.handle_type = id->handle_type };
	int fd;

	memcpy(h.fh.f_handle, id->handle, id->handle_bytes);
	fd = open_by_handle_at(fv->root_fd, &h.fh, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int backing_open(struct file_volume *fv, const struct backing_id *id, int flags)
{
	char path[32];
	int fd;

	if (id->handle_bytes > 0)
		return open_handle(fv, id, flags);
	if (flags & O_PATH)
		return id->path_fd;
	fd = open(backing_fd_path(id->path_fd, path), flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* O_NOATIME is for the owner and for root; do without it otherwise. */
static int open_noatime(struct file_volume *fv, const struct backing_id *id,
			int flags)
{
	int fd = backing_open(fv, id, flags | O_NOATIME);

	return fd == -EPERM ? backing_open(fv, id, flags) : fd;
}

/* May it still be opened for reading? */
static bool is_refusal(int err)
{
	return err == -EACCES || err == -EPERM || err == -EROFS ||
	       err == -ETXTBSY;
}

int backing_open_data(struct file_volume *fv, const struct backing_id *id,
		      struct backing_fds *fds)
{
	int mode = fv->vol.read_only ? O_RDONLY : O_RDWR;

	fds->direct = -1;
	fds->buffered = open_noatime(fv, id, mode | O_NONBLOCK);
	if (mode == O_RDWR && is_refusal(fds->buffered)) {
		mode = O_RDONLY;
		fds->buffered = open_noatime(fv, id, mode | O_NONBLOCK);
	}
	if (fds->buffered < 0)
		return fds->buffered;
	/* Nothing is to be read ahead into the host's page cache. */
	posix_fadvise(fds->buffered, 0, 0, POSIX_FADV_RANDOM);
	fds->writable = mode == O_RDWR;
	if (fv->has_direct)
		fds->direct = open_noatime(fv, id, mode | O_DIRECT);
	if (fds->direct < 0)
		fds->direct = -1;
	vmstat_add(fv->vol.mm, NR_BACKING_FDS, fds->direct < 0 ? 1 : 2);
	return 0;
}

void backing_close_data(struct file_volume *fv, struct backing_fds *fds)
{
	vmstat_add(fv->vol.mm, NR_BACKING_FDS, fds->direct < 0 ? -1 : -2);
	if (fds->direct >= 0)
		close(fds->direct);
	close(fds->buffered);
	*fds = (struct backing_fds){ .direct = -1, .buffered = -1 };
}

/* A regular file to try things on: unnamed if we may, else any that is there. */
static int probe_file(const struct file_volume *fv)
{
	return openat(fv->root_fd, ".",
		      O_TMPFILE | (fv->vol.read_only ? O_RDONLY : O_RDWR) |
			      O_CLOEXEC,
		      0600);
}

/* No file of ours may be larger. */
static uint64_t size_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
		return INT64_MAX;
	return min_of((uint64_t)limit.rlim_cur, (uint64_t)INT64_MAX);
}

/* The largest offset the file system accepts, by bisection with lseek(2). */
static uint64_t probe_max_size(int fd, uint64_t limit)
{
	uint64_t lo = 0, hi = limit;

	if (lseek(fd, (off_t)limit, SEEK_SET) >= 0)
		return limit;
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (lseek(fd, (off_t)mid, SEEK_SET) < 0)
			hi = mid;
		else
			lo = mid;
	}
	return lo;
}

void backing_probe(struct file_volume *fv)
{
	struct backing_id id = { .path_fd = -1 };
	char path[32];
	int fd, direct;

	fv->has_handles = false;
	if (get_handle(fv->root_fd, &id)) {
		fd = open_handle(fv, &id, O_PATH);
		fv->has_handles = fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	/* Tried for each file anyway where it cannot be tried here. */
	fv->has_direct = true;
	fv->vol.max_file_size = size_limit();
	fd = probe_file(fv);
	if (fd < 0)
		return;
	fv->vol.max_file_size = probe_max_size(fd, size_limit());
	direct = open(backing_fd_path(fd, path), O_RDWR | O_DIRECT | O_CLOEXEC);
	fv->has_direct = direct >= 0;
	if (direct >= 0)
		close(direct);
	close(fd);
}
