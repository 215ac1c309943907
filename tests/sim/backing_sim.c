/*
 * backing_sim.c - inodes, names and descriptors of a file system that is not
 * there.
 *
 *   (1) A call happens at one moment; it may take time before and after it.
 *   (2) An inode lives while it has a name or a descriptor. Its number is used
 *       again soon, with another generation, as on a disk.
 *   (3) A call that fails has done nothing.
 *   (4) Descriptors are sim.h's: a number is never used again, and a use after
 *       its end ends the run.
 *   (5) What changes a file takes its privileges, as a kernel does it: of itself
 *       when somebody looks.
 */
#include "tests/sim/backing_sim.h"

#include "fs/backing.h"
#include "fs/cred.h"
#include "fs/file_volume.h"
#include "fs/privs.h"
#include "fs/xattr_name.h"
#include "tests/sim/sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
	INODES_MAX = 128,
	FDS_MAX = 1 << 17,
	NAME_BYTES = 64,
	VALUE_BYTES = 64,
	ROOT = 0,
	DEV_MINOR = 7,
	MNT_ID = 77,
	FIRST_COOKIE = 1,
};

struct xattr {
	struct xattr *next;
	char name[NAME_BYTES];
	char value[VALUE_BYTES];
	size_t size;
};

struct name {
	struct name *next; /* by cookie, ascending */
	char name[NAME_BYTES];
	unsigned int inode;
	uint64_t cookie;
};

/* Its number is its place + 1. */
struct sim_inode {
	bool used;
	uint32_t generation;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	dev_t rdev;
	unsigned int nlink, nr_fds, parent;
	struct timespec atime;
	int file; /* of the disk: also for times */
	char *target;
	struct name *names;
	uint64_t last_cookie;
	struct xattr *xattrs;
	int watch;	     /* 0: none */
	uint64_t nr_changes; /* of the file, that have taken privileges (5) */
};

struct sim_fd {
	bool open, path;
	unsigned int inode;
	uint64_t at; /* directory: cookie */
};

static struct {
	struct backing_sim_options o;
	struct sim_inode inodes[INODES_MAX];
	uint32_t generation;
	struct sim_fd *fds; /* by number - SIM_FD_FIRST */
	unsigned int nr_data_fds;
	int last_watch, nr_watches;
} fs;

/* --- inodes and descriptors --------------------------------------------------- */

/* (1), (3): 0, or the error it fails with. */
static int enter(void)
{
	if (sim_chance(30))
		os_sleep_ns(sim_between(1, 200000));
	else
		sim_yield();
	return fs.o.fail_percent > 0 && sim_chance(fs.o.fail_percent) ? -EIO
								      : 0;
}

static int inode_new(mode_t mode, unsigned int *n)
{
	for (*n = 0; *n < INODES_MAX && fs.inodes[*n].used; ++*n)
		;
	if (*n == INODES_MAX)
		return -ENOSPC;
	fs.inodes[*n] = (struct sim_inode){
		.used = true,
		.generation = ++fs.generation,
		.mode = mode,
		.atime = sim_file_now(),
		.file = sim_file_create(0),
		.last_cookie = FIRST_COOKIE + 1,
	};
	fs.inodes[*n].nr_changes = sim_file_nr_changes(fs.inodes[*n].file);
	return 0;
}

static void inode_drop(unsigned int n)
{
	struct sim_inode *i = &fs.inodes[n];

	if (!i->used || i->nlink > 0 || i->nr_fds > 0)
		return;
	ASSERT(!i->names);
	sim_file_remove(i->file);
	while (i->xattrs) {
		struct xattr *x = i->xattrs;

		i->xattrs = x->next;
		free(x);
	}
	free(i->target);
	fs.nr_watches -= i->watch > 0;
	i->used = false;
}

static struct sim_fd *fd_of(int fd)
{
	if (fd < SIM_FD_FIRST || fd >= SIM_FD_FIRST + FDS_MAX ||
	    !fs.fds[fd - SIM_FD_FIRST].open)
		sim_fail("descriptor %d of the backing directory is not open",
			 fd);
	return &fs.fds[fd - SIM_FD_FIRST];
}

static struct sim_inode *inode_of_fd(int fd)
{
	return &fs.inodes[fd_of(fd)->inode];
}

