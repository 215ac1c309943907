/* fuse_ops.h - the operations of the FUSE protocol, for fs/fuse_session.c. */
#ifndef FS_FUSE_OPS_H
#define FS_FUSE_OPS_H

struct fuse_lowlevel_ops;
struct request_front;

extern const struct fuse_lowlevel_ops fuse_ops;
/* How requests that were deferred are answered. */
extern const struct request_front fuse_front;

#endif
