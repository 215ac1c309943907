/*
 * format.c - nothing is taken for an area that does not say so itself, with a
 * checksum; and nothing that is another's is written to.
 */
#include "swap/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { LOCK_TRIES = 20, LOCK_PAUSE_US = 50000 };

__attribute__((format(printf, 3, 4))) static int
problem(struct swap_problem *why, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return err;
}

static uint64_t header_check(const struct swap_header *h)
{
	return XXH3_64bits(h, offsetof(struct swap_header, check));
}

static int read_header(int fd, struct swap_header *h)
{
	ssize_t n = pread(fd, h, sizeof(*h), 0);

	if (n < 0)
		return -errno;
	if (n != sizeof(*h) ||
	    memcmp(h->magic, SWAP_MAGIC, sizeof(SWAP_MAGIC)) != 0)
		return -EINVAL;
	if (h->check != header_check(h))
		return -EBADMSG;
	return 0;
}

/* Ours alone, until the descriptor is closed. */
static int lock_file(int fd, const char *path, struct swap_problem *why)
{
	int n = 0;

	/* Its last user may have been unmounted, and be on its way out. */
	while (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK &&
	       n++ < LOCK_TRIES)
		usleep(LOCK_PAUSE_US);
	if (n <= LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return problem(why, -EBUSY,
			       "%s is in use as swap by another plimsoll; give "
			       "each its own",
			       path);
	return problem(why, -errno, "%s cannot be locked: %s", path,
		       strerror(errno));
}

static int check_regular(int fd, const char *path, struct stat *st,
			 struct swap_problem *why)
{
	if (fstat(fd, st) < 0)
		return problem(why, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return problem(why, -EINVAL,
			       "%s is not a regular file; swap is a file",
			       path);
	/* Who owns it, or has it open, could read and write what is in it. */
	if (st->st_uid != geteuid())
		return problem(why, -EPERM, "%s belongs to somebody else",
			       path);
	return 0;
}

static void init_header(struct swap_header *h, uint64_t nr_clusters,
			const char *label)
{
	*h = (struct swap_header){ .magic = SWAP_MAGIC,
				   .version = SWAP_VERSION,
				   .page_size = PAGE_SIZE,
				   .cluster_size = SWAP_CLUSTER_SIZE,
				   .nr_clusters = nr_clusters };
	if (label)
		memcpy(h->label, label, strnlen(label, SWAP_LABEL_MAX));
	if (getrandom(h->uuid, sizeof(h->uuid), 0) < 0)
		memset(h->uuid, 0, sizeof(h->uuid)); /* only a name */
	h->check = header_check(h);
}

static int allocation_problem(const char *path, uint64_t size, int err,
			      struct swap_problem *why)
{
	if (err == ENOSPC || err == EDQUOT)
		return problem(why, -err,
			       "%s: no room for %llu MiB of swap on its file "
			       "system",
			       path, (unsigned long long)(size >> 20));
	if (err == EOPNOTSUPP)
		return problem(why, -err,
			       "%s: its file system cannot reserve room "
			       "(fallocate); put swap elsewhere",
			       path);
	return problem(why, -err, "%s: %s", path, strerror(err));
}

static int check_size(const char *path, uint64_t size, struct swap_problem *why)
{
	uint64_t nr = size >> SWAP_CLUSTER_SHIFT;

	if (nr < SWAP_CLUSTERS_MIN)
		return problem(why, -EINVAL,
			       "%s: a swap area of %llu KiB is too small; at "
			       "least %u KiB",
			       path, (unsigned long long)(size >> 10),
			       SWAP_CLUSTERS_MIN << (SWAP_CLUSTER_SHIFT - 10));
	if (nr > SWAP_CLUSTERS_MAX)
		return problem(why, -EFBIG, "%s: too large", path);
	return 0;
}

/* Allocate it all, and write the header last: half an area is none. */
static int format_file(int fd, const char *path, uint64_t size,
		       const char *label, struct swap_problem *why)
{
	uint64_t nr = size >> SWAP_CLUSTER_SHIFT;
	off_t bytes = (off_t)(nr << SWAP_CLUSTER_SHIFT);
	struct swap_header h;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return problem(why, -errno, "%s: %s", path, strerror(errno));
	if (fallocate(fd, 0, 0, bytes) < 0) {
		int err = allocation_problem(path, size, errno, why);

		/* As it was. */
		return ftruncate(fd, st.st_size) < 0 ? -errno : err;
	}
	if (st.st_size > bytes && ftruncate(fd, bytes) < 0)
		return problem(why, -errno, "%s: %s", path, strerror(errno));
	init_header(&h, nr, label);
	if (pwrite(fd, &h, sizeof(h), 0) != sizeof(h) || fsync(fd) < 0)
		return problem(why, -EIO, "%s: its header cannot be written",
			       path);
	return 0;
}

/* Whatever it is: may it be made an area? */
static int may_format(int fd, const char *path, const struct stat *st,
		      struct swap_problem *why)
{
	struct swap_header h;
	int err = st->st_size == 0 ? 0 : read_header(fd, &h);

	if (err == -EINVAL)
		return problem(why, err,
			       "%s is a file with other contents; make it swap "
			       "with plimsollctl mkswap --force, or name "
			       "another",
			       path);
	return err == -EBADMSG ? 0 : err; /* ours, and damaged */
}

/* Opened and locked; *created: by us. Returns the descriptor or -errno. */
static int open_locked(const char *path, bool create, bool *created,
		       struct stat *st, struct swap_problem *why)
{
	int err, fd = open(path, O_RDWR | O_CLOEXEC);

	*created = false;
	if (fd < 0 && errno == ENOENT && create) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		*created = fd >= 0;
	}
	if (fd < 0 && errno == ENOENT && create)
		return problem(why, -ENOENT, "%s: there is no such directory",
			       path);
	if (fd < 0 && errno == ENOENT)
		return problem(why, -ENOENT,
			       "%s does not exist; make it with plimsollctl "
			       "mkswap, or give a size (swap=PATH:SIZE)",
			       path);
	if (fd < 0 && errno == EEXIST)
		return problem(why, -EEXIST, "%s is a link to nothing", path);
	if (fd < 0)
		return problem(why, -errno, "%s: %s", path, strerror(errno));
	err = check_regular(fd, path, st, why);
	if (!err)
		err = lock_file(fd, path, why);
	if (err) {
		if (*created)
			unlink(path);
		close(fd);
		return err;
	}
	return fd;
}

int swap_file_make(const char *path, uint64_t size, const char *label,
		   bool force, struct swap_problem *why)
{
	struct stat st;
	bool created;
	int fd, err = check_size(path, size, why);

	if (err)
		return err;
	fd = open_locked(path, true, &created, &st, why);
	if (fd < 0)
		return fd;
	err = force ? 0 : may_format(fd, path, &st, why);
	if (!err && fchmod(fd, 0600) < 0)
		err = problem(why, -errno, "%s: %s", path, strerror(errno));
	if (!err)
		err = format_file(fd, path, size, label, why);
	if (err && created)
		unlink(path);
	close(fd);
	return err;
}

/* What the header says must be what there is. */
static int check_header(const struct swap_header *h, const char *path,
			const struct stat *st, struct swap_problem *why)
{
	if (h->version != SWAP_VERSION)
		return problem(why, -EINVAL,
			       "%s has format version %u, not %u; make it anew "
			       "with plimsollctl mkswap",
			       path, h->version, SWAP_VERSION);
	if (h->page_size != PAGE_SIZE || h->cluster_size != SWAP_CLUSTER_SIZE ||
	    h->nr_clusters < SWAP_CLUSTERS_MIN ||
	    h->nr_clusters > SWAP_CLUSTERS_MAX || h->nr_bad > SWAP_BAD_MAX)
		return problem(why, -EINVAL,
			       "%s has a header that makes no sense; make it "
			       "anew with plimsollctl mkswap",
			       path);
	if (h->nr_clusters << SWAP_CLUSTER_SHIFT > (uint64_t)st->st_size)
		return problem(
			why, -EINVAL,
			"%s has been cut short: %lld bytes of %llu; make "
			"it anew with plimsollctl mkswap",
			path, (long long)st->st_size,
			(unsigned long long)(h->nr_clusters
					     << SWAP_CLUSTER_SHIFT));
	return 0;
}

/* Holes would be filled when it matters: have the room now. */
static int allocate(int fd, const char *path, const struct swap_header *h,
		    const struct stat *st, struct swap_problem *why)
{
	off_t bytes = (off_t)(h->nr_clusters << SWAP_CLUSTER_SHIFT);

	if ((off_t)st->st_blocks * 512 >= bytes ||
	    fallocate(fd, 0, 0, bytes) == 0)
		return 0;
	return problem(why, -errno,
		       "%s has holes, and they cannot be filled: %s", path,
		       strerror(errno));
}

static int direct_align(int fd)
{
	struct statx st;

#ifdef STATX_DIOALIGN
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &st) == 0 &&
	    (st.stx_mask & STATX_DIOALIGN) && st.stx_dio_offset_align > 0)
		return (int)max_of(st.stx_dio_offset_align, 512u);
