/*
 * seek.c - nothing is called a hole that somebody has written to.
 *
 * The volume knows what has arrived. What was stored through a mapping (with
 * cache=writeback: written at all) is the kernel's until it hands it over, and no
 * request says that it is there. So while somebody has the file open for writing,
 * who may have mapped it, the kernel is asked what it has of the hole.
 *
 *   (1) "Data" needs no proof, a hole does. Where nothing can be known (nobody to
 *       ask, or he is busy) the rest of the file is data.
 *   (2) What the kernel hands over between the volume's answer and the kernel's is
 *       in neither: the volume is asked once more, and has to say the same.
 *   (3) Where data begins no hole does, asked at once or later, unless the file is
 *       punched: else those who copy it would find nothing between the two.
 */
#include "fs/seek.h"

#include "fs/fs.h"

#include <errno.h>
#include <unistd.h>

/* So often something came in between; then all is data (1). */
enum { TRIES_MAX = 64, BUSY_TRIES = 20 };

/* Of what begins as a hole so much is looked at, in one go. */
#define LOOK_BYTES (2ull << 20)

/* One call. */
struct seek {
	struct inode *inode;
	uint64_t offset;
	int whence;
};

/* With a write-back cache in front sizes are the kernel's, too. */
static bool kernel_has_size(const struct seek *s)
{
	return s->inode->vol->cache == CACHE_WRITEBACK;
}

static int64_t ask_volume(const struct seek *s, uint64_t offset)
{
	return s->inode->vol->ops->seek(s->inode, offset, s->whence);
}

/* len 0: to the end. */
static int ask_kernel(const struct seek *s, uint64_t offset, uint64_t len,
		      struct kernel_view *view)
{
	struct kernel_copies *k = &s->inode->vol->fs->copies;
	int err, tries = 0;

	/* "Nobody knows" is for ever where the kernel has the size. */
	do
		err = kernel_copies_look(k, s->inode, offset, len, view);
	while (err == -EAGAIN && kernel_has_size(s) && tries++ < BUSY_TRIES);
	return err;
}

/* (1) */
static int64_t all_data(const struct seek *s)
{
	uint64_t size = atomic_load(&s->inode->size);

	if (kernel_has_size(s))
		return -ENOSYS;
	vmstat_inc(s->inode->vol->mm, SEEK_ALL_DATA);
	if (s->offset >= size)
		return -ENXIO;
	return s->whence == SEEK_DATA ? (int64_t)s->offset : (int64_t)size;
}

static int64_t find_data(const struct seek *s)
{
	struct kernel_view view;
	int64_t at = ask_volume(s, s->offset), before;
	int tries = 0;

	do {
		before = at;
		if (at == (int64_t)s->offset || (at < 0 && at != -ENXIO))
			return at;
		if (ask_kernel(s, s->offset,
			       at < 0 ? 0 : (uint64_t)at - s->offset,
			       &view) < 0)
			return all_data(s);
		if (view.start < view.end)
			return (int64_t)max_of(view.start, s->offset);
		at = ask_volume(s, s->offset); /* (2) */
	} while (at != before && tries++ < TRIES_MAX);
	return at == before ? at : all_data(s);
}

/* The volume knows of no hole before the end: where is that? */
static int64_t find_end(const struct seek *s)
{
	uint64_t size = atomic_load(&s->inode->size);
	struct kernel_view view;

	if (kernel_has_size(s)) {
		if (ask_kernel(s, s->offset, 0, &view) < 0)
			return all_data(s);
		size = max_of(size, view.size);
	}
	return s->offset < size ? (int64_t)size : -ENXIO;
}

static int64_t find_hole(const struct seek *s)
{
	uint64_t from = s->offset;
	struct kernel_view view;
	int64_t at;

	for (int tries = 0; tries < TRIES_MAX; tries++) {
		at = ask_volume(s, from);
		if (at < 0 && at != -ENXIO)
			return at;
		if (at < 0 || (uint64_t)at >= atomic_load(&s->inode->size))
			return find_end(s);
		if (ask_kernel(s, (uint64_t)at, LOOK_BYTES, &view) < 0)
			return all_data(s);
		if (view.start <= (uint64_t)at && (uint64_t)at < view.end)
			from = view.end; /* begins with what is not handed over */
		else if (ask_volume(s, from) == at) /* (2) */
			return at;
	}
	return all_data(s);
}

int64_t seek_find(struct inode *inode, uint64_t offset, int whence)
{
	const struct seek s = { inode, offset, whence };

	if (!kernel_copies_may_be_dirty(inode) ||
	    (whence != SEEK_DATA && whence != SEEK_HOLE))
		return ask_volume(&s, offset);
	return whence == SEEK_DATA ? find_data(&s) : find_hole(&s);
}
