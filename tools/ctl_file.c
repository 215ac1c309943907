/* ctl_file.c - open, read or write, close. */
#include "tools/ctl_file.h"

#include "tools/ctl_error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* plimsoll makes no file longer than 32 KiB. */
enum { CONTENTS_MAX = 64 << 10 };

/*
 * Inode numbers that plimsoll gives to control files, and to nothing else; see
 * plimsoll(5). A SOURCE may have a directory of that name, too.
 */
#define CONTROL_INO_FIRST (1ull << 62)

/* Step by step, for kernels before 5.6. */
static int open_stepwise(const struct ctl_mount *m, int dir, const char *name,
			 int flags)
{
	char copy[PATH_MAX], *save, *step, *next;
	int fd = dup(dir);

	snprintf(copy, sizeof(copy), "%s", name);
	step = strtok_r(copy, "/", &save);
	for (; fd >= 0 && step; step = next) {
		int up = fd;

		next = strtok_r(NULL, "/", &save);
		fd = openat(up, step,
			    O_NOFOLLOW | O_CLOEXEC |
				    (next ? O_PATH | O_DIRECTORY : flags));
		close(up);
		if (fd >= 0 && !ctl_mount_has(m, fd)) {
			close(fd);
			errno = EXDEV;
			fd = -1;
		}
	}
	return fd;
}

/* Over no link, no other mount, and not out of it. */
static int open_below(const struct ctl_mount *m, int dir, const char *name,
		      int flags)
{
	struct open_how how = {
		.flags = (unsigned long long)(flags | O_NOFOLLOW | O_CLOEXEC),
		.resolve =
			RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_BENEATH,
	};
	long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_stepwise(m, dir, name, flags);
	return (int)fd;
}

/* 0, ENOENT: it is another's, or an errno. */
static int check_control(const struct ctl_mount *m, int fd)
{
	struct stat st;

	if (!ctl_mount_has(m, fd))
		return ENOENT;
	if (fstat(fd, &st) < 0)
		return errno;
	return st.st_ino >= CONTROL_INO_FIRST ? 0 : ENOENT;
}

/*
 * The control directory. What else has its name is not it: that is ENOENT. What
 * is below it is ours if it is.
 */
static int open_control(const struct ctl_mount *m)
{
	int root = ctl_mount_open(m, O_PATH), fd, err;

	if (root < 0)
		return -1;
	fd = open_below(m, root, ".plimsoll", O_PATH | O_DIRECTORY);
	err = fd < 0 ? errno : check_control(m, fd);
	close(root);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	if (err == ENOTDIR || err == ELOOP || err == EXDEV)
		err = ENOENT;
	errno = err;
	return -1;
}

static int open_file(const struct ctl_mount *m, const char *name, int flags)
{
	int dir = open_control(m), fd, err;

	if (dir < 0)
		return -1;
	fd = open_below(m, dir, *name ? name : ".", flags);
	err = errno;
	close(dir);
	errno = err;
	return fd;
}

static DIR *open_dir(const struct ctl_mount *m, const char *name)
{
	int fd = open_file(m, name, O_RDONLY | O_DIRECTORY);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !d)
		close(fd);
	return d;
}

static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size) {
		n = read(fd, buf + len, size - len);
		if (n > 0)
			len += (size_t)n;
	}
	return n < 0 ? -1 : (ssize_t)len;
}

char *ctl_file_read(const struct ctl_mount *m, const char *name)
{
	int fd = open_file(m, name, O_RDONLY);
	char *buf;
	ssize_t n;

	if (fd < 0)
		return NULL;
	buf = malloc(CONTENTS_MAX + 1);
	n = buf ? read_all(fd, buf, CONTENTS_MAX) : -1;
	if (n < 0) {
		int err = errno;

		free(buf);
		buf = NULL;
		errno = err;
	} else {
		buf[n] = '\0';
	}
	close(fd);
	return buf;
}