#else
	(void)fd;
	(void)st;
#endif
	return PAGE_SIZE;
}

/* The same file for direct I/O; the lock stays with the description. */
static void open_direct(struct swap_file *f)
{
	int flags = fcntl(f->fd, F_GETFL);
	int align = direct_align(f->fd);

	/* The header was read and written through the host's page cache. */
	posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
	f->direct = align <= (int)PAGE_SIZE &&
		    fcntl(f->fd, F_SETFL, flags | O_DIRECT) == 0;
	f->align = f->direct ? (uint32_t)align : PAGE_SIZE;
}

static int use_file(struct swap_file *f, const char *path, struct stat *st,
		    struct swap_problem *why)
{
	int err = read_header(f->fd, &f->header);

	if (err == -EBADMSG)
		return problem(why, err,
			       "%s has a damaged header; make it anew with "
			       "plimsollctl mkswap",
			       path);
	if (err)
		return problem(why, err,
			       "%s is no swap area; plimsollctl mkswap makes "
			       "one",
			       path);
	err = check_header(&f->header, path, st, why);
	if (!err)
		err = allocate(f->fd, path, &f->header, st, why);
	if (err)
		return err;
	f->was_open = st->st_mode & 077;
	if (f->was_open && fchmod(f->fd, 0600) < 0)
		return problem(why, -errno, "%s: mode 0600: %s", path,
			       strerror(errno));
	open_direct(f);
	return 0;
}

