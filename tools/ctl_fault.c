/*
 * ctl_fault.c - all is looked at before anything is written.
 *
 * What is off while it is being set up cannot fail half set up: the probability
 * is written last. If a value is refused, those before it are put back.
 */
#include "tools/ctl_fault.h"

#include "tools/ctl_error.h"
#include "tools/ctl_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTINGS_MAX = 16, FAULTS_MAX = 32 };

struct setting {
	char file[NAME_MAX + 1]; /* below .plimsoll */
	const char *value;
	char *before;
};

static int usage(const char *arg, const char *what)
{
	ctl_error("%s: %s", arg, what);
	return CTL_USAGE;
}

static int refused(const struct ctl_mount *m, const char *file,
		   const char *value, int err)
{
	if (err == -EINVAL)
		return ctl_error("%s: %s cannot be %s", m->path, file, value);
	if (err == -EOPNOTSUPP)
		return ctl_error("%s: with cache=writeback the kernel has what "
				 "is not synced, and keeps it",
				 m->path);
	return ctl_file_error(m, file, err);
}

/* --- show --------------------------------------------------------------------- */

static void print_field(const struct ctl_mount *m, const char *fault,
			const char *field)
{
	char file[NAME_MAX + 1];
	char *value;

	snprintf(file, sizeof(file), "fault/%.64s/%.64s", fault, field);
	value = ctl_file_read(m, file);
	if (!value)
		return;
	value[strcspn(value, "\n")] = '\0';
	if (*value) /* else it can be written only */
		printf(" %s=%s", field, value);
	free(value);
}

static int show_one(const struct ctl_mount *m, const char *fault)
{
	char fields[SETTINGS_MAX][NAME_MAX + 1], dir[NAME_MAX + 16];
	int n;

	snprintf(dir, sizeof(dir), "fault/%.64s", fault);
	n = ctl_file_names(m, dir, fields, SETTINGS_MAX);
	if (n < 0)
		return ctl_file_error(m, dir, n);
	printf("%-16s", fault);
	for (int i = 0; i < n; i++)
		print_field(m, fault, fields[i]);
	putchar('\n');
	return CTL_OK;
}

/* Do it for each directory of fault/. */
static int for_all(const struct ctl_mount *m,
		   int (*fn)(const struct ctl_mount *m, const char *fault))
{
	char faults[FAULTS_MAX][NAME_MAX + 1];
	int n = ctl_file_names(m, "fault", faults, FAULTS_MAX);
	int status = CTL_OK;

	if (n < 0)
		return ctl_file_error(m, "fault", n);
	for (int i = 0; i < n && status == CTL_OK; i++)
		status = fn(m, faults[i]);
	return status;
}

/* --- set ---------------------------------------------------------------------- */

static int write_one(const struct ctl_mount *m, const char *fault,
		     const char *field, const char *value)
{
	char file[NAME_MAX + 1];
	int err;

	snprintf(file, sizeof(file), "fault/%.64s/%.64s", fault, field);
	err = ctl_file_write(m, file, value);
	return err ? refused(m, file, value, err) : CTL_OK;
}

static int turn_off(const struct ctl_mount *m, const char *fault)
{
	return strcmp(fault, "crash") == 0
		       ? write_one(m, fault, "armed", "0")
		       : write_one(m, fault, "probability", "0");
}

static bool is_probability(const struct setting *s)
{
	return strcmp(strrchr(s->file, '/'), "/probability") == 0;
}

/* "FIELD=VALUE", and what it is now. Underscores do for hyphens. */
static int parse(const struct ctl_mount *m, const char *fault, const char *arg,
		 struct setting *s)
{
	const char *equals = strchr(arg, '=');
	size_t n = equals ? (size_t)(equals - arg) : 0;
	char field[64];

	if (n == 0 || n >= sizeof(field) || equals[1] == '\0' ||
	    memchr(arg, '/', n))
		return usage(arg, "is not FIELD=VALUE, nor off");
	for (size_t i = 0; i <= n; i++)
		field[i] = (char)(i == n ? '\0' : arg[i] == '_' ? '-' : arg[i]);
	if (strcmp(field, "injected") == 0)
		return usage(field, "is a count, and cannot be set");
	snprintf(s->file, sizeof(s->file), "fault/%.100s/%s", fault, field);
	s->value = equals + 1;
	s->before = ctl_file_read(m, s->file);
	return s->before ? CTL_OK : ctl_file_error(m, s->file, errno);
}

static int parse_all(const struct ctl_mount *m, const char *fault, int argc,
		     char **argv, struct setting *s)
{
	for (int i = 0; i < argc; i++) {
		int status = parse(m, fault, argv[i], &s[i]);

		if (status != CTL_OK)
			return status;
		for (int k = 0; k < i; k++)
			if (strcmp(s[k].file, s[i].file) == 0)
				return usage(argv[i], "is given twice");
	}
	return CTL_OK;
}

