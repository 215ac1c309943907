/* xattr_name.c - one table, for what is asked for and for what is listed. */
#include "fs/xattr_name.h"

#include <errno.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>

static const char *const prefixes[] = {
	XATTR_USER_PREFIX,
	XATTR_TRUSTED_PREFIX,
	XATTR_SECURITY_PREFIX,
};

static const char *const acls[] = {
	XATTR_NAME_POSIX_ACL_ACCESS,
	XATTR_NAME_POSIX_ACL_DEFAULT,
};

int xattr_name_check(const char *name, bool acl)
{
	if (strlen(name) > XATTR_NAME_MAX)
		return -ERANGE;
	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], len) == 0)
			return name[len] ? 0 : -EINVAL;
	}
	for (size_t i = 0; acl && i < ARRAY_SIZE(acls); i++)
		if (strcmp(name, acls[i]) == 0)
			return 0;
	return -EOPNOTSUPP;
}

size_t xattr_names_filter(char *list, size_t size, bool acl)
{
	size_t kept = 0;

	for (size_t at = 0, len; at < size; at += len) {
		len = strlen(list + at) + 1;
		if (xattr_name_check(list + at, acl) != 0)
			continue;
		memmove(list + kept, list + at, len);
		kept += len;
	}
	return kept;
}
