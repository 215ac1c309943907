/*
 * file_dir.c - one name, one directory, one descriptor.
 *
 *   (1) A name is opened with O_PATH | O_NOFOLLOW and identified by that
 *       descriptor: what happens to the name meanwhile does not matter.
 *   (2) An inode whose last name is gone is marked, so that its dirty pages
 *       are dropped rather than written.
 *   (3) A rename over an existing name writes the file back first: names go
 *       straight to the backing directory and must not outrun the data.
 */
#include "fs/file_dir.h"

#include "fs/file.h"
#include "fs/file_volume.h"
#include "fs/number.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { EMFILE_TRIES = 50 };

static void stat_of(const struct statx *x, struct stat *st)
{
	*st = (struct stat){
		.st_dev = backing_dev(x),
		.st_ino = x->stx_ino,
		.st_mode = x->stx_mode,
		.st_nlink = x->stx_nlink,
		.st_uid = x->stx_uid,
		.st_gid = x->stx_gid,
		.st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
		.st_size = (off_t)x->stx_size,
		.st_blksize = x->stx_blksize,
		.st_blocks = (blkcnt_t)x->stx_blocks,
		.st_atim = { x->stx_atime.tv_sec, x->stx_atime.tv_nsec },
		.st_mtim = { x->stx_mtime.tv_sec, x->stx_mtime.tv_nsec },
		.st_ctim = { x->stx_ctime.tv_sec, x->stx_ctime.tv_nsec },
	};
}

/* A descriptor of the name, and its status (1). */
static int open_name(struct file_volume *fv, int dir_fd, const char *name,
		     struct statx *st)
{
	int fd = backing_open_name(dir_fd, name);
	int err;

	/* Where there are no handles, inodes take up the descriptors. */
	for (int i = 0; fd == -EMFILE && i < EMFILE_TRIES; i++) {
		file_inode_make_room(fv);
		fd = backing_open_name(dir_fd, name);
	}
	if (fd < 0)
		return fd;
	err = backing_statx(fd, st);
	if (!err)
		return fd;
	backing_close(fd);
	return err;
}

/* Is it on another mount than its directory, or file system? */
static bool is_outside(const struct file_inode *dir, const struct statx *st)
{
	return st->stx_mnt_id != dir->id.mount ||
	       backing_dev(st) != dir->id.dev;
}

static int lookup_at(struct file_inode *dir, int dir_fd, const char *name,
		     struct dir_entry *entry)
{
	struct file_volume *fv = file_volume_of(dir);
	struct file_inode *fi;
	struct statx st;
	int fd = open_name(fv, dir_fd, name, &st);
	int err = 0;

	if (fd < 0)
		return fd;
	fi = file_inode_get(fv, fd, &st, true, &err);
	if (!fi)
		return err;
	if (is_outside(dir, &st))
		atomic_store(&dir->leads_out, true);
	entry->inode = &fi->inode;
	stat_of(&st, &entry->attr);
	file_inode_merge_attr(fi, &entry->attr);
	return 0;
}

int file_dir_lookup(struct inode *dir, const char *name,
		    struct dir_entry *entry)
{
	int dir_fd = file_inode_path_get(file_inode(dir));
	int err;

	if (dir_fd < 0)
		return dir_fd;
	err = lookup_at(file_inode(dir), dir_fd, name, entry);
	file_inode_path_put(file_inode(dir), dir_fd);
	return err;
}

/*
 * A new file is opened once more, for writing. Who is not root needs these bits
 * for that; they are taken away when it is open, see file_open().
 */
static mode_t extra_mode(mode_t mode)
{
	return cred_is_root() ? 0 : 0600 & ~mode;
}

static int make_regular(int dir_fd, const struct dir_make *make, mode_t mode)
{
	mode_t extra = make->to_open ? extra_mode(mode) : 0;
	int err = backing_make_file(dir_fd, make->name, mode | extra);

	/*
	 * Somebody else has made it, after the kernel was told that it is not
	 * there: the kernel looks again, and checks who may open it.
	 */
	return err == -EEXIST && !make->exclusive ? -ESTALE : err;
}

