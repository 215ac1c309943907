/*
 * file_inode.c - from identity to inode, and what stays when nobody holds it.
 *
 *   (1) An inode is in the hash from file_inode_get() until inode_unused says
 *       that it goes; all who look for it there hold the table's lock.
 *   (2) It goes if it has no pages worth keeping, or no name.
 *   (3) An inode taken off the idle list by the shrinker, while its pages are
 *       dropped, has a ref.
 *   (4) What is no directory is one inode by whatever mount it is found. It is
 *       opened through the backing directory's own if it was found there, else
 *       through one that lets it be written if there is one.
 *   (5) An inode without a handle has a watch of its own, see fs/watch.h, or
 *       none if it could not have one.
 *   (6) Of what has no handle, no two inodes show one number, but directories:
 *       where the system shows one number for two files they are not links.
 */
#include "fs/file_inode.h"

#include "fs/file.h"
#include "fs/file_volume.h"
#include "fs/fs.h"
#include "fs/log.h"
#include "fs/number.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* How long a lookup waits for the kernel to give inodes back. */
enum { PRUNE_TRIES = 50 };
#define PRUNE_WAIT_NS (20 * NSEC_PER_MSEC)

/* --- finding one --------------------------------------------------------- */

static int buckets_init(struct mm *mm, struct file_inode_buckets *b,
			unsigned int bits)
{
	size_t bytes = sizeof(*b->buckets) << bits;
	unsigned int order = 0;

	while (PAGE_SIZE << order < bytes)
		order++;
	b->bits = bits;
	b->page = page_alloc(mm, GFP_KERNEL, order);
	if (!b->page)
		return -ENOMEM;
	vmstat_add(mm, NR_SLAB_UNRECLAIMABLE, 1l << order);
	b->buckets = page_address(&mm->arena, b->page);
	for (size_t i = 0; i < 1ul << bits; i++)
		list_init(&b->buckets[i]);
	return 0;
}

static void buckets_destroy(struct mm *mm, struct file_inode_buckets *b)
{
	vmstat_add(mm, NR_SLAB_UNRECLAIMABLE, -(long)page_nr(b->page));
	page_put(mm, b->page);
}

static struct list_head *bucket_of(const struct file_inode_buckets *b,
				   uint64_t hash)
{
	return &b->buckets[hash >> (64 - b->bits)];
}

int file_inode_hash_init(struct file_volume *fv)
{
	struct file_inode_hash *h = &fv->hash;
	struct mm *mm = fv->vol.mm;
	int err;

	err = kmem_cache_init(mm, &fv->inode_cache, "plimsoll_inode_cache",
			      sizeof(struct file_inode), true);
	if (err)
		return err;
	err = buckets_init(mm, &h->by_id, FILE_INODE_HASH_BITS);
	if (err)
		goto out_cache;
	err = buckets_init(mm, &h->by_ino, FILE_INODE_INO_BITS);
	if (err)
		goto out_by_id;
	return 0;

out_by_id:
	buckets_destroy(mm, &h->by_id);
out_cache:
	kmem_cache_destroy(&fv->inode_cache);
	return err;
}

void file_inode_hash_destroy(struct file_volume *fv)
{
	struct mm *mm = fv->vol.mm;

	buckets_destroy(mm, &fv->hash.by_ino);
	buckets_destroy(mm, &fv->hash.by_id);
	kmem_cache_destroy(&fv->inode_cache);
}

static struct list_head *id_bucket(struct file_volume *fv,
				   const struct backing_id *id)
{
	return bucket_of(&fv->hash.by_id, backing_id_hash(id));
}

static struct list_head *ino_bucket(struct file_volume *fv,
				    const struct backing_id *id)
{
	return bucket_of(&fv->hash.by_ino, backing_ino_hash(id));
}

static struct file_inode *find_by_id(struct file_volume *fv,
				     const struct backing_id *id)
	must_hold(fv->vol.inodes.lock)
{
	struct file_inode *fi;

	list_for_each_entry(fi, id_bucket(fv, id), struct file_inode, hash_link)
		if (backing_id_equal(&fi->id, id))
			return fi;
	return NULL;
}

/* One of the two could not be watched: the number has to do (5). */
static struct file_inode *find_unwatched(struct file_volume *fv,
					 const struct backing_id *id)
	must_hold(fv->vol.inodes.lock)
{
	struct file_inode *fi;

	list_for_each_entry(fi, ino_bucket(fv, id), struct file_inode, ino_link)
		if ((fi->id.watch == 0 || id->watch == 0) &&
		    fi->id.dev == id->dev && fi->id.ino == id->ino &&
		    fi->id.mount == id->mount)
			return fi;
	return NULL;
}

