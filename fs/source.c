/*
 * source.c - refuse what cannot work, before anything is mounted.
 *
 *   (1) Directories are compared by device and inode on the way up to the
 *       root, so that bind mounts and links do not hide an overlap.
 *   (2) The lock is the truth; the run file only explains it.
 *   (3) Another's FUSE mount is not asked anything: who serves it may be
 *       stopped, or be waiting for us. Paths into one are compared as text.
 */
#include "fs/source.h"

#include "fs/mountinfo.h"
#include "mm/os.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define RUN_DIR	     "/run/plimsoll"
#define WAIT_LOCK_NS (200 * NSEC_PER_MSEC)
enum { UNSEEN_MAX = 50 }; /* times that */

__attribute__((format(printf, 1, 2))) static bool refuse(const char *format,
							 ...)
{
	va_list args;

	va_start(args, format);
	fputs("plimsoll: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return false;
}

static bool resolve(const char *what, const char *path, char *resolved)
{
	struct stat st;

	if (!realpath(path, resolved))
		return refuse("%s %s: %s", what, path, strerror(errno));
	if (stat(resolved, &st) < 0)
		return refuse("%s %s: %s", what, path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return refuse("%s %s: is not a directory", what, path);
	return true;
}

/* Is "path" the directory "top", or below it (1)? */
static bool is_within(const char *path, const char *top)
{
	struct stat want, st, last = { .st_ino = 0 };
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool within = false;

	if (fd < 0 || stat(top, &want) < 0)
		goto out;
	while (fstat(fd, &st) == 0) {
		int up;

		within = st.st_dev == want.st_dev && st.st_ino == want.st_ino;
		if (within ||
		    (st.st_dev == last.st_dev && st.st_ino == last.st_ino))
			break;
		last = st;
		up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = up;
	}
out:
	if (fd >= 0)
		close(fd);
	return within;
}

/* The same by their names, both resolved. */
static bool is_named_within(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 &&
	       (n == 1 || path[n] == '/' || path[n] == '\0');
}

static bool is_plimsoll(const struct mount_line *m)
{
	return strcmp(m->type, "fuse.plimsoll") == 0;
}

static bool is_fuse(const struct mount_line *m)
{
	return strcmp(m->type, "fuse") == 0 ||
	       strcmp(m->type, "fuseblk") == 0 ||
	       strcmp(m->type, "virtiofs") == 0 ||
	       strncmp(m->type, "fuse.", strlen("fuse.")) == 0;
}

/* Is path on a mount of this kind? */
static bool is_on(const char *path, bool (*kind)(const struct mount_line *))
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mount_line m;
	size_t longest = 0;
	bool yes = false;

	while (mountinfo_next(f, &m)) {
		size_t n = strlen(m.where);

		if (n < longest || !is_named_within(path, m.where))
			continue;
		longest = n;
		yes = kind(&m);
	}
	return yes;
}

/* Is path on one of our mounts? */
static bool on_plimsoll(const char *path)
{
	return is_on(path, is_plimsoll);
}

/* Is a mount of this SOURCE in the table? Then its lock is no left-over. */
static bool is_mounted(const char *source)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mount_line m;
	bool found = false;

	while (mountinfo_next(f, &m))
		found |= is_plimsoll(&m) && strcmp(m.source, source) == 0;
	return found;
}

/* Is one of two directories inside the other, which a plimsoll serves? */
static bool overlap(const char *path, const char *served)
{
	if (is_on(served, is_fuse)) /* (3), mounted in place, for one */
		return is_named_within(path, served) ||
		       is_named_within(served, path);
	return is_within(path, served) || is_within(served, path);
}

/* Does another's SOURCE lie inside this directory, or around it? */
static bool overlaps_served(const char *what, const char *path,
			    const char *relation)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mount_line m;
	bool found = false;

	while (mountinfo_next(f, &m))
		if (!found && is_plimsoll(&m) && m.source[0] == '/' &&
		    strcmp(m.source, path) != 0 && overlap(path, m.source))
			found = !refuse("%s %s: %s %s, which a running "
					"plimsoll serves",
					what, path, relation, m.source);
	return found;
}

/* What the holder of the lock says it is doing. */
static bool read_state(const struct source *s, char *state, long long *left)
{
	FILE *f = s->state[0] ? fopen(s->state, "re") : NULL;
	bool ok = f && fscanf(f, "%15s %lld", state, left) == 2;

	if (f)
		fclose(f);
	return ok;
}

