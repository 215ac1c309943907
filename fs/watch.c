/* watch.c - one inotify descriptor for each volume that needs one. */
#include "fs/watch.h"

#include "fs/backing.h"
#include "fs/log.h"
#include "mm/vmstat.h"

#include <string.h>

void watches_init(struct watches *w, struct mm *mm)
{
	*w = (struct watches){ .mm = mm, .fd = -1 };
	mutex_init(&w->lock);
}

void watches_destroy(struct watches *w)
{
	if (w->fd >= 0)
		backing_close(w->fd);
}

static int try_add(struct watches *w, int path_fd) must_hold(w->lock)
{
	int fd;

	if (w->fd < 0) {
		fd = backing_watch_open();
		if (fd < 0)
			return fd;
		w->fd = fd;
	}
	return backing_watch(w->fd, path_fd);
}

int watch_add(struct watches *w, int path_fd, const char *where)
{
	int watch = try_add(w, path_fd);

	if (watch >= 0)
		return watch;
	vmstat_inc(w->mm, INODE_UNWATCHED);
	if (!w->said)
		log_line("%s: some files are known by their number only, which "
			 "others may have too: inotify: %s",
			 where, strerror(-watch));
	w->said = true;
	return 0;
}

void watch_remove(struct watches *w, int watch)
{
	if (watch > 0)
		backing_unwatch(w->fd, watch);
}
