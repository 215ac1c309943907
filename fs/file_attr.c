/*
 * file_attr.c - mode, owner, times, extended attributes: straight to the
 * backing file.
 */
#include "fs/file_attr.h"

#include "fs/file.h"
#include "fs/volume.h"
#include "fs/xattr_name.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static int set_owner(struct file_inode *fi, int fd,
		     const struct attr_change *change)
{
	uid_t uid = change->valid & ATTR_UID ? change->uid : (uid_t)-1;
	gid_t gid = change->valid & ATTR_GID ? change->gid : (gid_t)-1;

	return file_privs_set_owner(fi, fd, uid, gid);
}

static int set_times(struct file_inode *fi, int fd,
		     const struct attr_change *change)
{
	static const struct timespec now[2] = { { .tv_nsec = UTIME_NOW },
						{ .tv_nsec = UTIME_NOW } };
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT },
				  { .tv_nsec = UTIME_OMIT } };
	int err;

	if (change->valid & ATTR_ATIME)
		ts[0] = change->atime;
	if (change->valid & ATTR_MTIME)
		ts[1] = change->mtime;
	err = file_set_times(fi, fd, ts);
	/* An append-only file can be touched, and no more than that. */
	if (err == -EPERM && (change->valid & ATTR_TOUCH))
		err = file_set_times(fi, fd, now);
	return err;
}

int file_setattr(struct inode *inode, const struct attr_change *change)
{
	struct file_inode *fi = file_inode(inode);
	unsigned int valid = change->valid;
	int fd = file_inode_path_get(fi);
	int err = 0;

	if (fd < 0)
		return fd;
	if (valid & ATTR_SIZE)
		err = file_truncate(inode, change->size);
	if (!err && (valid & ATTR_KILL_SUID))
		err = file_drop_privs(inode, PRIV_SETID);
	if (!err && (valid & (ATTR_UID | ATTR_GID)))
		err = set_owner(fi, fd, change);
	if (!err && (valid & ATTR_MODE))
		err = file_privs_set_mode(fi, fd, change->mode);
	if (!err && (valid & (ATTR_ATIME | ATTR_MTIME)))
		err = set_times(fi, fd, change);
	file_inode_path_put(fi, fd);
	return err;
}

/* --- extended attributes ------------------------------------------------------ */

/* A descriptor for what has this name, or -errno. */
static int xattr_begin(struct inode *inode, const char *name)
{
	int err = xattr_name_check(name, inode->vol->acl);

	return err ? err : file_inode_path_get(file_inode(inode));
}

/* Is it one that the backing file does not keep as the others? */
static bool is_caps(const struct inode *inode, const char *name)
{
	return S_ISREG(inode->type) && strcmp(name, XATTR_CAPS) == 0;
}

ssize_t file_getxattr(struct inode *inode, const char *name, void *value,
		      size_t size)
{
	struct file_inode *fi = file_inode(inode);
	int fd = xattr_begin(inode, name);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = is_caps(inode, name) ? file_privs_get_caps(fi, fd, value, size)
				 : backing_getxattr(fd, name, value, size);
	file_inode_path_put(fi, fd);
	return n;
}

ssize_t file_listxattr(struct inode *inode, char *list, size_t size)
{
	struct file_inode *fi = file_inode(inode);
	int fd = file_inode_path_get(fi);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = S_ISREG(inode->type) ? file_privs_list(fi, fd, list, size)
				 : backing_listxattr(fd, list, size);
	file_inode_path_put(fi, fd);
	/* With size 0 what would be enough. */
	if (n > 0 && size > 0)
		n = (ssize_t)xattr_names_filter(list, (size_t)n,
						inode->vol->acl);
	return n;
}

int file_setxattr(struct inode *inode, const char *name, const void *value,
		  size_t size, int flags)
{
	struct file_inode *fi = file_inode(inode);
	int fd = xattr_begin(inode, name);
	int err;

	if (fd < 0)
		return fd;
	err = is_caps(inode, name)
		      ? file_privs_set_caps(fi, fd, value, size, flags)
		      : backing_setxattr(fd, name, value, size, flags);
	file_inode_path_put(fi, fd);
	return err;
}

int file_removexattr(struct inode *inode, const char *name)
{
	struct file_inode *fi = file_inode(inode);
	int fd = xattr_begin(inode, name);
	int err;

	if (fd < 0)
		return fd;
	err = is_caps(inode, name) ? file_privs_remove_caps(fi, fd)
				   : backing_removexattr(fd, name);
	file_inode_path_put(fi, fd);
	return err;
}
