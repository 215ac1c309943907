/*
 * file_privs.c - taken at once, kept otherwise.
 *
 *   (1) While there are keepers, or what they had to keep is "taken", the backing
 *       file may lack what is noted here, which is what the file has; else what
 *       the backing file has is right, and looked at again.
 *   (2) Each keeper puts back when its write is done, and before whoever waits
 *       for that write can find it durable (file_privs_restore()).
 *   (3) A write that began when there was nothing to keep may take what is set while
 *       it is under way: then that is "taken", until none is.
 *   (4) Capabilities that were not there when the file was opened, or were taken
 *       since, are not kept: if others have set them in the backing directory
 *       meanwhile, the write-back of what was written takes them, as ever.
 */
#include "fs/file_privs.h"

#include "fs/file.h"
#include "fs/file_volume.h"
#include "fs/xattr_name.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

enum { SETID_BITS = S_ISUID | S_ISGID };

static void may_have(struct file_privs *p, unsigned int which)
{
	if ((atomic_load(&p->may_have) & which) != which)
		atomic_fetch_or(&p->may_have, which);
}

/* Of these bits, "has" are there. */
static void has(struct file_privs *p, unsigned int which, unsigned int has)
{
	atomic_fetch_and(&p->may_have, ~which | has);
	may_have(p, has);
}

static bool is_at_stake(const struct file_privs *p)
{
	return p->nr_keepers > 0 || p->taken;
}

/* --- what there is -------------------------------------------------------------- */

static unsigned int privs_of_mode(mode_t mode)
{
	if (mode_without_setid(mode) != mode)
		return PRIV_SETID | (mode & S_ISGID ? PRIV_SGID_STAYS : 0);
	return mode & S_ISGID ? PRIV_SGID_STAYS : 0;
}

static void note_caps(struct file_privs *p, const void *value, size_t size)
{
	ASSERT(size <= sizeof(p->caps));
	p->caps_size = (uint8_t)size;
	if (size > 0)
		memcpy(p->caps, value, size);
	has(p, PRIV_CAPS | PRIV_CAPS_UNKNOWN, size > 0 ? PRIV_CAPS : 0);
}

/* The mode was looked at with attr_lock held, or has just been set. */
static void note_mode(struct file_privs *p, mode_t mode)
{
	has(p, PRIV_SETID | PRIV_SGID_STAYS, privs_of_mode(mode));
	p->setid = mode & SETID_BITS;
}

static bool is_none(ssize_t err)
{
	return err == -ENODATA || err == -EOPNOTSUPP;
}

/* The backing file's capabilities (1). If it does not say, what was known stays. */
static void look_at_caps(struct file_inode *fi, int fd) must_hold(fi->attr_lock)
{
	struct file_privs *p = &fi->privs;
	uint8_t value[XATTR_CAPS_SZ];
	ssize_t n = backing_getxattr(fd, XATTR_CAPS, value, sizeof(value));

	if (n >= 0 || is_none(n))
		note_caps(p, value, n > 0 ? (size_t)n : 0);
	else if (atomic_load(&p->may_have) & PRIV_CAPS_UNKNOWN)
		p->caps_size = 0;
}

void file_privs_forget(struct file_inode *fi)
{
	may_have(&fi->privs, PRIV_CAPS_UNKNOWN);
}

void file_privs_opened(struct file_inode *fi)
{
	struct file_privs *p = &fi->privs;

	if (!(atomic_load(&p->may_have) & PRIV_CAPS_UNKNOWN))
		return;
	mutex_lock(&fi->attr_lock);
	if (!is_at_stake(p))
		look_at_caps(fi, fi->fds.buffered);
	mutex_unlock(&fi->attr_lock);
}

void file_privs_note_mode(struct file_inode *fi, mode_t mode)
{
	if (S_ISREG(mode))
		may_have(&fi->privs, privs_of_mode(mode));
}

/* Is the status from before the bits were put back, perhaps? */
static bool is_doubtful(const struct file_inode *fi, const struct stat *st)
{
	return fi->users > 0 && !(st->st_mode & SETID_BITS) &&
	       (atomic_load(&fi->privs.may_have) &
		(PRIV_SETID | PRIV_SGID_STAYS));
}

