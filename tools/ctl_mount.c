/* ctl_mount.c - /proc/self/mountinfo, line by line; see proc(5). */
#include "tools/ctl_mount.h"

#include "tools/ctl_error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNT_TABLE "/proc/self/mountinfo"
#define OUR_TYPE    "fuse.plimsoll"

/* One line, cut up where it stands. */
struct entry {
	char *id, *dev, *root, *where, *type, *source, *options;
};

static bool is_octal(const char *s)
{
	for (int i = 0; i < 3; i++)
		if (s[i] < '0' || s[i] > '7')
			return false;
	return true;
}

/* The table writes blanks and backslashes as \040 and the like. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (*s == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 |
				       (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* The n-th word of a line that strtok_r() is working on; NULL: too short. */
static char *skip_to(char **save, int n)
{
	char *word = NULL;

	while (n-- > 0) {
		word = strtok_r(NULL, " \n", save);
		if (!word)
			return NULL;
	}
	return word;
}

/* ID PARENT MAJ:MIN ROOT WHERE OPTIONS [TAG...] - TYPE SOURCE OPTIONS */
static bool parse(char *line, struct entry *e)
{
	char *dash = strstr(line, " - ");
	char *save;

	if (!dash)
		return false;
	*dash = '\0';
	e->id = strtok_r(line, " ", &save);
	if (!e->id)
		return false;
	e->dev = skip_to(&save, 2);
	e->root = skip_to(&save, 1);
	e->where = skip_to(&save, 1);
	e->type = strtok_r(dash + 3, " \n", &save);
	e->source = skip_to(&save, 1);
	e->options = skip_to(&save, 1);
	if (!e->where || !e->options)
		return false;
	unescape(e->where);
	unescape(e->source);
	return true;
}

static void remember(struct ctl_mount *m, const struct entry *e)
{
	const char *uid = strstr(e->options, "user_id=");

	snprintf(m->source, sizeof(m->source), "%s", e->source);
	snprintf(m->dev, sizeof(m->dev), "%s", e->dev);
	m->uid = uid ? (uid_t)strtoul(uid + strlen("user_id="), NULL, 10) : 0;
}

/* The absolute path. That of a dead mount cannot be resolved: as it is. */
static bool resolve(const char *path, char *resolved)
{
	char cwd[PATH_MAX] = "";
	size_t n;

	if (realpath(path, resolved))
		return true;
	if (errno != ENOTCONN) {
		ctl_error("%s: %s", path, strerror(errno));
		return false;
	}
	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		cwd[0] = '\0';
	n = (size_t)snprintf(resolved, PATH_MAX, "%s%s%.2048s", cwd,
			     *cwd ? "/" : "", path);
	while (n > 1 && n < PATH_MAX && resolved[n - 1] == '/')
		resolved[--n] = '\0';
	return true;
}

/* Nobody is asked. */
static bool look(int fd, const char *path, struct statx *st)
{
	return statx(fd, path, AT_STATX_DONT_SYNC | AT_EMPTY_PATH, STATX_MNT_ID,
		     st) == 0;
}

/* What the table says about a path. */
struct place {
	bool ours, is_root, is_mountpoint; /* the topmost mount there */
	bool covered;			   /* one of ours lies below it */
	char type[64], where[PATH_MAX];
};

/*
 * The topmost mount that path is on: by its number, where the kernel has one for
 * it (Linux 5.8), else the last line with that path, which lies above the others.
 */
static void find_place(FILE *table, struct ctl_mount *m, struct place *p)
{
	struct statx st = { .stx_mask = 0 };
	bool by_id =
		look(AT_FDCWD, m->path, &st) && (st.stx_mask & STATX_MNT_ID);
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, table) >= 0) {
		struct entry e;
		bool here, ours;

		if (!parse(line, &e))
			continue;
		here = strcmp(e.where, m->path) == 0;
		ours = strcmp(e.type, OUR_TYPE) == 0;
		p->covered |= here && ours;
		if (by_id ? strtoull(e.id, NULL, 10) != st.stx_mnt_id : !here)
			continue;
		p->ours = ours;
		p->is_root = strcmp(e.root, "/") == 0;
		p->is_mountpoint = here;
		snprintf(p->type, sizeof(p->type), "%s", e.type);
		snprintf(p->where, sizeof(p->where), "%s", e.where);
		if (ours)
			remember(m, &e);
	}
	free(line);
}

bool ctl_mount_find(const char *path, struct ctl_mount *m)
{
	struct place p = { .ours = false };
	FILE *table;

	if (!resolve(path, m->path))
		return false;
	table = fopen(MOUNT_TABLE, "re");
	if (!table) {
		ctl_error("%s: %s", MOUNT_TABLE, strerror(errno));
		return false;
	}
	find_place(table, m, &p);
	fclose(table);
	if (p.ours && p.is_mountpoint && p.is_root)
		return true;
	if (p.ours && !p.is_mountpoint)
		ctl_error("%s: is inside the mount %s, and not its mount point",
			  path, p.where);
	else if (p.ours)
		ctl_error("%s: shows a directory of a plimsoll's mount; name "
			  "the mount's own mount point",
			  path);
	else if (p.covered)
		ctl_error("%s: another mount (%s) lies on top of the "
			  "plimsoll's; unmount that first",
			  path, p.type);
	else
		ctl_error("%s: is not the mount point of a plimsoll", path);
	return false;
}

bool ctl_mount_has(const struct ctl_mount *m, int fd)
{
	struct statx st;
	char dev[sizeof(m->dev)];

	if (!look(fd, "", &st))
		return false;
	snprintf(dev, sizeof(dev), "%u:%u", st.stx_dev_major, st.stx_dev_minor);
	return strcmp(dev, m->dev) == 0;
}

int ctl_mount_open(const struct ctl_mount *m, int flags)
{
	int fd = open(m->path, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || ctl_mount_has(m, fd))
		return fd;
	close(fd);
	errno = ESTALE;
	return -1;
}

bool ctl_mount_in_place(const struct ctl_mount *m)
{
	return strcmp(m->source, m->path) == 0;
}

bool ctl_mount_remains(const struct ctl_mount *m, char *where)
{
	FILE *table = fopen(MOUNT_TABLE, "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (!found && table && getline(&line, &size, table) >= 0) {
		struct entry e;

		found = parse(line, &e) && strcmp(e.dev, m->dev) == 0;
		if (found)
			snprintf(where, PATH_MAX, "%s", e.where);
	}
	free(line);
	if (table)
		fclose(table);
	return found;
}
