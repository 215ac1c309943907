/*
 * crash.c - drop, cut, and tell the kernel.
 *
 *   (1) An inode is in "grown", with a ref, from the moment its backing file
 *       becomes longer than what was synced until it is synced, cut, or the
 *       volume is disarmed; durable_size is what it is to have after a crash.
 *       A sync makes durable what the file had when it began (sync_size): what
 *       grows after that is kept in the list.
 *   (2) A file is dropped with its io_lock held alone and writeback frozen:
 *       what a sync that began earlier has to end it ends before, and the answer
 *       to it is right; what comes while the volume crashes is lost.
 *   (3) While the kernel is made to let go of its copies no lock is held: it
 *       waits for reads that are under way, and hands over what was dirtied
 *       through mappings, which is dropped where it arrives (fs/fuse_file.c).
 *   (4) Which inodes were done is told by crash_pass, guarded by the table's
 *       lock. What becomes known meanwhile has nothing to lose.
 */
#include "fs/crash.h"

#include "fs/file.h"
#include "fs/file_volume.h"
#include "fs/log.h"
#include "mm/fault.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>

enum { SECTOR = 512, PAGE_SECTORS = PAGE_SIZE / SECTOR };

void crash_init(struct crash *c)
{
	*c = (struct crash){ .seed = 1 };
	mutex_init(&c->lock);
	list_init(&c->grown);
}

const char *crash_field_name(enum crash_field field)
{
	static const char *const names[NR_CRASH_FIELDS] = {
		[CRASH_FIELD_ARMED] = "armed",
		[CRASH_FIELD_TORN] = "torn",
		[CRASH_FIELD_SEED] = "seed",
		[CRASH_FIELD_NOW] = "now",
		[CRASH_FIELD_DROPPED] = "dropped",
		[CRASH_FIELD_PARTS] = "parts",
		[CRASH_FIELD_EARLY] = "early",
	};

	return names[field];
}

/* --- what is remembered while armed ---------------------------------------- */

static bool is_armed(const struct file_volume *fv)
{
	return atomic_load(&fv->vol.hold_back);
}

void crash_note_growth(struct file_inode *fi)
{
	struct file_volume *fv = file_volume_of(fi);
	struct crash *c = &fv->crash;
	bool noted;

	if (!is_armed(fv))
		return;
	inode_ref(&fi->inode); /* (1) */
	mutex_lock(&c->lock);
	/* Looked at again: arm() forgets all with the lock held. */
	noted = fi->grown || !is_armed(fv);
	fi->grown_since = true;
	if (!noted) {
		fi->grown = true;
		fi->durable_size = atomic_load(&fi->backing_size);
		fi->sync_size = 0;
		list_add_tail(&c->grown, &fi->grown_link);
	}
	mutex_unlock(&c->lock);
	if (noted)
		inode_put(&fi->inode);
}

void crash_note_cut(struct file_inode *fi, uint64_t size)
{
	struct crash *c = &file_volume_of(fi)->crash;

	mutex_lock(&c->lock);
	if (fi->grown) {
		fi->durable_size = min_of(fi->durable_size, size);
		fi->sync_size = min_of(fi->sync_size, size);
	}
	mutex_unlock(&c->lock);
}

void crash_note_write(struct file_inode *fi, unsigned int nr)
{
	struct file_volume *fv = file_volume_of(fi);
	struct crash *c = &fv->crash;

	if (!is_armed(fv) || atomic_load(&fi->nr_syncs) > 0 ||
	    atomic_load(&c->nr_syncs) > 0)
		return;
	if (atomic_fetch_add(&c->nr_early, nr) == 0)
		log_line("%s: armed for a crash, but pages are written back "
			 "before they are synced, for want of room or for "
			 "fallocate, lseek: a crash will not take back all of "
			 "them",
			 fv->vol.source);
	vmstat_add(fv->vol.mm, CRASH_EARLY, nr);
}

static bool forget_growth(const struct crash *c, struct file_inode *fi)
	must_hold(c->lock)
{
	bool was = fi->grown;

	(void)c; /* for its lock */
	if (was)
		list_del_init(&fi->grown_link);
	fi->grown = false;
	return was;
}