/* Those that are the probability, or those that are not; *err: of the first. */
static int write_some(const struct ctl_mount *m, const struct setting *s, int n,
		      bool probability, int *err)
{
	for (int i = 0; i < n; i++) {
		if (is_probability(&s[i]) != probability)
			continue;
		*err = ctl_file_write(m, s[i].file, s[i].value);
		if (*err)
			return i;
	}
	return n;
}

static int write_all(const struct ctl_mount *m, const struct setting *s, int n)
{
	int err = 0;
	int bad = write_some(m, s, n, false, &err);

	if (!err)
		bad = write_some(m, s, n, true, &err);
	if (!err)
		return CTL_OK;
	for (int i = 0; i < n; i++)
		if (i < bad || is_probability(&s[bad]))
			ctl_file_write(m, s[i].file, s[i].before);
	return refused(m, s[bad].file, s[bad].value, err);
}

static int set_fields(const struct ctl_mount *m, const char *fault, int argc,
		      char **argv)
{
	struct setting s[SETTINGS_MAX] = { 0 };
	int status;

	if (argc > SETTINGS_MAX)
		return usage(argv[SETTINGS_MAX], "is one too many");
	status = parse_all(m, fault, argc, argv, s);
	if (status == CTL_OK)
		status = write_all(m, s, argc);
	for (int i = 0; i < argc; i++)
		free(s[i].before);
	return status;
}

/* --- a power cut ---------------------------------------------------------------- */

static long long crash_number(const struct ctl_mount *m, const char *field)
{
	char file[64];
	char *value;
	long long n;

	snprintf(file, sizeof(file), "fault/crash/%s", field);
	value = ctl_file_read(m, file);
	n = value ? strtoll(value, NULL, 10) : -1;
	free(value);
	return n;
}

static int can_crash(const struct ctl_mount *m)
{
	if (crash_number(m, "armed") >= 0)
		return CTL_OK;
	if (errno != ENOENT)
		return ctl_file_error(m, "fault/crash", errno);
	return ctl_error("%s: is no file volume with control files, so there "
			 "is nothing that a crash could leave",
			 m->path);
}

static int report(const struct ctl_mount *m)
{
	long long parts = crash_number(m, "parts");

	printf("%lld pages were not synced, and are gone",
	       crash_number(m, "dropped"));
	if (parts > 0)
		printf("; parts of %lld of them were written", parts);
	printf("\n%lld pages had to be written early\n",
	       crash_number(m, "early"));
	if (crash_number(m, "armed") == 0)
		puts("it was not armed: what had been written back without a "
		     "sync is still there");
	return CTL_OK;
}

static int crash(const struct ctl_mount *m, int argc, char **argv)
{
	const char *torn = "0", *seed = NULL;
	int status;

	for (int i = 0; i < argc; i++) {
		char *end;

		if (strcmp(argv[i], "torn") == 0) {
			torn = "1";
			continue;
		}
		if (strncmp(argv[i], "seed=", 5) != 0)
			return usage(argv[i], "is neither torn nor seed=N");
		seed = argv[i] + 5;
		errno = 0;
		strtoll(seed, &end, 10);
		if (*seed < '0' || *seed > '9' || *end != '\0' || errno)
			return usage(seed, "is not a seed");
	}
	status = can_crash(m);
	if (status == CTL_OK)
		status = write_one(m, "crash", "torn", torn);
	if (status == CTL_OK && seed)
		status = write_one(m, "crash", "seed", seed);
	if (status == CTL_OK)
		status = write_one(m, "crash", "now", "1");
	return status == CTL_OK ? report(m) : status;
}

static int arm(const struct ctl_mount *m, const char *value)
{
	int status = can_crash(m);

	return status == CTL_OK ? write_one(m, "crash", "armed", value)
				: status;
}

/* --- which ------------------------------------------------------------------------ */

/* A directory's own name, with nothing before or behind it. */
static bool is_plain(const char *name)
{
	return ctl_file_name_ok(name) && !strchr(name, '/') &&
	       strlen(name) < 64;
}

int ctl_fault(const struct ctl_mount *m, int argc, char **argv)
{
	if (argc == 0)
		return for_all(m, show_one);
	if (strcmp(argv[0], "crash") == 0)
		return crash(m, argc - 1, argv + 1);
	if (argc == 1 && strcmp(argv[0], "arm-crash") == 0)
		return arm(m, "1");
	if (argc == 1 && strcmp(argv[0], "disarm-crash") == 0)
		return arm(m, "0");
	if (argc == 1 && strcmp(argv[0], "off") == 0)
		return for_all(m, turn_off);
	if (!is_plain(argv[0]))
		return usage(argv[0], "is not the name of a fault");
	if (argc == 1)
		return show_one(m, argv[0]);
	if (argc == 2 && strcmp(argv[1], "off") == 0)
		return turn_off(m, argv[0]);
	return set_fields(m, argv[0], argc - 1, argv + 1);
}
