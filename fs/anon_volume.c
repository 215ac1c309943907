/*
 * anon_volume.c - opening, closing, and what statfs says.
 *
 *   (1) All that grows with use is in slabs, inside the budget; outside it is
 *       this struct alone. The buckets are one block, taken at mount.
 *   (2) Whatever asks for more gets it before a lock is taken, or -ENOROOM.
 */
#include "fs/anon_volume.h"

#include "fs/anon_attr.h"
#include "fs/anon_dir.h"
#include "fs/anon_file.h"
#include "fs/anon_inode.h"
#include "fs/fs.h"
#include "fs/text.h"
#include "mm/page_alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/*
	 * Eight bytes a bucket: chains are short up to some 100 000 names,
	 * which is a guess at what a scratch volume has.
	 */
	BUCKET_BYTES_MAX = 256 << 10,
	BUCKET_SHARE = 256,
	/* What a name is taken to need in statfs: up to 30 characters. */
	NAME_BYTES = 64,
	NAME_MAX_LEN = 255,
};

#define FILE_SIZE_MAX (1ull << 50)

/* --- room ------------------------------------------------------------------ */

void *anon_kmalloc(struct mm *mm, size_t size)
{
	return anon_may_grow(mm) ? kmalloc(mm, size, GFP_KERNEL | GFP_GROWTH)
				 : NULL;
}

/* --- opening and closing ---------------------------------------------------- */

/* A smaller table is slower, and no reason not to mount. */
static int buckets_init(struct anon_volume *av)
{
	struct mm *mm = av->vol.mm;
	size_t want =
		min_of(mm->arena.size / BUCKET_SHARE, (size_t)BUCKET_BYTES_MAX);
	int order = 0;

	while (PAGE_SIZE << (order + 1) <= want)
		order++;
	while (order >= 0 && !av->bucket_page)
		av->bucket_page = page_alloc(mm, GFP_KERNEL | GFP_ZERO,
					     (unsigned int)order--);
	if (!av->bucket_page)
		return -ENOMEM;
	vmstat_add(mm, NR_SLAB_UNRECLAIMABLE, (long)page_nr(av->bucket_page));
	av->buckets = page_address(&mm->arena, av->bucket_page);
	av->nr_buckets =
		(page_nr(av->bucket_page) << PAGE_SHIFT) / sizeof(*av->buckets);
	av->hash_seed = os_random();
	return 0;
}

static void buckets_destroy(struct anon_volume *av)
{
	struct mm *mm = av->vol.mm;

	ASSERT(av->nr_names == 0);
	vmstat_add(mm, NR_SLAB_UNRECLAIMABLE, -(long)page_nr(av->bucket_page));
	page_put(mm, av->bucket_page);
}

static int open_root(struct anon_volume *av, const struct anon_limits *limits)
{
	struct inode_table *t = &av->vol.inodes;
	struct anon_inode_new new = {
		.mode = S_IFDIR | (limits->mode & 07777u),
		.uid = limits->uid,
		.gid = limits->gid,
	};
	int err;
	struct anon_inode *root = anon_inode_new(av, &new, &err);

	if (!root)
		return err;
	root->nlink = 2;
	mutex_lock(&t->lock);
	inode_add(t, &root->inode, true);
	mutex_unlock(&t->lock);
	av->vol.root = &root->inode;
	return 0;
}

struct volume *anon_volume_open(struct fs *fs, const struct anon_limits *limits,
				int *err)
{
	struct anon_volume *av = calloc(1, sizeof(*av));

	*err = -ENOMEM;
	if (!av)
		return NULL;
	volume_init(&av->vol, &anon_volume_ops, fs);
	snprintf(av->vol.source, sizeof(av->vol.source), "%s",
		 anon_volume_ops.kind);
	av->vol.max_file_size = FILE_SIZE_MAX;
	av->group.max_pages =
		limits->size ? pages_of(limits->size) : UINT64_MAX;
	av->max_inodes = limits->nr_inodes ? limits->nr_inodes : UINT64_MAX;
	mutex_init(&av->names_lock);
	*err = kmem_cache_init(av->vol.mm, &av->inode_cache, "anon_inode_cache",
			       sizeof(struct anon_inode), false);
	if (*err)
		goto out_free;
	*err = buckets_init(av);
	if (*err)
		goto out_cache;
	*err = open_root(av, limits);
	if (*err)
		goto out_buckets;
	return &av->vol;

out_buckets:
	buckets_destroy(av);
out_cache:
	kmem_cache_destroy(&av->inode_cache);
out_free:
	free(av);
	return NULL;
}

static void anon_volume_destroy(struct volume *vol)
{
	struct anon_volume *av = anon_volume_of(vol);

	ASSERT(atomic_load(&av->nr_inodes) == 0);
	ASSERT(atomic_load(&av->group.nr_pages) == 0);
	buckets_destroy(av);
	kmem_cache_destroy(&av->inode_cache);
	free(av);
}

/* --- what is there ---------------------------------------------------------- */

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Free objects in slabs that are not empty: nobody else can have their room. */
static uint64_t holes_in_slabs(struct kmem_cache *c)
{
	struct kmem_cache_stat st = kmem_cache_stat(c);

	return minus(st.nr_active_slabs * c->per_slab, st.nr_active);
}

/*
 * Inodes, each with a name, that would fit: they live in frames alone, which
 * are those that are free, and those of cached pages, which can go, as far as
 * there is somewhere to go to.
 */
