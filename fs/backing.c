/* backing.c - who a file is, and how it is opened again. */
#include "fs/backing.h"

#include "fs/file_volume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <xxhash.h>

void backing_identify(struct file_volume *fv, int path_fd,
		      const struct statx *st, struct backing_id *id)
{
	uint64_t dev = backing_dev(st);
	/* Of what is below SOURCE it is asked each time. */
	bool lasts = dev == fv->dev ? fv->handles_last
				    : backing_handles_last(path_fd);
	bool has_handle;

	*id = (struct backing_id){
		.dev = dev,
		.ino = st->stx_ino,
		.mount = S_ISDIR(st->stx_mode) ? st->stx_mnt_id : 0,
		.path_fd = -1,
	};
	has_handle = lasts && backing_get_handle(path_fd, id);
	/*
	 * A FUSE file system may have a node for each name: then the kernel's
	 * inodes and their handles tell links apart, that are one file.
	 */
	id->by_number = !lasts && !S_ISDIR(st->stx_mode) && st->stx_nlink > 1;
	/* It would be opened through the root: for the same mount only. */
	if (!has_handle || !fv->has_handles || st->stx_mnt_id != fv->mnt_id)
		id->path_fd = path_fd;
}

bool backing_id_equal(const struct backing_id *a, const struct backing_id *b)
{
	if (a->mount != b->mount || a->handle_bytes != b->handle_bytes)
		return false;
	/* Device and number of what is watched may change. */
	if (a->watch > 0 || b->watch > 0)
		return a->watch == b->watch;
	if (a->dev != b->dev)
		return false;
	if (a->handle_bytes == 0)
		return a->ino == b->ino;
	return a->handle_type == b->handle_type &&
	       memcmp(a->handle, b->handle, a->handle_bytes) == 0;
}

uint64_t backing_ino_hash(const struct backing_id *id)
{
	return XXH3_64bits_withSeed(&id->ino, sizeof(id->ino), id->dev);
}

uint64_t backing_id_hash(const struct backing_id *id)
{
	if (id->watch > 0)
		return XXH3_64bits(&id->watch, sizeof(id->watch));
	if (id->handle_bytes > 0)
		return XXH3_64bits_withSeed(id->handle, id->handle_bytes,
					    id->dev ^ id->mount << 32);
	return backing_ino_hash(id);
}

int backing_open(struct file_volume *fv, const struct backing_id *id, int flags)
{
	if (id->path_fd < 0)
		return backing_open_handle(fv->root_fd, id, flags);
	if (flags & O_PATH)
		return id->path_fd;
	return backing_reopen(id->path_fd, flags);
}

/* O_NOATIME is for the owner and for root; do without it otherwise. */
static int open_noatime(struct file_volume *fv, const struct backing_id *id,
			int flags)
{
	int fd = backing_open(fv, id, flags | O_NOATIME);

	return fd == -EPERM ? backing_open(fv, id, flags) : fd;
}

/* May it still be opened for reading? */
static bool is_refusal(int err)
{
	return err == -EACCES || err == -EPERM || err == -EROFS ||
	       err == -ETXTBSY;
}

int backing_open_data(struct file_volume *fv, const struct backing_id *id,
		      struct backing_fds *fds)
{
	int mode = fv->vol.read_only ? O_RDONLY : O_RDWR;

	*fds = BACKING_FDS_NONE;
	fds->refused = -EROFS;
	fds->buffered = open_noatime(fv, id, mode | O_NONBLOCK);
	if (mode == O_RDWR && is_refusal(fds->buffered)) {
		mode = O_RDONLY;
		fds->refused = fds->buffered;
		fds->buffered = open_noatime(fv, id, mode | O_NONBLOCK);
	}
	if (fds->buffered < 0)
		return fds->buffered;
	backing_advise_random(fds->buffered);
	fds->writable = mode == O_RDWR;
	if (fv->has_direct)
		fds->direct = open_noatime(fv, id, mode | O_DIRECT);
	if (fds->direct < 0)
		fds->direct = -1;
	vmstat_add(fv->vol.mm, NR_BACKING_FDS, fds->direct < 0 ? 1 : 2);
	return 0;
}

int backing_open_append(struct file_volume *fv, const struct backing_id *id,
			struct backing_fds *fds)
{
	int fd = open_noatime(fv, id, O_WRONLY | O_APPEND | O_NONBLOCK);

	if (fd < 0)
		return fd;
	fds->append = fd;
	vmstat_inc(fv->vol.mm, NR_BACKING_FDS);
	return 0;
}

static void close_data(struct file_volume *fv, int fd)
{
	if (fd < 0)
		return;
	backing_close(fd);
	vmstat_dec(fv->vol.mm, NR_BACKING_FDS);
}

void backing_close_data(struct file_volume *fv, struct backing_fds *fds)
{
	/* What was appended the host has cached. */
	if (fds->append >= 0)
		backing_drop_cache(fds->append);
	close_data(fv, fds->direct);
	close_data(fv, fds->append);
	close_data(fv, fds->buffered);
	*fds = BACKING_FDS_NONE;
}
