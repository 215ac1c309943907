/*
 * anon_attr.c - what stat(2), chmod(2) and the like, and *xattr(2) see.
 *
 *   (1) time_lock guards all attributes of one inode. Nothing is allocated or
 *       freed while it is held.
 *   (2) Who may is the kernel's question (default_permissions).
 *   (3) has_caps is set as long as there is a security.capability: whoever
 *       writes asks it without a lock.
 */
#include "fs/anon_attr.h"

#include "fs/anon_file.h"
#include "fs/anon_inode.h"
#include "fs/privs.h"
#include "fs/xattr_name.h"
#include "mm/mm.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

enum {
	ENTRY_SIZE = 20, /* of a directory's size, as tmpfs counts */
	SECTORS = PAGE_SIZE / 512,
	XATTR_TOTAL_MAX = 64 << 10, /* names and values of one inode; a guess */
};

/* --- attributes ------------------------------------------------------------- */

static blkcnt_t blocks_of(struct inode *inode)
{
	if (!S_ISREG(inode->type))
		return 0;
	return inode_nr_sectors(
		inode,
		(blkcnt_t)address_space_nr_entries(&inode->mapping) * SECTORS);
}

/*
 * As the kernel does it unless told otherwise (relatime): not to write a time for
 * each read, and yet to tell what was read since it changed (mail), or not for
 * days (tmpwatch).
 */
enum { ATIME_OLD_S = 24 * 60 * 60 };

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec
				      : a->tv_nsec < b->tv_nsec;
}

static bool is_old(const struct anon_inode *ai, const struct timespec *now)
{
	return now->tv_sec - ai->atime.tv_sec >= ATIME_OLD_S;
}

void anon_changed(struct inode *inode, struct timespec now)
{
	struct anon_inode *ai = anon_inode_of(inode);

	ai->ctime = now;
	atomic_store_explicit(&ai->atime_due, true, memory_order_relaxed);
}

void anon_opened(struct inode *inode)
{
	struct anon_inode *ai = anon_inode_of(inode);
	struct timespec now = os_realtime();

	mutex_lock(&inode->time_lock);
	if (is_old(ai, &now))
		atomic_store(&ai->atime_due, true);
	mutex_unlock(&inode->time_lock);
}

bool anon_accessed(struct inode *inode)
{
	struct anon_inode *ai = anon_inode_of(inode);
	const struct volume *vol = inode->vol;
	struct timespec now;
	bool changes;

	if (!atomic_load_explicit(&ai->atime_due, memory_order_relaxed) ||
	    vol->noatime || (vol->nodiratime && S_ISDIR(inode->type)))
		return false;
	now = os_realtime();
	mutex_lock(&inode->time_lock);
	/* It may have been set to a time to come. */
	changes = !is_before(&ai->mtime, &ai->atime) ||
		  !is_before(&ai->ctime, &ai->atime) || is_old(ai, &now);
	if (changes)
		ai->atime = now;
	atomic_store(&ai->atime_due, false);
	mutex_unlock(&inode->time_lock);
	return changes;
}

static bool is_device(mode_t type)
{
	return S_ISCHR(type) || S_ISBLK(type);
}

int anon_getattr(struct inode *inode, struct stat *st)
{
	struct anon_inode *ai = anon_inode_of(inode);
	blkcnt_t blocks = blocks_of(inode);

	mutex_lock(&inode->time_lock);
	*st = (struct stat){
		.st_ino = ai->ino,
		.st_mode = atomic_load(&ai->mode),
		.st_nlink = ai->nlink,
		.st_uid = ai->uid,
		.st_gid = ai->gid,
		.st_rdev = is_device(inode->type) ? ai->rdev : 0,
		.st_size = (off_t)atomic_load(&inode->size),
		.st_blksize = PAGE_SIZE,
		.st_blocks = blocks,
		.st_atim = ai->atime,
		.st_mtim = ai->mtime,
		.st_ctim = ai->ctime,
	};
	if (S_ISDIR(inode->type))
		st->st_size = (off_t)(ai->dir.nr_names * ENTRY_SIZE);
	mutex_unlock(&inode->time_lock);
	return 0;
}

static void set_rest(struct anon_inode *ai, const struct attr_change *c)
{
	struct timespec now = os_realtime();
	mode_t type = ai->inode.type;

	mutex_lock(&ai->inode.time_lock);
	if (c->valid & ATTR_UID)
		ai->uid = c->uid;
	if (c->valid & ATTR_GID)
		ai->gid = c->gid;
	if (c->valid & ATTR_MODE)
		atomic_store(&ai->mode, type | (c->mode & 07777u));
	if (c->valid & ATTR_ATIME)
		ai->atime = c->atime;
	if (c->valid & ATTR_MTIME)
		ai->mtime = c->mtime;
	anon_changed(&ai->inode, now);
	mutex_unlock(&ai->inode.time_lock);
}

int anon_setattr(struct inode *inode, const struct attr_change *change)
{
	int err = 0;

	if (change->valid & ATTR_SIZE)
		err = anon_file_truncate(inode, change->size);
	if (err)
		return err;
	if (change->valid & ATTR_KILL_SUID)
		anon_drop_privs(inode, PRIV_SETID);
	if (change->valid &
	    (ATTR_UID | ATTR_GID | ATTR_MODE | ATTR_ATIME | ATTR_MTIME))
		set_rest(anon_inode_of(inode), change);
	return 0;
}

/* --- extended attributes ------------------------------------------------------ */

/* No ACLs: see volume.acl. */
static int check_name(const char *name)
{
	return xattr_name_check(name, false);
}

