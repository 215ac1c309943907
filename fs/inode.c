/*
 * inode.c - from identity to inode, and how one goes away.
 *
 *   (1) An inode is in the hash from inode_get() until it is destroyed; all
 *       who look for it there hold the table's lock.
 *   (2) refs and nlookup reach 0 only with that lock held; then the inode is
 *       destroyed, or goes to the idle list if it has pages worth keeping.
 *   (3) An inode with dirty pages has a ref: mapping->ops->hold.
 *   (4) An inode taken off the idle list by the shrinker, while its pages are
 *       dropped, has a ref as well.
 */
#include "fs/inode.h"

#include "fs/file.h"
#include "fs/volume.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* How long a lookup waits for the kernel to give inodes back. */
enum { PRUNE_TRIES = 50 };
#define PRUNE_WAIT_NS (20 * NSEC_PER_MSEC)

static struct list_head *bucket_of(struct inode_table *t,
				   const struct backing_id *id)
{
	return &t->hash[backing_id_hash(id) >> (64 - INODE_HASH_BITS)];
}

int inode_table_init(struct volume *vol)
{
	struct inode_table *t = &vol->inodes;
	size_t bytes = sizeof(*t->hash) << INODE_HASH_BITS;
	unsigned int order = 0;
	int err;

	while (PAGE_SIZE << order < bytes)
		order++;
	*t = (struct inode_table){ .nr = 0 };
	mutex_init(&t->lock);
	list_init(&t->idle);
	list_init(&t->held);
	list_init(&t->graves);
	err = kmem_cache_init(vol->mm, &t->cache, "plimsoll_inode_cache",
			      sizeof(struct inode), true);
	if (err)
		return err;
	t->hash_page = page_alloc(vol->mm, GFP_KERNEL, order);
	if (!t->hash_page) {
		kmem_cache_destroy(&t->cache);
		return -ENOMEM;
	}
	vmstat_add(vol->mm, NR_SLAB_UNRECLAIMABLE, 1l << order);
	t->hash = page_address(&vol->mm->arena, t->hash_page);
	for (size_t i = 0; i < 1ul << INODE_HASH_BITS; i++)
		list_init(&t->hash[i]);
	return 0;
}

void inode_table_destroy(struct volume *vol)
{
	struct inode_table *t = &vol->inodes;

	ASSERT(t->nr == 0);
	vmstat_add(vol->mm, NR_SLAB_UNRECLAIMABLE,
		   -(long)page_nr(t->hash_page));
	page_put(vol->mm, t->hash_page);
	kmem_cache_destroy(&t->cache);
}

static struct inode *find(struct inode_table *t, const struct backing_id *id)
	must_hold(t->lock)
{
	struct inode *inode;

	list_for_each_entry(inode, bucket_of(t, id), struct inode, hash_link)
		if (backing_id_equal(&inode->id, id))
			return inode;
	return NULL;
}

/* Take part in what is known already: refs (2). */
static void join(struct inode_table *t, struct inode *inode, bool lookup)
	must_hold(t->lock)
{
	if (inode->idle) {
		inode->idle = false;
		t->nr_idle--;
	}
	atomic_fetch_add(&inode->refs, 1);
	inode->nlookup += lookup;
	list_move_tail(&t->held, &inode->lru_link);
}

void inode_make_room(struct volume *vol)
{
	inode_evict_idle(vol, 64);
	if (vol->prune)
		vol->prune(vol, 256);
	os_sleep_ns(PRUNE_WAIT_NS);
}

/* Memory for one, after asking the kernel for old ones if need be. */
static struct inode *alloc(struct volume *vol)
{
	struct kmem_cache *c = &vol->inodes.cache;
	struct inode *inode = kmem_cache_zalloc(c, GFP_KERNEL);

	for (int i = 0; !inode && i < PRUNE_TRIES; i++) {
		inode_make_room(vol);
		inode = kmem_cache_zalloc(c, GFP_KERNEL);
	}
	return inode;
}

static struct inode *create(struct volume *vol, const struct backing_id *id,
			    const struct statx *st)
{
	struct inode *inode = alloc(vol);

	if (!inode)
		return NULL;
	inode->vol = vol;
	inode->id = *id;
	inode->type = st->stx_mode & S_IFMT;
	inode->fds = (struct backing_fds){ .direct = -1, .buffered = -1 };
	rwlock_init(&inode->io_lock);
	mutex_init(&inode->attr_lock);
	mutex_init(&inode->time_lock);
	atomic_store(&inode->size, st->stx_size);
	atomic_store(&inode->backing_size, st->stx_size);
	address_space_init(&inode->mapping, vol->mm, &file_aops, vol);
	return inode;
}

