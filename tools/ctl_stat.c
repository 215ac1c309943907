/*
 * ctl_stat.c - two samples of .plimsoll/vmstat make a line.
 *
 * The first line is made of a sample of zeroes, taken when the process that
 * serves the mount was started: averages since then.
 */
#include "tools/ctl_stat.h"

#include "tools/ctl_error.h"
#include "tools/ctl_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_EVERY = 20, PAGE_KIB = 4 };

enum kind {
	LEVEL_PAGES, /* now, in KiB */
	LEVEL,	     /* now */
	RATE,	     /* a second */
	COUNT,	     /* in the interval */
	HIT_RATIO,   /* percent of first + second that were first */
};

/* A column is about one counter, or the sum of two. */
static const struct column {
	const char *title;
	int width;
	enum kind kind;
	const char *first, *second;
} columns[] = {
	{ "free", 8, LEVEL_PAGES, "nr_free_pages", NULL },
	{ "cache", 8, LEVEL_PAGES, "nr_file_pages", NULL },
	{ "anon", 8, LEVEL_PAGES, "nr_anon_pages", NULL },
	{ "swapped", 8, LEVEL_PAGES, "nr_swapped", "nr_swapped_same" },
	{ "dirty", 7, LEVEL_PAGES, "nr_dirty", NULL },
	{ "wback", 7, LEVEL_PAGES, "nr_writeback", NULL },
	{ "slab", 7, LEVEL_PAGES, "nr_slab_reclaimable",
	  "nr_slab_unreclaimable" },
	{ "hit%", 4, HIT_RATIO, "cache_hit", "cache_miss" },
	{ "hits/s", 7, RATE, "cache_hit", NULL },
	{ "miss/s", 7, RATE, "cache_miss", NULL },
	{ "in", 7, RATE, "pgpgin", NULL },
	{ "out", 7, RATE, "pgpgout", NULL },
	{ "si/s", 7, RATE, "pswpin", NULL },
	{ "so/s", 7, RATE, "pswpout", NULL },
	{ "scan/s", 7, RATE, "pgscan_kswapd", "pgscan_direct" },
	{ "steal/s", 7, RATE, "pgsteal_kswapd", "pgsteal_direct" },
	{ "parked", 6, LEVEL, "nr_parked", NULL },
	{ "refused", 7, COUNT, "oom_refuse", "enospc_backing" },
	{ "limited", 7, COUNT, "enospc_size", "enospc_inodes" },
};
enum { NR_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

struct sample {
	double at; /* seconds, CLOCK_BOOTTIME */
	struct {
		unsigned long first, second;
	} value[NR_COLUMNS];
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The number after "name " at the start of a line, or 0. */
static unsigned long value_of(const char *text, const char *name)
{
	size_t len = name ? strlen(name) : 0;

	while (name && text && *text) {
		if (strncmp(text, name, len) == 0 && text[len] == ' ')
			return strtoul(text + len + 1, NULL, 10);
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return 0;
}

static int take_sample(const struct ctl_mount *m, struct sample *s)
{
	char *text = ctl_file_read(m, "vmstat");

	if (!text)
		return ctl_file_error(m, "vmstat", errno);
	s->at = now();
	for (int i = 0; i < NR_COLUMNS; i++) {
		s->value[i].first = value_of(text, columns[i].first);
		s->value[i].second = value_of(text, columns[i].second);
	}
	free(text);
	return CTL_OK;
}

/*
 * When the process was started, as CLOCK_BOOTTIME has it: field 22 of its
 * stat file, see proc(5). 0 if it cannot be seen from here.
 */
static double start_time(const struct ctl_mount *m)
{
	char *text = ctl_file_read(m, "volume");
	unsigned long pid = value_of(text, "pid");
	unsigned long long ticks = 0;
	char line[1024], *after;
	FILE *f;

	free(text);
	snprintf(line, sizeof(line), "/proc/%lu/stat", pid);
	f = fopen(line, "re");
	if (!f)
		return 0;
	/* The second field is the name, in brackets, with anything in it. */
	after = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (!after ||
	    sscanf(after,
		   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
		   "%*d %*d %*d %*d %*d %llu",
		   &ticks) != 1)
		ticks = 0;
	fclose(f);
	return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static void print_header(void)
{
	puts("---------------memory, KiB--------------- ----pages read---- "
	     "-----KiB/s----- ----reclaim---- ----writes----");
	for (int i = 0; i < NR_COLUMNS; i++)
		printf("%s%*s", i ? " " : "", columns[i].width,
		       columns[i].title);
	putchar('\n');
}

static void print_column(int i, const struct sample *then,
			 const struct sample *s)
{
	const struct column *c = &columns[i];
	unsigned long level = s->value[i].first + s->value[i].second;
	unsigned long first = s->value[i].first - then->value[i].first;
	unsigned long both =
		first + (s->value[i].second - then->value[i].second);
	double seconds = s->at - then->at;

	printf("%s", i ? " " : "");
	if (c->kind == LEVEL_PAGES)
		printf("%*lu", c->width, level * PAGE_KIB);
	else if (c->kind == LEVEL)
		printf("%*lu", c->width, level);
	else if (c->kind == COUNT)
		printf("%*lu", c->width, both);
	else if (c->kind == RATE && then->at > 0 && seconds > 0)
		printf("%*.0f", c->width, (double)both / seconds);
	else if (c->kind == HIT_RATIO && both > 0)
		printf("%*lu", c->width, first * 100 / both);
	else
		printf("%*s", c->width, "-");
}

static void print_line(const struct sample *then, const struct sample *s)
{
	for (int i = 0; i < NR_COLUMNS; i++)
		print_column(i, then, s);
	putchar('\n');
	fflush(stdout);
}

static void sleep_until(double at)
{
	double left;

	while ((left = at - now()) > 0) {
		struct timespec ts = { .tv_sec = (time_t)left };

		ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
		nanosleep(&ts, NULL);
	}
}

int ctl_stat(const struct ctl_mount *m, double interval, unsigned long count)
{
	struct sample then = { .at = start_time(m) }, s;
	double next = now();

	for (unsigned long n = 0; count == 0 || n < count; n++) {
		int status = take_sample(m, &s);

		if (status != CTL_OK)
			return status;
		if (n % HEADER_EVERY == 0)
			print_header();
		print_line(&then, &s);
		then = s;
		next += interval;
		if (n + 1 != count)
			sleep_until(next);
	}
	return CTL_OK;
}
