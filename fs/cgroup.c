/*
 * cgroup.c - the memory limits of cgroups(7).
 *
 * A line of /proc/self/cgroup is "number:controllers:group"; version 2 has
 * number 0 and no controllers. In a container the group may be named as the host
 * sees it, and only the top of the hierarchy be there: so all above count too.
 */
#include "fs/cgroup.h"

#include "mm/types.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct limit_file {
	const char *mount, *name;
};

static const struct limit_file version_1[] = {
	{ "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
	{ NULL, NULL },
};

/* Above "high" a group is slowed down until it crawls. */
static const struct limit_file version_2[] = {
	{ "/sys/fs/cgroup", "memory.max" },
	{ "/sys/fs/cgroup", "memory.high" },
	{ "/sys/fs/cgroup/unified", "memory.max" },
	{ "/sys/fs/cgroup/unified", "memory.high" },
	{ NULL, NULL },
};

/* *limit stays as it is if there is no file, or no number in it ("max"). */
static void read_limit(const char *path, uint64_t *limit)
{
	FILE *f = fopen(path, "re");
	unsigned long long n;

	if (f && fscanf(f, "%llu", &n) == 1)
		*limit = min_of(*limit, (uint64_t)n);
	if (f)
		fclose(f);
}

/* Of a group ("/a/b"), which is cut, and of all above it. */
static void read_group(const struct limit_file *files, char *group,
		       uint64_t *limit)
{
	char path[2 * PATH_MAX];
	char *slash;

	do {
		for (const struct limit_file *f = files; f->mount; f++) {
			snprintf(path, sizeof(path), "%s%s/%s", f->mount, group,
				 f->name);
			read_limit(path, limit);
		}
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	} while (slash);
}

static bool has_controller(char *list, const char *name)
{
	for (char *c; (c = strsep(&list, ","));)
		if (strcmp(c, name) == 0)
			return true;
	return false;
}

uint64_t cgroup_memory_limit(void)
{
	uint64_t limit = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			 (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX + 256];

	while (f && fgets(line, sizeof(line), f)) {
		char *group = line;
		char *number = strsep(&group, ":");
		char *controllers = strsep(&group, ":");

		if (!group)
			continue;
		group[strcspn(group, "\n")] = '\0';
		if (strcmp(number, "0") == 0)
			read_group(version_2, group, &limit);
		else if (has_controller(controllers, "memory"))
			read_group(version_1, group, &limit);
	}
	if (f)
		fclose(f);
	return limit;
}
