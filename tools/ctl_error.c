/* ctl_error.c - see ctl_error.h. */
#include "tools/ctl_error.h"

#include <stdarg.h>
#include <stdio.h>

int ctl_error(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("plimsollctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return CTL_FAILURE;
}
