/*
 * fuse_session.c - receive, dispatch, and stop without leaving anybody behind.
 *
 *   (1) A receiver owns one buffer. A deferred request takes it; the receiver
 *       gets another before it receives again.
 *   (2) nr_deferred counts requests between session_defer() and
 *       session_end(); a session is not destroyed before it is 0.
 *   (3) Interrupts are off: a client that is killed waits for its answer, and
 *       every wait of a request is bounded.
 *   (4) libfuse frees the requests of its rings when their threads end: before
 *       that, no more are deferred, and all that were have been answered.
 *   (5) Ring threads are bound to their CPUs, and so is what they start: it
 *       must not be they who start a thread.
 *   (6) Our mount point may lead to another's mount by now. Only what is our
 *       mount is unmounted, synced, or asked anything.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)
#include "fs/fuse_session.h"

#include "fs/copy_taker.h"
#include "fs/fuse_notify.h"
#include "fs/fuse_ops.h"
#include "fs/fuse_uring.h"
#include "fs/log.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* Header of a request, as libfuse reckons it. */
enum { HEADER_ROOM = 4096 };

/* The largest message there is before INIT has agreed on less. */
enum { FIRST_MESSAGE = (1 << 20) + HEADER_ROOM };

/* Not in the C library of today. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u
#endif

#define JOIN_POLL_NS (20 * NSEC_PER_MSEC)
enum { UNMOUNT_POLLS = 500 };

/* What takes longer to be handed over at the end is lost. */
#define HAND_OVER_NS (30 * NSEC_PER_SEC)

/* A mount that does not answer by then never will. */
#define PROBE_NS (10 * NSEC_PER_SEC)

/* What the receiving thread is at. */
static _Thread_local struct fuse_buffer *current_buffer;
/* It is in libfuse, which would complain of the end of the connection. */
static _Thread_local bool receiving;

size_t session_buffer_size(const struct fs *fs)
{
	return max_of(fs->request_max + HEADER_ROOM, (size_t)FIRST_MESSAGE);
}

struct request *session_defer(struct session *s, void *req, struct inode *inode)
{
	struct request *rq = request_get(&s->vol->fs->requests);

	atomic_fetch_add(&s->nr_deferred, 1); /* (2) */
	rq->fs = s->vol->fs;
	rq->vol = s->vol;
	rq->inode = inode;
	rq->file = NULL;
	rq->token = req;
	rq->lane = fuse_req_is_uring(req) ? uring_lane() : NULL;
	rq->buffer = current_buffer; /* none in a ring's thread */
	current_buffer = NULL;	     /* (1) */
	rq->nr_pages = rq->nr_begun = 0;
	rq->kept = rq->mapped = false;
	rq->done = 0;
	rq->data = NULL;
	rq->oom = (struct oom_patience){ .tries = 0 };
	rq->nr_pauses = 0;
	if (inode)
		inode_ref(inode);
	return rq;
}

void session_return_buffer(struct request *rq)
{
	ASSERT(!current_buffer);
	current_buffer = rq->buffer;
	rq->buffer = NULL;
}

void session_drop_buffer(struct request *rq)
{
	struct session *s = rq->vol->session;

	if (rq->buffer)
		fuse_buffer_put(s->buffers, rq->buffer);
	rq->buffer = NULL;
}

char *session_payload(void *req)
{
	char *payload = NULL;
	size_t size;

	return fuse_req_get_payload(req, &payload, &size, NULL) == 0 ? payload
								     : NULL;
}

const char *session_result(struct request *rq, const char *from, size_t size)
{
	char *payload = session_payload(rq->token);

	return payload ? memmove(payload, from, size) : from;
}

char *session_buffer(struct request *rq, size_t size)
{
	struct session *s = rq->vol->session;
	struct fuse_buffer *b = rq->buffer;

	if (rq->lane) /* as large: at least the largest request */
		return session_payload(rq->token);
	ASSERT(size <= s->buffers->size);
	fuse_buffer_touch(s->buffers, b, size);
	return b->mem;
}

void session_end(struct request *rq)
{
	struct session *s = rq->vol->session;

	session_drop_buffer(rq);
	if (rq->inode)
		inode_put(rq->inode);
	request_put(&rq->fs->requests, rq);
	atomic_fetch_sub(&s->nr_deferred, 1);
}

void session_note_init(struct session *s)
{
	atomic_store(&s->answered, true);
}

