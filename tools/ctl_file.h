/*
 * ctl_file.h - the files in a mount's directory .plimsoll; see plimsoll(5).
 *
 * Each is opened for one look and closed again: an open one would keep the
 * mount busy. Names are relative to that directory.
 */
#ifndef TOOLS_CTL_FILE_H
#define TOOLS_CTL_FILE_H

#include "tools/ctl_mount.h"

/* The contents, for free(3), or NULL with errno. */
char *ctl_file_read(const struct ctl_mount *m, const char *name);
/* 0 or -errno. */
int ctl_file_write(const struct ctl_mount *m, const char *name,
		   const char *value);

/* The line for an errno of the two above. Returns CTL_FAILURE. */
int ctl_file_error(const struct ctl_mount *m, const char *name, int err);

/* Can it be a name of ours, and not a way out of the directory? */
bool ctl_file_name_ok(const char *name);

/* Names of a directory, at most max. How many, or -errno. */
int ctl_file_names(const struct ctl_mount *m, const char *dir,
		   char names[][NAME_MAX + 1], int max);

/*
 * Print a file as it is, or each file below a directory as "NAME VALUE".
 * Returns an exit status, after a line if it is not CTL_OK.
 */
int ctl_file_print(const struct ctl_mount *m, const char *name);
/* Print the names of all files. */
int ctl_file_list(const struct ctl_mount *m);

#endif