static void write_state(const struct source *s, const char *state,
			uint64_t left)
{
	char tmp[PATH_MAX + 8];
	FILE *f = NULL;
	int fd;

	if (!s->state[0])
		return;
	snprintf(tmp, sizeof(tmp), "%s.new", s->state);
	/* Read by all, written by us alone, whatever the umask is now. */
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0)
		f = fdopen(fd, "w");
	if (!f)
		return;
	fprintf(f, "%s %llu %ld\n%s\n", state, (unsigned long long)left,
		(long)getpid(), s->path);
	fclose(f);
	rename(tmp, s->state);
}

static void find_state_file(struct source *s)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char base[PATH_MAX];
	struct stat st;

	if (geteuid() == 0)
		snprintf(base, sizeof(base), "%s", RUN_DIR);
	else if (dir)
		snprintf(base, sizeof(base), "%s/plimsoll", dir);
	else
		return;
	if (mkdir(base, 0755) < 0 && errno != EEXIST)
		return;
	if (fstat(s->fd, &st) == 0)
		snprintf(s->state, sizeof(s->state), "%.3000s/%u:%u:%llu", base,
			 major(st.st_dev), minor(st.st_dev),
			 (unsigned long long)st.st_ino);
}

/* Take the lock, after its last holder has written back (2). */
static bool wait_for_lock(struct source *s)
{
	unsigned int unseen = 0;
	bool said = false;

	while (flock(s->fd, LOCK_EX | LOCK_NB) < 0) {
		char state[16] = "serving";
		long long left = 0;
		bool known;

		if (errno != EWOULDBLOCK)
			return refuse("source %s: cannot be locked: %s",
				      s->path, strerror(errno));
		known = read_state(s, state, &left);
		/*
		 * Serving, but no mount to be seen: just unmounted, or in
		 * another mount namespace.
		 */
		if (is_mounted(s->path) ||
		    ((!known || strcmp(state, "serving") == 0) &&
		     ++unseen > UNSEEN_MAX))
			return refuse("source %s: is served already by a "
				      "running plimsoll; unmount that first",
				      s->path);
		fprintf(stderr,
			"%splimsoll: waiting for the last mount of %s: %lld KiB "
			"left to write back ",
			said ? "\r" : "", s->path, left >> 10);
		said = true;
		os_sleep_ns(WAIT_LOCK_NS);
	}
	if (said)
		fputc('\n', stderr);
	return true;
}

static bool check_access(struct source *s, bool read_only)
{
	struct statvfs st;

	if (fstatvfs(s->fd, &st) == 0 && (st.f_flag & ST_RDONLY))
		s->read_only = true;
	if (faccessat(s->fd, ".", R_OK | X_OK, AT_EACCESS) < 0)
		return refuse("source %s: cannot be read: %s", s->path,
			      strerror(errno));
	if (!read_only && !s->read_only &&
	    faccessat(s->fd, ".", W_OK, AT_EACCESS) < 0)
		return refuse("source %s: cannot be written: %s; mount it with "
			      "-o ro",
			      s->path, strerror(errno));
	if (s->read_only && !read_only)
		return refuse("source %s: is on a read-only file system; mount "
			      "it with -o ro",
			      s->path);
	return true;
}

static bool resolve_anon(struct source *s, const char *mountpoint)
{
	snprintf(s->path, sizeof(s->path), "anon");
	if (!resolve("mount point", mountpoint, s->mountpoint))
		return false;
	if (on_plimsoll(s->mountpoint))
		return refuse("mount point %s: is inside a plimsoll mount",
			      mountpoint);
	return !overlaps_served("mount point", s->mountpoint,
				"is inside, or around,");
}

