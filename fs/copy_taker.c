/*
 * copy_taker.c - plimsoll's end of the conversation; the process is started, and
 * another one when it has ended.
 */
#include "fs/copy_message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_URGENT = -20, PATIENCE_MS = 2000, LOOK_PATIENCE_MS = 100 };

void copy_taker_hurry(void)
{
	/* Of this thread alone, on Linux. Not allowed: it will be slower. */
	setpriority(PRIO_PROCESS, 0, MOST_URGENT);
}

/* Send, and wait for the answer. 0, its error, or -EIO: nobody is there. */
static int ask(struct copy_taker *t, struct message *m) must_hold(t->lock)
{
	ssize_t n;

	if (atomic_load(&t->dead))
		return -EIO;
	if (send(t->fd, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		goto out_dead;
	do
		n = recv(t->fd, m, sizeof(*m), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(*m))
		goto out_dead;
	return m->err;

out_dead:
	atomic_store(&t->dead, true);
	return -EIO;
}

/* The same, if the answer comes before long. */
static bool asks_in_time(struct copy_taker *t, struct message *m,
			 uint64_t patience_ns) must_hold(t->lock)
{
	struct pollfd answer = { .fd = t->fd, .events = POLLIN };
	uint64_t until = os_now_ns() + patience_ns, now;

	if (send(t->fd, m, sizeof(*m), MSG_NOSIGNAL) < 0)
		return false;
	while ((now = os_now_ns()) < until)
		if (poll(&answer, 1, (int)((until - now) / NSEC_PER_MSEC) + 1) >
		    0)
			return recv(t->fd, m, sizeof(*m), 0) ==
			       (ssize_t)sizeof(*m);
	return false;
}

static int say_mounted(struct copy_taker *t, unsigned int mount)
	must_hold(t->lock)
{
	struct message m = { .type = TAKER_MOUNTED,
			     .mount = mount,
			     .device = t->devices[mount] };

	snprintf(m.path, sizeof(m.path), "%s", t->mounts[mount]);
	return ask(t, &m);
}

/* Its id may be another's as soon as it is reaped, and is not its own by then. */
static void reap(struct copy_taker *t) must_hold(t->lock)
{
	pid_t pid = atomic_load(&t->pid);
	siginfo_t info;

	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	atomic_store(&t->dead, true);
	if (pid <= 0)
		return;
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 &&
	       errno == EINTR)
		;
	mutex_lock(&t->pid_lock);
	atomic_store(&t->pid, 0);
	waitpid(pid, NULL, 0);
	mutex_unlock(&t->pid_lock);
}

static void kill_taker(struct copy_taker *t)
{
	pid_t pid;

	mutex_lock(&t->pid_lock);
	pid = atomic_load(&t->pid);
	if (pid > 0)
		kill(pid, SIGKILL);
	mutex_unlock(&t->pid_lock);
}

/*
 * A group nobody is in: beyond what is given to users and their namespaces, and
 * not -1 or -2. Without the right to take it on the process stays in ours.
 */
static gid_t new_token(void)
{
	return 0xc0000000u | (gid_t)(os_random() & 0x3ffffff0u);
}

bool copy_taker_is(struct copy_taker *t, pid_t pid, uid_t uid, gid_t gid)
{
	return pid > 0 && pid == atomic_load(&t->pid) && uid == 0 &&
	       gid == atomic_load(&t->token);
}

/* Only what may be called after fork(2) in a process with threads. */
static void become_taker(int fd)
{
	int null;

	if (fd == TAKER_FD)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, TAKER_FD) < 0)
		_exit(EXIT_FAILURE);
	/* It holds no pipe, no directory, and not the connection. */
	null = open("/dev/null", O_RDWR);
	for (int n = STDIN_FILENO; n <= STDERR_FILENO; n++)
		dup2(null, n);
	if (chdir("/") < 0)
		_exit(EXIT_FAILURE);
	close_range(TAKER_FD + 1, ~0u, 0);
	execl("/proc/self/exe", "plimsoll", COPY_TAKER_ARG, (char *)NULL);
	_exit(EXIT_FAILURE);
}

