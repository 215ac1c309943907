/*
 * cred.h - making names as the caller, with our own rights.
 *
 * What root's daemon makes for a user must be the user's: owner, group (set-gid
 * directories included) and quota. The file system identity of the thread is
 * changed for the one system call; the capabilities that such a change drops
 * are taken up again, since permissions were checked before (the kernel does:
 * default_permissions).
 */
#ifndef FS_CRED_H
#define FS_CRED_H

#include "mm/types.h"

struct cred {
	uid_t uid;
	gid_t gid;
	mode_t umask; /* applied where no default ACL takes its place */
};

/* May this process do what root may? */
bool cred_is_root(void);

/*
 * Become the caller, as far as this process may. Per thread. Returns false if
 * the umask could not be assumed: apply it to the mode.
 */
bool cred_assume(const struct cred *caller);
/* Become ourselves again. */
void cred_restore(const struct cred *caller);

#endif