static void forget(struct file_inode *fi)
{
	struct crash *c = &file_volume_of(fi)->crash;
	bool was;

	mutex_lock(&c->lock);
	was = forget_growth(c, fi);
	mutex_unlock(&c->lock);
	if (was)
		inode_put(&fi->inode);
}

void crash_forget_all(struct file_volume *fv)
{
	struct crash *c = &fv->crash;
	struct file_inode *fi;

	mutex_lock(&c->lock);
	while (!list_empty(&c->grown)) {
		fi = list_first_entry(&c->grown, struct file_inode, grown_link);
		forget_growth(c, fi);
		mutex_unlock(&c->lock);
		inode_put(&fi->inode);
		mutex_lock(&c->lock);
	}
	mutex_unlock(&c->lock);
}

/* --- syncs ------------------------------------------------------------------- */

/* Of two at a time the later one is gone by: it has seen more, or a cut. */
static void sync_begins(const struct crash *c, struct file_inode *fi)
	must_hold(c->lock)
{
	(void)c; /* for its lock */
	fi->grown_since = false;
	fi->sync_size = atomic_load(&fi->backing_size);
}

void crash_sync_begins(struct file_inode *fi)
{
	struct crash *c = &file_volume_of(fi)->crash;

	if (!is_armed(file_volume_of(fi)))
		return;
	mutex_lock(&c->lock);
	if (fi->grown)
		sync_begins(c, fi);
	mutex_unlock(&c->lock);
}

void crash_sync_all_begins(struct file_volume *fv)
{
	struct crash *c = &fv->crash;
	struct file_inode *fi;

	mutex_lock(&c->lock);
	list_for_each_entry(fi, &c->grown, struct file_inode, grown_link)
		sync_begins(c, fi);
	mutex_unlock(&c->lock);
}

/* Returns whether it was forgotten: then its ref is the caller's. */
static bool sync_ended(const struct crash *c, struct file_inode *fi)
	must_hold(c->lock)
{
	if (!fi->grown)
		return false;
	fi->durable_size = max_of(fi->durable_size, fi->sync_size);
	/* Longer: by what had been noted before, and came after it began. */
	return !fi->grown_since &&
	       atomic_load(&fi->backing_size) <= fi->durable_size &&
	       forget_growth(c, fi);
}

void crash_synced(struct file_inode *fi)
{
	struct crash *c = &file_volume_of(fi)->crash;
	bool was;

	mutex_lock(&c->lock);
	was = sync_ended(c, fi);
	mutex_unlock(&c->lock);
	if (was)
		inode_put(&fi->inode);
}

/* The first of the volume that is to be forgotten, with its ref, or NULL. */
static struct file_inode *next_synced(struct crash *c)
{
	struct file_inode *fi, *found = NULL;

	mutex_lock(&c->lock);
	list_for_each_entry(fi, &c->grown, struct file_inode, grown_link)
		if (sync_ended(c, fi)) {
			found = fi;
			break;
		}
	mutex_unlock(&c->lock);
	return found;
}

void crash_all_synced(struct file_volume *fv)
{
	struct file_inode *fi;

	while ((fi = next_synced(&fv->crash)))
		inode_put(&fi->inode);
}

/* --- torn pages ---------------------------------------------------------------- */

/* Which sectors of a page were written: none, all, a half, or any. */
static unsigned int draw_sectors(uint64_t *state)
{
	uint64_t random = fault_random(state);

	switch (random % 4) {
	case 0:
		return 0;
	case 1:
		return 0xff;
	case 2:
		return random & 4 ? 0x0f : 0xf0;
	default:
		return (unsigned int)(random >> 8) & 0xff;
	}
}

static void write_sector(struct file_inode *fi, struct page *page,
			 unsigned int sector, uint64_t size)
{
	struct mm *mm = fi->inode.vol->mm;
	uint64_t at = (page->index << PAGE_SHIFT) + (uint64_t)sector * SECTOR;
	const char *from = page_address(&mm->arena, page);

	if (at < size) /* that it fails is as good */
		file_write_buffered(
			fi, at, from + sector * SECTOR,
			min_of((size_t)SECTOR, (size_t)(size - at)));
}

/*
 * What a disk may have got hold of: the new size or not, and any of the sectors.
 * Dirty pages cannot change (2).
 */