/* One request. False when there will be no more. */
static bool receive(struct session *s)
{
	struct fuse_buf buf = { .mem = current_buffer->mem,
				.mem_size = s->buffers->size };
	int n;

	receiving = true;
	n = fuse_session_receive_buf(s->se, &buf);
	receiving = false;
	/* These are how a connection ends. */
	if (n < 0 && n != -EINTR && n != -EAGAIN && n != -ENODEV &&
	    n != -ECONNABORTED)
		log_line("%s: receiving requests: %s", s->vol->mountpoint,
			 strerror(-n));
	if (n == -EINTR || n == -EAGAIN)
		return true;
	if (n <= 0)
		return false;
	fuse_buffer_touch(s->buffers, current_buffer, (size_t)n);
	fuse_session_process_buf(s->se, &buf);
	return true;
}

static void receiver_main(void *arg)
{
	struct session *s = arg;
	bool more = true;

	while (more && !atomic_load(&s->stop)) {
		if (!current_buffer)
			current_buffer = fuse_buffer_get(s->buffers);
		more = receive(s);
	}
	if (current_buffer)
		fuse_buffer_put(s->buffers, current_buffer);
	current_buffer = NULL;
	atomic_fetch_sub(&s->nr_running, 1);
}

static int start_receivers(struct session *s, unsigned int nr)
{
	int err = 0;

	while (!err && s->nr_receivers < nr) {
		atomic_fetch_add(&s->nr_running, 1);
		err = os_thread_start(&s->receivers[s->nr_receivers], "receive",
				      receiver_main, s);
		if (err)
			atomic_fetch_sub(&s->nr_running, 1);
		else
			s->nr_receivers++;
	}
	return err;
}

/* libfuse's log is the process's, and so is this. */
static _Atomic bool any_mounted;

/* What libfuse says while it mounts is the reason why it cannot. */
static char complaint[256];
/* What it said first about rings that do not come up. */
static char ring_complaint[256];

static void note_complaint(enum fuse_log_level level, const char *format,
			   va_list args)
{
	(void)level;
	if (receiving) /* receive() knows better what it means */
		return;
	vsnprintf(complaint, sizeof(complaint), format, args);
	complaint[strcspn(complaint, "\n")] = '\0';
	if (!*ring_complaint)
		memcpy(ring_complaint, complaint, sizeof(ring_complaint));
	if (atomic_load(&any_mounted))
		log_line("%s", complaint);
}

const char *session_complaint(void)
{
	return complaint;
}

/* Commas and backslashes in a path must not end the option. */
static void append_escaped(char *to, size_t size, const char *path)
{
	size_t n = strlen(to);

	for (; *path && n + 2 < size; path++) {
		if (*path == ',' || *path == '\\')
			to[n++] = '\\';
		to[n++] = *path;
	}
	to[n] = '\0';
}

static struct fuse_session *session_new(struct session *s,
					const struct session_config *c)
{
	const char *options = c->options;
	char opts[2 * PATH_MAX + 2048], rings[64] = "";
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *se = NULL;

	if (s->uring)
		snprintf(rings, sizeof(rings), ",io_uring,io_uring_q_depth=%u",
			 c->transport->depth);
	snprintf(opts, sizeof(opts),
		 "default_permissions,subtype=plimsoll,max_read=%zu%s%s%s,"
		 "fsname=",
		 s->vol->fs->request_max, rings, *options ? "," : "", options);
	append_escaped(opts, sizeof(opts), s->vol->source);
	if (fuse_opt_add_arg(&args, "plimsoll") == 0 &&
	    fuse_opt_add_arg(&args, "-o") == 0 &&
	    fuse_opt_add_arg(&args, opts) == 0)
		se = fuse_session_new(&args, &fuse_ops, sizeof(fuse_ops), s);
	fuse_opt_free_args(&args);
	return se;
}

void session_note_probe(struct session *s, bool uring)
{
	atomic_store(&s->probe, uring ? PROBE_URING : PROBE_DEV);
}

/*
 * A process of its own asks, which can be left behind should it hang: it has
 * none of our descriptors, so the connection ends without it. After fork() in a
 * program with threads only system calls are safe.
 */
static pid_t ask(const char *mountpoint)
{
	struct statfs st;
	pid_t child = fork();

	if (child == 0) {
		close_range(0, ~0u, 0);
		_exit(statfs(mountpoint, &st) == 0 ? 0 : 1);
	}
	return child;
}

