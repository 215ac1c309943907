/*
 * other_fs.h - the file systems that are mounted below SOURCE: a sync of the
 * volume has to reach them too.
 *
 * Each mount is one, and known while an inode is that was found on it. When the
 * last one goes, it is synced: what was done there before is safe then, and
 * nothing keeps it mounted.
 */
#ifndef FS_OTHER_FS_H
#define FS_OTHER_FS_H

#include "mm/list.h"
#include "mm/lock.h"

#include <sys/stat.h>

struct file_volume;
struct other_fs;

struct other_fs_list {
	struct mutex lock;
	struct list_head list; /* (lock) */
};

void other_fs_init(struct other_fs_list *l);

/*
 * The one that a file lies on, with a ref; NULL if a sync of SOURCE's own reaches
 * it. *err = -ENOMEM or 0. Opens the file for a moment, if it is the first.
 */
struct other_fs *other_fs_get(struct file_volume *fv, int path_fd,
			      const struct statx *st, int *err);
/* May wait for a disk. */
void other_fs_put(struct file_volume *fv, struct other_fs *o);

/* What was written to any of them before is safe: 0, or the first -errno. */
int other_fs_sync_all(struct file_volume *fv);

#endif
