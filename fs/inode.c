/*
 * inode.c - who holds an inode, and how one goes away.
 *
 *   (1) An inode is on one list of the table from inode_add() until nobody can
 *       find it any more, on graves at most after that; all who look for it
 *       hold the table's lock.
 *   (2) refs and nlookup reach 0 only with that lock held; then its kind says
 *       whether it goes (volume_ops.inode_unused) or stays on the idle list.
 *   (3) An inode with pages on the dirty list has a ref: mapping->ops->hold.
 */
#include "fs/inode.h"

#include "fs/fs.h"

void inode_table_init(struct inode_table *t)
{
	*t = (struct inode_table){ .nr = 0 };
	mutex_init(&t->lock);
	list_init(&t->idle);
	list_init(&t->held);
	list_init(&t->graves);
}

void inode_init(struct inode *inode, struct volume *vol, mode_t type,
		uint64_t size, const struct address_space_ops *aops,
		const void *group)
{
	inode->vol = vol;
	inode->type = type;
	inode->idle = inode->slow_destroy = false;
	inode->nlookup = 0;
	atomic_store(&inode->refs, 0);
	rwlock_init(&inode->io_lock);
	mutex_init(&inode->time_lock);
	atomic_store(&inode->size, size);
	atomic_store(&inode->stale_copies, false);
	inode_copies_init(&inode->copies, inode);
	address_space_init(&inode->mapping, vol->mm, aops, group);
}

void inode_add(struct inode_table *t, struct inode *inode, bool lookup)
{
	ASSERT(!inode->idle);
	atomic_fetch_add(&inode->refs, 1);
	inode->nlookup += lookup;
	list_add_tail(&t->held, &inode->link);
	t->nr++;
	vmstat_inc(inode->vol->mm, NR_INODES);
}

/* Take part in what is known already: refs (2). */
void inode_join(struct inode_table *t, struct inode *inode, bool lookup)
{
	if (inode->idle) {
		inode->idle = false;
		t->nr_idle--;
	}
	atomic_fetch_add(&inode->refs, 1);
	inode->nlookup += lookup;
	list_move_tail(&t->held, &inode->link);
}

void inode_ref(struct inode *inode)
{
	struct inode_table *t = &inode->vol->inodes;
	uint32_t old = atomic_load(&inode->refs);

	while (old > 0)
		if (atomic_compare_exchange_weak(&inode->refs, &old, old + 1))
			return;
	mutex_lock(&t->lock); /* the caller has a kernel ref (2) */
	atomic_fetch_add(&inode->refs, 1);
	mutex_unlock(&t->lock);
}

/* Nobody holds it any more. True: it is out of the table, to be destroyed. */
static bool retire(struct inode_table *t, struct inode *inode)
	must_hold(t->lock)
{
	bool gone = inode->vol->ops->inode_unused(inode);

	if (gone) {
		list_del(&inode->link);
		t->nr--;
	} else if (!inode->idle) {
		inode->idle = true;
		t->nr_idle++;
		list_move_tail(&t->idle, &inode->link);
	}
	return gone;
}

static void finish(struct inode *inode)
{
	struct volume *vol = inode->vol;

	kernel_copies_forget(&vol->fs->copies, inode);
	vol->ops->inode_destroy(inode);
	vmstat_dec(vol->mm, NR_INODES);
}

/* One ref less, unless it is the last, which takes the lock. */
static bool put_unless_last(struct inode *inode)
{
	uint32_t old = atomic_load(&inode->refs);

	while (old > 1)
		if (atomic_compare_exchange_weak(&inode->refs, &old, old - 1))
			return true;
	return false;
}

/* Perhaps the last one. True: it is out of the table, to be destroyed. */
static bool put_locked(struct inode_table *t, struct inode *inode)
	must_hold(t->lock)
{
	return atomic_fetch_sub(&inode->refs, 1) == 1 && inode->nlookup == 0 &&
	       retire(t, inode);
}

