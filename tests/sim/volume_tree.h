/*
 * volume_tree.h - a tree of directories, symbolic links and empty files beside the
 * names of volume_world.h, and requests for it. For volume_tree_sim.c.
 */
#ifndef TESTS_SIM_VOLUME_TREE_H
#define TESTS_SIM_VOLUME_TREE_H

#include "tests/sim/volume_world.h"

#include "fs/attr.h"

enum { TREE_LIST_MAX = 32 };

/* With a kernel ref. */
struct tree_found {
	struct inode *inode;
	struct stat st;
};

struct tree_list {
	unsigned int nr;
	struct {
		char name[16];
		uint64_t ino;
		mode_t type;
	} names[TREE_LIST_MAX];
};

/* All return 0, or -errno; the attributes' also a count. */
int front_tree_lookup(struct client *c, struct inode *dir, const char *name,
		      struct tree_found *to);
int front_tree_make(struct client *c, struct inode *dir, const char *name,
		    mode_t mode, const char *target, struct tree_found *to);
int front_tree_link(struct client *c, struct inode *inode, struct inode *dir,
		    const char *name, struct tree_found *to);
int front_tree_remove(struct client *c, struct inode *dir, const char *name,
		      bool is_dir);
int front_tree_rename(struct client *c, struct inode *from, const char *name,
		      struct inode *to, const char *new_name,
		      unsigned int flags);
int front_tree_list(struct client *c, struct inode *dir, struct tree_list *to);
int front_tree_readlink(struct client *c, struct inode *inode, char *buf,
			size_t size);
int front_tree_setattr(struct client *c, struct inode *inode,
		       const struct attr_change *change, struct stat *st);
/* value NULL: remove it. */
int front_tree_setxattr(struct client *c, struct inode *inode, const char *name,
			const char *value, int flags);
/* name NULL: their names. */
ssize_t front_tree_getxattr(struct client *c, struct inode *inode,
			    const char *name, char *buf, size_t size);

#endif
