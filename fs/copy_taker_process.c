/*
 * copy_taker_process.c - the other end: plimsoll executed once more.
 *
 * The end of plimsoll is the end of the socket, and of this process.
 */
#include "fs/copy_message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

/* --- what the C library of today does not have yet ------------------------- */

#define NR_CACHESTAT 451

/* As struct cachestat_range and struct cachestat of <linux/mman.h>. */
struct stat_range {
	uint64_t offset, len;
};

struct stat_result {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recent;
};

/* Another mount may lie on top, which is not to be asked anything. */
static bool is_of(int fd, dev_t device)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &st) == 0 &&
	       makedev(st.stx_dev_major, st.stx_dev_minor) == device;
}

/* The root directory of a detached clone of what is mounted there, or -errno. */
static int clone_mount(const char *path, dev_t device)
{
	int tree =
		open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int root = -ESTALE;

	if (tree < 0)
		return -errno;
	/* The clone lives for as long as what is open in it. */
	if (is_of(tree, device)) {
		root = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		root = root < 0 ? -errno : root;
	}
	close(tree);
	return root;
}

/* Of pages in the kernel's cache. 0 or -errno. */
static int cache_stat(int fd, uint64_t offset, uint64_t len,
		      struct stat_result *result)
{
	struct stat_range range = { offset, len };

	return syscall(NR_CACHESTAT, fd, &range, result, 0) < 0 ? -errno : 0;
}

/* How many there are, or -errno. */
static int64_t count_pages(int fd, uint64_t offset, uint64_t len)
{
	struct stat_result result;
	int err = cache_stat(fd, offset, len, &result);

	return err ? err : (int64_t)result.nr_cache;
}

/* --- the process ------------------------------------------------------------ */

struct taker {
	int mounts[COPY_TAKER_MOUNTS];	  /* clones, or -1 */
	dev_t devices[COPY_TAKER_MOUNTS]; /* theirs */
	/* Open from the last order to the next: most are of the same file. */
	struct copy_order opened;
	int opened_fd; /* or -1 */
	char *zeroes;  /* chunk bytes that are never touched */
	size_t chunk;
};

/* A range with one page of so many is worth a write. */
enum { DENSE = 4 };

/* FUSE's handle: node id and generation (FILEID_INO64_GEN). */
enum { HANDLE_TYPE = 0x81, HANDLE_BYTES = 12 };

static int open_node(int mount, const struct copy_order *o, int flags)
{
	union {
		struct file_handle h;
		char room[sizeof(struct file_handle) + HANDLE_BYTES];
	} u = { .h = { .handle_bytes = HANDLE_BYTES,
		       .handle_type = HANDLE_TYPE } };
	uint32_t words[3] = { (uint32_t)(o->nodeid >> 32), (uint32_t)o->nodeid,
			      o->generation };

	memcpy(u.h.f_handle, words, sizeof(words));
	return open_by_handle_at(mount, &u.h, flags | O_CLOEXEC);
}

/*
 * Mapped, or being written: the kernel drops it where a direct write is made.
 * Ranges that are mostly empty are halved first: what is written has to be
 * carried there and back.
 */
static void unmap(const struct taker *t, int fd, uint64_t at, uint64_t end)
{
	int64_t pages = count_pages(fd, at, end - at);
	uint64_t half = (end - at) / 2 & ~PAGE_MASK;

	if (pages <= 0)
		return;
	if (half == 0 ||
	    (end - at <= t->chunk &&
	     (uint64_t)pages << PAGE_SHIFT >= (end - at) / DENSE)) {
		pwrite(fd, t->zeroes, (size_t)(end - at), (off_t)at);
		return;
	}
	unmap(t, fd, at, at + half);
	unmap(t, fd, at + half, end);
}

static void unmap_order(const struct taker *t, int fd,
			const struct copy_order *o)
{
	struct stat st;
	uint64_t end;

	if (fstat(fd, &st) < 0)
		return;
	end = (uint64_t)st.st_size;
	if (o->len > 0 && o->offset + o->len < end)
		end = o->offset + o->len;
	if (o->offset < end)
		unmap(t, fd, o->offset, end);
}

static void close_node(struct taker *t)
{
	if (t->opened_fd >= 0)
		close(t->opened_fd);
	t->opened_fd = -1;
}

/* Open for reading, for this order and those behind it. */
static int open_idle(struct taker *t, const struct copy_order *o)
{
	if (t->opened_fd >= 0 && t->opened.mount == o->mount &&
	    t->opened.nodeid == o->nodeid &&
	    t->opened.generation == o->generation)
		return t->opened_fd;
	close_node(t);
	t->opened = *o;
	t->opened_fd = open_node(t->mounts[o->mount], o, O_RDONLY);
	return t->opened_fd;
}

