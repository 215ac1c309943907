/* bdi.c - three files of /sys. */
#include "fs/bdi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int set(dev_t dev, const char *name, unsigned long long value)
{
	char path[128], text[32];
	int fd, err = 0;

	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/%s", major(dev),
		 minor(dev), name);
	snprintf(text, sizeof(text), "%llu", value);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

int bdi_setup(const char *mountpoint, size_t dirty, size_t ahead)
{
	struct statx st;
	dev_t dev;
	int err;

	if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, 0, &st) < 0)
		return -errno;
	dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	/* Without the strict limit nothing bounds them: max_bytes is ignored. */
	err = set(dev, "strict_limit", 1);
	/* The kernel begins to slow down near three quarters. */
	if (!err)
		err = set(dev, "max_bytes", dirty * 4 / 3);
	if (!err)
		err = set(dev, "read_ahead_kb", ahead >> 10);
	return err;
}