static int make_at(int dir_fd, const struct dir_make *make)
{
	mode_t mode = make->mode & ~(mode_t)S_IFMT;

	if (S_ISREG(make->mode))
		return make_regular(dir_fd, make, mode);
	if (S_ISDIR(make->mode))
		return backing_make_dir(dir_fd, make->name, mode);
	if (S_ISLNK(make->mode))
		return backing_make_link(dir_fd, make->name, make->target);
	return backing_make_node(dir_fd, make->name, make->mode, make->rdev);
}

/* Look up what was just made; unmake it if there is no memory to know it. */
static int lookup_made(struct inode *dir, int dir_fd, const char *name,
		       bool is_dir, struct dir_entry *entry)
{
	int err = lookup_at(file_inode(dir), dir_fd, name, entry);

	if (err == -ENOMEM) {
		backing_unlink(dir_fd, name, is_dir);
		err = -ENOSPC; /* the answer to growth */
	}
	return err;
}

/* The bits that make_regular() has added go when the file is open. */
static void take_extra_mode(const struct dir_make *make,
			    struct dir_entry *entry)
{
	struct file_inode *fi = file_inode(entry->inode);
	mode_t extra = extra_mode(make->mode);

	if (!S_ISREG(make->mode) || !make->to_open || !extra)
		return;
	entry->attr.st_mode &= ~extra;
	mutex_lock(&fi->attr_lock);
	fi->mode_once_open = entry->attr.st_mode;
	mutex_unlock(&fi->attr_lock);
}

int file_dir_make(struct inode *dir, const struct dir_make *make,
		  struct dir_entry *entry)
{
	int dir_fd = file_inode_path_get(file_inode(dir));
	struct dir_make masked = *make;
	int err;

	if (dir_fd < 0)
		return dir_fd;
	if (!cred_assume(&make->caller))
		masked.mode &= ~(make->caller.umask & 0777);
	err = make_at(dir_fd, &masked);
	cred_restore(&make->caller);
	if (!err)
		err = lookup_made(dir, dir_fd, make->name, S_ISDIR(make->mode),
				  entry);
	if (!err)
		take_extra_mode(make, entry);
	file_inode_path_put(file_inode(dir), dir_fd);
	return err;
}

/* The same file, as it is seen on the mount of the directory. */
static int open_there(const struct file_inode *fi, struct file_inode *dir)
{
	struct file_volume *fv = file_volume_of(dir);
	int fd, mount_fd;

	if (fi->id.handle_bytes == 0 || fi->id.dev != dir->id.dev)
		return -EXDEV;
	mount_fd = backing_open(fv, &dir->id, O_RDONLY | O_DIRECTORY);
	if (mount_fd < 0)
		return mount_fd;
	fd = backing_open_handle(mount_fd, &fi->id, O_PATH);
	backing_close(mount_fd);
	return fd;
}

/*
 * A file that is opened through another mount than the directory gets a name
 * there all the same, if it lies on that file system.
 */
static int link_there(const struct file_inode *fi, int fd,
		      struct file_inode *dir, int dir_fd, const char *name)
{
	int err = backing_link(fd, dir_fd, name);
	int there;

	if (err != -EXDEV)
		return err;
	there = open_there(fi, dir);
	if (there < 0)
		return err;
	err = backing_link(there, dir_fd, name);
	backing_close(there);
	return err;
}

int file_dir_link(struct inode *inode, struct inode *dir, const char *name,
		  struct dir_entry *entry)
{
	int fd = file_inode_path_get(file_inode(inode));
	int dir_fd, err;

	if (fd < 0)
		return fd;
	dir_fd = file_inode_path_get(file_inode(dir));
	err = dir_fd;
	if (dir_fd >= 0) {
		err = link_there(file_inode(inode), fd, file_inode(dir), dir_fd,
				 name);
		if (!err)
			err = lookup_made(dir, dir_fd, name, false, entry);
		file_inode_path_put(file_inode(dir), dir_fd);
	}
	file_inode_path_put(file_inode(inode), fd);
	return err;
}

