/* log.c - where lines go is decided once, when the process leaves the front. */
#include "fs/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <syslog.h>

/* The one thing that belongs to the process and not to a struct fs. */
static _Atomic bool use_syslog;

void log_to_syslog(void)
{
	openlog("plimsoll", LOG_PID, LOG_DAEMON);
	atomic_store(&use_syslog, true); /* others may be saying something */
}

void log_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (atomic_load(&use_syslog)) {
		vsyslog(LOG_NOTICE, format, args);
	} else {
		fputs("plimsoll: ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
	}
	va_end(args);
}
