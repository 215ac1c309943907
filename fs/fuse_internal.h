/*
 * fuse_internal.h - what the files of the operations (fs/fuse_ops.c and those
 * it is split into) share with one another alone.
 *
 * A handler is op_X(): it answers at once, or defers; then a worker runs
 * run_X(), which ends the request with one of op_end_*(), or a reply and
 * session_end().
 */
#ifndef FS_FUSE_INTERNAL_H
#define FS_FUSE_INTERNAL_H

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)

#include "fs/control.h"
#include "fs/fuse_session.h"
#include "fs/fuse_uring.h"

#include <fuse_lowlevel.h>

/*
 * Arguments of a deferred request; which ones depends on the operation. The
 * number is an invariant of fs/fuse_ops.c.
 */
struct args {
	const char *name, *new_name; /* (1) */
	uint64_t fh;
	int flags;
	int valid;
	mode_t mode;
	dev_t rdev;
	off_t length;
	struct cred caller;
	struct inode *other; /* with a ref */
	struct open_file *file;
	struct stat attr;
};
_Static_assert(sizeof(struct args) <= REQUEST_ARGS, "see fs/request.h");
_Static_assert(_Alignof(struct args) <= 8, "likewise");

static inline struct args *args_of(struct request *rq)
{
	return (struct args *)rq->args;
}

static inline struct session *session_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct inode *inode_of(struct session *s, fuse_ino_t ino)
{
	struct inode *inode = (struct inode *)(uintptr_t)ino;

	if (ino == FUSE_ROOT_ID)
		return s->vol->root;
	os_received(inode);
	return inode;
}

/* Before the answer: what the request is about may be given back after it. */
static inline void op_hand_over(const struct request *rq)
{
	if (rq->inode)
		os_handed_over(rq->inode);
	if (rq->file)
		os_handed_over(rq->file);
}

/*
 * "call", which answers the deferred request rq: its value. Names and data of
 * the request are gone afterwards.
 */
#define op_reply(rq, call)                             \
	({                                             \
		const struct request *replied_ = (rq); \
		int reply_err_;                        \
                                                       \
		op_hand_over(replied_);                \
		uring_reply_begin(replied_);           \
		reply_err_ = (call);                   \
		uring_reply_end(replied_);             \
		reply_err_;                            \
	})

/* Answer it with data, which may be in its buffer. */
void op_reply_data(struct request *rq, const char *data, size_t size);

/* Begin to defer; the caller fills in the arguments, and queues it. */
struct request *op_defer(fuse_req_t req, fuse_ino_t ino);
void op_queue(struct request *rq, enum request_class class,
	      void (*run)(struct request *rq));

/*
 * Reply, and end the request. err: 0 or -errno; with -ENOROOM its run function
 * may be called once more, later.
 */
void op_end_err(struct request *rq, int err);
void op_end_entry(struct request *rq, int err, struct dir_entry *entry);
/* With the attributes of rq->inode. */
void op_end_attr(struct request *rq, int err);

/* An entry as the kernel gets it. */
void op_fill_entry(const struct dir_entry *entry, struct fuse_entry_param *e);

/*
 * True if it is a node of the control directory, for which there is nothing to
 * do but to answer: errno, or 0.
 */
bool op_control_done(fuse_req_t req, fuse_ino_t ino, int error);
/*
 * The same for a change of a name in the control directory, or of the
 * directory's own: it is refused.
 */
bool op_control_refuse(fuse_req_t req, fuse_ino_t parent, const char *name);

/* fs/fuse_names.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t new_parent, const char *new_name, unsigned int flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
	     const char *new_name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);

/* fs/fuse_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int valid,
		struct fuse_file_info *fi);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* fs/fuse_file.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode,
		struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
	      off_t offset, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
		  off_t length, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
	      struct fuse_file_info *fi);

/* fs/fuse_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
		 struct fuse_file_info *fi);

#endif