void file_privs_merge(struct file_inode *fi, struct stat *st)
{
	struct file_privs *p = &fi->privs;
	struct stat now;

	if (is_at_stake(p))
		st->st_mode |= p->setid;
	else if (is_doubtful(fi, st))
		st->st_mode = backing_stat(fi->fds.buffered, &now) == 0
				      ? now.st_mode
				      : st->st_mode | p->setid;
	file_privs_note_mode(fi, st->st_mode);
	p->setid = st->st_mode & SETID_BITS;
}

/* --- taking them ---------------------------------------------------------------- */

unsigned int file_privs(struct inode *inode)
{
	unsigned int which = atomic_load_explicit(
		&file_inode(inode)->privs.may_have, memory_order_relaxed);

	if (which & PRIV_CAPS_UNKNOWN)
		which |= PRIV_CAPS;
	return which & PRIV_ALL;
}

/*
 * As a write does it, which asks for no rights (CAP_SETFCAP): it is given to the
 * owner it has.
 */
static int strip(int fd)
{
	return backing_set_owner(fd, (uid_t)-1, (gid_t)-1);
}

static int drop_caps(struct file_inode *fi, int fd) must_hold(fi->attr_lock)
{
	struct file_privs *p = &fi->privs;
	int err = 0;

	if (!is_at_stake(p) && (atomic_load(&p->may_have) & PRIV_CAPS_UNKNOWN))
		look_at_caps(fi, fd);
	if (atomic_load(&p->may_have) & (PRIV_CAPS | PRIV_CAPS_UNKNOWN))
		err = backing_removexattr(fd, XATTR_CAPS);
	/* If nothing but appends can change it, the append takes them itself. */
	if (err == -EPERM && !atomic_load(&fi->append_only))
		err = strip(fd);
	else if (err == -EPERM || is_none(err))
		err = 0;
	if (!err)
		note_caps(p, NULL, 0);
	return err;
}

static int set_left_mode(int fd, mode_t left)
{
	return backing_set_mode(fd, left & ~(mode_t)S_IFMT);
}

static int drop(struct file_inode *fi, int fd, unsigned int which)
	must_hold(fi->attr_lock)
{
	struct file_privs *p = &fi->privs;
	struct stat st;
	mode_t mode, left;
	int err = backing_stat(fd, &st);

	if (err)
		return err;
	mode = st.st_mode | (is_at_stake(p) ? p->setid : 0);
	left = which & PRIV_SETID ? mode_without_setid(mode) : mode;
	if (which & PRIV_CAPS)
		err = drop_caps(fi, fd);
	if (!err && left != mode)
		err = set_left_mode(fd, left);
	if (err)
		return err;
	note_mode(p, left);
	/* What was to stay may have gone with the rest. */
	err = backing_stat(fd, &st);
	if (!err && st.st_mode != left)
		err = set_left_mode(fd, left);
	return err;
}

int file_drop_privs(struct inode *inode, unsigned int which)
{
	struct file_inode *fi = file_inode(inode);
	int err, fd;

	if (!S_ISREG(inode->type) || !(file_privs(inode) & which))
		return 0;
	fd = file_inode_path_get(fi);
	if (fd < 0)
		return fd;
	mutex_lock(&fi->attr_lock);
	err = drop(fi, fd, which);
	mutex_unlock(&fi->attr_lock);
	file_inode_path_put(fi, fd);
	return err;
}

/* --- keeping them ---------------------------------------------------------------- */

static int put_back_caps(const struct file_privs *p, int fd)
{
	uint8_t value[XATTR_CAPS_SZ];
	ssize_t n = backing_getxattr(fd, XATTR_CAPS, value, sizeof(value));

	if (n == p->caps_size && memcmp(value, p->caps, p->caps_size) == 0)
		return 0;
	return backing_setxattr(fd, XATTR_CAPS, p->caps, p->caps_size, 0);
}

static int put_back_setid(const struct file_privs *p, int fd)
{
	struct stat st;
	int err = backing_stat(fd, &st);

	if (err || (st.st_mode & SETID_BITS) == p->setid)
		return err;
	return backing_set_mode(fd, (st.st_mode & ~(mode_t)S_IFMT) | p->setid);
}