static int fd_new(unsigned int n, int flags)
{
	bool path = flags & O_PATH, data = S_ISREG(fs.inodes[n].mode) && !path;
	int fd;

	if ((flags & O_DIRECT) && !path && !fs.o.direct)
		return -EINVAL;
	if ((flags & O_DIRECTORY) && !S_ISDIR(fs.inodes[n].mode))
		return -ENOTDIR;
	fd = sim_fd_open(path ? -1 : fs.inodes[n].file, flags & O_DIRECT);
	ASSERT(fd < SIM_FD_FIRST + FDS_MAX);
	fs.fds[fd - SIM_FD_FIRST] =
		(struct sim_fd){ .open = true, .path = path, .inode = n };
	fs.inodes[n].nr_fds++;
	fs.nr_data_fds += data;
	return fd;
}

static bool is_data(const struct sim_fd *f)
{
	return !f->path && S_ISREG(fs.inodes[f->inode].mode);
}

void backing_close(int fd)
{
	struct sim_fd *f = fd_of(fd);

	sim_yield();
	fs.nr_data_fds -= is_data(f);
	f->open = false;
	sim_fd_close(fd);
	fs.inodes[f->inode].nr_fds--;
	inode_drop(f->inode);
}

static struct name **find_name(struct sim_inode *dir, const char *name)
{
	struct name **p = &dir->names;

	while (*p && strcmp((*p)->name, name) != 0)
		p = &(*p)->next;
	return p;
}

int backing_open_name(int dir_fd, const char *name)
{
	int err = enter();
	struct name **p;

	if (err)
		return err;
	if (strcmp(name, ".") == 0)
		return fd_new(fd_of(dir_fd)->inode, O_PATH);
	p = find_name(inode_of_fd(dir_fd), name);
	return *p ? fd_new((*p)->inode, O_PATH) : -ENOENT;
}

bool backing_handles_last(int fd)
{
	(void)fd;
	return true;
}

bool backing_get_handle(int fd, struct backing_id *id)
{
	struct sim_fd *f = fd_of(fd);
	uint32_t handle[2] = { f->inode, fs.inodes[f->inode].generation };

	sim_yield();
	if (!fs.o.handles)
		return false;
	id->handle_type = 1;
	id->handle_bytes = sizeof(handle);
	memcpy(id->handle, handle, sizeof(handle));
	return true;
}

int backing_watch_open(void)
{
	return fd_new(ROOT, O_PATH); /* it only has to be one */
}

/* Now and then there are no more. */
int backing_watch(int watches_fd, int fd)
{
	struct sim_inode *i = inode_of_fd(fd);

	(void)fd_of(watches_fd);
	sim_yield();
	if (i->watch == 0 && sim_chance(5))
		return -ENOSPC;
	if (i->watch == 0) {
		i->watch = ++fs.last_watch;
		fs.nr_watches++;
	}
	return i->watch;
}

void backing_unwatch(int watches_fd, int watch)
{
	(void)fd_of(watches_fd);
	sim_yield();
	for (unsigned int n = 0; n < INODES_MAX; n++) {
		if (!fs.inodes[n].used || fs.inodes[n].watch != watch)
			continue;
		fs.inodes[n].watch = 0;
		fs.nr_watches--;
	}
}

int backing_open_handle(int root_fd, const struct backing_id *id, int flags)
{
	uint32_t handle[2];
	struct sim_inode *i;
	int err = enter();

	(void)fd_of(root_fd);
	ASSERT(id->handle_bytes == sizeof(handle) && fs.o.handles);
	memcpy(handle, id->handle, sizeof(handle));
	i = &fs.inodes[handle[0]];
	if (!i->used || i->generation != handle[1] ||
	    (i->nlink == 0 && fs.o.stale_unlinked))
		return -ESTALE;
	return err ? err : fd_new(handle[0], flags);
}

int backing_reopen(int fd, int flags)
{
	int err = enter();

	return err ? err : fd_new(fd_of(fd)->inode, flags);
}

int backing_dup(int fd)
{
	sim_yield();
	return fd_new(fd_of(fd)->inode, O_RDWR);
}

