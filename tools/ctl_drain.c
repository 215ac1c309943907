/*
 * ctl_drain.c - poll the lock and the run file until one of them says it is
 * over.
 *
 *	lock        run file           meaning
 *	free        gone               all is written
 *	free        there, of our pid  the process ended before all was written
 *	held        "lost"             given up; the process says so in the log
 *	held        of another pid     all is written; mounted again since
 *	held        else               wait
 *
 * A process removes the run file before it lets go of the lock.
 */
#include "tools/ctl_drain.h"

#include "tools/ctl_error.h"
#include "tools/ctl_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 50 };

/* Quicker than this nobody wants to read about it. */
#define PROGRESS_AFTER_S 1.0
#define PROGRESS_EVERY_S 0.2
/* A process notices in an instant that it is unmounted. */
#define HINT_AFTER_S 5.0

struct run_state {
	char word[16]; /* "serving", "draining", "lost"; "": no file */
	long long left;
	long pid;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int open_source(const struct ctl_mount *m)
{
	return open(m->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Where a plimsoll of that user has its run files, as it decides it itself. */
static bool run_dir(uid_t uid, char *dir, size_t size)
{
	const char *xdg = getenv("XDG_RUNTIME_DIR");
	int n;

	if (uid == 0)
		n = snprintf(dir, size, "/run/plimsoll");
	else if (uid == geteuid() && xdg)
		n = snprintf(dir, size, "%s/plimsoll", xdg);
	else
		n = snprintf(dir, size, "/run/user/%lu/plimsoll",
			     (unsigned long)uid);
	return n > 0 && (size_t)n < size;
}

static void find_run_file(struct ctl_drain *d)
{
	char dir[PATH_MAX - 128];
	struct stat st;

	d->run[0] = '\0';
	if (fstat(d->source, &st) < 0 || !run_dir(d->m->uid, dir, sizeof(dir)))
		return;
	snprintf(d->run, sizeof(d->run), "%s/%u:%u:%llu", dir, major(st.st_dev),
		 minor(st.st_dev), (unsigned long long)st.st_ino);
}

static void read_state(const struct ctl_drain *d, struct run_state *s)
{
	FILE *f = d->run[0] ? fopen(d->run, "re") : NULL;

	*s = (struct run_state){ .word = "" };
	if (f && fscanf(f, "%15s %lld %ld", s->word, &s->left, &s->pid) != 3)
		s->word[0] = '\0';
	if (f)
		fclose(f);
}

static long serving_pid(const struct ctl_mount *m)
{
	char *text = ctl_file_read(m, "volume");
	const char *line = text ? strstr(text, "\npid ") : NULL;
	long pid = line ? strtol(line + 5, NULL, 10) : 0;

	free(text);
	return pid;
}

void ctl_drain_begin(struct ctl_drain *d, const struct ctl_mount *m)
{
	struct run_state s;

	*d = (struct ctl_drain){ .m = m, .source = -1 };
	d->pid = serving_pid(m);
	d->nothing = m->source[0] != '/'; /* anon: no directory */
	if (d->nothing || ctl_mount_in_place(m))
		return;
	d->source = open_source(m);
	if (d->source < 0)
		return;
	find_run_file(d);
	read_state(d, &s);
	if (s.word[0] && d->pid == 0)
		d->pid = s.pid;
}

void ctl_drain_cancel(struct ctl_drain *d)
{
	if (d->source >= 0)
		close(d->source);
	d->source = -1;
}

/* One line that is written over again and again; "done" ends it. */
static void show_progress(struct ctl_drain *d, const struct run_state *s,
			  bool done)
{
	double t = now();

	if (!isatty(STDERR_FILENO) || t - d->since < PROGRESS_AFTER_S ||
	    (!done && t - d->shown < PROGRESS_EVERY_S))
		return;
	d->shown = t;
	fprintf(stderr, "\r%s: %lld KiB left to write back ", d->m->source,
		done ? 0 : s->left >> 10);
	if (done)
		fputc('\n', stderr);
}

/* It does not even begin to drain: something else keeps the mount alive. */
static void hint(struct ctl_drain *d, const struct run_state *s)
{
	if (d->hinted || now() - d->since < HINT_AFTER_S ||
	    strcmp(s->word, "serving") != 0)
		return;
	d->hinted = true;
	fprintf(stderr,
		"plimsollctl: %s: is unmounted here, but the process goes on "
		"serving it: it is mounted in another namespace, or another "
		"mount of the process has to end first\n",
		d->m->path);
}

static int lost(const struct ctl_drain *d, const char *how)
{
	return ctl_error("%s: %s; not everything is written back", d->m->source,
			 how);
}

static bool is_ours(const struct ctl_drain *d, const struct run_state *s)
{
	return s->word[0] && (d->pid == 0 || s->pid == d->pid);
}

/* The lock is ours: nobody serves the SOURCE any more. */
static int judge_free(struct ctl_drain *d)
{
	struct run_state s;

	read_state(d, &s);
	flock(d->source, LOCK_UN);
	if (!is_ours(d, &s))
		return CTL_OK;
	if (strcmp(s.word, "lost") == 0)
		return lost(d, "the disk took nothing any more (see the log)");
	return lost(d, "the process has ended early");
}

/* One look. True when it is over, with the exit status. */
static bool poll_once(struct ctl_drain *d, int *status)
{
	struct run_state s;

	read_state(d, &s);
	if (flock(d->source, LOCK_EX | LOCK_NB) == 0) {
		show_progress(d, &s, true);
		*status = judge_free(d);
		return true;
	}
	if (errno != EWOULDBLOCK && errno != EINTR) {
		*status = ctl_error("%s: cannot be locked, so that nobody "
				    "knows if it is written back: %s",
				    d->m->source, strerror(errno));
		return true;
	}
	if (is_ours(d, &s) && strcmp(s.word, "lost") == 0) {
		*status =
			lost(d, "the disk took nothing any more (see the log)");
		return true;
	}
	if (s.word[0] && d->pid && s.pid != d->pid) {
		*status = CTL_OK; /* mounted again, after all was written */
		return true;
	}
	show_progress(d, &s, false);
	hint(d, &s);
	return false;
}

int ctl_drain_wait(struct ctl_drain *d)
{
	struct timespec pause = { .tv_nsec = POLL_MS * 1000000l };
	char where[PATH_MAX];
	int status = CTL_OK;

	if (ctl_mount_remains(d->m, where)) {
		printf("%s is still mounted on %s\n", d->m->source, where);
		ctl_drain_cancel(d);
		return CTL_OK;
	}
	if (d->nothing)
		return CTL_OK;
	if (d->source < 0) {
		d->source = open_source(d->m);
		if (d->source < 0)
			return ctl_error("%s: cannot be opened, so that nobody "
					 "knows if it is written back: %s",
					 d->m->source, strerror(errno));
		find_run_file(d);
	}
	d->since = now();
	while (!poll_once(d, &status))
		nanosleep(&pause, NULL);
	close(d->source);
	return status;
}
