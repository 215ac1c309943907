/* volume.c - what every kind of volume begins and ends with. */
#include "fs/volume.h"

#include "fs/fs.h"
#include "fs/log.h"

#include <errno.h>
#include <string.h>

#define DRAIN_POLL_NS (20 * NSEC_PER_MSEC)

const char *cache_mode_name(enum cache_mode mode)
{
	static const char *const names[NR_CACHE_MODES] = {
		[CACHE_AUTO] = "auto",
		[CACHE_USER] = "user",
		[CACHE_KERNEL] = "kernel",
		[CACHE_WRITEBACK] = "writeback",
	};

	return names[mode];
}

void volume_init(struct volume *vol, const struct volume_ops *ops,
		 struct fs *fs)
{
	vol->ops = ops;
	vol->fs = fs;
	vol->mm = fs->mm;
	inode_table_init(&vol->inodes);
	mutex_init(&vol->opens_lock);
	list_init(&vol->open_files);
	list_init(&vol->open_dirs);
}

int volume_write_error(struct inode *inode)
{
	const struct volume_ops *ops = inode->vol->ops;

	return ops->write_error ? ops->write_error(inode) : 0;
}

/* The path of a file that could not be written, for people to read. */
static void name_lost(struct address_space *m, void *arg)
{
	struct inode *inode = container_of(m, struct inode, mapping);
	char path[PATH_MAX] = "";

	int err = volume_write_error(inode);

	(void)arg;
	if (inode->vol->ops->name_of)
		inode->vol->ops->name_of(inode, path, sizeof(path));
	log_line("not written back: %s (%lu KiB%s%s)", path,
		 (m->nr_dirty + m->nr_writeback) << (PAGE_SHIFT - 10),
		 err ? ", " : "", err ? strerror(-err) : "");
}

int volume_drain(struct volume *vol, unsigned int patience_s,
		 void (*progress)(struct volume *vol, uint64_t left))
{
	uint64_t least = UINT64_MAX, since = os_now_ns();

	atomic_store(&vol->hold_back, false);
	/* The flusher does it; we only watch, and so can give up. */
	while (dirty_list_busy(vol->mm, &vol->writeback)) {
		uint64_t left = dirty_list_bytes(vol->mm, &vol->writeback);
		uint64_t now = os_now_ns();

		if (left < least) {
			least = left;
			since = now;
		}
		if (now - since > patience_s * NSEC_PER_SEC) {
			dirty_list_for_each(vol->mm, &vol->writeback, name_lost,
					    NULL);
			return -EIO;
		}
		progress(vol, left);
		flusher_wake(vol->mm);
		writeback_wait_progress(vol->mm, DRAIN_POLL_NS);
	}
	progress(vol, 0);
	return 0;
}

/* What clients had open when they were cut off: no RELEASE will come. */
static void release_opens(struct volume *vol)
{
	while (!list_empty(&vol->open_files))
		open_file_release(list_first_entry(&vol->open_files,
						   struct open_file, link));
	while (!list_empty(&vol->open_dirs))
		vol->ops->dir_close(list_first_entry(&vol->open_dirs,
						     struct dir_stream, link));
}

void volume_close(struct volume *vol)
{
	release_opens(vol);
	if (vol->ops->stop)
		vol->ops->stop(vol);
	inode_drop_all(vol);
	ASSERT(vol->inodes.nr == 0);
	vol->ops->destroy(vol);
}
