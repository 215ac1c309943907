/* ctl_umount.c - nothing is unmounted that could not be written back. */
#include "tools/ctl_umount.h"

#include "tools/ctl_drain.h"
#include "tools/ctl_error.h"
#include "tools/ctl_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* For those who may not unmount themselves. It says itself what is wrong. */
static int unmount_helped(const struct ctl_mount *m)
{
	char name[] = "fusermount3", flag[] = "-u", end[] = "--";
	char path[PATH_MAX];
	char *argv[] = { name, flag, end, path, NULL };
	pid_t pid;
	int err, how;

	memcpy(path, m->path, sizeof(path));
	err = posix_spawnp(&pid, name, NULL, NULL, argv, environ);
	if (err)
		return ctl_error("%s: cannot be unmounted: %s: %s", m->path,
				 name, strerror(err));
	while (waitpid(pid, &how, 0) < 0)
		if (errno != EINTR)
			return ctl_error("%s: %s", name, strerror(errno));
	if (!WIFEXITED(how) || WEXITSTATUS(how) != 0)
		return ctl_error("%s: was not unmounted", m->path);
	return CTL_OK;
}

/* What has come to lie on top since we looked is not ours to unmount. */
static bool is_on_top(const struct ctl_mount *m)
{
	int fd = ctl_mount_open(m, O_PATH);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || errno != ESTALE;
}

static int unmount(const struct ctl_mount *m)
{
	if (!is_on_top(m))
		return ctl_error("%s: something else has been mounted on top "
				 "of it, or it was unmounted; nothing is "
				 "unmounted",
				 m->path);
	if (umount2(m->path, UMOUNT_NOFOLLOW) == 0)
		return CTL_OK;
	if (errno == EPERM)
		return unmount_helped(m);
	return ctl_error("%s: cannot be unmounted: %s", m->path,
			 strerror(errno));
}

/* Its process was killed, or crashed. */
static int umount_dead(const struct ctl_mount *m)
{
	int status = unmount(m);

	if (status != CTL_OK)
		return status;
	return ctl_error("%s: the process that served it was gone; what it had "
			 "not written back to %s is lost",
			 m->path, m->source);
}

int ctl_umount(const struct ctl_mount *m)
{
	struct ctl_drain drain;
	int status, err = ctl_sync(m);

	if (err == -ENOTCONN)
		return umount_dead(m);
	/* Without control files the write-back after it has to do. */
	if (err && err != -ENOENT)
		return ctl_error("%s: cannot be synced, and stays mounted: %s",
				 m->path, strerror(-err));
	ctl_drain_begin(&drain, m);
	status = unmount(m);
	if (status != CTL_OK) {
		ctl_drain_cancel(&drain);
		return status;
	}
	return ctl_drain_wait(&drain);
}