/* True: there is nothing to be taken, or it cannot be told. */
static bool take_idle(struct taker *t, struct copy_order *o)
{
	int fd = open_idle(t, o);
	int64_t left;

	if (fd < 0) {
		if (errno == ESTALE) /* the kernel does not know it any more */
			o->nr_left = 0;
		return true;
	}
	posix_fadvise(fd, (off_t)o->offset, (off_t)o->len, POSIX_FADV_DONTNEED);
	left = count_pages(fd, o->offset, o->len);
	if (left >= 0)
		o->nr_left = (uint32_t)left;
	return left <= 0;
}

static void take(struct taker *t, struct copy_order *o)
{
	int mount = o->mount < COPY_TAKER_MOUNTS ? t->mounts[o->mount] : -1;
	int64_t left;
	int fd = -1;

	if (mount < 0 || take_idle(t, o) || o->how == COPY_TAKE_IDLE)
		return;
	if (o->how == COPY_TAKE_RANGE)
		fd = open_node(mount, o, O_RDWR);
	if (fd >= 0)
		unmap_order(t, fd, o);
	else /* or read-only, or being executed */
		fd = open_node(mount, o, O_RDONLY | O_SYNC);
	if (fd < 0)
		return;
	left = count_pages(fd, o->offset, o->len);
	close(fd);
	if (left >= 0)
		o->nr_left = (uint32_t)left;
}

/* Pages of it that are dirty or under write-back; all if it cannot be told. */
static uint64_t nr_unwritten(int fd, uint64_t first, uint64_t nr)
{
	struct stat_result result;

	if (cache_stat(fd, first << PAGE_SHIFT, nr << PAGE_SHIFT, &result) < 0)
		return nr;
	return result.nr_dirty + result.nr_writeback;
}

/* The first of [first, first + nr), of which some are, by bisection. */
static uint64_t first_unwritten(int fd, uint64_t first, uint64_t nr)
{
	while (nr > 1) {
		uint64_t half = nr / 2;

		if (nr_unwritten(fd, first, half) > 0) {
			nr = half;
		} else {
			first += half;
			nr -= half;
		}
	}
	return first;
}

/* How many of [first, first + nr) are without a gap; the first one is. */
static uint64_t run_unwritten(int fd, uint64_t first, uint64_t nr)
{
	uint64_t least = 1, most = nr;

	while (least < most) {
		uint64_t try = most - (most - least) / 2;

		if (nr_unwritten(fd, first, try) >= try)
			least = try;
		else
			most = try - 1;
	}
	return least;
}

/*
 * Before Linux 6.16 a page counts as written as soon as FUSE has copied it into a
 * request, which may not have come here yet.
 */
static bool shows_writeback(void)
{
	unsigned int major, minor;
	struct utsname name;

	return uname(&name) == 0 &&
	       sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 16));
}

/*
 * The size is the one that the kernel has: without asking plimsoll, which waits
 * for this answer.
 */
static int look(struct taker *t, const struct copy_order *o,
		struct kernel_view *view)
{
	uint64_t first = o->offset >> PAGE_SHIFT, nr, end;
	struct statx st;
	int fd = -1;

	if (!shows_writeback())
		return -ENOTSUP;
	if (o->mount < COPY_TAKER_MOUNTS && t->mounts[o->mount] >= 0)
		fd = open_idle(t, o);
	if (fd < 0)
		return -ESTALE;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &st) <
	    0)
		return -errno;
	*view = (struct kernel_view){ .size = st.stx_size };
	end = pages_of(st.stx_size);
	if (o->len > 0)
		end = min_of(end, pages_of(o->offset + o->len));
	nr = end > first ? end - first : 0;
	if (nr == 0 || nr_unwritten(fd, first, nr) == 0)
		return 0;
	view->start = first_unwritten(fd, first, nr);
	view->end =
		view->start + run_unwritten(fd, view->start, end - view->start);
	view->start <<= PAGE_SHIFT;
	view->end <<= PAGE_SHIFT;
	return 0;
}

/*
 * syncfs(2) need not wait for a FUSE file system, whose kernel promises nothing for
 * what a process has to write.
 */
static int push(struct taker *t, const struct copy_order *o)
{
	int mount = o->mount < COPY_TAKER_MOUNTS ? t->mounts[o->mount] : -1;
	int fd;

	if (mount < 0)
		return -ESTALE;
	if (o->nodeid == 0)
		return syncfs(mount) < 0 ? -errno : 0;
	fd = open_idle(t, o);
	if (fd < 0)
		return -errno;
	return sync_file_range(fd, 0, 0,
			       SYNC_FILE_RANGE_WAIT_BEFORE |
				       SYNC_FILE_RANGE_WRITE |
				       SYNC_FILE_RANGE_WAIT_AFTER) < 0
		       ? -errno
		       : 0;
}