static struct file_inode *find(struct file_volume *fv,
			       const struct backing_id *id)
	must_hold(fv->vol.inodes.lock)
{
	struct file_inode *fi = find_by_id(fv, id);

	return fi || id->handle_bytes > 0 ? fi : find_unwatched(fv, id);
}

/*
 * Another shows the number that this one has (6). Directories may: one is found
 * on each mount.
 */
static void avoid_number(struct file_volume *fv, struct file_inode *fi)
	must_hold(fv->vol.inodes.lock)
{
	struct file_inode *other;

	if (S_ISDIR(fi->inode.type))
		return;
	list_for_each_entry(other, ino_bucket(fv, &fi->id), struct file_inode,
			    ino_link)
		if (other->number == fi->number) {
			fi->number = number_apart(fi->id.dev, fi->id.ino,
						  fi->id.watch);
			return;
		}
}

static void insert(struct file_volume *fv, struct file_inode *fi)
	must_hold(fv->vol.inodes.lock)
{
	list_add(id_bucket(fv, &fi->id), &fi->hash_link);
	if (fi->id.handle_bytes > 0)
		return;
	avoid_number(fv, fi);
	list_add(ino_bucket(fv, &fi->id), &fi->ino_link);
}

/* With the table's lock held. */
static void take_out(struct file_inode *fi)
{
	list_del_init(&fi->hash_link);
	list_del_init(&fi->ino_link);
}

/* --- making one ---------------------------------------------------------- */

void file_inode_make_room(struct file_volume *fv)
{
	file_inode_evict_idle(fv, 64);
	if (fv->vol.prune)
		fv->vol.prune(&fv->vol, 256);
	os_sleep_ns(PRUNE_WAIT_NS);
}

/* Memory for one, after asking the kernel for old ones if need be. */
static struct file_inode *alloc(struct file_volume *fv)
{
	struct kmem_cache *c = &fv->inode_cache;
	struct file_inode *fi = kmem_cache_zalloc(c, GFP_KERNEL);

	for (int i = 0; !fi && i < PRUNE_TRIES; i++) {
		file_inode_make_room(fv);
		fi = kmem_cache_zalloc(c, GFP_KERNEL);
	}
	return fi;
}

static struct file_inode *create(struct file_volume *fv, int path_fd,
				 const struct backing_id *id,
				 const struct statx *st)
{
	struct space *space = space_of_dev(&fv->vol.fs->spaces, id->dev);
	struct file_inode *fi = space ? alloc(fv) : NULL;
	int err;

	if (!fi)
		return NULL;
	fi->other = other_fs_get(fv, path_fd, st, &err);
	if (err) {
		kmem_cache_free(&fv->inode_cache, fi);
		return NULL;
	}
	inode_init(&fi->inode, &fv->vol, st->stx_mode & S_IFMT, st->stx_size,
		   &file_aops, &fv->vol.writeback);
	fi->inode.slow_destroy = id->path_fd >= 0;
	fi->id = *id;
	fi->way = st->stx_mnt_id;
	fi->number = number_of(fv, id->dev, id->ino);
	list_init(&fi->hash_link);
	list_init(&fi->ino_link);
	list_init(&fi->grown_link);
	list_init(&fi->left_link);
	fi->fds = BACKING_FDS_NONE;
	fi->space = space;
	mutex_init(&fi->attr_lock);
	file_privs_forget(fi);
	sync_group_init(&fi->syncs);
	atomic_store(&fi->backing_size, st->stx_size);
	return fi;
}

/* Directories have one for all mounts they are found on. */
static bool has_watch(struct file_volume *fv, const struct backing_id *id)
	must_hold(fv->vol.inodes.lock)
{
	struct file_inode *fi;

	list_for_each_entry(fi, id_bucket(fv, id), struct file_inode, hash_link)
		if (fi->id.watch == id->watch)
			return true;
	return false;
}

/* A watch that an inode had, or was to have: it goes if no other has it. */
static void put_watch(struct file_volume *fv, const struct backing_id *id)
{
	struct watches *w = &fv->watches;
	bool used;

	if (id->watch == 0)
		return;
	mutex_lock(&w->lock);
	mutex_lock(&fv->vol.inodes.lock);
	used = has_watch(fv, id);
	mutex_unlock(&fv->vol.inodes.lock);
	if (!used)
		watch_remove(w, id->watch);
	mutex_unlock(&w->lock);
}