static int spawn(struct copy_taker *t) must_hold(t->lock)
{
	struct message m = { .type = TAKER_HELLO,
			     .chunk = t->chunk,
			     .locked = t->locked,
			     .token = new_token() };
	int pair[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become_taker(pair[1]);
	err = pid < 0 ? -errno : 0;
	close(pair[1]);
	t->fd = pair[0];
	atomic_store(&t->pid, max_of(pid, 0));
	atomic_store(&t->dead, false);
	if (!err)
		err = ask(t, &m);
	atomic_store(&t->token, m.token);
	for (unsigned int n = 0; !err && n < COPY_TAKER_MOUNTS; n++)
		if (t->mounts[n]) {
			err = say_mounted(t, n);
			if (err == -ESTALE) /* covered: the others have one */
				err = 0;
		}
	if (err)
		reap(t);
	return err;
}

int copy_taker_start(struct copy_taker *t, size_t chunk)
{
	int err;

	*t = (struct copy_taker){ .fd = -1,
				  .chunk = chunk,
				  .locked = t->locked };
	mutex_init(&t->lock);
	mutex_init(&t->pid_lock);
	if (geteuid() != 0)
		return -EPERM;
	mutex_lock(&t->lock);
	err = spawn(t);
	mutex_unlock(&t->lock);
	return err;
}

int copy_taker_restart(struct copy_taker *t)
{
	int err;

	mutex_lock(&t->lock);
	reap(t);
	err = spawn(t);
	mutex_unlock(&t->lock);
	return err;
}

void copy_taker_stop(struct copy_taker *t)
{
	mutex_lock(&t->lock);
	reap(t);
	mutex_unlock(&t->lock);
}

/*
 * One who takes back comes again and again; others shall not starve for it. A
 * taker that waits long behind writers of a file is given up: another one will
 * be started.
 */
static void lock_soon(struct copy_taker *t) acquires(t->lock) unchecked
{
	bool locked = false;

	atomic_fetch_add(&t->nr_waiting, 1);
	for (int n = 0; n < PATIENCE_MS && !locked; n++) {
		locked = mutex_trylock(&t->lock);
		if (!locked)
			os_sleep_ns(NSEC_PER_MSEC);
	}
	if (!locked) {
		kill_taker(t);
		mutex_lock(&t->lock);
	}
	atomic_fetch_sub(&t->nr_waiting, 1);
}

int copy_taker_mounted(struct copy_taker *t, unsigned int mount,
		       const char *path, dev_t device)
{
	int err;

	lock_soon(t);
	t->mounts[mount] = path;
	t->devices[mount] = device;
	err = say_mounted(t, mount);
	mutex_unlock(&t->lock);
	return err;
}

void copy_taker_unmounting(struct copy_taker *t, unsigned int mount)
{
	struct message m = { .type = TAKER_UNMOUNTING, .mount = mount };

	lock_soon(t);
	t->mounts[mount] = NULL;
	ask(t, &m);
	mutex_unlock(&t->lock);
}

int copy_taker_take(struct copy_taker *t, struct copy_order *orders,
		    unsigned int nr)
{
	struct message m = { .type = TAKER_TAKE, .nr = nr };
	int err;

	ASSERT(nr <= COPY_ORDERS);
	memcpy(m.orders, orders, nr * sizeof(*orders));
	while (atomic_load(&t->nr_waiting) > 0)
		os_sleep_ns(NSEC_PER_MSEC);
	mutex_lock(&t->lock);
	err = ask(t, &m);
	mutex_unlock(&t->lock);
	if (!err)
		memcpy(orders, m.orders, nr * sizeof(*orders));
	return err;
}

int copy_taker_look(struct copy_taker *t, const struct copy_order *order,
		    struct kernel_view *view)
{
	struct message m = { .type = TAKER_LOOK, .nr = 1 };
	int err;

	for (int n = 0; !mutex_trylock(&t->lock); n++) {
		if (n == LOOK_PATIENCE_MS)
			return -EAGAIN;
		os_sleep_ns(NSEC_PER_MSEC);
	}
	m.orders[0] = *order;
	err = ask(t, &m);
	mutex_unlock(&t->lock);
	*view = m.view;
	return err;
}

int copy_taker_push(struct copy_taker *t, const struct copy_order *order,
		    uint64_t patience_ns)
{
	struct message m = { .type = TAKER_PUSH, .nr = 1 };
	int err = 0;

	m.orders[0] = *order;
	lock_soon(t);
	if (!atomic_load(&t->dead) && !asks_in_time(t, &m, patience_ns)) {
		kill_taker(t);
		atomic_store(&t->dead, true);
		err = -ETIMEDOUT;
	} else {
		err = atomic_load(&t->dead) ? -EIO : m.err;
	}
	mutex_unlock(&t->lock);
	return err;
}
