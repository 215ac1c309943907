/*
 * anon_file.c - the contents of a file without a home.
 *
 *   (1) Bytes of the last page behind the size are zero, resident or stored,
 *       so that the file can grow over them.
 *   (2) But for tail_garbage: cutting a file in the middle of a page that is
 *       not in memory has to bring it in, and must not fail if there is no
 *       frame at all. Then the size is remembered there: from it to the end of
 *       its page old contents may be left. No read shows them, as reads end at
 *       the size, so they are zeroed when the size is about to grow:
 *         - by a write into that page: in it, when it was written;
 *         - by a write further on: before it, in prepare_page;
 *         - by truncate and fallocate: before they grow it.
 *       What cannot be read from swap stays so, and the file does not grow:
 *       the disk may be better later.
 *       The two writes can meet: it changes to 0 with that page locked. It is
 *       set only with io_lock held alone.
 *   (3) A page that could not be filled is taken out before it is unlocked;
 *       what is stored for it stays.
 *   (4) With overcommit=never every page below the size is reserved, of a file
 *       that was made so: whatever makes the size grow reserves first, from the
 *       old size on, as the holes in between can be mapped from then on.
 */
#include "fs/anon_file.h"

#include "fs/anon_attr.h"
#include "fs/anon_inode.h"
#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

/*
 * Cutting gives memory back: it may take the last frames to do so, like
 * reclaim.
 */
#define GFP_CUT (GFP_KERNEL | GFP_RESERVE)

int anon_file_open(struct inode *inode, int flags)
{
	(void)flags;
	anon_opened(inode);
	return 0;
}

void anon_file_release(struct inode *inode)
{
	(void)inode;
}

bool anon_file_is_reserved(struct inode *inode, pgoff_t index)
{
	return anon_is_reserved(&inode->mapping, index);
}

int anon_file_fsync(struct inode *inode, bool data_only)
{
	(void)inode;
	(void)data_only;
	return 0;
}

/* The size is "size" now, or at least that; and it is modified. */
enum size_change { SIZE_SET, SIZE_GROW, SIZE_KEEP };

static void modified(struct inode *inode, enum size_change how, uint64_t size)
{
	struct anon_inode *ai = anon_inode_of(inode);
	struct timespec now = os_realtime();

	mutex_lock(&inode->time_lock);
	if (how == SIZE_SET ||
	    (how == SIZE_GROW && size > atomic_load(&inode->size)))
		atomic_store(&inode->size, size);
	ai->mtime = now;
	anon_changed(inode, now);
	mutex_unlock(&inode->time_lock);
}

/* --- zeroing ---------------------------------------------------------------- */

static void page_zero(struct inode *inode, struct page *page, size_t from,
		      size_t to)
{
	char *base = page_address(&inode->vol->mm->arena, page);

	if (from < to)
		memset(base + from, 0, to - from);
}

/* The locked page of an index where something is stored; or NULL, *err 0. */
static struct page *grab_stored(struct inode *inode, pgoff_t index, gfp_t gfp,
				int *err)
{
	struct page *page;

	*err = 0;
	if (!anon_is_stored(&inode->mapping, index))
		return NULL;
	page = page_cache_grab(&inode->mapping, index, gfp, err);
	return page;
}

/*
 * Is it zeroes already? Then it need not be charged for, and stays a hole; one
 * that has just been made goes again (3).
 */
static bool is_hole(const struct page *page)
{
	enum anon_state state = anon_page_state(page);

	return state == ANON_NEW || state == ANON_BLANK;
}

/* It can be written, and what is not written will be as it was. */
static int make_ready(struct inode *inode, struct page *page, gfp_t gfp)
{
	int err = 0;

	if (!page_test(page, PG_uptodate))
		err = anon_file_fill_page(inode, page, gfp);
	return err ? err : anon_charge(&inode->mapping, page);
}

static void release(struct inode *inode, struct page *page)
{
	struct mm *mm = inode->vol->mm;

	if (!page_test(page, PG_uptodate))
		page_cache_remove(&inode->mapping, page); /* (3) */
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
}

