/* backing_posix.c - the system's part of fs/backing.h: one call each. */
#include "fs/backing.h"

#include "fs/file_volume.h"
#include "mm/io_cred.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PATH_BYTES = 32 };

static int result(int r)
{
	return r < 0 ? -errno : r;
}

static ssize_t count(ssize_t n)
{
	return n < 0 ? -errno : n;
}

/* A path to fd for system calls that take no descriptor. */
static const char *fd_path(int fd, char *buf)
{
	snprintf(buf, PATH_BYTES, "/proc/self/fd/%d", fd);
	return buf;
}

/* --- descriptors ------------------------------------------------------------ */

/* A struct file_handle with room for what we keep. */
struct handle_space {
	struct file_handle fh;
	unsigned char bytes[MAX_HANDLE_SZ];
};

bool backing_get_handle(int fd, struct backing_id *id)
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

int backing_open_handle(int root_fd, const struct backing_id *id, int flags)
{
	struct handle_space h = { .fh.handle_bytes = id->handle_bytes,
				  .fh.handle_type = id->handle_type };

	memcpy(h.fh.f_handle, id->handle, id->handle_bytes);
	return result(open_by_handle_at(root_fd, &h.fh, flags | O_CLOEXEC));
}

int backing_open_name(int dir_fd, const char *name)
{
	return result(openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
}

int backing_reopen(int fd, int flags)
{
	char path[PATH_BYTES];

	return result(open(fd_path(fd, path), flags | O_CLOEXEC));
}

int backing_dup(int fd)
{
	return result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int backing_replace(int number, int fd)
{
	return dup3(fd, number, O_CLOEXEC) < 0 ? -errno : 0;
}

void backing_close(int fd)
{
	close(fd);
}

int backing_watch_open(void)
{
	return result(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
}

/* With the events that come anyway, and none besides. */
int backing_watch(int watches_fd, int fd)
{
	char path[PATH_BYTES];

	return result(
		inotify_add_watch(watches_fd, fd_path(fd, path), IN_UNMOUNT));
}

/* Each end is told (IN_IGNORED), and that is not to pile up. */
void backing_unwatch(int watches_fd, int watch)
{
	_Alignas(struct inotify_event) char told[4096];

	inotify_rm_watch(watches_fd, watch);
	while (read(watches_fd, told, sizeof(told)) > 0)
		;
}

/* --- what the file system can do -------------------------------------------- */

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

/*
 * FUSE and FAT know a file by its handle for as long as its inode is in memory,
 * and no longer.
 */
bool backing_handles_last(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && st.f_type != FUSE_SUPER_MAGIC &&
	       st.f_type != MSDOS_SUPER_MAGIC;
}

void backing_probe(struct file_volume *fv)
{
	struct backing_id id = { .path_fd = -1 };
	int fd, direct;

	fv->has_handles = false;
	fv->handles_last = backing_handles_last(fv->root_fd);
	if (fv->handles_last && backing_get_handle(fv->root_fd, &id)) {
		fd = backing_open_handle(fv->root_fd, &id, O_PATH);
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
	direct = backing_reopen(fd, O_RDWR | O_DIRECT);
	fv->has_direct = direct >= 0;
	if (direct >= 0)
		close(direct);
	close(fd);
}

int backing_statfs(int fd, struct statvfs *st)
{
	return result(fstatvfs(fd, st));
}

int backing_syncfs(int fd)
{
	int err;

	io_cred_begin();
	err = result(syncfs(fd));
	io_cred_end();
	return err;
}

/* --- status, and attributes -------------------------------------------------- */

int backing_statx_known(int fd, struct statx *st)
{
	return result(statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC,
			    STATX_BASIC_STATS | STATX_MNT_ID, st));
}

int backing_statx(int fd, struct statx *st)
{
	return result(statx(fd, "", AT_EMPTY_PATH | AT_STATX_SYNC_AS_STAT,
			    STATX_BASIC_STATS | STATX_MNT_ID, st));
}

int backing_stat(int fd, struct stat *st)
{
	return result(fstatat(fd, "", st, AT_EMPTY_PATH));
}

void backing_name_of(int fd, char *path, size_t size)
{
	char link[PATH_BYTES];
	ssize_t n = readlink(fd_path(fd, link), path, size - 1);

	path[n < 0 ? 0 : n] = '\0';
}

int backing_set_mode(int fd, mode_t mode)
{
	char path[PATH_BYTES];

	if (fchmod(fd, mode) == 0)
		return 0;
	if (errno != EBADF) /* O_PATH */
		return -errno;
	return result(chmod(fd_path(fd, path), mode));
}

int backing_set_owner(int fd, uid_t uid, gid_t gid)
{
	return result(fchownat(fd, "", uid, gid, AT_EMPTY_PATH));
}

int backing_set_times(int fd, const struct timespec times[2])
{
	return result(utimensat(fd, "", times, AT_EMPTY_PATH));
}

ssize_t backing_getxattr(int fd, const char *name, void *value, size_t size)
{
	char path[PATH_BYTES];

	return count(getxattr(fd_path(fd, path), name, value, size));
}

ssize_t backing_listxattr(int fd, char *list, size_t size)
{
	char path[PATH_BYTES];

	return count(listxattr(fd_path(fd, path), list, size));
}

int backing_setxattr(int fd, const char *name, const void *value, size_t size,
		     int flags)
{
	char path[PATH_BYTES];

	return result(setxattr(fd_path(fd, path), name, value, size, flags));
}

int backing_removexattr(int fd, const char *name)
{
	char path[PATH_BYTES];

	return result(removexattr(fd_path(fd, path), name));
}

/* --- names ------------------------------------------------------------------- */

int backing_make_file(int dir_fd, const char *name, mode_t mode)
{
	int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NONBLOCK;
	int fd = openat(dir_fd, name, flags, mode & ~(mode_t)S_IFMT);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int backing_make_dir(int dir_fd, const char *name, mode_t mode)
{
	return result(mkdirat(dir_fd, name, mode & ~(mode_t)S_IFMT));
}

int backing_make_link(int dir_fd, const char *name, const char *target)
{
	return result(symlinkat(target, dir_fd, name));
}

int backing_make_node(int dir_fd, const char *name, mode_t mode, dev_t rdev)
{
	return result(mknodat(dir_fd, name, mode, rdev));
}

int backing_link(int fd, int dir_fd, const char *name)
{
	char path[PATH_BYTES];

	if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	/* Without CAP_DAC_READ_SEARCH. */
	return result(linkat(AT_FDCWD, fd_path(fd, path), dir_fd, name,
			     AT_SYMLINK_FOLLOW));
}

int backing_unlink(int dir_fd, const char *name, bool is_dir)
{
	return result(unlinkat(dir_fd, name, is_dir ? AT_REMOVEDIR : 0));
}

int backing_rename(int from_fd, const char *name, int to_fd,
		   const char *new_name, unsigned int flags)
{
	return result(renameat2(from_fd, name, to_fd, new_name, flags));
}

ssize_t backing_readlink(int fd, char *buf, size_t size)
{
	return count(readlinkat(fd, "", buf, size));
}

ssize_t backing_read_dir(int fd, void *buf, size_t size)
{
	return count(getdents64(fd, buf, size));
}

/* --- contents ---------------------------------------------------------------- */

int64_t backing_seek(int fd, uint64_t offset, int whence)
{
	off_t at = lseek(fd, (off_t)offset, whence);

	return at < 0 ? -errno : at;
}

int backing_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	int err;

	io_cred_begin();
	err = result(fallocate(fd, mode, (off_t)offset, (off_t)len));
	io_cred_end();
	return err;
}

ssize_t backing_append(int fd, const void *from, size_t len, uint64_t *end)
{
	ssize_t n;
	off_t at;

	io_cred_begin();
	n = count(write(fd, from, len));
	io_cred_end();
	if (n < 0)
		return n;
	/* O_APPEND: the position is behind what was written. */
	at = lseek(fd, 0, SEEK_CUR);
	if (at < 0)
		return -errno;
	*end = (uint64_t)at;
	return n;
}

void backing_advise_random(int fd)
{
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
}

void backing_drop_cache(int fd)
{
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}