static uint64_t inodes_left(struct anon_volume *av, uint64_t pages_left)
{
	struct mm *mm = av->vol.mm;
	struct zone *z = &mm->zones[ZONE_NORMAL];
	uint64_t low = atomic_load(&z->wmark[WMARK_LOW]);
	uint64_t empty = vmstat_read(mm, NR_SLAB_EMPTY);
	uint64_t slabs = vmstat_read(mm, NR_SLAB_RECLAIMABLE) +
			 vmstat_read(mm, NR_SLAB_UNRECLAIMABLE) - empty;
	uint64_t nr_free = zone_nr_free(z) + zone_nr_pcp(z) + empty;
	/* All that slabs may have; what of it is free, or can be made so. */
	uint64_t frames = min_of(minus(z->nr_pages, slabs + low),
				 minus(nr_free, low) + pages_left);
	struct kmem_cache *c = &av->inode_cache;
	/* A directory's tree has a slot a name, and is half full. */
	size_t each = (PAGE_SIZE << c->order) / c->per_slab + NAME_BYTES +
		      2 * xa_node_size() / XA_NR_SLOTS;

	return holes_in_slabs(c) + frames * PAGE_SIZE / each;
}

/* Frames that stand for the kernel's copies: given back where others want them. */
static uint64_t copies_left(const struct volume *vol)
{
	struct balloon *b = &vol->mm->balloon;

	return minus(balloon_size(b), b->nr_kept);
}

static int anon_statfs(struct volume *vol, struct statvfs *st)
{
	struct anon_volume *av = anon_volume_of(vol);
	uint64_t left = anon_pages_left(vol->mm) + copies_left(vol);
	uint64_t max = av->group.max_pages;
	uint64_t nr_inodes = atomic_load(&av->nr_inodes);
	uint64_t stored = atomic_load(&av->group.nr_pages);

	*st = (struct statvfs){
		.f_bsize = PAGE_SIZE,
		.f_frsize = PAGE_SIZE,
		.f_blocks = anon_pages_total(vol->mm),
		.f_namemax = NAME_MAX_LEN,
	};
	/* Buffers and what is kept below the marks may be the same frames. */
	st->f_bfree = min_of(left, st->f_blocks);
	if (max != UINT64_MAX) {
		st->f_blocks = max;
		st->f_bfree = min_of(minus(max, stored), left);
	}
	st->f_bavail = st->f_bfree;
	st->f_ffree = inodes_left(av, left);
	st->f_files = nr_inodes + st->f_ffree;
	if (av->max_inodes != UINT64_MAX) {
		st->f_files = av->max_inodes;
		st->f_ffree = minus(av->max_inodes, nr_inodes);
	}
	st->f_favail = st->f_ffree;
	return 0;
}

static int anon_sync(struct volume *vol)
{
	(void)vol;
	return 0;
}

/* Limits that there are not are left out. */
static void anon_describe(struct volume *vol, struct text *t)
{
	struct anon_volume *av = anon_volume_of(vol);

	if (av->group.max_pages != UINT64_MAX)
		text_printf(t, "size_limit %llu\n",
			    (unsigned long long)av->group.max_pages
				    << PAGE_SHIFT);
	text_printf(t, "stored_bytes %llu\n",
		    (unsigned long long)atomic_load(&av->group.nr_pages)
			    << PAGE_SHIFT);
	text_printf(t, "nr_inodes %llu\n",
		    (unsigned long long)atomic_load(&av->nr_inodes));
	if (av->max_inodes != UINT64_MAX)
		text_printf(t, "max_inodes %llu\n",
			    (unsigned long long)av->max_inodes);
}

/* Nothing is ever written back: who is to wait is told by prepare_page. */
static uint64_t anon_balance(struct volume *vol, unsigned long nr)
{
	(void)vol;
	(void)nr;
	return 0;
}

static bool anon_must_wait(struct volume *vol)
{
	(void)vol;
	return false;
}

const struct volume_ops anon_volume_ops = {
	.kind = "anon",
	.lookup = anon_lookup,
	.make = anon_make,
	.make_unnamed = anon_make_unnamed,
	.link = anon_link,
	.unlink = anon_unlink,
	.rename = anon_rename,
	.readlink = anon_readlink,
	.dir_open = anon_dir_open,
	.dir_close = anon_dir_close,
	.dir_read = anon_dir_read,
	.dir_sync = anon_dir_sync,
	.getattr = anon_getattr,
	.setattr = anon_setattr,
	.accessed = anon_accessed,
	.privs = anon_privs,
	.drop_privs = anon_drop_privs,
	.getxattr = anon_getxattr,
	.listxattr = anon_listxattr,
	.setxattr = anon_setxattr,
	.removexattr = anon_removexattr,
	.open = anon_file_open,
	.release = anon_file_release,
	.truncate = anon_file_truncate,
	.fallocate = anon_file_fallocate,
	.seek = anon_file_seek,
	.fsync = anon_file_fsync,
	.read_page = anon_file_read_page,
	.fill_page = anon_file_fill_page,
	.is_reserved = anon_file_is_reserved,
	.must_reserve = anon_file_must_reserve,
	.reserve_write = anon_file_reserve_write,
	.prepare_page = anon_file_prepare_page,
	.page_written = anon_file_page_written,
	.balance = anon_balance,
	.must_wait = anon_must_wait,
	.inode_unused = anon_inode_unused,
	.inode_destroy = anon_inode_destroy,
	.statfs = anon_statfs,
	.sync = anon_sync,
	.describe = anon_describe,
	.destroy = anon_volume_destroy,
};