int backing_replace(int number, int fd)
{
	struct sim_fd *to = fd_of(number), *from = fd_of(fd);
	unsigned int old = to->inode;

	sim_yield();
	fs.nr_data_fds +=
		(unsigned int)is_data(from) - (unsigned int)is_data(to);
	sim_fd_replace(number, fd);
	fs.inodes[from->inode].nr_fds++;
	*to = *from;
	fs.inodes[old].nr_fds--;
	inode_drop(old);
	return 0;
}

static struct xattr **find_xattr(struct sim_inode *i, const char *name)
{
	struct xattr **p = &i->xattrs;

	while (*p && strcmp((*p)->name, name) != 0)
		p = &(*p)->next;
	return p;
}

static void remove_xattr(struct sim_inode *i, const char *name)
{
	struct xattr **p = find_xattr(i, name), *x = *p;

	if (x)
		*p = x->next;
	free(x);
}

static void take_privs(struct sim_inode *i, bool keeps_setid)
{
	remove_xattr(i, XATTR_CAPS);
	if (!keeps_setid)
		i->mode = mode_without_setid(i->mode);
}

/* As enter(), of what is about one inode. */
static int enter_inode(struct sim_inode *i)
{
	int err = enter();
	uint64_t nr = sim_file_nr_changes(i->file);

	if (S_ISREG(i->mode) && nr != i->nr_changes)
		take_privs(i, fs.o.root);
	i->nr_changes = nr;
	return err;
}

/* --- status, and attributes ----------------------------------------------------- */

void backing_probe(struct file_volume *fv)
{
	fv->has_handles = fs.o.handles;
	fv->has_direct = fs.o.direct;
	fv->vol.max_file_size = INT64_MAX;
}

static uint64_t size_of(const struct sim_inode *i)
{
	return i->target ? strlen(i->target) : sim_file_size(i->file);
}

int backing_statx_known(int fd, struct statx *st)
{
	return backing_statx(fd, st);
}

int backing_stat(int fd, struct stat *st)
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter_inode(i);

	if (err)
		return err;
	*st = (struct stat){
		.st_dev = makedev(0, DEV_MINOR),
		.st_ino = (ino_t)(i - fs.inodes) + 1,
		.st_mode = i->mode,
		.st_nlink = i->nlink,
		.st_uid = i->uid,
		.st_gid = i->gid,
		.st_rdev = i->rdev,
		.st_size = (off_t)size_of(i),
		.st_blksize = SIM_BLOCK,
		.st_blocks =
			(blkcnt_t)(sim_file_blocks(i->file) * SIM_BLOCK / 512),
		.st_atim = i->atime,
		.st_mtim = sim_file_mtime(i->file),
		.st_ctim = sim_file_ctime(i->file),
	};
	return 0;
}

static struct statx_timestamp stamp(const struct timespec *t)
{
	return (struct statx_timestamp){ .tv_sec = t->tv_sec,
					 .tv_nsec = (uint32_t)t->tv_nsec };
}

int backing_statx(int fd, struct statx *x)
{
	struct stat st;
	int err = backing_stat(fd, &st);

	if (err)
		return err;
	*x = (struct statx){
		.stx_dev_minor = DEV_MINOR,
		.stx_mnt_id = MNT_ID,
		.stx_ino = st.st_ino,
		.stx_mode = (uint16_t)st.st_mode,
		.stx_nlink = (uint32_t)st.st_nlink,
		.stx_uid = st.st_uid,
		.stx_gid = st.st_gid,
		.stx_size = (uint64_t)st.st_size,
		.stx_blksize = (uint32_t)st.st_blksize,
		.stx_blocks = (uint64_t)st.st_blocks,
		.stx_atime = stamp(&st.st_atim),
		.stx_mtime = stamp(&st.st_mtim),
		.stx_ctime = stamp(&st.st_ctim),
	};
	return 0;
}

int backing_statfs(int fd, struct statvfs *st)
{
	int err = enter();

	(void)fd_of(fd);
	if (err)
		return err;
	*st = (struct statvfs){ .f_bsize = SIM_BLOCK, .f_frsize = SIM_BLOCK };
	st->f_bfree = st->f_bavail = min_of(sim_disk_room(), (uint64_t)1 << 40);
	st->f_blocks = (uint64_t)1 << 40;
	return 0;
}

