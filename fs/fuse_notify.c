/*
 * fuse_notify.c - one writev(2); libfuse 3.18 has no call for it.
 *
 * The layout is the protocol's: an out header whose error field is the code of
 * the notification, the count, and the node ids.
 */
#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 18)
#include "fs/fuse_notify.h"

#include "fs/fuse_session.h"
#include "fs/log.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

enum { NOTIFY_PRUNE = 9, PRUNE_BATCH = 256 };

/* Do not ask again before the kernel had time to answer the last one. */
#define PRUNE_PAUSE_NS (5 * NSEC_PER_MSEC)

struct notifier {
	struct session *session;
	struct mutex lock;
	struct cond wanted_cond;
	unsigned long wanted; /* inodes to ask back (lock) */
	bool called, stop;    /* (lock) */
	bool refused;	      /* this kernel does not know it */
	struct os_thread thread;
	uint64_t nodeids[PRUNE_BATCH];
};

struct prune_message {
	uint32_t len;
	int32_t error;
	uint64_t unique;
	uint32_t count;
	uint32_t padding;
	uint64_t spare;
};
_Static_assert(sizeof(struct prune_message) == 32, "fuse_notify_prune_out");

static int send_prune(struct notifier *n, unsigned int nr)
{
	struct prune_message msg = {
		.len = (uint32_t)(sizeof(msg) + nr * sizeof(uint64_t)),
		.error = NOTIFY_PRUNE,
		.count = nr,
	};
	struct iovec iov[2] = { { &msg, sizeof(msg) },
				{ n->nodeids, nr * sizeof(uint64_t) } };

	if (writev(fuse_session_fd(n->session->se), iov, 2) < 0)
		return -errno;
	return 0;
}

static void prune(struct notifier *n, unsigned long wanted)
{
	struct volume *vol = n->session->vol;

	while (wanted > 0 && !n->refused) {
		unsigned int nr = inode_oldest_held(
			vol, n->nodeids,
			(unsigned int)min_of(wanted,
					     (unsigned long)PRUNE_BATCH));
		int err = nr > 0 ? send_prune(n, nr) : 0;

		if (err == -EINVAL) {
			n->refused = true;
			log_line("this kernel cannot be asked to forget inodes "
				 "(FUSE 7.45, Linux 6.18): memory for them may "
				 "run out");
		}
		if (nr == 0 || err)
			return;
		vmstat_add(vol->mm, INODE_PRUNE_ASKED, nr);
		wanted -= min_of(wanted, (unsigned long)nr);
	}
}

static void notifier_main(void *arg)
{
	struct notifier *n = arg;

	mutex_lock(&n->lock);
	while (!n->stop) {
		unsigned long wanted = n->wanted;

		if (!n->called) {
			cond_wait(&n->wanted_cond, &n->lock);
			continue;
		}
		n->wanted = 0;
		n->called = false;
		mutex_unlock(&n->lock);
		inode_tidy(n->session->vol);
		prune(n, wanted);
		os_sleep_ns(PRUNE_PAUSE_NS);
		mutex_lock(&n->lock);
	}
	mutex_unlock(&n->lock);
}

/* vol->prune: never blocks. Wishes that come together are one wish. */
static void want(struct volume *vol, unsigned long nr)
{
	struct session *s = vol->session;
	struct notifier *n = s->notifier;

	if (!n)
		return;
	mutex_lock(&n->lock);
	n->wanted = max_of(n->wanted, nr);
	n->called = true;
	cond_signal(&n->wanted_cond);
	mutex_unlock(&n->lock);
}

/* vol->forget_copies */
static void forget_copies(struct inode *inode)
{
	struct session *s = inode->vol->session;

	fuse_lowlevel_notify_inval_inode(s->se, inode_nodeid(inode), 0, 0);
}

struct notifier *notifier_start(struct session *s)
{
	struct notifier *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->session = s;
	mutex_init(&n->lock);
	cond_init(&n->wanted_cond);
	if (os_thread_start(&n->thread, "notify", notifier_main, n) != 0) {
		free(n);
		return NULL;
	}
	s->vol->prune = want;
	s->vol->forget_copies = forget_copies;
	return n;
}

void notifier_stop(struct notifier *n)
{
	mutex_lock(&n->lock);
	n->stop = true;
	cond_signal(&n->wanted_cond);
	mutex_unlock(&n->lock);
	os_thread_join(&n->thread);
}
