/* io_cred.c - setfsuid(2), and the capabilities that go with uid 0. */
#include "mm/io_cred.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Nobody has it, and no super block can name it as whom it keeps blocks for: there
 * such a uid has 16 bits. (65534, "nobody", is one that some do name.)
 */
#define NOBODY ((uid_t)-2)

void io_cred_begin(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (geteuid() != 0 || syscall(SYS_capget, &head, data) < 0)
		return;
	setfsuid(NOBODY);
	/* Those that this took away: CAP_FSETID keeps a file's set-id bits. */
	syscall(SYS_capset, &head, data);
}

void io_cred_end(void)
{
	/* Gives them back itself. */
	if (geteuid() == 0)
		setfsuid(0);
}