int backing_room(int fd, struct backing_room *room)
{
	struct statvfs st;
	int err = backing_statfs(fd, &st);

	if (err)
		return err;
	*room = (struct backing_room){
		.bytes = st.f_bavail * SIM_BLOCK,
		.total = st.f_blocks * SIM_BLOCK,
		.block = SIM_BLOCK,
		.limited = fs.o.quotas,
		.copies = fs.o.copies,
	};
	return 0;
}

int backing_syncfs(int fd)
{
	int err = enter();

	(void)fd_of(fd);
	if (err)
		return err;
	for (unsigned int n = 0; n < INODES_MAX; n++)
		if (fs.inodes[n].used)
			sim_file_sync(fs.inodes[n].file);
	return 0;
}

void backing_name_of(int fd, char *path, size_t size)
{
	snprintf(path, size, "inode %u", fd_of(fd)->inode + 1);
}

int backing_set_mode(int fd, mode_t mode)
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter_inode(i);

	if (err)
		return err;
	i->mode = (i->mode & (mode_t)S_IFMT) | (mode & 07777u);
	sim_file_set_times(i->file, NULL);
	return 0;
}

int backing_set_owner(int fd, uid_t uid, gid_t gid)
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter_inode(i);

	if (err)
		return err;
	if (!S_ISDIR(i->mode))
		take_privs(i, false);
	if (uid != (uid_t)-1)
		i->uid = uid;
	if (gid != (gid_t)-1)
		i->gid = gid;
	sim_file_set_times(i->file, NULL);
	return 0;
}

int backing_set_times(int fd, const struct timespec times[2])
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter_inode(i);

	if (err)
		return err;
	if (times[0].tv_nsec != UTIME_OMIT)
		i->atime = times[0];
	sim_file_set_times(i->file,
			   times[1].tv_nsec != UTIME_OMIT ? &times[1] : NULL);
	return 0;
}

ssize_t backing_getxattr(int fd, const char *name, void *value, size_t size)
{
	int err = enter_inode(inode_of_fd(fd));
	struct xattr *x = *find_xattr(inode_of_fd(fd), name);

	if (err || !x)
		return err ? err : -ENODATA;
	if (size == 0)
		return (ssize_t)x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(value, x->value, x->size);
	return (ssize_t)x->size;
}

ssize_t backing_listxattr(int fd, char *list, size_t size)
{
	struct sim_inode *i = inode_of_fd(fd);
	size_t need = 0;
	int err = enter_inode(i);

	if (err)
		return err;
	for (struct xattr *x = i->xattrs; x; x = x->next) {
		size_t len = strlen(x->name) + 1;

		if (size > 0 && need + len > size)
			return -ERANGE;
		if (size > 0)
			memcpy(list + need, x->name, len);
		need += len;
	}
	return (ssize_t)need;
}

int backing_setxattr(int fd, const char *name, const void *value, size_t size,
		     int flags)
{
	int err = enter_inode(inode_of_fd(fd));
	struct xattr **p = find_xattr(inode_of_fd(fd), name);

	if (err)
		return err;
	if ((flags & 1) && *p) /* XATTR_CREATE */
		return -EEXIST;
	if ((flags & 2) && !*p) /* XATTR_REPLACE */
		return -ENODATA;
	if (size > VALUE_BYTES)
		return -ENOSPC;
	if (!*p) {
		*p = calloc(1, sizeof(**p));
		ASSERT(*p);
		snprintf((*p)->name, NAME_BYTES, "%s", name);
	}
	memcpy((*p)->value, value, size);
	(*p)->size = size;
	return 0;
}

int backing_removexattr(int fd, const char *name)
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter_inode(i);

	if (err || !*find_xattr(i, name))
		return err ? err : -ENODATA;
	remove_xattr(i, name);
	return 0;
}

/* --- names ------------------------------------------------------------------- */

static void add_name(unsigned int dir, const char *name, unsigned int inode)
{
	struct sim_inode *d = &fs.inodes[dir];
	struct name **p = &d->names, *n = calloc(1, sizeof(*n));

	ASSERT(n && strlen(name) < NAME_BYTES);
	snprintf(n->name, NAME_BYTES, "%s", name);
	n->inode = inode;
	n->cookie = ++d->last_cookie;
	while (*p)
		p = &(*p)->next;
	*p = n;
	if (S_ISDIR(fs.inodes[inode].mode)) {
		fs.inodes[inode].parent = dir;
		fs.inodes[inode].nlink = 2;
		d->nlink++;
	} else {
		fs.inodes[inode].nlink++;
	}
	sim_file_set_times(d->file,
			   &(struct timespec){ sim_file_now().tv_sec, 0 });
}