bool source_resolve(struct source *s, const char *path, const char *mountpoint)
{
	*s = (struct source){ .fd = -1,
			      .bare_fd = -1,
			      .anon = strcmp(path, "anon") == 0 };
	if (s->anon)
		return resolve_anon(s, mountpoint);
	if (!resolve("source", path, s->path) ||
	    !resolve("mount point", mountpoint, s->mountpoint))
		return false;
	if (on_plimsoll(s->path) && is_mounted(s->path))
		return refuse("source %s: is served already by a running "
			      "plimsoll; unmount that first",
			      path);
	if (on_plimsoll(s->path))
		return refuse("source %s: is inside a plimsoll mount", path);
	if (on_plimsoll(s->mountpoint))
		return refuse("mount point %s: is inside a plimsoll mount",
			      mountpoint);
	if (strcmp(s->path, s->mountpoint) == 0)
		return !overlaps_served("source", s->path, "overlaps");
	if (is_within(s->mountpoint, s->path))
		return refuse("mount point %s: is inside its source %s",
			      mountpoint, path);
	if (is_within(s->path, s->mountpoint))
		return refuse("source %s: is inside its mount point %s, which "
			      "would hide it",
			      path, mountpoint);
	return !overlaps_served("source", s->path, "overlaps") &&
	       !overlaps_served("mount point", s->mountpoint,
				"is inside, or around,");
}

bool source_open(struct source *s, bool read_only)
{
	if (s->anon)
		return true;
	s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd < 0)
		return refuse("source %s: %s", s->path, strerror(errno));
	find_state_file(s);
	if (check_access(s, read_only) && wait_for_lock(s))
		return true;
	close(s->fd);
	return false;
}

/* A copy of the mount alone, in no tree: nothing is ever mounted there. */
static int clone_mount(int fd)
{
	int tree = open_tree(
		fd, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int bare;

	if (tree < 0)
		return -1;
	bare = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(tree);
	return bare;
}

bool source_leave_mounts(struct source *s)
{
	if (s->anon)
		return true;
	s->bare_fd = clone_mount(s->fd);
	return s->bare_fd >= 0 ||
	       refuse("xdev: source %s: its mount cannot be copied, which "
		      "takes root: %s",
		      s->path, strerror(errno));
}

/* Is path within the directory that s serves? */
static bool is_served(const char *path, const struct source *s)
{
	return !s->anon && is_within(path, s->path);
}

bool source_conflicts(const struct source *a, const struct source *b)
{
	if (strcmp(a->mountpoint, b->mountpoint) == 0)
		return !refuse("mount point %s is given twice", a->mountpoint);
	if (is_within(a->mountpoint, b->mountpoint) ||
	    is_within(b->mountpoint, a->mountpoint))
		return !refuse("mount points %s and %s are inside one another",
			       a->mountpoint, b->mountpoint);
	if (!a->anon && !b->anon &&
	    (is_within(a->path, b->path) || is_within(b->path, a->path)))
		return !refuse("sources %s and %s overlap", a->path, b->path);
	if (is_served(a->mountpoint, b) || is_served(b->mountpoint, a))
		return !refuse("mount point %s or %s is inside a source",
			       a->mountpoint, b->mountpoint);
	if ((!a->anon && is_within(a->path, b->mountpoint)) ||
	    (!b->anon && is_within(b->path, a->mountpoint)))
		return !refuse("source %s or %s is inside a mount point",
			       a->path, b->path);
	return false;
}

bool source_allows_file(const struct source *s, const char *path)
{
	char copy[PATH_MAX], dir[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	/* Of a file that is a link, the directory it is in. */
	if (realpath(path, dir))
		snprintf(copy, sizeof(copy), "%s", dir);
	if (!realpath(dirname(copy), dir))
		return refuse("swap %s: %s", path, strerror(errno));
	if (is_served(dir, s))
		return refuse("swap %s: is inside the source %s; put it "
			      "elsewhere",
			      path, s->path);
	if (is_within(dir, s->mountpoint))
		return refuse("swap %s: is below the mount point %s, which "
			      "would need it to serve it",
			      path, s->mountpoint);
	if (on_plimsoll(dir))
		return refuse("swap %s: is inside a plimsoll mount; put it on "
			      "a disk",
			      path);
	return true;
}

void source_serving(const struct source *s)
{
	write_state(s, "serving", 0);
}

void source_draining(const struct source *s, uint64_t left)
{
	write_state(s, "draining", left);
}

void source_close(struct source *s, bool lost)
{
	if (lost)
		write_state(s, "lost", 0);
	else if (s->state[0])
		unlink(s->state);
	if (s->bare_fd >= 0)
		close(s->bare_fd);
	s->bare_fd = -1;
	if (s->fd < 0)
		return;
	/* The volume has a copy of the descriptor. */
	flock(s->fd, LOCK_UN);
	close(s->fd);
	s->fd = -1;
}
