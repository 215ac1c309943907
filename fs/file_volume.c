/* file_volume.c - open, describe, sync, close; and the table of the kind. */
#include "fs/file_volume.h"

#include "fs/file.h"
#include "fs/file_append.h"
#include "fs/file_attr.h"
#include "fs/file_dir.h"
#include "fs/fs.h"
#include "fs/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static unsigned long count_idle(struct shrinker *s)
{
	struct file_volume *fv = container_of(s, struct file_volume, shrinker);

	return fv->vol.inodes.nr;
}

static unsigned long scan_idle(struct shrinker *s, unsigned long nr)
{
	struct file_volume *fv = container_of(s, struct file_volume, shrinker);
	unsigned long evicted = file_inode_evict_idle(fv, nr);

	/* The rest the kernel holds: asked back, and freed when it forgets. */
	if (evicted < nr && fv->vol.prune)
		fv->vol.prune(&fv->vol, nr - evicted);
	return evicted;
}

static int open_root(struct file_volume *fv)
{
	struct file_inode *root;
	struct statx st;
	int err, fd = backing_open_name(fv->root_fd, ".");

	if (fd < 0)
		return fd;
	err = backing_statx(fd, &st);
	if (err) {
		backing_close(fd);
		return err;
	}
	fv->mnt_id = st.stx_mnt_id;
	fv->dev = backing_dev(&st);
	root = file_inode_get(fv, fd, &st, true, &err);
	if (!root)
		return err;
	fv->vol.root = &root->inode;
	return 0;
}

static int init(struct file_volume *fv)
{
	struct mm *mm = fv->vol.mm;
	int err;

	mutex_init(&fv->left_lock);
	list_init(&fv->left);
	other_fs_init(&fv->others);
	watches_init(&fv->watches, mm);
	crash_init(&fv->crash);
	backing_probe(fv);
	err = kmem_cache_init(mm, &fv->dir_streams, "dir_stream",
			      sizeof(struct file_dir_stream), false);
	if (err)
		goto out_watches;
	err = file_inode_hash_init(fv);
	if (err)
		goto out_streams;
	err = disk_watch_start(fv);
	if (err)
		goto out_hash;
	err = open_root(fv);
	if (err)
		goto out_watch;
	fv->shrinker = (struct shrinker){ .name = "inodes",
					  .count = count_idle,
					  .scan = scan_idle };
	shrinker_register(mm, &fv->shrinker);
	return 0;

out_watch:
	disk_watch_stop(fv);
out_hash:
	file_inode_hash_destroy(fv);
out_streams:
	kmem_cache_destroy(&fv->dir_streams);
out_watches:
	watches_destroy(&fv->watches);
	return err;
}

/* Of SOURCE's own file system. */
static struct space *own_space(struct file_volume *fv)
{
	return file_inode(fv->vol.root)->space;
}

static int file_statfs(struct volume *vol, struct statvfs *st)
{
	struct file_volume *fv = file_volume(vol);
	uint64_t blocks;
	int err = backing_statfs(fv->root_fd, st);

	if (err)
		return err;
	/* What is dirty is as good as written. */
	blocks = space_reserved(own_space(fv)) / st->f_frsize;
	st->f_bfree -= min_of((uint64_t)st->f_bfree, blocks);
	st->f_bavail -= min_of((uint64_t)st->f_bavail, blocks);
	return 0;
}

static int file_sync(struct volume *vol)
{
	struct file_volume *fv = file_volume(vol);
	int err;

	atomic_fetch_add(&fv->crash.nr_syncs, 1);
	err = dirty_list_sync(vol->mm, &vol->writeback);
	atomic_fetch_sub(&fv->crash.nr_syncs, 1);
	crash_sync_all_begins(fv);
	if (!err)
		err = backing_syncfs(fv->root_fd);
	if (!err)
		err = other_fs_sync_all(fv);
	if (!err)
		crash_all_synced(fv);
	return err;
}

static uint64_t file_balance(struct volume *vol, unsigned long nr)
{
	return balance_dirty_pages(&vol->writeback, nr);
}

static bool file_must_wait(struct volume *vol)
{
	return dirty_limit_reached(&vol->writeback);
}