static void remove_name(unsigned int dir, const char *name)
{
	struct name **p = find_name(&fs.inodes[dir], name), *n = *p;
	struct sim_inode *i = &fs.inodes[n->inode];

	*p = n->next;
	if (S_ISDIR(i->mode)) {
		i->nlink = 0;
		fs.inodes[dir].nlink--;
	} else {
		i->nlink--;
	}
	sim_file_set_times(i->file, NULL);
	inode_drop(n->inode);
	free(n);
}

/* 0, -ENOENT of a directory that is gone, or -EEXIST. */
static int may_add(int dir_fd, const char *name)
{
	struct sim_inode *dir = inode_of_fd(dir_fd);

	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	if (dir->nlink == 0)
		return -ENOENT;
	return *find_name(dir, name) ? -EEXIST : 0;
}

static int make(int dir_fd, const char *name, mode_t mode, unsigned int *n)
{
	int err = enter();

	if (!err)
		err = may_add(dir_fd, name);
	if (!err)
		err = inode_new(mode, n);
	if (!err)
		add_name(fd_of(dir_fd)->inode, name, *n);
	return err;
}

int backing_make_file(int dir_fd, const char *name, mode_t mode)
{
	unsigned int n;

	return make(dir_fd, name, (mode & 07777u) | S_IFREG, &n);
}

int backing_make_dir(int dir_fd, const char *name, mode_t mode)
{
	unsigned int n;

	return make(dir_fd, name, (mode & 07777u) | S_IFDIR, &n);
}

int backing_make_link(int dir_fd, const char *name, const char *target)
{
	unsigned int n;
	int err = make(dir_fd, name, 0777u | S_IFLNK, &n);

	if (!err)
		fs.inodes[n].target = strdup(target);
	return err;
}

int backing_make_node(int dir_fd, const char *name, mode_t mode, dev_t rdev)
{
	unsigned int n;
	int err = make(dir_fd, name, mode, &n);

	if (!err)
		fs.inodes[n].rdev = rdev;
	return err;
}

int backing_link(int fd, int dir_fd, const char *name)
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter();

	if (!err)
		err = may_add(dir_fd, name);
	if (!err && i->nlink == 0)
		err = -ENOENT;
	if (err)
		return err;
	add_name(fd_of(dir_fd)->inode, name, fd_of(fd)->inode);
	sim_file_set_times(i->file, NULL);
	return 0;
}

/* May this inode's name go, to make room for one of that kind? */
static int may_remove(unsigned int n, bool is_dir)
{
	struct sim_inode *i = &fs.inodes[n];

	if (S_ISDIR(i->mode) && !is_dir)
		return -EISDIR;
	if (!S_ISDIR(i->mode) && is_dir)
		return -ENOTDIR;
	return i->names ? -ENOTEMPTY : 0;
}

int backing_unlink(int dir_fd, const char *name, bool is_dir)
{
	int err = enter();
	struct name *n = *find_name(inode_of_fd(dir_fd), name);

	if (!err && !n)
		err = -ENOENT;
	if (!err)
		err = may_remove(n->inode, is_dir);
	if (!err)
		remove_name(fd_of(dir_fd)->inode, name);
	return err;
}

static bool is_above(unsigned int n, unsigned int dir)
{
	while (dir != ROOT && dir != n)
		dir = fs.inodes[dir].parent;
	return dir == n;
}

static void exchange(unsigned int a, struct name *x, unsigned int b,
		     struct name *y)
{
	unsigned int inode = x->inode;

	x->inode = y->inode;
	y->inode = inode;
	if (S_ISDIR(fs.inodes[x->inode].mode))
		fs.inodes[x->inode].parent = a;
	if (S_ISDIR(fs.inodes[y->inode].mode))
		fs.inodes[y->inode].parent = b;
	fs.inodes[a].nlink += S_ISDIR(fs.inodes[x->inode].mode);
	fs.inodes[a].nlink -= S_ISDIR(fs.inodes[y->inode].mode);
	fs.inodes[b].nlink += S_ISDIR(fs.inodes[y->inode].mode);
	fs.inodes[b].nlink -= S_ISDIR(fs.inodes[x->inode].mode);
}