void inode_put(struct inode *inode)
{
	struct inode_table *t = &inode->vol->inodes;
	bool gone;

	if (put_unless_last(inode))
		return;
	mutex_lock(&t->lock);
	gone = put_locked(t, inode);
	mutex_unlock(&t->lock);
	if (gone)
		finish(inode);
}

/* To be destroyed by somebody who may block; the caller calls vol->prune. */
static void leave_to_others(struct inode_table *t, struct inode *inode)
	must_hold(t->lock)
{
	list_add(&t->graves, &inode->link);
	vmstat_inc(inode->vol->mm, NR_INODES_DYING); /* writers wait for it */
}

void inode_put_later(struct inode *inode)
{
	struct inode_table *t = &inode->vol->inodes;
	struct volume *vol = inode->vol;
	bool gone;

	if (put_unless_last(inode))
		return;
	mutex_lock(&t->lock);
	gone = put_locked(t, inode);
	if (gone)
		leave_to_others(t, inode);
	mutex_unlock(&t->lock);
	if (gone && vol->prune)
		vol->prune(vol, 0);
}

void inode_forget(struct inode *inode, uint64_t n)
{
	struct inode_table *t = &inode->vol->inodes;
	struct volume *vol = inode->vol;
	bool gone = false, later = false;

	vmstat_inc(vol->mm, INODE_FORGOTTEN);
	mutex_lock(&t->lock);
	ASSERT(inode->nlookup >= n);
	inode->nlookup -= n;
	if (inode->nlookup == 0)
		kernel_copies_forget(&vol->fs->copies, inode);
	if (inode->nlookup == 0 && atomic_load(&inode->refs) == 0)
		gone = retire(t, inode);
	/* What may take time is not for the thread that receives. */
	if (gone &&
	    (inode->slow_destroy || !address_space_is_empty(&inode->mapping))) {
		leave_to_others(t, inode);
		gone = false;
		later = true;
	}
	mutex_unlock(&t->lock);
	if (gone)
		finish(inode);
	if (later && vol->prune)
		vol->prune(vol, 0); /* it calls inode_tidy() */
}

void inode_tidy(struct volume *vol)
{
	struct inode_table *t = &vol->inodes;

	if (vol->ops->tidy)
		vol->ops->tidy(vol);
	mutex_lock(&t->lock);
	while (!list_empty(&t->graves)) {
		struct inode *inode =
			list_first_entry(&t->graves, struct inode, link);

		list_del(&inode->link);
		mutex_unlock(&t->lock);
		finish(inode);
		vmstat_dec(vol->mm, NR_INODES_DYING);
		mutex_lock(&t->lock);
	}
	mutex_unlock(&t->lock);
}

unsigned int inode_oldest_held(struct volume *vol, uint64_t *nodeids,
			       unsigned int max)
{
	struct inode_table *t = &vol->inodes;
	unsigned int nr = 0;

	mutex_lock(&t->lock);
	for (unsigned long left = t->nr - t->nr_idle; left > 0 && nr < max;
	     left--) {
		struct inode *inode =
			list_first_entry(&t->held, struct inode, link);

		list_move_tail(&t->held, &inode->link);
		if (inode->nlookup > 0 && atomic_load(&inode->refs) == 0 &&
		    inode != vol->root)
			nodeids[nr++] = inode_nodeid(inode);
	}
	mutex_unlock(&t->lock);
	return nr;
}

static struct inode *first_of(struct inode_table *t) must_hold(t->lock)
{
	if (!list_empty(&t->held))
		return list_first_entry(&t->held, struct inode, link);
	if (!list_empty(&t->idle))
		return list_first_entry(&t->idle, struct inode, link);
	return NULL;
}

void inode_drop_all(struct volume *vol)
{
	struct inode_table *t = &vol->inodes;
	struct inode *inode;

	inode_tidy(vol);
	mutex_lock(&t->lock);
	while ((inode = first_of(t))) {
		list_del(&inode->link);
		t->nr--;
		mutex_unlock(&t->lock);
		finish(inode);
		mutex_lock(&t->lock);
	}
	mutex_unlock(&t->lock);
}