static void file_describe(struct volume *vol, struct text *t)
{
	struct file_volume *fv = file_volume(vol);

	text_printf(t, "handles %s\n", fv->has_handles ? "yes" : "no");
	text_printf(t, "direct_io %s\n", fv->has_direct ? "yes" : "no");
	text_printf(t, "reserved_bytes %lu\n",
		    (unsigned long)space_reserved(own_space(fv)));
	text_printf(t, "room %s\n",
		    atomic_load(&own_space(fv)->blocks_first) ? "allocated"
							      : "counted");
}

static void file_introduce(struct volume *vol, struct text *t)
{
	struct file_volume *fv = file_volume(vol);

	text_printf(t, "files found again by %s, %s",
		    fv->has_handles ? "handle" : "descriptor",
		    fv->has_direct ? "O_DIRECT"
				   : "buffered I/O with pages dropped behind");
}

static void file_name_of(struct inode *inode, char *path, size_t size)
{
	backing_name_of(file_inode(inode)->fds.buffered, path, size);
}

static void file_stop(struct volume *vol)
{
	shrinker_unregister(vol->mm, &file_volume(vol)->shrinker);
	file_reads_drain(file_volume(vol));
	disk_watch_stop(file_volume(vol));
	crash_forget_all(file_volume(vol));
}

static void file_destroy(struct volume *vol)
{
	struct file_volume *fv = file_volume(vol);

	file_inode_hash_destroy(fv);
	kmem_cache_destroy(&fv->dir_streams);
	watches_destroy(&fv->watches);
	backing_close(fv->root_fd);
	writeback_group_destroy(&vol->writeback);
	free(fv);
}

static const struct volume_ops file_volume_ops = {
	.kind = "file",
	.lookup = file_dir_lookup,
	.make = file_dir_make,
	.link = file_dir_link,
	.unlink = file_dir_unlink,
	.rename = file_dir_rename,
	.readlink = file_dir_readlink,
	.dir_open = file_dir_open,
	.dir_close = file_dir_close,
	.dir_read = file_dir_read,
	.dir_sync = file_dir_sync,
	.getattr = file_inode_getattr,
	.setattr = file_setattr,
	.privs = file_privs,
	.drop_privs = file_drop_privs,
	.getxattr = file_getxattr,
	.listxattr = file_listxattr,
	.setxattr = file_setxattr,
	.removexattr = file_removexattr,
	.open = file_open,
	.release = file_release,
	.truncate = file_truncate,
	.fallocate = file_fallocate,
	.seek = file_seek,
	.fsync = file_fsync,
	.read_page = file_read_page,
	.fill_page = file_fill_page,
	.prepare_page = file_prepare_page,
	.page_written = file_page_written,
	.make_room = file_make_room,
	.write_around = file_write_around,
	.is_append_only = file_is_append_only,
	.append = file_append,
	.balance = file_balance,
	.must_wait = file_must_wait,
	.inode_unused = file_inode_unused,
	.inode_destroy = file_inode_destroy,
	.tidy = file_tidy,
	.statfs = file_statfs,
	.sync = file_sync,
	.describe = file_describe,
	.crash_get = crash_get,
	.crash_set = crash_set,
	.introduce = file_introduce,
	.name_of = file_name_of,
	.write_error = unwritten_error,
	.stop = file_stop,
	.destroy = file_destroy,
};

struct volume *file_volume_open(struct fs *fs, int root_fd, int access,
				int *err)
{
	struct file_volume *fv = calloc(1, sizeof(*fv));

	*err = -ENOMEM;
	if (!fv)
		goto out_fd;
	volume_init(&fv->vol, &file_volume_ops, fs);
	fv->root_fd = root_fd;
	fv->vol.read_only = access == O_RDONLY;
	fv->vol.acl = true; /* if the backing file system has them */
	*err = writeback_group_init(&fv->vol.writeback, fs->mm);
	if (*err)
		goto out_free;
	*err = init(fv);
	if (*err)
		goto out_group;
	return &fv->vol;

out_group:
	writeback_group_destroy(&fv->vol.writeback);
out_free:
	free(fv);
out_fd:
	backing_close(root_fd);
	return NULL;
}