int backing_rename(int from_fd, const char *name, int to_fd,
		   const char *new_name, unsigned int flags)
{
	unsigned int from = fd_of(from_fd)->inode, to = fd_of(to_fd)->inode;
	int err = enter();
	struct name *x = *find_name(&fs.inodes[from], name);
	struct name *y = *find_name(&fs.inodes[to], new_name);
	unsigned int inode, nlink;

	if (err)
		return err;
	if (!x || fs.inodes[to].nlink == 0)
		return -ENOENT;
	if (y && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (S_ISDIR(fs.inodes[x->inode].mode) && is_above(x->inode, to))
		return -EINVAL;
	if (flags & RENAME_EXCHANGE) {
		if (!y)
			return -ENOENT;
		if (S_ISDIR(fs.inodes[y->inode].mode) &&
		    is_above(y->inode, from))
			return -EINVAL;
		exchange(from, x, to, y);
		return 0;
	}
	if (y && y->inode == x->inode)
		return 0; /* both are names of one file */
	if (y)
		err = may_remove(y->inode, S_ISDIR(fs.inodes[x->inode].mode));
	if (err)
		return err;
	if (y)
		remove_name(to, new_name);
	inode = x->inode;
	nlink = fs.inodes[inode].nlink;
	fs.inodes[inode].nr_fds++; /* it stays while it has no name */
	remove_name(from, name);
	add_name(to, new_name, inode);
	fs.inodes[inode].nr_fds--;
	fs.inodes[inode].nlink = nlink; /* subdirectories and all */
	return 0;
}

ssize_t backing_readlink(int fd, char *buf, size_t size)
{
	struct sim_inode *i = inode_of_fd(fd);
	int err = enter();
	size_t len;

	if (err || !i->target)
		return err ? err : -EINVAL;
	len = min_of(size, strlen(i->target));
	memcpy(buf, i->target, len);
	return (ssize_t)len;
}

/* One entry; how many bytes it takes, 0: it does not fit. */
static size_t put_entry(char *buf, size_t size, const char *name,
			unsigned int inode, uint64_t next)
{
	size_t need = (offsetof(struct dirent64, d_name) + strlen(name) + 8) &
		      ~(size_t)7;
	struct dirent64 *d = (void *)buf;

	if (need > size)
		return 0;
	memset(buf, 0, need);
	d->d_ino = inode + 1;
	d->d_off = (off_t)next;
	d->d_reclen = (unsigned short)need;
	d->d_type = IFTODT(fs.inodes[inode].mode);
	memcpy(d->d_name, name, strlen(name) + 1);
	return need;
}

/* A position is the cookie of the last entry that was read. */
ssize_t backing_read_dir(int fd, void *buf, size_t size)
{
	struct sim_fd *f = fd_of(fd);
	struct sim_inode *dir = &fs.inodes[f->inode];
	size_t len = 0, need = 1;
	int err = enter();

	if (err)
		return err;
	for (uint64_t dot = 0; dot < 2 && need > 0; dot++) {
		if (f->at > dot)
			continue;
		need = put_entry((char *)buf + len, size - len,
				 dot == 0 ? "." : "..",
				 dot == 0 ? f->inode : dir->parent, dot + 1);
		len += need;
		f->at += need > 0;
	}
	for (struct name *n = dir->names; n && need > 0; n = n->next) {
		if (n->cookie <= f->at)
			continue;
		need = put_entry((char *)buf + len, size - len, n->name,
				 n->inode, n->cookie);
		len += need;
		if (need > 0)
			f->at = n->cookie;
	}
	return len == 0 && need == 0 ? -EINVAL : (ssize_t)len;
}

/* --- contents ---------------------------------------------------------------- */

static int64_t seek_data(const struct sim_inode *i, uint64_t offset, int whence)
{
	uint64_t size = sim_file_size(i->file);
	bool data = whence == SEEK_DATA;
	uint64_t block = offset / SIM_BLOCK;

	if (offset >= size)
		return -ENXIO;
	while (block * SIM_BLOCK < size &&
	       sim_file_has_block(i->file, block) != data)
		block++;
	if (block * SIM_BLOCK >= size)
		return data ? -ENXIO : (int64_t)size;
	return (int64_t)max_of(offset, block * SIM_BLOCK);
}

bool backing_has_blocks(int fd, uint64_t start, uint64_t end)
{
	for (uint64_t at = start & ~(SIM_BLOCK - 1ull); at < end;
	     at += SIM_BLOCK)
		if (!sim_file_has_block(fd, at / SIM_BLOCK))
			return false;
	return true;
}

int64_t backing_seek(int fd, uint64_t offset, int whence)
{
	struct sim_fd *f = fd_of(fd);

	sim_yield();
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		return seek_data(&fs.inodes[f->inode], offset, whence);
	ASSERT(whence == SEEK_SET);
	f->at = offset;
	return (int64_t)offset;
}

int backing_fallocate(int fd, int mode, uint64_t offset, uint64_t len)
{
	struct sim_inode *i = inode_of_fd(fd);
	uint64_t end = offset + len, size = sim_file_size(i->file);
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	int err = enter();

	if (err || len == 0)
		return err ? err : -EINVAL;
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (!keep)
			return -EOPNOTSUPP;
		if (offset < size)
			sim_file_punch(i->file, offset,
				       min_of(end, size) - offset);
		return 0;
	}
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (mode & FALLOC_FL_ZERO_RANGE && offset < size)
		sim_file_punch(i->file, offset, min_of(end, size) - offset);
	return sim_file_allocate(i->file, offset, len, keep);
}