static const char *value_of(const struct anon_xattr *x)
{
	return x->name + x->name_len + 1;
}

static size_t bytes_of(const struct anon_xattr *x)
{
	return (size_t)x->name_len + x->size;
}

/* Where the link to it is, or would be. */
static struct anon_xattr **find(struct anon_inode *ai, const char *name)
	must_hold(ai->inode.time_lock)
{
	struct anon_xattr **at = &ai->xattrs;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

ssize_t anon_getxattr(struct inode *inode, const char *name, void *value,
		      size_t size)
{
	struct anon_inode *ai = anon_inode_of(inode);
	const struct anon_xattr *x;
	ssize_t n = check_name(name);

	if (n < 0)
		return n;
	mutex_lock(&ai->inode.time_lock);
	x = *find(ai, name);
	n = x ? x->size : -ENODATA;
	if (n > 0 && size > 0) {
		if ((size_t)n > size)
			n = -ERANGE;
		else
			memcpy(value, value_of(x), (size_t)n);
	}
	mutex_unlock(&ai->inode.time_lock);
	return n;
}

ssize_t anon_listxattr(struct inode *inode, char *list, size_t size)
{
	struct anon_inode *ai = anon_inode_of(inode);
	size_t n = 0;

	mutex_lock(&ai->inode.time_lock);
	for (const struct anon_xattr *x = ai->xattrs; x; x = x->next) {
		size_t len = (size_t)x->name_len + 1;

		if (size > 0 && len <= size - min_of(n, size))
			memcpy(list + n, x->name, len);
		n += len;
	}
	mutex_unlock(&ai->inode.time_lock);
	return size > 0 && n > size ? -ERANGE : (ssize_t)n;
}

static struct anon_xattr *xattr_new(struct mm *mm, const char *name,
				    const void *value, size_t size)
{
	size_t len = strlen(name);
	struct anon_xattr *x;

	x = anon_kmalloc(mm, sizeof(*x) + len + 1 + size);
	if (!x)
		return NULL;
	x->name_len = (uint16_t)len;
	x->size = (uint16_t)size;
	memcpy(x->name, name, len + 1);
	if (size > 0)
		memcpy(x->name + len + 1, value, size);
	return x;
}

/*
 * x (NULL: nothing) in place of what has the name, which is returned in *old.
 * 0 or -errno.
 */
static int put_at(struct anon_inode *ai, const char *name, int flags,
		  struct anon_xattr *x, struct anon_xattr **old)
	must_hold(ai->inode.time_lock)
{
	struct anon_xattr **at = find(ai, name);
	size_t total = ai->xattr_bytes;

	*old = *at;
	if (*old && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!*old && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (*old)
		total -= bytes_of(*old);
	if (x)
		total += bytes_of(x);
	if (x && total > XATTR_TOTAL_MAX)
		return -ENOSPC;
	if (*old)
		*at = (*old)->next;
	if (x) {
		x->next = *at;
		*at = x;
	}
	ai->xattr_bytes = (uint32_t)total;
	if (strcmp(name, XATTR_CAPS) == 0)
		atomic_store(&ai->has_caps, x != NULL); /* (3) */
	return 0;
}

static int exchange_xattr(struct inode *inode, const char *name, int flags,
			  struct anon_xattr *x)
{
	struct anon_inode *ai = anon_inode_of(inode);
	struct timespec now = os_realtime();
	struct anon_xattr *old;
	int err;

	mutex_lock(&ai->inode.time_lock);
	err = put_at(ai, name, flags, x, &old);
	if (!err)
		anon_changed(&ai->inode, now);
	mutex_unlock(&ai->inode.time_lock);
	kfree(inode->vol->mm, err ? x : old);
	return err;
}

int anon_setxattr(struct inode *inode, const char *name, const void *value,
		  size_t size, int flags)
{
	int err = check_name(name);
	struct anon_xattr *x;

	if (err)
		return err;
	if (size > KMALLOC_MAX ||
	    sizeof(*x) + strlen(name) + 1 + size > KMALLOC_MAX)
		return -ENOSPC; /* as ext4 says it: too large */
	x = xattr_new(inode->vol->mm, name, value, size);
	return x ? exchange_xattr(inode, name, flags, x) : -ENOROOM;
}

int anon_removexattr(struct inode *inode, const char *name)
{
	int err = check_name(name);

	return err ? err : exchange_xattr(inode, name, XATTR_REPLACE, NULL);
}

/* --- privileges, as a write takes them ------------------------------------------ */

unsigned int anon_privs(struct inode *inode)
{
	struct anon_inode *ai = anon_inode_of(inode);
	mode_t mode = atomic_load(&ai->mode);
	unsigned int which = 0;

	if (S_ISDIR(mode))
		return 0;
	if (mode_without_setid(mode) != mode)
		which |= PRIV_SETID;
	if (atomic_load(&ai->has_caps)) /* (3) */
		which |= PRIV_CAPS;
	return which;
}

static void drop_caps(struct inode *inode)
{
	exchange_xattr(inode, XATTR_CAPS, 0, NULL);
}

static void drop_setid(struct anon_inode *ai)
{
	struct timespec now = os_realtime();

	mutex_lock(&ai->inode.time_lock);
	atomic_store(&ai->mode, mode_without_setid(atomic_load(&ai->mode)));
	anon_changed(&ai->inode, now);
	mutex_unlock(&ai->inode.time_lock);
}

int anon_drop_privs(struct inode *inode, unsigned int which)
{
	which &= anon_privs(inode);
	if (which & PRIV_CAPS)
		drop_caps(inode);
	if (which & PRIV_SETID)
		drop_setid(anon_inode_of(inode));
	return 0;
}
