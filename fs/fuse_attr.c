/* fuse_attr.c - requests for attributes, and for extended ones. */
#include "fs/fuse_internal.h"

#include <errno.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>

#define ACL_NAME "system.posix_acl_access"

/* --- attributes ------------------------------------------------------------ */

static void run_getattr(struct request *rq)
{
	op_end_attr(rq, 0);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	(void)fi;
	if (control_has(ino)) {
		if (control_getattr(session_of(req)->vol->control, ino, &st) <
		    0)
			fuse_reply_err(req, ENOENT);
		else
			fuse_reply_attr(req, &st, 0);
		return;
	}
	op_queue(op_defer(req, ino), REQUEST_SERVE, run_getattr);
}

/* As the core says it; "now" is now. */
static struct attr_change change_of(const struct args *a)
{
	static const struct {
		int fuse;
		unsigned int valid;
	} bits[] = {
		{ FUSE_SET_ATTR_MODE, ATTR_MODE },
		{ FUSE_SET_ATTR_UID, ATTR_UID },
		{ FUSE_SET_ATTR_GID, ATTR_GID },
		{ FUSE_SET_ATTR_SIZE, ATTR_SIZE },
		{ FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW, ATTR_ATIME },
		{ FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW, ATTR_MTIME },
		{ FUSE_SET_ATTR_KILL_SUID, ATTR_KILL_SUID },
	};
	struct attr_change change = {
		.mode = a->attr.st_mode & ~(mode_t)S_IFMT,
		.uid = a->attr.st_uid,
		.gid = a->attr.st_gid,
		.size = (uint64_t)a->attr.st_size,
		.atime = a->attr.st_atim,
		.mtime = a->attr.st_mtim,
	};

	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (a->valid & bits[i].fuse)
			change.valid |= bits[i].valid;
	if ((a->valid & FUSE_SET_ATTR_ATIME_NOW) &&
	    (a->valid & FUSE_SET_ATTR_MTIME_NOW))
		change.valid |= ATTR_TOUCH;
	if (a->valid & FUSE_SET_ATTR_ATIME_NOW)
		change.atime = os_realtime();
	if (a->valid & FUSE_SET_ATTR_MTIME_NOW)
		change.mtime = os_realtime();
	return change;
}

/*
 * overlayfs copies a file up to us: it sets mode and owner, in that order, and
 * means both. But of any change of the owner the kernel says that set-id bits go,
 * as they do with chown(2). Between the attribute that says where the copy comes
 * from, which only root can set, and the times, which are the end, they stay.
 */
static const char copy_up_name[] = "trusted.overlay.origin";

static void heed_copy_up(struct inode *inode, struct attr_change *change)
{
	if (!atomic_load(&inode->copying_up))
		return;
	if (!(change->valid & ATTR_SIZE))
		change->valid &= ~(unsigned int)ATTR_KILL_SUID;
	if (change->valid & ATTR_MTIME)
		atomic_store(&inode->copying_up, false);
}

static void run_setattr(struct request *rq)
{
	struct attr_change change = change_of(args_of(rq));

	heed_copy_up(rq->inode, &change);
	op_end_attr(rq, rq->vol->ops->setattr(rq->inode, &change));
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
		struct fuse_file_info *fi)
{
	struct request *rq;
	struct stat st;

	(void)fi;
	if (control_has(ino)) {
		/*
		 * "echo 1 >file" truncates first; let it. With
		 * cache=writeback the kernel then hands in the time.
		 */
		int let = FUSE_SET_ATTR_SIZE;

		if (session_of(req)->vol->cache == CACHE_WRITEBACK)
			let |= FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME;
		if (!(valid & let) ||
		    control_getattr(session_of(req)->vol->control, ino, &st) <
			    0)
			fuse_reply_err(req, EPERM);
		else
			fuse_reply_attr(req, &st, 0);
		return;
	}
	rq = op_defer(req, ino);
	args_of(rq)->attr = *attr;
	args_of(rq)->valid = valid;
	/* A cut waits for writeback. */
	op_queue(rq, valid & FUSE_SET_ATTR_SIZE ? REQUEST_SYNC : REQUEST_SERVE,
		 run_setattr);
}

/* --- extended attributes --------------------------------------------------- */