static void tear(struct file_inode *fi, int64_t seed)
{
	struct address_space *m = &fi->inode.mapping;
	struct file_volume *fv = file_volume_of(fi);
	uint64_t state = (uint64_t)seed * 0x9e3779b97f4a7c15u + fi->id.ino;
	uint64_t size = atomic_load(&fi->backing_size);
	uint64_t grown = atomic_load(&fi->inode.size);
	struct page *page;

	if (m->nr_dirty == 0)
		return;
	if (grown > size && fault_random(&state) % 2 == 0 &&
	    page_io_truncate(fv->vol.mm->io, fi->fds.buffered, grown) == 0) {
		atomic_store(&fi->backing_size, grown);
		file_blocks_cut(fi, grown, false);
		forget(fi); /* that size it is */
		size = grown;
	}
	for (pgoff_t i = 0; (page = mapping_next_dirty(m, &i)); i++) {
		unsigned int sectors = draw_sectors(&state);

		for (unsigned int s = 0; s < PAGE_SECTORS; s++)
			if (sectors & 1u << s)
				write_sector(fi, page, s, size);
		if (sectors && i << PAGE_SHIFT < size)
			atomic_fetch_add(&fv->crash.nr_parts, 1);
		page_put(fv->vol.mm, page);
	}
}

/* --- one file, and all of them ------------------------------------------------- */

/* The size that was synced, in the backing file and in memory. */
static int reset_size(struct file_inode *fi)
{
	struct crash *c = &file_volume_of(fi)->crash;
	uint64_t size = atomic_load(&fi->backing_size);
	int err = 0;

	mutex_lock(&c->lock);
	if (fi->grown)
		size = min_of(size, fi->durable_size);
	mutex_unlock(&c->lock);
	if (size < atomic_load(&fi->backing_size))
		err = file_cut_backing(fi, size);
	if (err)
		return err;
	mutex_lock(&fi->attr_lock);
	fi->maybe_sparse = true;
	fi->ctime_known = false;
	mutex_lock(&fi->inode.time_lock);
	atomic_store(&fi->inode.size, size);
	fi->times_dirty = false;
	mutex_unlock(&fi->inode.time_lock);
	mutex_unlock(&fi->attr_lock);
	atomic_store(&fi->changed_by_us, true);
	forget(fi);
	return 0;
}

/* (2) */
static int drop_pages(struct file_inode *fi, int64_t torn, int64_t seed)
{
	struct address_space *m = &fi->inode.mapping;
	struct file_volume *fv = file_volume_of(fi);
	unsigned long nr;
	int err;

	rwlock_lock(&fi->inode.io_lock);
	mapping_freeze(m);
	mapping_wait_writeback(m, 0, UINT64_MAX);
	if (torn)
		tear(fi, seed);
	nr = m->nr_dirty;
	page_cache_truncate(m, 0);
	err = reset_size(fi);
	/* What was read before it was cut. */
	page_cache_truncate(m, 0);
	mapping_thaw(m);
	rwlock_unlock(&fi->inode.io_lock);
	atomic_fetch_add(&fv->crash.nr_dropped, nr);
	vmstat_add(fv->vol.mm, CRASH_DROPPED, (long)nr);
	return err;
}

/* (3) */
static void forget_copies(struct inode *inode)
{
	if (inode->vol->forget_copies)
		inode->vol->forget_copies(inode);
}

static int crash_file(struct file_inode *fi, int64_t torn, int64_t seed)
{
	int err;

	forget_copies(&fi->inode);
	err = file_users_get(fi);
	if (err) /* it has no name, and nobody has it open: nothing is lost */
		return err == -ESTALE || err == -ENOENT ? 0 : err;
	err = drop_pages(fi, torn, seed);
	file_users_put(fi);
	forget_copies(&fi->inode); /* what was read in between; the size */
	return err;
}

/* The next that this pass has not seen (4), with a ref, or NULL. */
static struct file_inode *next_inode(struct file_volume *fv, uint64_t pass)
{
	struct inode_table *t = &fv->vol.inodes;
	struct file_inode *fi, *found = NULL;
	struct inode *inode;