/*
 * What a name is before it goes: the inode if we know it, with a ref, and
 * whether this is its last name. NULL if there is no such name.
 */
static struct file_inode *victim_of(struct file_volume *fv, int dir_fd,
				    const char *name, bool *last)
{
	struct statx st;
	int err, fd = open_name(fv, dir_fd, name, &st);

	if (fd < 0)
		return NULL;
	*last = S_ISDIR(st.stx_mode) || st.stx_nlink == 1;
	return file_inode_get(fv, fd, &st, false, &err);
}

/*
 * Has it no name left? What went with the name may have been another: somebody
 * else can exchange them in the backing directory at any time. And a file that
 * was renamed onto itself, under another name, is still there.
 */
static bool is_gone(struct file_inode *fi)
{
	struct stat st;

	return file_inode_getattr(&fi->inode, &st) < 0 || st.st_nlink == 0;
}

/* The name is gone; if it was the last, so is the file, once it is closed. */
static void victim_end(struct file_inode *victim, bool gone)
{
	if (!victim)
		return;
	if (gone && S_ISREG(victim->inode.type))
		gone = is_gone(victim);
	if (gone && S_ISREG(victim->inode.type))
		file_set_unlinked(victim);
	else if (gone)
		victim->unlinked = true;
	inode_put(&victim->inode);
}

int file_dir_unlink(struct inode *dir, const char *name, bool is_dir)
{
	int dir_fd = file_inode_path_get(file_inode(dir));
	struct file_inode *victim;
	bool last = false;
	int err;

	if (dir_fd < 0)
		return dir_fd;
	victim = victim_of(file_volume(dir->vol), dir_fd, name, &last);
	err = backing_unlink(dir_fd, name, is_dir);
	victim_end(victim, !err && last);
	file_inode_path_put(file_inode(dir), dir_fd);
	return err;
}

/* The data must be there before the name says so (3). */
static int write_back_source(struct file_volume *fv, int dir_fd,
			     const char *name)
{
	struct file_inode *fi;
	bool last;
	int err = 0;

	/* No sync, so nothing that may reach the file before a crash. */
	if (atomic_load(&fv->vol.hold_back))
		return 0;
	fi = victim_of(fv, dir_fd, name, &last);
	if (!fi)
		return 0; /* renameat2() will say what is wrong */
	if (S_ISREG(fi->inode.type))
		err = file_flush(fi);
	inode_put(&fi->inode);
	return err;
}

static int rename_at(struct file_volume *fv, int from_fd, const char *name,
		     int to_fd, const char *new_name, unsigned int flags)
{
	bool last = false;
	struct file_inode *victim = victim_of(fv, to_fd, new_name, &last);
	int err = 0;

	if (victim && !(flags & RENAME_NOREPLACE))
		err = write_back_source(fv, from_fd, name);
	if (!err)
		err = backing_rename(from_fd, name, to_fd, new_name, flags);
	victim_end(victim, !err && last && !(flags & RENAME_EXCHANGE));
	return err;
}

int file_dir_rename(struct inode *from, const char *name, struct inode *to,
		    const char *new_name, unsigned int flags)
{
	int from_fd = file_inode_path_get(file_inode(from));
	int to_fd, err;

	if (from_fd < 0)
		return from_fd;
	to_fd = file_inode_path_get(file_inode(to));
	err = to_fd;
	if (to_fd >= 0) {
		err = rename_at(file_volume(from->vol), from_fd, name, to_fd,
				new_name, flags);
		file_inode_path_put(file_inode(to), to_fd);
	}
	file_inode_path_put(file_inode(from), from_fd);
	return err;
}

int file_dir_readlink(struct inode *inode, char *buf, size_t size)
{
	int fd = file_inode_path_get(file_inode(inode));
	ssize_t n;
	int err = 0;

	if (fd < 0)
		return fd;
	n = backing_readlink(fd, buf, size - 1);
	if (n < 0)
		err = (int)n;
	else
		buf[n] = '\0';
	file_inode_path_put(file_inode(inode), fd);
	return err;
}