/* Made anew: missing, empty, or an area of another size. */
static bool wants_making(int fd, const struct stat *st, uint64_t size)
{
	struct swap_header h;
	int err;

	if (size == 0)
		return false;
	if (st->st_size == 0)
		return true;
	err = read_header(fd, &h);
	return err == -EBADMSG ||
	       (err == 0 && h.nr_clusters != size >> SWAP_CLUSTER_SHIFT);
}

int swap_file_open(struct swap_file *f, const char *path, uint64_t size,
		   struct swap_problem *why)
{
	struct stat st;
	int err = size > 0 ? check_size(path, size, why) : 0;

	*f = (struct swap_file){ .fd = -1 };
	if (err)
		return err;
	f->fd = open_locked(path, size > 0, &f->created, &st, why);
	if (f->fd < 0)
		return f->fd;
	if (wants_making(f->fd, &st, size)) {
		err = format_file(f->fd, path, size, NULL, why);
		if (!err && fstat(f->fd, &st) < 0)
			err = problem(why, -errno, "%s: %s", path,
				      strerror(errno));
	}
	if (!err)
		err = use_file(f, path, &st, why);
	if (err)
		swap_file_discard(f, path);
	return err;
}

void swap_file_discard(struct swap_file *f, const char *path)
{
	if (f->fd >= 0 && f->created)
		unlink(path);
	swap_file_close(f);
}

void swap_file_close(struct swap_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}
