/*
 * ctl_error.h - one clear line on standard error.
 */
#ifndef TOOLS_CTL_ERROR_H
#define TOOLS_CTL_ERROR_H

/* Exit statuses; see plimsollctl(1). */
enum { CTL_OK = 0, CTL_FAILURE = 1, CTL_USAGE = 2 };

/* "plimsollctl: ...". Returns CTL_FAILURE, so that a caller can return it. */
__attribute__((format(printf, 1, 2))) int ctl_error(const char *format, ...);

#endif