ssize_t backing_append(int fd, const void *from, size_t len, uint64_t *end)
{
	(void)fd_of(fd);
	(void)from;
	(void)len;
	(void)end;
	sim_fail("no file is append-only here");
}

void backing_advise_random(int fd)
{
	(void)fd_of(fd);
}

void backing_drop_cache(int fd)
{
	(void)fd_of(fd);
}

/* --- who we are ---------------------------------------------------------------- */

bool cred_is_root(void)
{
	return fs.o.root;
}

bool cred_assume(const struct cred *caller)
{
	(void)caller;
	return fs.o.root;
}

void cred_restore(const struct cred *caller)
{
	(void)caller;
}

/* --- for tests ------------------------------------------------------------------- */

void backing_sim_start(const struct backing_sim_options *o)
{
	unsigned int root;

	if (!fs.fds)
		fs.fds = calloc(FDS_MAX, sizeof(*fs.fds));
	ASSERT(fs.fds);
	fs.o = *o;
	fs.o.fail_percent = 0;
	fs.generation = 0;
	fs.nr_data_fds = 0;
	fs.last_watch = fs.nr_watches = 0;
	ASSERT(inode_new(S_IFDIR | 0755, &root) == 0 && root == ROOT);
	fs.inodes[ROOT].nlink = 2;
}

void backing_sim_fail(unsigned int percent)
{
	fs.o.fail_percent = percent;
}

int backing_sim_root(void)
{
	return fd_new(ROOT, O_RDONLY | O_DIRECTORY);
}

static void clear_dir(unsigned int dir)
{
	while (fs.inodes[dir].names) {
		struct name *n = fs.inodes[dir].names;

		if (S_ISDIR(fs.inodes[n->inode].mode))
			clear_dir(n->inode);
		remove_name(dir, n->name);
	}
}

void backing_sim_stop(void)
{
	if (fs.nr_watches > 0)
		sim_fail("%d files are still watched", fs.nr_watches);
	clear_dir(ROOT);
	fs.inodes[ROOT].nlink = 0;
	inode_drop(ROOT);
	for (unsigned int n = 0; n < INODES_MAX; n++)
		if (fs.inodes[n].used)
			sim_fail("inode %u of the backing directory is still "
				 "open (%u times)",
				 n + 1, fs.inodes[n].nr_fds);
}

int backing_sim_file(uint64_t ino)
{
	if (ino == 0 || ino > INODES_MAX || !fs.inodes[ino - 1].used)
		return -1;
	return fs.inodes[ino - 1].file;
}

unsigned int backing_sim_nr_inodes(void)
{
	unsigned int nr = 0;

	for (unsigned int n = 0; n < INODES_MAX; n++)
		nr += fs.inodes[n].used;
	return nr;
}

unsigned int backing_sim_nr_data_fds(void)
{
	return fs.nr_data_fds;
}