/*
 * Names of "trusted." are listed to root alone: nobody else can read them, and
 * who copies all that is listed would fail. The kernel leaves it to us.
 */
static size_t drop_trusted(char *list, size_t size)
{
	size_t kept = 0;

	for (size_t at = 0, len; at < size; at += len) {
		len = strlen(list + at) + 1;
		if (strncmp(list + at, XATTR_TRUSTED_PREFIX,
			    XATTR_TRUSTED_PREFIX_LEN) == 0)
			continue;
		memmove(list + kept, list + at, len);
		kept += len;
	}
	return kept;
}

/* With size 0 what would be enough. */
static ssize_t list_xattrs(struct request *rq, char *list, size_t size)
{
	ssize_t n = rq->vol->ops->listxattr(rq->inode, list, size);

	if (n > 0 && size > 0 && args_of(rq)->caller.uid != 0)
		n = (ssize_t)drop_trusted(list, (size_t)n);
	return n;
}

static void run_getxattr(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;
	struct args *a = args_of(rq);
	/* The name is in the buffer's first page, the value goes behind. */
	char *value = session_buffer(rq, rq->size + PAGE_SIZE) + PAGE_SIZE;
	ssize_t n = a->name ? ops->getxattr(rq->inode, a->name, value, rq->size)
			    : list_xattrs(rq, value, rq->size);

	if (n < 0) {
		op_end_err(rq, (int)n);
		return;
	}
	if (rq->size == 0)
		op_reply(rq, fuse_reply_xattr(rq->token, (size_t)n));
	else
		op_reply_data(rq, value, (size_t)n);
	session_end(rq);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct request *rq;

	if (op_control_done(req, ino, ENODATA))
		return;
	rq = op_defer(req, ino);
	rq->size = min_of(size, (size_t)XATTR_SIZE_MAX);
	args_of(rq)->name = name;
	op_queue(rq, REQUEST_SERVE, run_getxattr);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	op_getxattr(req, ino, NULL, size);
}

/* Unknown groups: he is in none. */
static bool is_in_group(struct request *rq, gid_t gid)
{
	gid_t groups[64];
	int nr;

	if (args_of(rq)->caller.gid == gid)
		return true;
	nr = fuse_req_getgroups(rq->token, ARRAY_SIZE(groups), groups);
	nr = min_of(nr, (int)ARRAY_SIZE(groups));
	for (int i = 0; i < nr; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

/*
 * An ACL sets the mode: as chmod(2) does, it takes the set-group-id bit from a
 * file of a group that the caller is not in. The kernel leaves it to us.
 */
static int drop_foreign_sgid(struct request *rq)
{
	struct attr_change change = { .valid = ATTR_MODE };
	struct stat st;
	int err;

	if (args_of(rq)->caller.uid == 0)
		return 0;
	err = rq->vol->ops->getattr(rq->inode, &st);
	if (err || !(st.st_mode & S_ISGID) || is_in_group(rq, st.st_gid))
		return err;
	change.mode = st.st_mode & 07777 & ~(mode_t)S_ISGID;
	return rq->vol->ops->setattr(rq->inode, &change);
}

static int set_xattr(struct request *rq)
{
	const struct volume_ops *ops = rq->vol->ops;
	struct args *a = args_of(rq);
	int err;

	if (!rq->data)
		return ops->removexattr(rq->inode, a->name);
	err = ops->setxattr(rq->inode, a->name, rq->data, rq->size, a->flags);
	if (!err && strcmp(a->name, copy_up_name) == 0)
		atomic_store(&rq->inode->copying_up, true);
	/* Only now: one that is refused changes nothing. */
	if (!err && rq->vol->acl && strcmp(a->name, ACL_NAME) == 0)
		err = drop_foreign_sgid(rq);
	return err;
}

static void run_setxattr(struct request *rq)
{
	op_end_err(rq, set_xattr(rq));
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags)
{
	struct request *rq;

	if (op_control_done(req, ino, EPERM))
		return;
	rq = op_defer(req, ino);
	rq->data = value;
	rq->size = size;
	args_of(rq)->name = name;
	args_of(rq)->flags = flags;
	op_queue(rq, REQUEST_GROW, run_setxattr);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	op_setxattr(req, ino, name, NULL, 0, 0);
}
