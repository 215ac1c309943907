/* log.c - where lines go is decided once, when the process leaves the front. */
#include "fs/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <syslog.h>

/* The one thing that belongs to the process and not to a struct fs. */
static bool use_syslog;

void log_to_syslog(void)
{
	openlog("plimsoll", LOG_PID, LOG_DAEMON);
	use_syslog = true;
}

void log_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (use_syslog) {
		vsyslog(LOG_NOTICE, format, args);
	} else {
		fputs("plimsoll: ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
	}
	va_end(args);
}