/* Who may not put them back cannot keep them: then they are gone. */
static bool is_lost(struct file_inode *fi, int err)
{
	if (err)
		vmstat_inc(fi->inode.vol->mm, PRIVS_NOT_KEPT);
	return err == -EPERM || err == -EOPNOTSUPP || err == -EACCES;
}

static void put_back(struct file_inode *fi, int fd) must_hold(fi->attr_lock)
{
	struct file_privs *p = &fi->privs;
	int caps_err = 0, mode_err = 0;

	if (p->caps_size > 0)
		caps_err = put_back_caps(p, fd);
	if (p->setid)
		mode_err = put_back_setid(p, fd);
	if (is_lost(fi, caps_err)) {
		note_caps(p, NULL, 0);
		caps_err = 0;
	}
	if (is_lost(fi, mode_err)) {
		p->setid = 0;
		mode_err = 0;
	}
	p->taken = caps_err || mode_err ||
		   (p->taken && atomic_load(&p->nr_writes) > 0); /* (3) */
}

/*
 * What the backing file has now, before it is written to; if that is not known
 * better (1). Is there anything to be kept?
 */
static bool look(struct file_inode *fi, int fd) must_hold(fi->attr_lock)
{
	struct file_privs *p = &fi->privs;
	unsigned int which = atomic_load(&p->may_have);
	struct stat st;

	if (is_at_stake(p))
		return true;
	if (which & (PRIV_CAPS | PRIV_CAPS_UNKNOWN)) /* (4) */
		look_at_caps(fi, fd);
	if (!(which & (PRIV_SETID | PRIV_SGID_STAYS)))
		p->setid = 0;
	else if (backing_stat(fd, &st) == 0)
		note_mode(p, st.st_mode);
	return p->caps_size > 0 || p->setid;
}

bool file_privs_keep(struct file_inode *fi)
{
	struct file_privs *p = &fi->privs;
	bool keep;

	atomic_fetch_add(&p->nr_writes, 1); /* before we look (3) */
	if (!atomic_load(&p->may_have))
		return false;
	mutex_lock(&fi->attr_lock);
	ASSERT(fi->users > 0);
	keep = look(fi, fi->fds.buffered);
	p->nr_keepers += keep;
	mutex_unlock(&fi->attr_lock);
	return keep;
}

void file_privs_kept(struct file_inode *fi)
{
	mutex_lock(&fi->attr_lock);
	ASSERT(fi->privs.nr_keepers > 0);
	put_back(fi, fi->fds.buffered);
	fi->privs.nr_keepers--;
	mutex_unlock(&fi->attr_lock);
	vmstat_inc(fi->inode.vol->mm, PRIVS_KEPT);
}

void file_privs_end(struct file_inode *fi, bool keep)
{
	file_privs_written(&fi->privs);
	if (keep)
		file_privs_kept(fi);
}

void file_privs_restore(struct file_inode *fi)
{
	if (!atomic_load(&fi->privs.may_have))
		return;
	mutex_lock(&fi->attr_lock);
	if (fi->users > 0 && is_at_stake(&fi->privs))
		put_back(fi, fi->fds.buffered);
	mutex_unlock(&fi->attr_lock);
}

/* They were set, and noted (3). */
static void were_set(struct file_privs *p)
{
	if ((p->caps_size > 0 || p->setid) && atomic_load(&p->nr_writes) > 0)
		p->taken = true;
}

/* --- setting them ---------------------------------------------------------------- */

int file_privs_set_mode(struct file_inode *fi, int fd, mode_t mode)
{
	int err;

	mutex_lock(&fi->attr_lock);
	err = backing_set_mode(fd, mode);
	if (!err && S_ISREG(fi->inode.type)) {
		note_mode(&fi->privs, mode);
		were_set(&fi->privs);
	}
	mutex_unlock(&fi->attr_lock);
	return err;
}