/*
 * Bytes [from, to) of what is stored at index are zero; a hole is left one. 0,
 * -ENOMEM, or -EIO.
 */
static int zero_part(struct inode *inode, pgoff_t index, size_t from, size_t to)
{
	int err;
	struct page *page = grab_stored(inode, index, GFP_CUT, &err);

	if (!page)
		return err;
	if (!is_hole(page)) {
		err = make_ready(inode, page, GFP_CUT);
		if (!err) {
			page_zero(inode, page, from, to);
			anon_set_dirty(&inode->mapping, page);
		}
	}
	release(inode, page);
	return err;
}

/*
 * Zero what (2) has left. gfp: without GFP_RECLAIM if another page is locked,
 * as that one may be above: then it is tried only. 0, -ENOMEM, -EAGAIN, or
 * -EIO.
 */
static int clean_tail(struct inode *inode, gfp_t gfp)
{
	struct anon_inode *ai = anon_inode_of(inode);
	uint64_t from = atomic_load(&ai->tail_garbage);
	struct page *page;
	int err;

	if (from == 0)
		return 0;
	page = grab_stored(inode, from >> PAGE_SHIFT, gfp, &err);
	if (!page) {
		if (!err)
			atomic_store(&ai->tail_garbage, 0); /* punched out */
		return err;
	}
	if (!is_hole(page))
		err = make_ready(inode, page, GFP_CUT);
	/* Somebody may have been faster. */
	if (!err && !is_hole(page) && atomic_load(&ai->tail_garbage)) {
		page_zero(inode, page, from & PAGE_MASK, PAGE_SIZE);
		anon_set_dirty(&inode->mapping, page);
	}
	/* What cannot be read now may be readable, and shown, later. */
	if (!err)
		atomic_store(&ai->tail_garbage, 0);
	release(inode, page);
	return err;
}

/* --- reserving ------------------------------------------------------------- */

static bool never_overcommits(const struct inode *inode)
{
	return vm_get(inode->vol->mm, VM_OVERCOMMIT_MEMORY) == OVERCOMMIT_NEVER;
}

/* A quarter of what others have is asked for, each time: a guess. */
enum { RESERVE_PRIORITY = 2 };

/*
 * Pages first to last. What could never be is refused at once; for what others
 * have the caller may wait: -ENOROOM.
 */
static int reserve(struct inode *inode, pgoff_t first, pgoff_t last)
	must_hold(inode->io_lock)
{
	struct mm *mm = inode->vol->mm;
	int err;

	if (last - first >= anon_pages_total(mm)) {
		vmstat_inc(mm, ENOSPC_RESERVED);
		return -ENOSPC;
	}
	err = anon_reserve(&inode->mapping, first, last);
	if (!err)
		return 0;
	/* The kernel's copies of mapped pages can go, and count as taken. */
	shrinker_scan_all(mm, RESERVE_PRIORITY);
	return -ENOROOM;
}

/* The first page of those that a change from "at" on makes part of the file. */
static pgoff_t first_new(const struct inode *inode, uint64_t at)
{
	return min_of(at, atomic_load(&inode->size)) >> PAGE_SHIFT;
}

/* More than a write has: no look at each of them. */
enum { LOOK_PAGES_MAX = 1024 };

bool anon_file_must_reserve(struct inode *inode, uint64_t at, size_t len)
{
	pgoff_t first, last;

	if (!never_overcommits(inode) || len == 0)
		return false;
	first = first_new(inode, at);
	last = pages_of(at + len) - 1;
	return last - first >= LOOK_PAGES_MAX ||
	       !anon_range_is_reserved(&inode->mapping, first, last);
}

int anon_file_reserve_write(struct inode *inode, uint64_t at, size_t len)
{
	int err = reserve(inode, first_new(inode, at), pages_of(at + len) - 1);

	return err == -ENOROOM ? -ENOMEM : err;
}