static void forget_mount(struct taker *t, uint32_t n)
{
	if (n < COPY_TAKER_MOUNTS && t->mounts[n] >= 0) {
		close(t->mounts[n]);
		t->mounts[n] = -1;
	}
}

/* Its root by its handle, as files will be opened, and counted: 0 or -errno. */
static int try_mount(int mount)
{
	const struct copy_order root = { .nodeid = 1 };
	int fd = open_node(mount, &root, O_RDONLY | O_DIRECTORY);
	int64_t pages;

	if (fd < 0)
		return -errno;
	pages = count_pages(fd, 0, 0);
	close(fd);
	return pages < 0 ? (int)pages : 0;
}

static int add_mount(struct taker *t, const struct message *m)
{
	int root;

	if (m->mount >= COPY_TAKER_MOUNTS)
		return -EINVAL;
	forget_mount(t, m->mount);
	root = clone_mount(m->path, (dev_t)m->device);
	if (root < 0)
		return root;
	t->mounts[m->mount] = root;
	t->devices[m->mount] = (dev_t)m->device;
	return try_mount(root);
}

static bool is_mounted(FILE *mountinfo, dev_t device)
{
	char line[2 * PATH_MAX], want[32];

	snprintf(want, sizeof(want), "%u:%u", major(device), minor(device));
	rewind(mountinfo);
	while (fgets(line, sizeof(line), mountinfo)) {
		char found[32];

		if (sscanf(line, "%*d %*d %31s", found) == 1 &&
		    strcmp(found, want) == 0)
			return true;
	}
	return false;
}

/* A clone would keep alive what has been unmounted. */
static void forget_unmounted(struct taker *t, FILE *mountinfo)
{
	for (uint32_t n = 0; n < COPY_TAKER_MOUNTS; n++)
		if (t->mounts[n] >= 0 && !is_mounted(mountinfo, t->devices[n]))
			forget_mount(t, n);
}

static void obey(struct taker *t, struct message *m)
{
	m->err = 0;
	switch (m->type) {
	case TAKER_HELLO:
		setfsgid(m->token);
		m->token = (uint32_t)setfsgid((gid_t)-1); /* as it is now */
		/* If it may not, it is slower where memory is short. */
		if (m->locked)
			mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
		t->chunk = (size_t)m->chunk;
		t->zeroes = mmap(NULL, t->chunk, PROT_READ,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (t->zeroes == MAP_FAILED)
			m->err = -errno;
		else if (count_pages(TAKER_FD, 0, 0) == -ENOSYS)
			m->err = -ENOSYS;
		break;
	case TAKER_MOUNTED:
		m->err = add_mount(t, m);
		break;
	case TAKER_UNMOUNTING:
		forget_mount(t, m->mount);
		break;
	case TAKER_TAKE:
		for (uint32_t i = 0; i < m->nr && i < COPY_ORDERS; i++)
			take(t, &m->orders[i]);
		close_node(t);
		break;
	case TAKER_PUSH:
		m->err = push(t, &m->orders[0]);
		close_node(t);
		break;
	case TAKER_LOOK:
		m->err = look(t, &m->orders[0], &m->view);
		close_node(t);
		break;
	}
}

/*
 * Before all who read: else they map pages as fast as it takes them. It waits for
 * nobody by turning round. Not allowed: it will be slower.
 */
static void go_first(void)
{
	const struct sched_param p = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &p) < 0)
		copy_taker_hurry();
}

int copy_taker_main(void)
{
	static struct taker t;
	static struct message m;
	FILE *mountinfo = fopen("/proc/self/mountinfo", "re");
	struct pollfd fds[2] = { { .fd = TAKER_FD, .events = POLLIN },
				 { .fd = mountinfo ? fileno(mountinfo) : -1,
				   .events = POLLPRI } };

	setsid();
	go_first();
	prctl(PR_SET_NAME, "plimsoll-copies");
	/* Its end is plimsoll's, whoever asks for it. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	t.opened_fd = -1;
	for (int i = 0; i < COPY_TAKER_MOUNTS; i++)
		t.mounts[i] = -1;
	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return EXIT_FAILURE;
		if (fds[1].revents)
			forget_unmounted(&t, mountinfo);
		if (!(fds[0].revents & (POLLIN | POLLHUP)))
			continue;
		if (recv(TAKER_FD, &m, sizeof(m), 0) <= 0)
			return EXIT_SUCCESS;
		obey(&t, &m);
		if (send(TAKER_FD, &m, sizeof(m), MSG_NOSIGNAL) < 0)
			return EXIT_FAILURE;
	}
}