static struct file_dir_stream *stream_of(struct dir_stream *s)
{
	return container_of(s, struct file_dir_stream, stream);
}

struct dir_stream *file_dir_open(struct inode *inode, int *err)
{
	struct file_volume *fv = file_volume(inode->vol);
	struct file_dir_stream *s;

	s = kmem_cache_zalloc(&fv->dir_streams, GFP_KERNEL);
	*err = -ENOMEM;
	if (!s)
		return NULL;
	mutex_init(&s->lock);
	s->stream.inode = inode;
	s->fd = backing_open(fv, &file_inode(inode)->id,
			     O_RDONLY | O_DIRECTORY);
	if (s->fd < 0) {
		*err = s->fd;
		kmem_cache_free(&fv->dir_streams, s);
		return NULL;
	}
	mutex_lock(&fv->vol.opens_lock);
	list_add(&fv->vol.open_dirs, &s->stream.link);
	mutex_unlock(&fv->vol.opens_lock);
	*err = 0;
	return &s->stream;
}

void file_dir_close(struct dir_stream *stream)
{
	struct file_dir_stream *s = stream_of(stream);
	struct inode *inode = stream->inode;
	struct file_volume *fv = file_volume(inode->vol);

	mutex_lock(&fv->vol.opens_lock);
	list_del(&stream->link);
	mutex_unlock(&fv->vol.opens_lock);
	backing_close(s->fd);
	kmem_cache_free(&fv->dir_streams, s);
	inode_put(inode);
}

static mode_t type_of(unsigned char d_type)
{
	return d_type == DT_UNKNOWN ? 0 : (mode_t)DTTOIF(d_type);
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/*
 * The number that stat(2) will show. The directory has that of what a mount
 * hides, and of a subvolume of btrfs another: these are looked at, where there
 * are some.
 */
static uint64_t number_in(const struct file_dir_stream *s,
			  const struct dirent64 *d)
{
	struct file_inode *dir = file_inode(s->stream.inode);
	struct file_volume *fv = file_volume_of(dir);
	uint64_t number = number_of(fv, dir->id.dev, d->d_ino);
	struct statx st;
	int fd;

	if (!atomic_load(&dir->leads_out) || is_dot(d->d_name))
		return number;
	fd = backing_open_name(s->fd, d->d_name);
	if (fd < 0)
		return number;
	if (backing_statx_known(fd, &st) == 0)
		number = number_of(fv, backing_dev(&st), st.stx_ino);
	backing_close(fd);
	return number;
}

int file_dir_read(struct dir_stream *stream, uint64_t offset,
		  bool (*emit)(void *arg, const struct dir_name *name),
		  void *arg)
{
	struct file_dir_stream *s = stream_of(stream);
	_Alignas(8) char buf[8192];
	bool more = true;
	int err = 0;

	mutex_lock(&s->lock);
	if ((off_t)offset != s->at || offset == 0)
		s->at = backing_seek(s->fd, offset, SEEK_SET);
	while (more && !err) {
		ssize_t n = backing_read_dir(s->fd, buf, sizeof(buf));

		if (n <= 0) {
			err = (int)n;
			break;
		}
		for (char *p = buf; more && p < buf + n;) {
			struct dirent64 *d = (struct dirent64 *)p;
			struct dir_name name = { d->d_name, number_in(s, d),
						 type_of(d->d_type),
						 (uint64_t)d->d_off };

			more = emit(arg, &name);
			if (more)
				s->at = d->d_off;
			p += d->d_reclen;
		}
	}
	if (!more) /* some were read that nobody took */
		backing_seek(s->fd, (uint64_t)s->at, SEEK_SET);
	mutex_unlock(&s->lock);
	return err;
}

int file_dir_sync(struct dir_stream *stream, bool data_only)
{
	return page_io_sync(stream->inode->vol->mm->io, stream_of(stream)->fd,
			    data_only);
}