/* Not in the hash, not on a list, no pages. */
static void destroy(struct file_inode *fi)
{
	struct file_volume *fv = file_volume_of(fi);

	ASSERT(fi->users == 0 && fi->fds.buffered < 0);
	address_space_destroy(&fi->inode.mapping);
	if (fi->other)
		other_fs_put(fv, fi->other);
	put_watch(fv, &fi->id);
	if (fi->id.path_fd >= 0)
		backing_close(fi->id.path_fd);
	kmem_cache_free(&fv->inode_cache, fi);
}

static bool is_read_only(int fd)
{
	struct statvfs st;

	return backing_statfs(fd, &st) == 0 && (st.f_flag & ST_RDONLY);
}

/*
 * It was found on another mount than the one it is opened through (4). The
 * number of the descriptor stays, which others may be using.
 */
static void learn_way(struct file_inode *fi, int path_fd, uint64_t mount)
{
	uint64_t own = file_volume_of(fi)->mnt_id;

	mutex_lock(&fi->attr_lock);
	if (fi->way != mount && fi->way != own &&
	    (mount == own ||
	     (is_read_only(fi->id.path_fd) && !is_read_only(path_fd))) &&
	    backing_replace(fi->id.path_fd, path_fd) == 0)
		fi->way = mount;
	mutex_unlock(&fi->attr_lock);
}

/* What is known by that id, or else "fresh", if there is one. */
static struct file_inode *join_or_add(struct file_volume *fv,
				      const struct backing_id *id,
				      struct file_inode *fresh, bool lookup)
{
	struct file_inode *fi;

	mutex_lock(&fv->vol.inodes.lock);
	fi = find(fv, id);
	if (fi) {
		inode_join(&fv->vol.inodes, &fi->inode, lookup);
	} else if (fresh) {
		fi = fresh;
		fi->id.watch = id->watch;
		insert(fv, fi);
		inode_add(&fv->vol.inodes, &fi->inode, lookup);
	}
	mutex_unlock(&fv->vol.inodes.lock);
	return fi;
}

/* The same without a handle: the watch may go as soon as the lock is free. */
static struct file_inode *join_or_add_watched(struct file_volume *fv,
					      struct backing_id *id,
					      struct file_inode *fresh,
					      bool lookup)
{
	struct watches *w = &fv->watches;
	struct file_inode *fi;

	mutex_lock(&w->lock);
	id->watch = watch_add(w, id->path_fd, fv->vol.source);
	fi = join_or_add(fv, id, fresh, lookup);
	mutex_unlock(&w->lock);
	return fi;
}

static struct file_inode *get(struct file_volume *fv, struct backing_id *id,
			      struct file_inode *fresh, bool lookup)
{
	return id->handle_bytes > 0 || id->by_number
		       ? join_or_add(fv, id, fresh, lookup)
		       : join_or_add_watched(fv, id, fresh, lookup);
}

struct file_inode *file_inode_get(struct file_volume *fv, int path_fd,
				  const struct statx *st, bool lookup, int *err)
{
	struct file_inode *fi, *fresh = NULL;
	struct backing_id id;

	backing_identify(fv, path_fd, st, &id);
	fi = get(fv, &id, NULL, lookup);
	if (!fi) {
		fresh = create(fv, path_fd, &id, st);
		/* Somebody may have been faster. */
		if (fresh)
			fi = get(fv, &id, fresh, lookup);
	}
	if (!fi || fi->id.watch != id.watch)
		put_watch(fv, &id);
	*err = fi ? 0 : -ENOMEM;
	if (fresh && fi != fresh) {
		fresh->id.path_fd = -1; /* closed below */
		destroy(fresh);
	}
	if (fi && fi != fresh && fi->id.path_fd >= 0 && id.mount == 0)
		learn_way(fi, path_fd, st->stx_mnt_id);
	if (!fi || fi->id.path_fd != path_fd)
		backing_close(path_fd);
	return fi;
}

bool file_inode_unused(struct inode *inode)
{
	struct file_inode *fi = file_inode(inode);

	if (!fi->unlinked && (!address_space_is_empty(&inode->mapping) ||
			      atomic_load(&fi->too_long)))
		return false;
	take_out(fi);
	return true;
}

/* The last try: nobody will know any more that it is too long. */
static void cut_at_last(struct file_inode *fi)
{
	uint64_t size = atomic_load(&fi->inode.size);

	if (!atomic_load(&fi->too_long) || fi->unlinked ||
	    file_users_get(fi) != 0)
		return;
	if (file_cut_excess(fi) != 0)
		log_line("%s: inode %llu could not be cut to the %llu bytes "
			 "that were written",
			 fi->inode.vol->source, (unsigned long long)fi->id.ino,
			 (unsigned long long)size);
	file_users_put(fi);
}