/* The size is about to grow, with io_lock held alone. 0, -ENOROOM or -EIO. */
static int before_growth(struct inode *inode) must_hold(inode->io_lock)
{
	int err = clean_tail(inode, GFP_CUT);

	return err && err != -EIO ? -ENOROOM : err;
}

static int grow(struct inode *inode, uint64_t size) must_hold(inode->io_lock)
{
	int err = before_growth(inode);

	if (!err && never_overcommits(inode))
		err = reserve(inode, first_new(inode, size),
			      pages_of(size) - 1);
	return err;
}

/* --- cutting ------------------------------------------------------------------ */

static void cut(struct inode *inode, uint64_t size) must_hold(inode->io_lock)
{
	struct anon_inode *ai = anon_inode_of(inode);
	int err = 0;

	modified(inode, SIZE_SET, size);
	anon_truncate(&inode->mapping, pages_of(size), UINT64_MAX);
	atomic_store(&ai->tail_garbage, 0);
	if (size & PAGE_MASK)
		err = zero_part(inode, size >> PAGE_SHIFT, size & PAGE_MASK,
				PAGE_SIZE);
	if (err)
		atomic_store(&ai->tail_garbage, size); /* (2) */
}

int anon_file_truncate(struct inode *inode, uint64_t size)
{
	int err = 0;

	if (!S_ISREG(inode->type))
		return S_ISDIR(inode->type) ? -EISDIR : -EINVAL;
	if (size > inode->vol->max_file_size)
		return -EFBIG;
	rwlock_lock(&inode->io_lock);
	if (size < atomic_load(&inode->size)) {
		cut(inode, size);
	} else {
		if (size > atomic_load(&inode->size))
			err = grow(inode, size);
		if (!err)
			modified(inode, SIZE_SET, size);
	}
	rwlock_unlock(&inode->io_lock);
	return err;
}

/* --- fallocate(2), lseek(2) ----------------------------------------------------- */

struct range {
	uint64_t start, end;
	pgoff_t first, last; /* whole pages in it are [first, last) */
};

/* The ends of a range that are parts of pages. */
static int zero_ends(struct inode *inode, const struct range *r)
{
	size_t from = r->start & PAGE_MASK, to = r->end & PAGE_MASK;
	int err = 0;

	if (r->start >> PAGE_SHIFT == r->end >> PAGE_SHIFT)
		return zero_part(inode, r->start >> PAGE_SHIFT, from, to);
	if (from)
		err = zero_part(inode, r->start >> PAGE_SHIFT, from, PAGE_SIZE);
	if (!err && to)
		err = zero_part(inode, r->end >> PAGE_SHIFT, 0, to);
	return err;
}

/* What is reserved stays so: see anon_punch(). */
static int punch(struct inode *inode, const struct range *r)
{
	int err = zero_ends(inode, r);

	if (!err && r->first < r->last)
		anon_punch(&inode->mapping, r->first, r->last - 1);
	return err;
}

static int allocate(struct inode *inode, int mode, const struct range *r)
	must_hold(inode->io_lock)
{
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE) &&
		     r->end > atomic_load(&inode->size);
	pgoff_t first = r->start >> PAGE_SHIFT;
	int err = 0;

	if (grows && never_overcommits(inode))
		first = first_new(inode, r->start); /* (4) */
	if (grows)
		err = before_growth(inode);
	if (!err &&
	    vm_get(inode->vol->mm, VM_OVERCOMMIT_MEMORY) != OVERCOMMIT_ALWAYS)
		err = reserve(inode, first, pages_of(r->end) - 1);
	if (!err && (mode & FALLOC_FL_ZERO_RANGE))
		err = punch(inode, r);
	if (!err)
		modified(inode, grows ? SIZE_GROW : SIZE_KEEP, r->end);
	return err;
}