/* Which way does a real request come? 0 or -errno: it does not. */
static int probe(struct session *s)
{
	uint64_t until = os_now_ns() + PROBE_NS;
	pid_t child = ask(s->vol->mountpoint);
	bool gone;

	if (child < 0)
		return -errno;
	do {
		os_sleep_ns(NSEC_PER_MSEC);
		gone = waitpid(child, NULL, WNOHANG) == child;
	} while (!gone && os_now_ns() < until);
	if (!gone)
		kill(child, SIGKILL);
	return atomic_load(&s->probe) == PROBE_NONE ? -ETIMEDOUT : 0;
}

/* No rings after all. 0, or -EOPNOTSUPP if nothing else will do. */
static int go_without(struct session *s, const struct session_config *c)
{
	const char *why =
		*ring_complaint ? ring_complaint : "the kernel did not agree";

	snprintf(s->why, sizeof(s->why), "no ring: %s", why);
	s->vol->transport = "dev";
	return c->transport->wish == TRANSPORT_URING ? -EOPNOTSUPP : 0;
}

static int find_transport(struct session *s, const struct session_config *c)
{
	int err;

	s->vol->transport = "dev";
	snprintf(s->why, sizeof(s->why), "%s", c->transport->why);
	if (!s->uring)
		return 0;
	err = probe(s);
	if (err)
		return err;
	if (atomic_load(&s->probe) != PROBE_URING)
		return go_without(s, c);
	s->vol->transport = "uring";
	return 0;
}

/*
 * Which mount fd, or a path from there, leads to, without asking it. Devices are
 * used again, the ids of mounts are not (Linux 6.8).
 */
static struct mount_identity identity_of(int fd, const char *path)
{
	struct statx st;

	if (statx(fd, path,
		  AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_EMPTY_PATH,
		  STATX_MNT_ID_UNIQUE, &st) < 0)
		return (struct mount_identity){ .device = 0 };
	return (struct mount_identity){
		.device = makedev(st.stx_dev_major, st.stx_dev_minor),
		.id = st.stx_mask & STATX_MNT_ID_UNIQUE ? st.stx_mnt_id : 0,
	};
}

static bool leads_to_ours(const struct session *s, int fd, const char *path)
{
	struct mount_identity found = identity_of(fd, path);

	return s->identity.device && found.device == s->identity.device &&
	       found.id == s->identity.id;
}

/* Is it our mount that lies on top of its mount point (6)? */
static bool is_on_top(const struct session *s)
{
	return leads_to_ours(s, AT_FDCWD, s->vol->mountpoint);
}

int session_start(struct session *s, struct volume *vol,
		  const struct session_config *c)
{
	unsigned int nr = max_of(min_of(os_nr_cpus(), RECEIVERS_MAX), 2u);
	int err;

	*s = (struct session){ .vol = vol, .buffers = c->buffers };
	vol->session = s;
	vol->front = &fuse_front;
	fuse_set_log_func(note_complaint);
	ring_complaint[0] = '\0';
	if (c->transport->uring) {
		s->depth = c->transport->depth;
		s->uring = uring_create(c->transport->nr_rings,
					c->transport->depth);
		if (!s->uring)
			return -ENOMEM;
	}
	s->se = session_new(s, c);
	if (!s->se)
		return -EINVAL;
	s->notifier = notifier_start(s);
	if (!s->notifier)
		return -ENOMEM;
	if (fuse_session_mount(s->se, vol->mountpoint) != 0)
		return -EIO;
	s->mounted = true;
	s->identity = identity_of(AT_FDCWD, vol->mountpoint);
	atomic_store(&any_mounted, true);
	/* The first one alone, until the size of messages is agreed on. */
	err = start_receivers(s, 1);
	while (!err && !atomic_load(&s->answered)) {
		os_sleep_ns(NSEC_PER_MSEC);
		if (session_ended(s))
			return -EIO;
	}
	if (!err)
		err = start_receivers(s, nr);
	return err ? err : find_transport(s, c);
}

/* Of a volume of ours, unless there is another's mount on top. */
static void sync_root(const struct session *s)
{
	int fd = open(s->vol->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int root = -1;

	if (fd >= 0 && leads_to_ours(s, fd, ""))
		root = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root >= 0)
		syncfs(root);
}

/* For who has no helper: in a process that can be left behind, as ask() is. */
static void sync_root_apart(const struct session *s, uint64_t until)
{
	pid_t child = fork();

	if (child == 0) {
		close_range(0, ~0u, 0);
		sync_root(s);
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, WNOHANG) == 0) {
		os_sleep_ns(NSEC_PER_MSEC);
		if (os_now_ns() > until)
			kill(child, SIGKILL);
	}
}

