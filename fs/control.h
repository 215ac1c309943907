/*
 * control.h - the directory .plimsoll of a mount.
 *
 * Its nodes are numbers below CONTROL_END, which no inode's address is. Their
 * contents are made when they are opened, into buffers that were there before:
 * they answer when the budget is full.
 */
#ifndef FS_CONTROL_H
#define FS_CONTROL_H

#include "fs/text.h"

#include <sys/stat.h>

struct volume;
struct control;

#define CONTROL_NAME  ".plimsoll"
#define CONTROL_FIRST 2 /* the directory itself; 1 is the root */
#define CONTROL_END   4096

static inline bool control_has(uint64_t nodeid)
{
	return nodeid >= CONTROL_FIRST && nodeid < CONTROL_END;
}

/* NULL if there is no memory. */
struct control *control_create(struct volume *vol);
void control_destroy(struct control *c);

/* The node of a name in a directory node, or 0. */
uint64_t control_lookup(const struct control *c, uint64_t dir,
			const char *name);
/* 0 or -ENOENT. */
int control_getattr(const struct control *c, uint64_t node, struct stat *st);
/* The n-th name of a directory node and its node, or NULL. */
const char *control_entry(const struct control *c, uint64_t dir, unsigned int n,
			  uint64_t *node);

/*
 * Make the contents of a file. Returns a handle, or -EMFILE if too many are
 * open, -EACCES if it cannot be opened like that, -EISDIR.
 */
int control_open(struct control *c, uint64_t node, bool for_writing);
void control_release(struct control *c, int handle);
/* Up to size bytes at offset; returns how many, and where they are. */
size_t control_read(struct control *c, int handle, uint64_t offset, size_t size,
		    const char **data);
/* They are copied, and the answer may go. Nobody releases a handle before. */
void control_read_end(struct control *c, int handle);
/* May writing to it wait, for a disk, say? Then it is for workers only. */
bool control_waits(const struct control *c, uint64_t node);
/* 0 or -errno: -EINVAL if that is no value for it. */
int control_write(struct control *c, uint64_t node, const char *data,
		  size_t size);

#endif