int anon_file_fallocate(struct inode *inode, int mode, uint64_t offset,
			uint64_t len)
{
	uint64_t max = inode->vol->max_file_size;
	int what = mode & ~FALLOC_FL_KEEP_SIZE;
	struct range r = { offset, offset + len, pages_of(offset),
			   (offset + len) >> PAGE_SHIFT };
	int err;

	if (what != 0 && what != FALLOC_FL_ZERO_RANGE &&
	    mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (len == 0)
		return -EINVAL;
	if (offset > max || len > max - offset)
		return -EFBIG;
	rwlock_lock(&inode->io_lock);
	if (what == FALLOC_FL_PUNCH_HOLE) {
		err = punch(inode, &r);
		if (!err)
			modified(inode, SIZE_KEEP, 0);
	} else {
		err = allocate(inode, mode, &r);
	}
	rwlock_unlock(&inode->io_lock);
	return err == -ENOMEM ? -ENOROOM : err;
}

/* Where it is looked for from, or what was found: within the file. */
static int64_t seek_locked(struct inode *inode, uint64_t offset, int whence)
	must_hold_shared(inode->io_lock)
{
	uint64_t size = atomic_load(&inode->size);
	pgoff_t index = offset >> PAGE_SHIFT;

	if (offset >= size)
		return -ENXIO;
	index = whence == SEEK_DATA ? anon_seek_data(&inode->mapping, index)
				    : anon_seek_hole(&inode->mapping, index);
	if (index >= pages_of(size))
		return whence == SEEK_DATA ? -ENXIO : (int64_t)size;
	return (int64_t)max_of(offset, index << PAGE_SHIFT);
}

int64_t anon_file_seek(struct inode *inode, uint64_t offset, int whence)
{
	int64_t at;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	rwlock_lock_shared(&inode->io_lock);
	at = seek_locked(inode, offset, whence);
	rwlock_unlock_shared(&inode->io_lock);
	return at;
}

/* --- pages ------------------------------------------------------------------------ */

int anon_file_read_page(struct inode *inode, pgoff_t index, void *to)
{
	return anon_read_page(&inode->mapping, index, to);
}

int anon_file_fill_page(struct inode *inode, struct page *page, gfp_t gfp)
{
	return anon_fill(&inode->mapping, page, gfp);
}

int anon_file_prepare_page(struct inode *inode, struct page *page, uint64_t end,
			   gfp_t gfp)
{
	uint64_t tail = atomic_load(&anon_inode_of(inode)->tail_garbage);
	int err;

	(void)end;
	if (tail && page->index > tail >> PAGE_SHIFT) { /* (2) */
		if (!(gfp & GFP_RECLAIM))
			return -EAGAIN;
		err = clean_tail(inode, GFP_MEMALLOC);
		if (err) /* -EAGAIN: locked by another, who is above us */
			return err;
	}
	err = anon_charge(&inode->mapping, page);
	/* Zeroes that were a hole: nobody keeps them for who was refused. */
	if (err && anon_page_state(page) == ANON_BLANK)
		page_clear(page, PG_uptodate);
	return err;
}

/* A write into the page with garbage (2): all of it that was not written. */
static void clean_written(struct inode *inode, struct page *page,
			  uint64_t start, uint64_t end)
{
	_Atomic uint64_t *garbage = &anon_inode_of(inode)->tail_garbage;
	uint64_t base = page->index << PAGE_SHIFT, tail = atomic_load(garbage);

	if (tail == 0 || tail >> PAGE_SHIFT != page->index)
		return;
	page_zero(inode, page, tail - base, start - base);
	page_zero(inode, page, max_of(end, tail) - base, PAGE_SIZE);
	atomic_store(garbage, 0);
}

void anon_file_page_written(struct inode *inode, struct page *page,
			    uint64_t start, uint64_t end)
{
	VM_ASSERT(page_test(page, PG_locked));
	VM_ASSERT(start < end && end <= (page->index + 1) << PAGE_SHIFT);
	clean_written(inode, page, start, end);
	page_set(page, PG_uptodate);
	anon_set_dirty(&inode->mapping, page);
	modified(inode, SIZE_GROW, end);
}