/* The next open file that may be dirty in the kernel, with a ref, or NULL. */
static struct inode *next_mapped(struct volume *vol, unsigned long *left)
{
	struct inode *inode = NULL;

	mutex_lock(&vol->opens_lock);
	while (!inode && *left > 0 && !list_empty(&vol->open_files)) {
		struct open_file *file = list_last_entry(
			&vol->open_files, struct open_file, link);

		/* Behind those that are opened meanwhile: each has its turn. */
		list_move(&vol->open_files, &file->link);
		--*left;
		if (kernel_copies_may_be_dirty(file->inode))
			inode = file->inode;
	}
	if (inode)
		inode_ref(inode);
	mutex_unlock(&vol->opens_lock);
	return inode;
}

static unsigned long nr_open_files(struct volume *vol)
{
	const struct open_file *file;
	unsigned long nr = 0;

	mutex_lock(&vol->opens_lock);
	list_for_each_entry(file, &vol->open_files, struct open_file, link)
		nr++;
	mutex_unlock(&vol->opens_lock);
	return nr;
}

/*
 * What programs have dirtied through mappings is the kernel's until it writes
 * it to us: ask for that while we can still take it. No thread of ours waits for it
 * in the kernel: it may have to wait for a request that is never answered.
 */
static void sync_kernel(struct session *s)
{
	struct volume *vol = s->vol;
	struct kernel_copies *k = &vol->fs->copies;
	uint64_t until = os_now_ns() + HAND_OVER_NS, now;
	unsigned long left = nr_open_files(vol);
	struct inode *inode;
	int err = kernel_copies_push(k, vol, NULL, HAND_OVER_NS);

	if (err && err != -ETIMEDOUT)
		sync_root_apart(s, until);
	while (!err && (now = os_now_ns()) < until &&
	       (inode = next_mapped(vol, &left))) {
		err = kernel_copies_push(k, vol, inode, until - now);
		inode_put(inode);
	}
	if (err == -ETIMEDOUT)
		log_line("%s: what is dirty in mappings was not handed over in "
			 "%llu s",
			 vol->mountpoint, HAND_OVER_NS / NSEC_PER_SEC);
}

/* The helper's, which keeps the connection as a mount does. */
static void forget_clone(struct session *s)
{
	struct copy_taker *taker = s->vol->fs->copies.taker;

	if (taker)
		copy_taker_unmounting(taker, s->vol->number);
}

static void unmount(struct session *s)
{
	if (session_ended(s)) {
		forget_clone(s);
		return;
	}
	if (is_on_top(s) && umount2(s->vol->mountpoint, 0) == 0) {
		forget_clone(s);
		/* The kernel hands over what it has, and then ends it. */
		for (int i = 0; i < UNMOUNT_POLLS && !session_ended(s); i++)
			os_sleep_ns(JOIN_POLL_NS);
		return;
	}
	/* In use: as much as can be had, and then they are cut off. */
	sync_kernel(s);
	forget_clone(s);
}

/*
 * libfuse unmounts what is on top, whatever it is; where it is told not to, the
 * end of the session is that of the connection all the same.
 */
static void leave_mount(struct session *s, bool unmounted)
{
	if (is_on_top(s))
		fuse_session_unmount(s->se);
	else if (!unmounted)
		log_line(
			"%s: another mount lies on top, and stays; ours below it "
			"has ended, and can be unmounted when that is gone",
			s->vol->mountpoint);
}

void session_stop(struct session *s)
{
	bool unmounted = !s->mounted;

	if (s->mounted) {
		unmount(s);
		unmounted = session_ended(s);
	}
	atomic_store(&s->stop, true);
	/* Receivers that still wait for a request are woken until they are. */
	while (atomic_load(&s->nr_running) > 0) {
		for (unsigned int i = 0; i < s->nr_receivers; i++)
			os_thread_interrupt(&s->receivers[i]);
		os_sleep_ns(JOIN_POLL_NS);
	}
	for (unsigned int i = 0; i < s->nr_receivers; i++)
		os_thread_join(&s->receivers[i]);
	if (s->uring)
		uring_drain(s->uring); /* (4) */
	while (atomic_load(&s->nr_deferred) > 0)
		os_sleep_ns(NSEC_PER_MSEC);
	if (s->notifier)
		notifier_stop(s->notifier);
	if (s->uring)
		uring_destroy(s->uring, s->se);
	s->uring = NULL;
	if (s->se) {
		leave_mount(s, unmounted);
		fuse_session_destroy(s->se);
	}
}
