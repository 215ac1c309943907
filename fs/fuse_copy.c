/*
 * fuse_copy.c - which reads and writes leave a copy behind, and how the taker's
 * own requests are answered.
 *
 * The taker opens a file for direct I/O and writes to it: before such a write
 * the kernel writes back what is dirty there, and after it unmaps and drops what
 * it had. The data are not taken; only how many bytes of the file lie there is
 * answered. Where a mount is read-only it opens with O_SYNC instead, and not
 * being told to keep the cache makes the kernel drop all of the file.
 */
#include "fs/fuse_copy.h"

#include "fs/copy_taker.h"

#include <errno.h>
#include <fcntl.h>

/* Of the taker's open files; no struct open_file is there. */
enum { TAKER_HANDLE = 1 };

static bool is_taker(fuse_req_t req, const struct session *s)
{
	struct copy_taker *t = s->vol->fs->copies.taker;
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return t && copy_taker_is(t, ctx->pid, ctx->uid, ctx->gid);
}

bool copy_open(fuse_req_t req, fuse_ino_t ino,
	       const struct fuse_file_info *opened)
{
	struct session *s = session_of(req);
	struct fuse_file_info fi = {
		.flags = opened->flags,
		.fh = TAKER_HANDLE,
		.direct_io = 1,
		.keep_cache = !(opened->flags & O_SYNC),
		.noflush = 1,
	};

	(void)ino;
	if (!is_taker(req, s))
		return false;
	fuse_reply_open(req, &fi);
	return true;
}

bool copy_is_takers(const struct fuse_file_info *fi)
{
	return fi->fh == TAKER_HANDLE;
}

bool copy_write(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		const struct fuse_file_info *fi)
{
	struct session *s = session_of(req);
	uint64_t end, at = (uint64_t)offset;

	if (!copy_is_takers(fi))
		return false;
	if (fi->writepage) { /* others' data: never to be lost */
		fuse_reply_err(req, EIO);
		return true;
	}
	end = atomic_load(&inode_of(s, ino)->size);
	fuse_reply_write(req, at < end ? min_of(size, (size_t)(end - at)) : 0);
	return true;
}

bool copy_release(fuse_req_t req, const struct fuse_file_info *fi)
{
	if (!copy_is_takers(fi))
		return false;
	fuse_reply_err(req, 0);
	return true;
}

/*
 * Who opens a file for direct I/O while another has it mapped for writing loses
 * one of two stores to a page: a write(2) goes past the kernel's copy, which is
 * dirty, and is written over it later. Nobody says when a file is mapped, and who
 * opened it directly stays direct: so where the kernel keeps copies at all, every
 * open is through them, also when there are more of them than there is room for
 * (they are held back then, fs/copy_wait.c). A read that hits there costs no round
 * trip, and that of a write costs the same.
 */
void copy_choose(struct inode *inode, struct fuse_file_info *fi)
{
	struct session *s = inode->vol->session;

	fi->direct_io = inode->vol->cache == CACHE_USER;
	fi->parallel_direct_writes = fi->direct_io;
	/* Others have changed it behind our back: what the kernel has is old. */
	fi->keep_cache = !atomic_exchange(&inode->stale_copies, false);
	/* Its size, too, cuts what is read. A negative offset waits for none. */
	if (!fi->keep_cache)
		fuse_lowlevel_notify_inval_inode(s->se, inode_nodeid(inode), -1,
						 0);
	fi->noflush = 1;
}
