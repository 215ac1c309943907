/* volume.c - open, sync, drain, close. */
#include "fs/volume.h"

#include "fs/control.h"
#include "fs/dir.h"
#include "fs/file.h"
#include "fs/fs.h"
#include "fs/log.h"
#include "mm/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DRAIN_POLL_NS (20 * NSEC_PER_MSEC)

static unsigned long count_idle(struct shrinker *s)
{
	struct volume *vol = container_of(s, struct volume, shrinker);

	return vol->inodes.nr;
}

static unsigned long scan_idle(struct shrinker *s, unsigned long nr)
{
	struct volume *vol = container_of(s, struct volume, shrinker);
	unsigned long evicted = inode_evict_idle(vol, nr);

	/* The rest the kernel holds: asked back, and freed when it forgets. */
	if (evicted < nr && vol->prune)
		vol->prune(vol, nr - evicted);
	return evicted;
}

static int open_root(struct volume *vol)
{
	struct statx st;
	int err, fd = openat(vol->root_fd, ".", O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_MNT_ID,
		  &st) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	vol->mnt_id = st.stx_mnt_id;
	vol->root = inode_get(vol, fd, &st, true, &err);
	return vol->root ? 0 : err;
}

int volume_open(struct volume *vol, struct fs *fs, int root_fd)
{
	int err;

	vol->fs = fs;
	vol->mm = fs->mm;
	vol->root_fd = root_fd;
	space_init(&vol->space);
	mutex_init(&vol->opens_lock);
	list_init(&vol->open_files);
	list_init(&vol->open_dirs);
	backing_probe(vol);
	err = inode_table_init(vol);
	if (err)
		return err;
	err = open_root(vol);
	if (err) {
		inode_table_destroy(vol);
		return err;
	}
	vol->shrinker = (struct shrinker){ .name = "inodes",
					   .count = count_idle,
					   .scan = scan_idle };
	shrinker_register(vol->mm, &vol->shrinker);
	return 0;
}

int volume_sync(struct volume *vol)
{
	int err = writeback_sync(vol->mm, vol);

	if (!err && syncfs(vol->root_fd) < 0)
		err = -errno;
	return err;
}

/* The path of a file that could not be written, for people to read. */
static void name_lost(struct address_space *m, void *arg)
{
	struct inode *inode = container_of(m, struct inode, mapping);
	char link[32], path[PATH_MAX];
	ssize_t n;

	(void)arg;
	n = readlink(backing_fd_path(inode->fds.buffered, link), path,
		     sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	log_line("not written back: %s", path);
}

int volume_drain(struct volume *vol, unsigned int patience_s,
		 void (*progress)(struct volume *vol, uint64_t left))
{
	uint64_t least = UINT64_MAX, since = os_now_ns();

	/* The flusher does it; we only watch, and so can give up. */
	while (writeback_busy(vol->mm, vol)) {
		uint64_t left = writeback_bytes(vol->mm, vol);
		uint64_t now = os_now_ns();

		if (left < least) {
			least = left;
			since = now;
		}
		if (now - since > patience_s * NSEC_PER_SEC) {
			writeback_for_each(vol->mm, vol, name_lost, NULL);
			return -EIO;
		}
		progress(vol, left);
		writeback_wake(vol->mm);
		writeback_wait_progress(vol->mm, DRAIN_POLL_NS);
	}
	progress(vol, 0);
	return 0;
}

/* What clients had open when they were cut off: no RELEASE will come. */
static void release_opens(struct volume *vol)
{
	while (!list_empty(&vol->open_files))
		file_release(list_first_entry(&vol->open_files,
					      struct open_file, link));
	while (!list_empty(&vol->open_dirs))
		dir_close(list_first_entry(&vol->open_dirs, struct dir_stream,
					   link));
}

void volume_close(struct volume *vol)
{
	release_opens(vol);
	shrinker_unregister(vol->mm, &vol->shrinker);
	inode_drop_all(vol);
	inode_table_destroy(vol);
	close(vol->root_fd);
}
