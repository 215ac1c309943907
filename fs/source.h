/*
 * source.h - who has a SOURCE: the lock, and what others are told.
 *
 * A process holds flock(2) on each of its SOURCEs until their last page is
 * written, which is after umount(2) has returned. A file in the run directory
 * says what the holder is doing, for the next mount, and for plimsollctl.
 */
#ifndef FS_SOURCE_H
#define FS_SOURCE_H

#include "mm/types.h"

#include <limits.h>

struct volume;

/* One pair of operands, resolved and opened. */
struct source {
	char path[PATH_MAX];	   /* of the SOURCE, resolved */
	char mountpoint[PATH_MAX]; /* resolved */
	bool anon;		   /* the word: there is nothing to lock */
	int fd;			   /* of the SOURCE, locked; -1: anon */
	int bare_fd;		   /* without what is mounted below; or -1 */
	bool read_only;		   /* the file system is */
	char state[PATH_MAX];	   /* the run file; "": none */
};

/*
 * Resolve a pair of operands and look whether it can be served at all: print
 * one line and return false if one is missing or no directory, or in the way
 * of a plimsoll that runs.
 */
bool source_resolve(struct source *s, const char *path, const char *mountpoint);
/*
 * Open and lock it. Prints one line and returns false if it cannot be read, or
 * written, or is served by another. Waits for one that is still writing back.
 */
bool source_open(struct source *s, bool read_only);
/*
 * Have bare_fd: the same directory on a mount that nobody else sees. Prints one
 * line and returns false if that may not be done.
 */
bool source_leave_mounts(struct source *s);
/* Does a overlap b, or would one see the other's mount? Prints a line. */
bool source_conflicts(const struct source *a, const struct source *b);
/*
 * A file of ours, existing or to be made: is it out of the way of this source
 * and its mount point, and of every other plimsoll's? Prints a line if not.
 */
bool source_allows_file(const struct source *s, const char *path);
/* Unlock; the run file goes, unless it has bad news. */
void source_close(struct source *s, bool lost);

/* Publish: serving, or draining with so many bytes left. */
void source_serving(const struct source *s);
void source_draining(const struct source *s, uint64_t left);

#endif
