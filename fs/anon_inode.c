/*
 * anon_inode.c - how an inode comes and goes.
 *
 *   (1) An inode goes when it has no links, no kernel refs and no refs of
 *       ours. Who changes nlink has a ref meanwhile, so that the decision,
 *       made by the one who drops the last, sees the last value.
 *   (2) With nlink 0 no name leads to it, and none ever will again, unless it
 *       was made without one (unnamed).
 *   (3) Making one may wait and be refused; destroying one needs no memory.
 *   (4) Destroying all inodes of a volume may come across them in any order:
 *       a directory frees its names, and looks at no other inode.
 */
#include "fs/anon_inode.h"

#include "fs/anon_dir.h"
#include "mm/mm.h"

#include <errno.h>
#include <string.h>

enum { TARGET_MAX = KMALLOC_MAX - 1 }; /* PATH_MAX, less the NUL */

/* Room for one more in the volume's own limit. */
static bool count_up(struct anon_volume *av)
{
	if (atomic_fetch_add(&av->nr_inodes, 1) < av->max_inodes)
		return true;
	atomic_fetch_sub(&av->nr_inodes, 1);
	vmstat_inc(av->vol.mm, ENOSPC_INODES);
	return false;
}

static char *copy_target(struct mm *mm, const char *target, int *err)
{
	size_t len = strlen(target);
	char *copy;

	*err = -ENAMETOOLONG;
	if (len > TARGET_MAX)
		return NULL;
	*err = -ENOROOM;
	copy = anon_kmalloc(mm, len + 1);
	if (!copy)
		return NULL;
	memcpy(copy, target, len + 1);
	*err = 0;
	return copy;
}

static struct anon_inode *alloc(struct anon_volume *av)
{
	if (!anon_may_grow(av->vol.mm))
		return NULL;
	return kmem_cache_zalloc(&av->inode_cache, GFP_KERNEL | GFP_GROWTH);
}

/* What is of one type only. target: taken over. */
static void init_type(struct anon_inode *ai, const struct anon_inode_new *new,
		      char *target)
{
	struct mm *mm = ai->inode.vol->mm;

	if (S_ISDIR(new->mode)) {
		xa_init(&ai->dir.names, &mm->xa_nodes);
		ai->dir.next_cookie = ANON_DIR_FIRST;
		ai->dir.parent = ai;
	} else if (S_ISLNK(new->mode)) {
		ai->target = target;
	} else if (!S_ISREG(new->mode)) {
		ai->rdev = new->rdev;
	}
}

struct anon_inode *anon_inode_new(struct anon_volume *av,
				  const struct anon_inode_new *new, int *err)
{
	struct mm *mm = av->vol.mm;
	struct anon_inode *ai;
	char *target = NULL;

	if (S_ISLNK(new->mode)) {
		target = copy_target(mm, new->target, err);
		if (!target)
			return NULL;
	}
	*err = -ENOSPC;
	if (!count_up(av))
		goto out_target;
	*err = -ENOROOM;
	ai = alloc(av);
	if (!ai)
		goto out_count;
	inode_init(&ai->inode, &av->vol, new->mode &S_IFMT,
		   target ? strlen(target) : 0, &anon_aops, &av->group);
	ai->ino = atomic_fetch_add(&av->last_ino, 1) + 1;
	atomic_store(&ai->mode, new->mode);
	ai->uid = new->uid;
	ai->gid = new->gid;
	ai->atime = ai->mtime = os_realtime();
	ai->ctime = ai->mtime;
	atomic_store(&ai->atime_due, true);
	init_type(ai, new, target);
	*err = 0;
	return ai;

out_count:
	atomic_fetch_sub(&av->nr_inodes, 1);
out_target:
	kfree(mm, target);
	return NULL;
}

bool anon_inode_unused(struct inode *inode)
{
	return anon_inode_of(inode)->nlink == 0; /* (1) */
}

static void free_xattrs(struct anon_inode *ai)
{
	while (ai->xattrs) {
		struct anon_xattr *x = ai->xattrs;

		ai->xattrs = x->next;
		kfree(ai->inode.vol->mm, x);
	}
}

void anon_inode_destroy(struct inode *inode)
{
	struct anon_inode *ai = anon_inode_of(inode);
	struct anon_volume *av = anon_volume_of(inode->vol);

	anon_truncate(&inode->mapping, 0, UINT64_MAX);
	address_space_destroy(&inode->mapping);
	if (S_ISDIR(inode->type))
		anon_dir_drop_names(ai); /* (4) */
	else if (S_ISLNK(inode->type))
		kfree(inode->vol->mm, ai->target);
	free_xattrs(ai);
	kmem_cache_free(&av->inode_cache, ai);
	atomic_fetch_sub(&av->nr_inodes, 1);
}
