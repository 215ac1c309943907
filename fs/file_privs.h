/*
 * file_privs.h - what privileges (fs/privs.h) a file of a file volume is to have,
 * whatever the backing file has at the moment.
 *
 * The backing file loses its capabilities with every write of ours, and its
 * set-id bits too unless we may set them (CAP_FSETID): for the kernel below us a
 * write-back is a write. But what counts is when the user wrote. So a write(2)
 * takes them at once, and whoever writes to the backing file for another reason
 * (file_privs_keep()) puts back what that has taken.
 */
#ifndef FS_FILE_PRIVS_H
#define FS_FILE_PRIVS_H

#include "fs/privs.h"

#include <linux/capability.h>
#include <stdatomic.h>

struct file_inode;
struct inode;

/* (A) guarded by attr_lock. */
struct file_privs {
	/*
	 * enum priv and those below: what there may be. Set by anybody who sees
	 * it, cleared with (A) held by who has looked: writes ask it.
	 */
	_Atomic unsigned int may_have;
	_Atomic unsigned int nr_writes; /* of the backing file, under way */
	unsigned int nr_keepers; /* of them, that put back what they take (A) */
	bool taken;		 /* by one, perhaps, and not put back yet (A) */
	mode_t setid;		 /* bits to be kept, while one of those (A) */
	uint8_t caps_size;	 /* 0: none; unless PRIV_CAPS_UNKNOWN (A) */
	uint8_t caps[XATTR_CAPS_SZ];
};

enum {
	PRIV_CAPS_UNKNOWN = 1u << 2,
	PRIV_SGID_STAYS = 1u << 3, /* no privilege, and yet to be kept */
};

/* Others may have changed them: nothing is known. */
void file_privs_forget(struct file_inode *fi);

/* The file, which is in use, is about to be written to. May look at it. */
void file_privs_opened(struct file_inode *fi);

/*
 * The backing file, of a file in use, is about to be written to, cut, or allocated.
 * True: what that takes is to be put back: it is to be waited for, and then
 * file_privs_kept() called. Both take attr_lock.
 */
bool file_privs_keep(struct file_inode *fi);
/* That was done, before anybody hears of it. Does not block. */
static inline void file_privs_written(struct file_privs *p)
{
	atomic_fetch_sub(&p->nr_writes, 1);
}
void file_privs_kept(struct file_inode *fi);
/* Both, by who has waited for it; keep: what file_privs_keep() said. */
void file_privs_end(struct file_inode *fi, bool keep);

/* What could not be put back, or is not yet: try. Takes attr_lock. */
void file_privs_restore(struct file_inode *fi);

/* The status of a file, with attr_lock held: the bits it is to have. */
void file_privs_merge(struct file_inode *fi, struct stat *st);

/* Bits of a new status, of any file. */
void file_privs_note_mode(struct file_inode *fi, mode_t mode);

/* As volume_ops. */
unsigned int file_privs(struct inode *inode);
int file_drop_privs(struct inode *inode, unsigned int which);

/*
 * chmod(2), and chown(2) but for the privileges that takes, of any file; fd is a
 * descriptor of it. 0 or -errno.
 */
int file_privs_set_mode(struct file_inode *fi, int fd, mode_t mode);
int file_privs_set_owner(struct file_inode *fi, int fd, uid_t uid, gid_t gid);

/*
 * security.capability, as getxattr(2), setxattr(2), removexattr(2); and
 * listxattr(2), all names. Of a regular file.
 */
ssize_t file_privs_get_caps(struct file_inode *fi, int fd, void *value,
			    size_t size);
int file_privs_set_caps(struct file_inode *fi, int fd, const void *value,
			size_t size, int flags);
int file_privs_remove_caps(struct file_inode *fi, int fd);
ssize_t file_privs_list(struct file_inode *fi, int fd, char *list, size_t size);

#endif
