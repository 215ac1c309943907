/* ctl_sync.c - the kernel first, then the process. */
#include "tools/ctl_sync.h"

#include "tools/ctl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * syncfs(2) never reaches a FUSE process, but makes the kernel hand over pages
 * that programs have dirtied through mappings.
 */
static void push_mapped(const struct ctl_mount *m)
{
	int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	syncfs(fd);
	close(fd);
}

int ctl_sync(const struct ctl_mount *m)
{
	int err;

	push_mapped(m);
	err = ctl_file_write(m, "sync", "1");
	/* Nothing is ever dirty in a mount that is read-only. */
	return err == -EROFS ? 0 : err;
}
