/* cred.c - setfsuid(2) and what it takes away. */
#include "fs/cred.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Effective capabilities = permitted ones (fs/host.c has given one up). */
static void raise_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return;
	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted;
	syscall(SYS_capset, &head, data);
}

bool cred_is_root(void)
{
	return geteuid() == 0;
}

static bool is_self(const struct cred *caller)
{
	return !cred_is_root() || (caller->uid == 0 && caller->gid == 0);
}

/* A umask is a process's; a thread can leave and have its own. */
static bool assume_umask(mode_t mask)
{
	static _Thread_local bool has_own;

	if (!has_own && unshare(CLONE_FS) == 0)
		has_own = true;
	if (has_own)
		umask(mask);
	return has_own;
}

bool cred_assume(const struct cred *caller)
{
	bool masked = assume_umask(caller->umask);

	if (is_self(caller))
		return masked;
	setfsgid(caller->gid);
	setfsuid(caller->uid);
	raise_capabilities();
	return masked;
}

void cred_restore(const struct cred *caller)
{
	if (is_self(caller))
		return;
	setfsuid(geteuid());
	setfsgid(getegid());
	raise_capabilities();
}
