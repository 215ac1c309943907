/*
 * mountinfo.h - /proc/self/mountinfo, line by line; see proc(5).
 */
#ifndef FS_MOUNTINFO_H
#define FS_MOUNTINFO_H

#include "mm/types.h"

#include <linux/limits.h>
#include <stdio.h>

/* One line; names as they are, blanks and all. */
struct mount_line {
	char where[PATH_MAX], type[64], source[PATH_MAX];
};

/*
 * What a line says. False if it is none, or says more than a path or a type can
 * hold. The line is cut up.
 */
bool mountinfo_parse(char *line, struct mount_line *m);

/* The next line of f; false at the end: f, which may be NULL, is closed then. */
bool mountinfo_next(FILE *f, struct mount_line *m);

#endif