int file_privs_set_owner(struct file_inode *fi, int fd, uid_t uid, gid_t gid)
{
	bool keep = false;
	int err;

	mutex_lock(&fi->attr_lock);
	if (S_ISREG(fi->inode.type) && atomic_load(&fi->privs.may_have))
		keep = look(fi, fd);
	err = backing_set_owner(fd, uid, gid);
	/* What was to go has been taken before. */
	if (!err && keep)
		put_back(fi, fd);
	mutex_unlock(&fi->attr_lock);
	return err;
}

/* --- the attribute --------------------------------------------------------------- */

ssize_t file_privs_get_caps(struct file_inode *fi, int fd, void *value,
			    size_t size)
{
	struct file_privs *p = &fi->privs;
	ssize_t n;

	mutex_lock(&fi->attr_lock);
	if (!is_at_stake(p))
		look_at_caps(fi, fd);
	if (atomic_load(&p->may_have) & PRIV_CAPS_UNKNOWN) {
		n = backing_getxattr(fd, XATTR_CAPS, value, size);
	} else if (p->caps_size == 0) {
		n = -ENODATA;
	} else {
		n = p->caps_size;
		if (size > 0 && size < p->caps_size)
			n = -ERANGE;
		else if (size > 0)
			memcpy(value, p->caps, p->caps_size);
	}
	mutex_unlock(&fi->attr_lock);
	return n;
}

/* What flags of setxattr(2) ask, where the backing file cannot be asked. */
static int check_flags(const struct file_privs *p, int flags)
{
	if (p->caps_size > 0)
		return flags & XATTR_CREATE ? -EEXIST : 0;
	return flags & XATTR_REPLACE ? -ENODATA : 0;
}

static int set_caps(struct file_inode *fi, int fd, const void *value,
		    size_t size, int flags) must_hold(fi->attr_lock)
{
	struct file_privs *p = &fi->privs;
	int err = 0;

	if (is_at_stake(p)) {
		err = check_flags(p, flags);
		flags = 0;
	}
	if (!err)
		err = backing_setxattr(fd, XATTR_CAPS, value, size, flags);
	if (err)
		return err;
	if (size <= sizeof(p->caps))
		note_caps(p, value, size);
	else
		file_privs_forget(fi);
	were_set(p);
	return 0;
}

int file_privs_set_caps(struct file_inode *fi, int fd, const void *value,
			size_t size, int flags)
{
	int err;

	/*
	 * What was written before must not take it: written back now it cannot,
	 * and a crash soon after finds both.
	 */
	if (!atomic_load(&fi->inode.vol->hold_back))
		file_flush(fi); /* an error is told to who syncs */
	mutex_lock(&fi->attr_lock);
	err = set_caps(fi, fd, value, size, flags);
	mutex_unlock(&fi->attr_lock);
	return err;
}

int file_privs_remove_caps(struct file_inode *fi, int fd)
{
	struct file_privs *p = &fi->privs;
	int err;

	mutex_lock(&fi->attr_lock);
	err = backing_removexattr(fd, XATTR_CAPS);
	if (err == -ENODATA && is_at_stake(p) && p->caps_size > 0)
		err = 0;
	if (!err)
		note_caps(p, NULL, 0);
	mutex_unlock(&fi->attr_lock);
	return err;
}

static bool is_listed(const char *list, size_t size, const char *name)
{
	for (size_t at = 0; at < size; at += strlen(list + at) + 1)
		if (strcmp(list + at, name) == 0)
			return true;
	return false;
}

ssize_t file_privs_list(struct file_inode *fi, int fd, char *list, size_t size)
{
	struct file_privs *p = &fi->privs;
	ssize_t n;

	mutex_lock(&fi->attr_lock);
	n = backing_listxattr(fd, list, size);
	if (n >= 0 && is_at_stake(p) && p->caps_size > 0 &&
	    (size == 0 || !is_listed(list, (size_t)n, XATTR_CAPS))) {
		if (size > 0 && size - (size_t)n < sizeof(XATTR_CAPS))
			n = -ERANGE;
		else if (size > 0)
			memcpy(list + n, XATTR_CAPS, sizeof(XATTR_CAPS));
		if (n >= 0)
			n += (ssize_t)sizeof(XATTR_CAPS);
	}
	mutex_unlock(&fi->attr_lock);
	return n;
}