int ctl_file_write(const struct ctl_mount *m, const char *name,
		   const char *value)
{
	int fd = open_file(m, name, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static bool has_control(const struct ctl_mount *m)
{
	int fd = open_control(m);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

int ctl_file_error(const struct ctl_mount *m, const char *name, int err)
{
	switch (err < 0 ? -err : err) {
	case ENOENT:
		if (!has_control(m))
			return ctl_error("%s: has no control files: mounted "
					 "with control=off, or not mounted any "
					 "more",
					 m->path);
		return ctl_error("%s: there is no %s", m->path, name);
	case EACCES:
	case EPERM:
		return ctl_error("%s: %s: only for root and the mount's owner, "
				 "and not all files can be written",
				 m->path, name);
	case EROFS:
		return ctl_error("%s: %s: is mounted read-only, so its control "
				 "files are too",
				 m->path, name);
	case ESTALE:
		return ctl_error("%s: something else is mounted there now",
				 m->path);
	case ENOTCONN:
		return ctl_error("%s: the process that served it is gone",
				 m->path);
	default:
		return ctl_error("%s: %s: %s", m->path, name,
				 strerror(err < 0 ? -err : err));
	}
}

bool ctl_file_name_ok(const char *name)
{
	if (*name == '\0' || *name == '/')
		return false;
	while (name) {
		name += *name == '/';
		if (strncmp(name, "..", 2) == 0 &&
		    (name[2] == '\0' || name[2] == '/'))
			return false;
		name = strchr(name, '/');
	}
	return true;
}

/* What to do with each file below a directory. */
typedef int visit_fn(const struct ctl_mount *m, const char *name,
		     const struct stat *st);

static int visit_all(const struct ctl_mount *m, const char *dir,
		     visit_fn *visit);

static int visit_one(const struct ctl_mount *m, const char *dir,
		     const struct dirent *d, visit_fn *visit)
{
	char name[PATH_MAX];
	struct stat st;
	int fd;

	if (snprintf(name, sizeof(name), "%s%s%s", dir, *dir ? "/" : "",
		     d->d_name) >= (int)sizeof(name))
		return ctl_file_error(m, dir, ENAMETOOLONG);
	fd = open_file(m, name, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return ctl_file_error(m, name, err);
	}
	close(fd);
	return S_ISDIR(st.st_mode) ? visit_all(m, name, visit)
				   : visit(m, name, &st);
}

static int visit_all(const struct ctl_mount *m, const char *dir,
		     visit_fn *visit)
{
	DIR *d = open_dir(m, dir);
	const struct dirent *entry;
	int status = CTL_OK;

	if (!d)
		return ctl_file_error(m, *dir ? dir : ".plimsoll", errno);
	while (status == CTL_OK && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			status = visit_one(m, dir, entry, visit);
	closedir(d);
	return status;
}

int ctl_file_names(const struct ctl_mount *m, const char *dir,
		   char names[][NAME_MAX + 1], int max)
{
	DIR *d = open_dir(m, dir);
	const struct dirent *entry;
	int n = 0;

	if (!d)
		return -errno;
	while (n < max && (entry = readdir(d)))
		if (entry->d_name[0] != '.')
			strcpy(names[n++], entry->d_name);
	closedir(d);
	return n;
}

static int print_name(const struct ctl_mount *m, const char *name,
		      const struct stat *st)
{
	(void)m;
	(void)st;
	puts(name);
	return CTL_OK;
}

static int print_value(const struct ctl_mount *m, const char *name,
		       const struct stat *st)
{
	char *contents;

	if (!(st->st_mode & S_IRUSR))
		return CTL_OK;
	contents = ctl_file_read(m, name);
	if (!contents)
		return ctl_file_error(m, name, errno);
	contents[strcspn(contents, "\n")] = '\0';
	printf("%s %s\n", name, contents);
	free(contents);
	return CTL_OK;
}

int ctl_file_list(const struct ctl_mount *m)
{
	return visit_all(m, "", print_name);
}

int ctl_file_print(const struct ctl_mount *m, const char *name)
{
	char *contents = ctl_file_read(m, name);

	if (!contents && errno == EISDIR)
		return visit_all(m, name, print_value);
	if (!contents)
		return ctl_file_error(m, name, errno);
	fputs(contents, stdout);
	free(contents);
	return CTL_OK;
}
