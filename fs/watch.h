/*
 * watch.h - telling files apart where the file system gives no handle.
 *
 * There the kernel's own inode says what is one file and what is two: on
 * overlayfs hard links of a lower directory have one number, but each is a file
 * of its own once it is written to, and then has another number; links that are
 * ones stay one. inotify(7) names that inode: it gives the same watch for the
 * same one, whatever its name and number become. Nothing is ever watched for.
 *
 * A watch is good while the inode is: as long as something holds it, such as the
 * descriptor that a struct file_inode keeps.
 */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include "mm/lock.h"

struct mm;

/*
 * The lock is held from watch_add() until the inode with that watch is in the
 * table, and from when none of the table has it until watch_remove() is done.
 */
struct watches {
	struct mm *mm;
	struct mutex lock;
	int fd;	   /* of inotify, or -1: none yet (lock) */
	bool said; /* that some cannot be had (lock) */
};

void watches_init(struct watches *w, struct mm *mm);
void watches_destroy(struct watches *w);

/*
 * The watch of an O_PATH descriptor's inode, or 0: it cannot have one. That is
 * counted (inode_unwatched), and said the first time, with "where".
 */
int watch_add(struct watches *w, int path_fd, const char *where)
	must_hold(w->lock);
/* May be one that is gone. */
void watch_remove(struct watches *w, int watch) must_hold(w->lock);

#endif