void file_inode_destroy(struct inode *inode)
{
	struct file_inode *fi = file_inode(inode);
	struct inode_table *t = &inode->vol->inodes;

	/* Still there at the end of the mount only (1). */
	if (!list_empty(&fi->hash_link)) {
		mutex_lock(&t->lock);
		take_out(fi);
		mutex_unlock(&t->lock);
	}
	page_cache_truncate(&inode->mapping, 0);
	cut_at_last(fi);
	destroy(fi);
}

unsigned long file_inode_evict_idle(struct file_volume *fv, unsigned long nr)
{
	struct inode_table *t = &fv->vol.inodes;
	unsigned long evicted = 0;

	for (unsigned long i = 0; i < nr; i++) {
		struct inode *inode;

		mutex_lock(&t->lock);
		if (list_empty(&t->idle)) {
			mutex_unlock(&t->lock);
			break;
		}
		inode = list_first_entry(&t->idle, struct inode, link);
		inode_join(t, inode, false); /* (3) */
		mutex_unlock(&t->lock);
		page_cache_invalidate(&inode->mapping, 0, UINT64_MAX);
		evicted += address_space_is_empty(&inode->mapping);
		inode_put(inode);
	}
	vmstat_add(fv->vol.mm, INODE_EVICTED, (long)evicted);
	return evicted;
}

int file_inode_path_get(struct file_inode *fi)
{
	int fd = -EBADF;

	/* An unlinked file is reached only through what is still open. */
	mutex_lock(&fi->attr_lock);
	if (fi->users > 0)
		fd = backing_dup(fi->fds.buffered);
	mutex_unlock(&fi->attr_lock);
	return fd >= 0 ? fd : backing_open(file_volume_of(fi), &fi->id, O_PATH);
}

void file_inode_path_put(struct file_inode *fi, int fd)
{
	if (fd != fi->id.path_fd)
		backing_close(fd);
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec ||
	       (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* What is dirty here is not in the backing file's status yet. */
static void merge_file_state(struct file_inode *fi, struct stat *st)
{
	struct inode *inode = &fi->inode;
	struct address_space *m = &inode->mapping;
	uint64_t pages = m->nr_dirty + m->nr_writeback;

	mutex_lock(&fi->attr_lock);
	file_privs_merge(fi, st);
	mutex_lock(&inode->time_lock);
	/* Others may have changed it; but the status may be an old one. */
	if (fi->users == 0 && !atomic_load(&fi->too_long) &&
	    !is_before(&st->st_ctim, &fi->seen_ctime)) {
		atomic_store(&inode->size, (uint64_t)st->st_size);
		atomic_store(&fi->backing_size, (uint64_t)st->st_size);
	}
	st->st_size = (off_t)atomic_load(&inode->size);
	if (pages > 0 && st->st_size > 0)
		st->st_blocks = max_of(
			st->st_blocks,
			(blkcnt_t)min_of(pages * (PAGE_SIZE / 512),
					 ((uint64_t)st->st_size + 511) / 512));
	st->st_blocks = inode_nr_sectors(inode, st->st_blocks);
	fi->times_shown = true;
	if (fi->times_dirty) {
		st->st_mtim = fi->mtime;
		st->st_ctim = fi->ours_ctime;
	} else if (fi->ctime_known &&
		   !is_before(&fi->backing_ctime, &st->st_ctim)) {
		/* Nobody has changed it since, or the status is from before. */
		st->st_mtim = fi->mtime;
		st->st_ctim = fi->ours_ctime;
	}
	mutex_unlock(&inode->time_lock);
	mutex_unlock(&fi->attr_lock);
}

void file_inode_merge_attr(struct file_inode *fi, struct stat *st)
{
	/*
	 * The number is stable while the inode is known. One that overlayfs has
	 * given another, when it ceased to be a link, and that is one again:
	 * those it is no link of may have the old one.
	 */
	if (fi->id.watch > 0 && st->st_nlink > 1 && st->st_ino != fi->id.ino &&
	    !S_ISDIR(fi->inode.type))
		st->st_ino =
			number_of(file_volume_of(fi), st->st_dev, st->st_ino);
	else
		st->st_ino = fi->number;
	if (S_ISREG(fi->inode.type))
		merge_file_state(fi, st);
}

int file_inode_getattr(struct inode *inode, struct stat *st)
{
	struct file_inode *fi = file_inode(inode);
	int fd = file_inode_path_get(fi);
	int err;

	if (fd < 0)
		return fd;
	err = backing_stat(fd, st);
	file_inode_path_put(fi, fd);
	if (!err)
		file_inode_merge_attr(fi, st);
	return err;
}
