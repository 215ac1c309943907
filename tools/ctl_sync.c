/* ctl_sync.c - the kernel first, then the process. */
#include "tools/ctl_sync.h"

#include "tools/ctl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * syncfs(2) never reaches a FUSE process, but makes the kernel hand over pages
 * that programs have dirtied through mappings. 0 or -errno.
 */
static int push_mapped(const struct ctl_mount *m)
{
	int fd = ctl_mount_open(m, O_RDONLY);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (syncfs(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/*
 * Where control files cannot be written because the mount is read-only: it may
 * have been so from the beginning, or only lately, or only here.
 */
static bool nothing_dirty(const struct ctl_mount *m)
{
	char *text = ctl_file_read(m, "volume");
	const char *line = text ? strstr(text, "\ndirty_bytes ") : NULL;
	bool nothing = line && strtoull(line + 13, NULL, 10) == 0;

	free(text);
	return nothing;
}

/* The files that could not be written. */
static void print_unwritten(const struct ctl_mount *m)
{
	char *list = ctl_file_read(m, "unwritten");

	if (list)
		fputs(list, stdout);
	free(list);
}

int ctl_sync(const struct ctl_mount *m)
{
	int pushed = push_mapped(m);
	int err = ctl_file_write(m, "sync", "1");

	if (err == -EROFS && nothing_dirty(m))
		err = 0;
	if (err)
		print_unwritten(m);
	return err ? err : pushed;
}
