/*
 * plimsollctl.c - look at a mount, and tell it things.
 *
 * All it knows of plimsoll is what anybody can see: the mount table, the
 * control files (plimsoll(5)), the lock on a SOURCE and the run file.
 */
#include "tools/ctl_error.h"
#include "tools/ctl_fault.h"
#include "tools/ctl_file.h"
#include "tools/ctl_mkswap.h"
#include "tools/ctl_stat.h"
#include "tools/ctl_sync.h"
#include "tools/ctl_umount.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fractions of a second are fine, but there is no use in less than this. */
#define INTERVAL_MIN 0.01
#define INTERVAL_MAX 1e6

struct command {
	const char *name, *operands, *help;
	int min, max; /* operands after MOUNT */
	int (*run)(const struct ctl_mount *m, int argc, char **argv);
};

static int usage_error(const char *what, const char *arg)
{
	ctl_error("%s: %s", arg, what);
	return CTL_USAGE;
}

static bool parse_interval(const char *arg, double *seconds)
{
	char *end;

	*seconds = strtod(arg, &end);
	return end != arg && *end == '\0' && *seconds >= INTERVAL_MIN &&
	       *seconds <= INTERVAL_MAX;
}

static bool parse_count(const char *arg, unsigned long *count)
{
	char *end;

	errno = 0;
	*count = strtoul(arg, &end, 10);
	return *arg >= '0' && *arg <= '9' && *end == '\0' && !errno &&
	       *count > 0;
}

static bool is_number(const char *arg)
{
	char *end;

	errno = 0;
	strtoll(arg, &end, 10);
	return end != arg && *end == '\0' && !errno;
}

static int run_stat(const struct ctl_mount *m, int argc, char **argv)
{
	unsigned long count = argc == 0 ? 1 : 0;
	double interval = 0;

	if (argc > 0 && !parse_interval(argv[0], &interval))
		return usage_error("is not an interval in seconds (0.01 or "
				   "more)",
				   argv[0]);
	if (argc > 1 && !parse_count(argv[1], &count))
		return usage_error("is not a count of lines", argv[1]);
	return ctl_stat(m, interval, count);
}

static int run_sync(const struct ctl_mount *m, int argc, char **argv)
{
	int err = ctl_sync(m);

	(void)argc;
	(void)argv;
	if (err == -EIO || err == -ENOSPC || err == -EDQUOT)
		return ctl_error("%s: not everything could be written back: %s",
				 m->path, strerror(-err));
	return err ? ctl_file_error(m, "sync", err) : CTL_OK;
}

static int run_umount(const struct ctl_mount *m, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return ctl_umount(m);
}

static int run_show(const struct ctl_mount *m, int argc, char **argv)
{
	if (argc == 0)
		return ctl_file_list(m);
	if (!ctl_file_name_ok(argv[0]))
		return usage_error("is not the name of a control file",
				   argv[0]);
	return ctl_file_print(m, argv[0]);
}

/* Write a number to the file "name", which is in a directory of its kind. */
static int store(const struct ctl_mount *m, const char *name, const char *value)
{
	int err;

	if (!is_number(value))
		return usage_error("is not a number", value);
	err = ctl_file_write(m, name, value);
	if (err == -EINVAL)
		return ctl_error("%s: %s cannot be %s", m->path, name, value);
	return err ? ctl_file_error(m, name, err) : CTL_OK;
}

/* A file's or directory's own name, with nothing before or behind it. */
static bool is_plain(const char *name)
{
	return ctl_file_name_ok(name) && !strchr(name, '/') &&
	       strlen(name) <= NAME_MAX;
}

static int run_set(const struct ctl_mount *m, int argc, char **argv)
{
	char name[NAME_MAX + 16];

	(void)argc;
	if (!is_plain(argv[0]))
		return usage_error("is not the name of a setting", argv[0]);
	snprintf(name, sizeof(name), "sys/vm/%s", argv[0]);
	return store(m, name, argv[1]);
}

static int run_drop(const struct ctl_mount *m, int argc, char **argv)
{
	const char *what = argc > 0 ? argv[0] : "3";

	if (strlen(what) != 1 || *what < '1' || *what > '3')
		return usage_error("is not 1 (pages), 2 (slabs) or 3 (both)",
				   what);
	return store(m, "sys/vm/drop_caches", what);
}

static const struct command commands[] = {
	{ "stat", "[INTERVAL [COUNT]]", "a line of counters an interval", 0, 2,
	  run_stat },
	{ "sync", "", "write back all that is dirty, and wait", 0, 0,
	  run_sync },
	{ "umount", "", "sync, unmount, wait for the last page", 0, 0,
	  run_umount },
	{ "show", "[FILE]", "print a control file, or name them all", 0, 1,
	  run_show },
	{ "set", "NAME VALUE", "change a setting of sys/vm", 2, 2, run_set },
	{ "drop", "[1|2|3]", "drop clean pages, slabs, or both", 0, 1,
	  run_drop },
	{ "fault", CTL_FAULT_OPERANDS, "failures on purpose; a power cut", 0,
	  INT_MAX, ctl_fault },
};
enum { NR_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_help(void)
{
	puts("usage: plimsollctl COMMAND MOUNT [OPERAND ...]\n");
	for (int i = 0; i < NR_COMMANDS; i++)
		printf("  %-6s MOUNT %-24s %s\n", commands[i].name,
		       commands[i].operands, commands[i].help);
	printf("  %-6s %s  %s\n", "mkswap", CTL_MKSWAP_OPERANDS,
	       "make a swap file");
	puts("\n"
	     "  -h, --help      this text\n"
	     "  -V, --version   the version\n"
	     "\n"
	     "MOUNT is the mount point of a plimsoll(8). See plimsollctl(1), "
	     "plimsoll(5).");
}

static const struct command *command_find(const char *name)
{
	for (int i = 0; i < NR_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int usage_of(const struct command *c)
{
	ctl_error("usage: plimsollctl %s MOUNT%s%s", c->name,
		  *c->operands ? " " : "", c->operands);
	return CTL_USAGE;
}

/* What was printed must have arrived, too. */
static int finish(int status)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == CTL_OK)
		return ctl_error("standard output: %s", strerror(errno));
	return status;
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct ctl_mount m;

	if (argc < 2) {
		ctl_error("needs a command and a MOUNT; see plimsollctl "
			  "--help");
		return CTL_USAGE;
	}
	if (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0) {
		print_help();
		return finish(CTL_OK);
	}
	if (strcmp(argv[1], "-V") == 0 || strcmp(argv[1], "--version") == 0) {
		puts("plimsollctl " PLIMSOLL_VERSION);
		return finish(CTL_OK);
	}
	if (strcmp(argv[1], "mkswap") == 0)
		return finish(ctl_mkswap(argc - 2, argv + 2));
	c = command_find(argv[1]);
	if (!c)
		return usage_error("is no command; see plimsollctl --help",
				   argv[1]);
	if (argc - 3 < c->min || argc - 3 > c->max)
		return usage_of(c);
	if (!ctl_mount_find(argv[2], &m))
		return CTL_FAILURE;
	return finish(c->run(&m, argc - 3, argv + 3));
}