/* Not in the hash, not on a list, no pages. */
static void destroy(struct inode *inode)
{
	struct volume *vol = inode->vol;

	ASSERT(inode->users == 0);
	address_space_destroy(&inode->mapping);
	if (inode->id.path_fd >= 0)
		close(inode->id.path_fd);
	kmem_cache_free(&vol->inodes.cache, inode);
	vmstat_dec(vol->mm, NR_INODES);
}

struct inode *inode_get(struct volume *vol, int path_fd, const struct statx *st,
			bool lookup, int *err)
{
	struct inode_table *t = &vol->inodes;
	struct inode *inode, *fresh = NULL;
	struct backing_id id;

	backing_identify(vol, path_fd, st, &id);
	mutex_lock(&t->lock);
	inode = find(t, &id);
	if (!inode) {
		mutex_unlock(&t->lock);
		fresh = create(vol, &id, st);
		*err = -ENOMEM;
		if (!fresh) {
			close(path_fd);
			return NULL;
		}
		mutex_lock(&t->lock);
		inode = find(t, &id); /* somebody may have been faster */
	}
	if (!inode) {
		inode = fresh;
		fresh = NULL;
		list_add(bucket_of(t, &id), &inode->hash_link);
		list_add_tail(&t->held, &inode->lru_link);
		t->nr++;
		vmstat_inc(vol->mm, NR_INODES);
		path_fd = inode->id.path_fd >= 0 ? -1 : path_fd;
	}
	join(t, inode, lookup);
	mutex_unlock(&t->lock);
	if (fresh) {
		fresh->id.path_fd = -1; /* closed below */
		vmstat_inc(vol->mm, NR_INODES);
		destroy(fresh);
	}
	if (path_fd >= 0)
		close(path_fd);
	return inode;
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

/* Nobody needs it any more: destroy it, or let it idle with its pages. */
static void retire(struct inode_table *t, struct inode *inode, bool *gone)
	must_hold(t->lock)
{
	*gone = inode->unlinked || address_space_is_empty(&inode->mapping);
	if (*gone) {
		list_del(&inode->hash_link);
		list_del(&inode->lru_link);
		t->nr--;
	} else if (!inode->idle) {
		inode->idle = true;
		t->nr_idle++;
		list_move_tail(&t->idle, &inode->lru_link);
	}
}

static void finish(struct inode *inode)
{
	page_cache_truncate(&inode->mapping, 0);
	destroy(inode);
}

void inode_put(struct inode *inode)
{
	struct inode_table *t = &inode->vol->inodes;
	uint32_t old = atomic_load(&inode->refs);
	bool gone = false;

	while (old > 1)
		if (atomic_compare_exchange_weak(&inode->refs, &old, old - 1))
			return;
	mutex_lock(&t->lock);
	if (atomic_fetch_sub(&inode->refs, 1) == 1 && inode->nlookup == 0)
		retire(t, inode, &gone);
	mutex_unlock(&t->lock);
	if (gone)
		finish(inode);
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
	if (inode->nlookup == 0 && atomic_load(&inode->refs) == 0)
		retire(t, inode, &gone);
	/* What may take time is not for the thread that receives. */
	if (gone && (inode->id.path_fd >= 0 ||
		     !address_space_is_empty(&inode->mapping))) {
		list_add(&t->graves, &inode->lru_link);
		gone = false;
		later = true;
	}
	mutex_unlock(&t->lock);
	if (gone)
		finish(inode);
	if (later && vol->prune)
		vol->prune(vol, 0); /* it calls inode_bury() */
}

void inode_bury(struct volume *vol)
{
	struct inode_table *t = &vol->inodes;

	mutex_lock(&t->lock);
	while (!list_empty(&t->graves)) {
		struct inode *inode =
			list_first_entry(&t->graves, struct inode, lru_link);

		list_del(&inode->lru_link);
		mutex_unlock(&t->lock);
		finish(inode);
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
			list_first_entry(&t->held, struct inode, lru_link);

		list_move_tail(&t->held, &inode->lru_link);
		if (inode->nlookup > 0 && atomic_load(&inode->refs) == 0 &&
		    inode != vol->root)
			nodeids[nr++] = inode_nodeid(inode);
	}
	mutex_unlock(&t->lock);
	return nr;
}

unsigned long inode_evict_idle(struct volume *vol, unsigned long nr)
{
	struct inode_table *t = &vol->inodes;
	unsigned long evicted = 0;

	for (unsigned long i = 0; i < nr; i++) {
		struct inode *inode;

		mutex_lock(&t->lock);
		if (list_empty(&t->idle)) {
			mutex_unlock(&t->lock);
			break;
		}
		inode = list_first_entry(&t->idle, struct inode, lru_link);
		join(t, inode, false); /* (4) */
		mutex_unlock(&t->lock);
		page_cache_invalidate(&inode->mapping, 0, UINT64_MAX);
		evicted += address_space_is_empty(&inode->mapping);
		inode_put(inode);
	}
	vmstat_add(vol->mm, INODE_EVICTED, (long)evicted);
	return evicted;
}

static struct inode *first_of(struct inode_table *t) must_hold(t->lock)
{
	if (!list_empty(&t->held))
		return list_first_entry(&t->held, struct inode, lru_link);
	if (!list_empty(&t->idle))
		return list_first_entry(&t->idle, struct inode, lru_link);
	return NULL;
}

void inode_drop_all(struct volume *vol)
{
	struct inode_table *t = &vol->inodes;
	struct inode *inode;

	inode_bury(vol);
	mutex_lock(&t->lock);
	while ((inode = first_of(t))) {
		list_del(&inode->hash_link);
		list_del(&inode->lru_link);
		t->nr--;
		mutex_unlock(&t->lock);
		finish(inode);
		mutex_lock(&t->lock);
	}
	mutex_unlock(&t->lock);
}

int inode_path_get(struct inode *inode)
{
	int fd = -EBADF;

	/* An unlinked file is reached only through what is still open. */
	mutex_lock(&inode->attr_lock);
	if (inode->users > 0) {
		fd = fcntl(inode->fds.buffered, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			fd = -errno;
	}
	mutex_unlock(&inode->attr_lock);
	return fd >= 0 ? fd : backing_open(inode->vol, &inode->id, O_PATH);
}

void inode_path_put(struct inode *inode, int fd)
{
	if (fd != inode->id.path_fd)
		close(fd);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* What is dirty here is not in the backing file's status yet. */
static void merge_file_state(struct inode *inode, struct stat *st)
{
	struct address_space *m = &inode->mapping;
	uint64_t pages = m->nr_dirty + m->nr_writeback;

	mutex_lock(&inode->attr_lock);
	mutex_lock(&inode->time_lock);
	/* Others may have changed it; but the status may be an old one. */
	if (inode->users == 0 && !is_before(&st->st_ctim, &inode->seen_ctime)) {
		atomic_store(&inode->size, (uint64_t)st->st_size);
		atomic_store(&inode->backing_size, (uint64_t)st->st_size);
	}
	st->st_size = (off_t)atomic_load(&inode->size);
	if (pages > 0 && st->st_size > 0)
		st->st_blocks = max_of(
			st->st_blocks,
			(blkcnt_t)min_of(pages * (PAGE_SIZE / 512),
					 ((uint64_t)st->st_size + 511) / 512));
	if (inode->times_dirty) {
		st->st_mtim = inode->mtime;
		st->st_ctim = inode->ours_ctime;
	} else if (inode->ctime_known &&
		   memcmp(&st->st_ctim, &inode->backing_ctime,
			  sizeof(st->st_ctim)) == 0) {
		st->st_ctim = inode->ours_ctime;
	}
	mutex_unlock(&inode->time_lock);
	mutex_unlock(&inode->attr_lock);
}

void inode_merge_attr(struct inode *inode, struct stat *st)
{
	atomic_store(&inode->has_suid, st->st_mode & (S_ISUID | S_ISGID));
	if (S_ISREG(inode->type))
		merge_file_state(inode, st);
}

int inode_getattr(struct inode *inode, struct stat *st)
{
	int fd = inode_path_get(inode);
	int err = 0;

	if (fd < 0)
		return fd;
	if (fstatat(fd, "", st, AT_EMPTY_PATH) < 0)
		err = -errno;
	inode_path_put(inode, fd);
	if (!err)
		inode_merge_attr(inode, st);
	return err;
}
