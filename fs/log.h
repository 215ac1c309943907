/*
 * log.h - lines for people: to stderr in front, to syslog(3) behind.
 */
#ifndef FS_LOG_H
#define FS_LOG_H

/* One line, without the newline. */
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);

/* From now on nobody watches stderr. */
void log_to_syslog(void);

#endif