	mutex_lock(&t->lock);
	/* Those that were seen are behind the others, as a rule. */
	list_for_each_entry(inode, &t->held, struct inode, link) {
		fi = file_inode(inode);
		if (fi->crash_pass == pass)
			continue;
		fi->crash_pass = pass;
		inode_join(t, inode, false);
		found = fi;
		break;
	}
	mutex_unlock(&t->lock);
	return found;
}

static bool begin(struct crash *c, uint64_t *pass)
{
	bool begun;

	mutex_lock(&c->lock);
	begun = !c->running;
	c->running = true;
	if (begun)
		*pass = ++c->pass;
	mutex_unlock(&c->lock);
	return begun;
}

static int crash_now(struct file_volume *fv)
{
	int64_t torn = crash_get(&fv->vol, CRASH_FIELD_TORN);
	int64_t seed = crash_get(&fv->vol, CRASH_FIELD_SEED);
	struct crash *c = &fv->crash;
	struct file_inode *fi;
	uint64_t pass;
	int err = 0;

	if (!begin(c, &pass))
		return -EBUSY;
	atomic_store(&c->nr_dropped, 0);
	atomic_store(&c->nr_parts, 0);
	atomic_store(&fv->vol.crashing, true);
	while ((fi = next_inode(fv, pass))) {
		if (S_ISREG(fi->inode.type)) {
			int e = crash_file(fi, torn, seed);

			err = err ? err : e;
		}
		inode_put(&fi->inode);
	}
	file_inode_evict_idle(fv, fv->vol.inodes.nr);
	atomic_store(&fv->vol.crashing, false);
	mutex_lock(&c->lock);
	c->running = false;
	mutex_unlock(&c->lock);
	log_line("%s: crashed on purpose: %lu pages were not synced",
		 fv->vol.source, atomic_load(&c->nr_dropped));
	return err;
}

static void arm(struct file_volume *fv, bool armed)
{
	mutex_lock(&fv->crash.lock);
	if (armed && !is_armed(fv))
		atomic_store(&fv->crash.nr_early, 0);
	atomic_store(&fv->vol.hold_back, armed);
	mutex_unlock(&fv->crash.lock);
	if (armed)
		return;
	crash_forget_all(fv);
	flusher_wake(fv->vol.mm);
}

int64_t crash_get(struct volume *vol, enum crash_field field)
{
	struct crash *c = &file_volume(vol)->crash;
	int64_t value = 0;

	mutex_lock(&c->lock);
	switch (field) {
	case CRASH_FIELD_ARMED:
		value = atomic_load(&vol->hold_back);
		break;
	case CRASH_FIELD_TORN:
		value = c->torn;
		break;
	case CRASH_FIELD_SEED:
		value = c->seed;
		break;
	case CRASH_FIELD_DROPPED:
		value = (int64_t)atomic_load(&c->nr_dropped);
		break;
	case CRASH_FIELD_PARTS:
		value = (int64_t)atomic_load(&c->nr_parts);
		break;
	case CRASH_FIELD_EARLY:
		value = (int64_t)atomic_load(&c->nr_early);
		break;
	case CRASH_FIELD_NOW:
	case NR_CRASH_FIELDS:
		break;
	}
	mutex_unlock(&c->lock);
	return value;
}

int crash_set(struct volume *vol, enum crash_field field, int64_t value)
{
	struct file_volume *fv = file_volume(vol);
	struct crash *c = &fv->crash;

	if (value < 0 || (field != CRASH_FIELD_SEED && value > 1))
		return -EINVAL;
	if (vol->cache == CACHE_WRITEBACK &&
	    (field == CRASH_FIELD_ARMED || field == CRASH_FIELD_NOW) && value)
		return -EOPNOTSUPP;
	switch (field) {
	case CRASH_FIELD_ARMED:
		arm(fv, value);
		return 0;
	case CRASH_FIELD_NOW:
		return value ? crash_now(fv) : -EINVAL;
	case CRASH_FIELD_TORN:
	case CRASH_FIELD_SEED:
		mutex_lock(&c->lock);
		*(field == CRASH_FIELD_TORN ? &c->torn : &c->seed) = value;
		mutex_unlock(&c->lock);
		return 0;
	default:
		return -EINVAL;
	}
}
