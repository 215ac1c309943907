/* options.c - a mount helper's options, each known or refused. */
#include "fs/options.h"

#include "fs/cgroup.h"
#include "mm/size.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Dirty pages the kernel may hold: a share of mem at which a working set of half
 * the budget is written through a mapping as fast as without a limit.
 */
enum { MMAP_DIRTY_SHARE = 4 };
#define MMAP_DIRTY_MIN (1ul << 20)

static bool refuse(const char *what, const char *arg, const char *why)
{
	fprintf(stderr, "plimsoll: %s%s%s: %s\n", what, arg ? " " : "",
		arg ? arg : "", why);
	return false;
}

void options_usage(void)
{
	puts("usage: plimsoll [-f] [-o OPTIONS] SOURCE MOUNTPOINT "
	     "[SOURCE MOUNTPOINT ...]\n"
	     "\n"
	     "Mount each directory SOURCE at MOUNTPOINT through a page cache\n"
	     "with a hard memory budget; or, if SOURCE is the word anon, a\n"
	     "volume that lives in that budget, compressed and swapped out\n"
	     "where it is cold. All pairs share the budget.\n"
	     "\n"
	     "  -f              stay in the foreground\n"
	     "  -o mem=SIZE     the budget (K, M, G; at least 8M; default: a\n"
	     "                  quarter of the memory this process may use)\n"
	     "  -o swap=PATH[:SIZE]  a swap file for anon volumes; made if it\n"
	     "                  is missing and has a SIZE; may be repeated\n"
	     "  -o size=SIZE, nr_inodes=N, mode=MODE, uid=UID, gid=GID\n"
	     "                  of anon volumes (default: no limits, 1777)\n"
	     "  -o swappiness=N  0 to 200: anon pages against file pages\n"
	     "  -o overcommit=always|heuristic|never\n"
	     "                  is room for files of anon volumes reserved:\n"
	     "                  by none, by fallocate (the default), by all\n"
	     "  -o mlock        have all of mem from the start, and lock it\n"
	     "  -o xdev         without what is mounted below SOURCE (takes\n"
	     "                  root)\n"
	     "  -o control=on|off  show the directory .plimsoll (default on)\n"
	     "  -o cache=auto|user|kernel|writeback\n"
	     "                  where reads are answered from; see plimsoll(8)\n"
	     "  -o mmap_dirty=SIZE  dirty pages of mappings the kernel may hold\n"
	     "                  before it slows their writers down (default:\n"
	     "                  a quarter of mem; takes root)\n"
	     "  -o transport=auto|uring|dev  how requests arrive: over\n"
	     "                  io_uring (auto: where the kernel offers it),\n"
	     "                  or by /dev/fuse\n"
	     "  -o ro           mount read-only\n"
	     "  -o allow_other, nosuid, nodev, noexec, noatime, ...\n"
	     "  -h, --help      this text\n"
	     "  -V, --version   the version\n"
	     "\n"
	     "See plimsoll(8), plimsollctl(1).");
}

size_t options_default_mem(void)
{
	return max_of((size_t)(cgroup_memory_limit() / 4) & ~PAGE_MASK,
		      MM_SIZE_MIN);
}

static bool set_mem(struct options *o, const char *value)
{
	uint64_t bytes;

	if (!size_parse(value, &bytes))
		return refuse("mem", value,
			      "is not a size (such as 64M or 2G)");
	if (bytes < MM_SIZE_MIN)
		return refuse("mem", value, "is too small; at least 8M");
	if (bytes > MM_SIZE_MAX || bytes > cgroup_memory_limit())
		return refuse("mem", value,
			      "is more than the memory this process may use "
			      "(of this machine, or of its control group)");
	o->mem = (size_t)bytes & ~PAGE_MASK;
	return true;
}

/* A colon and a size at the end; else all of it is the path. */
static bool set_swap(struct options *o, const char *value)
{
	const char *colon = strrchr(value, ':');
	struct swap_option *s = &o->swaps[o->nr_swaps];
	size_t len = strlen(value);

	o->anon_option = "swap";
	if (o->nr_swaps == SWAP_AREAS_MAX)
		return refuse("swap", value, "one too many");
	if (colon && size_parse(colon + 1, &s->size))
		len = (size_t)(colon - value);
	else if (colon && !strchr(colon, '/'))
		return refuse("swap", value,
			      "what is behind the colon is not a size (such as "
			      "1G)");
	if (colon && s->size == 0 && value[len] == ':')
		return refuse("swap", value, "a size of 0 is no swap");
	if (len == 0 || len >= sizeof(s->path))
		return refuse("swap", value, "has no path, or too long a one");
	memcpy(s->path, value, len);
	s->path[len] = '\0';
	o->nr_swaps++;
	return true;
}

static bool set_size(struct options *o, const char *value)
{
	o->anon_option = "size";
	if (!size_parse(value, &o->anon.size))
		return refuse("size", value,
			      "is not a size (such as 64M or 2G)");
	if (o->anon.size > UINT64_MAX - PAGE_SIZE)
		return refuse("size", value, "is too large");
	return true;
}

static bool set_nr_inodes(struct options *o, const char *value)
{
	o->anon_option = "nr_inodes";
	if (!size_parse(value, &o->anon.nr_inodes))
		return refuse("nr_inodes", value,
			      "is not a number (such as 1000 or 10k)");
	return true;
}

/* A number to the base, at most "most". */
static bool parse_number(const char *value, int base, unsigned long most,
			 unsigned long *number)
{
	char *end;

	errno = 0;
	*number = strtoul(value, &end, base);
	return !errno && *value >= '0' && *value <= '9' && !*end &&
	       *number <= most;
}

static bool set_mode(struct options *o, const char *value)
{
	unsigned long mode;

	o->anon_option = "mode";
	if (!parse_number(value, 8, 07777, &mode))
		return refuse("mode", value, "is not a mode (such as 1777)");
	o->anon.mode = (mode_t)mode;
	return true;
}

static bool set_uid(struct options *o, const char *value)
{
	unsigned long uid;

	o->anon_option = "uid";
	if (!parse_number(value, 10, UINT32_MAX - 1, &uid))
		return refuse("uid", value, "is not the number of a user");
	o->anon.uid = (uid_t)uid;
	return true;
}

static bool set_gid(struct options *o, const char *value)
{
	unsigned long gid;

	o->anon_option = "gid";
	if (!parse_number(value, 10, UINT32_MAX - 1, &gid))
		return refuse("gid", value, "is not the number of a group");
	o->anon.gid = (gid_t)gid;
	return true;
}

static bool set_swappiness(struct options *o, const char *value)
{
	unsigned long n;

	if (!parse_number(value, 10, 200, &n))
		return refuse("swappiness", value, "is not from 0 to 200");
	o->swappiness = (int)n;
	return true;
}

static bool set_overcommit(struct options *o, const char *value)
{
	static const char *const names[] = {
		[OVERCOMMIT_HEURISTIC] = "heuristic",
		[OVERCOMMIT_ALWAYS] = "always",
		[OVERCOMMIT_NEVER] = "never",
	};

	o->anon_option = "overcommit";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(value, names[i]) == 0) {
			o->overcommit = (enum vm_overcommit)i;
			return true;
		}
	return refuse("overcommit", value,
		      "is neither always, heuristic nor never");
}

static bool set_control(struct options *o, const char *value)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
		return refuse("control", value, "is neither on nor off");
	o->control = strcmp(value, "on") == 0;
	return true;
}

static bool set_cache(struct options *o, const char *value)
{
	for (int mode = 0; mode < NR_CACHE_MODES; mode++)
		if (strcmp(value, cache_mode_name((enum cache_mode)mode)) ==
		    0) {
			o->cache = (enum cache_mode)mode;
			return true;
		}
	return refuse("cache", value,
		      "is neither auto, user, kernel nor writeback");
}

static bool set_mmap_dirty(struct options *o, const char *value)
{
	uint64_t bytes;

	if (!size_parse(value, &bytes))
		return refuse("mmap_dirty", value,
			      "is not a size (such as 64M or 2G)");
	if (bytes < MMAP_DIRTY_MIN)
		return refuse("mmap_dirty", value, "is too small; at least 1M");
	o->mmap_dirty = (size_t)bytes;
	return true;
}

/* Counted in the budget as the other copies are: it cannot be all of it. */
static bool check_mmap_dirty(struct options *o)
{
	if (o->mmap_dirty == 0)
		o->mmap_dirty = max_of(o->mem / MMAP_DIRTY_SHARE,
				       (size_t)MMAP_DIRTY_MIN);
	if (o->mmap_dirty > o->mem / 2) {
		fprintf(stderr, "plimsoll: mmap_dirty is more than half of "
				"mem\n");
		return false;
	}
	return true;
}

static bool set_transport(struct options *o, const char *value)
{
	static const char *const names[] = {
		[TRANSPORT_AUTO] = "auto",
		[TRANSPORT_URING] = "uring",
		[TRANSPORT_DEV] = "dev",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(value, names[i]) == 0) {
			o->transport = (enum transport_wish)i;
			return true;
		}
	return refuse("transport", value, "is neither auto, uring nor dev");
}

static const struct {
	const char *name;
	bool (*set)(struct options *o, const char *value);
} valued[] = {
	{ "mem", set_mem },
	{ "swap", set_swap },
	{ "size", set_size },
	{ "nr_inodes", set_nr_inodes },
	{ "mode", set_mode },
	{ "uid", set_uid },
	{ "gid", set_gid },
	{ "swappiness", set_swappiness },
	{ "overcommit", set_overcommit },
	{ "control", set_control },
	{ "cache", set_cache },
	{ "mmap_dirty", set_mmap_dirty },
	{ "transport", set_transport },
};

/* Handed on to libfuse, which makes mount flags of them. */
static const char *const passed_on[] = {
	"ro",	       "rw",	     "suid",	     "nosuid",	    "dev",
	"nodev",       "exec",	     "noexec",	     "atime",	    "noatime",
	"diratime",    "nodiratime", "sync",	     "async",	    "dirsync",
	"allow_other", "allow_root", "auto_unmount", "nosymfollow",
};

/* mount(8)'s and fstab's own: accepted, and of no further consequence. */
static const char *const ignored[] = {
	"defaults",
	"auto",
	"noauto",
	"user",
	"nouser",
	"users",
	"nofail",
	"_netdev",
	"owner",
	"group",
	"default_permissions",
	"relatime",
	"norelatime",
	"strictatime",
	"nostrictatime",
	"lazytime",
	"nolazytime",
	"iversion",
	"noiversion",
	"mand",
	"nomand",
	"silent",
	"loud",
};

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, list[i]) == 0)
			return true;
	return false;
}

static bool pass_on(struct options *o, const char *name)
{
	size_t len = strlen(o->fuse), more = strlen(name);

	if (len + more + 2 > sizeof(o->fuse))
		return refuse("option", name, "one too many");
	if (len > 0)
		o->fuse[len++] = ',';
	memcpy(o->fuse + len, name, more + 1);
	o->read_only = strcmp(name, "ro") == 0 ||
		       (o->read_only && strcmp(name, "rw") != 0);
	o->sync = strcmp(name, "sync") == 0 ||
		  (o->sync && strcmp(name, "async") != 0);
	o->noatime = strcmp(name, "noatime") == 0 ||
		     (o->noatime && strcmp(name, "atime") != 0);
	o->nodiratime = strcmp(name, "nodiratime") == 0 ||
			(o->nodiratime && strcmp(name, "diratime") != 0);
	return true;
}

/* One of ours that has no value. */
static bool set_word(struct options *o, const char *option)
{
	bool mlock = strcmp(option, "mlock") == 0;
	bool xdev = strcmp(option, "xdev") == 0;

	o->mlock |= mlock;
	o->xdev |= xdev;
	return mlock || xdev;
}

static bool set_option(struct options *o, char *option)
{
	char *value = strchr(option, '=');

	if (set_word(o, option))
		return true;
	if (is_one_of(option, passed_on, ARRAY_SIZE(passed_on)))
		return pass_on(o, option);
	if (is_one_of(option, ignored, ARRAY_SIZE(ignored)) ||
	    strncmp(option, "x-", 2) == 0 || strncmp(option, "X-", 2) == 0 ||
	    strncmp(option, "comment=", 8) == 0)
		return true;
	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(valued); i++) {
		if (strcmp(option, valued[i].name) != 0)
			continue;
		if (!value || !*value)
			return refuse("option", option, "needs a value");
		return valued[i].set(o, value);
	}
	return refuse("option", option, "is unknown; see plimsoll --help");
}

/* On a copy: ps(1) shall show what was asked for. */
static bool set_options(struct options *o, const char *given)
{
	char list[4096], *save, *option;

	if (strlen(given) >= sizeof(list))
		return refuse("-o", NULL, "too many options");
	strcpy(list, given);
	for (option = strtok_r(list, ",", &save); option;
	     option = strtok_r(NULL, ",", &save))
		if (!set_option(o, option))
			return false;
	return true;
}

/* A flag with nothing to it, or one of mount(8)'s helpers' own. */
static bool set_flag(struct options *o, const char *arg)
{
	if (strcmp(arg, "-f") == 0 || strcmp(arg, "--foreground") == 0)
		o->foreground = true;
	else if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0)
		o->help = true;
	else if (strcmp(arg, "-V") == 0 || strcmp(arg, "--version") == 0)
		o->version = true;
	else if (strcmp(arg, "-n") != 0 && strcmp(arg, "-s") != 0 &&
		 strcmp(arg, "-v") != 0 && strcmp(arg, "-w") != 0)
		return refuse("option", arg, "is unknown; see plimsoll --help");
	return true;
}

bool options_parse(struct options *o, int argc, char **argv)
{
	const char *operands[2 * VOLUMES_MAX];
	unsigned int nr = 0;

	*o = (struct options){ .control = true,
			       .swappiness = -1,
			       .anon = { .mode = ANON_ROOT_MODE,
					 .uid = getuid(),
					 .gid = getgid() } };
	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];

		if (strcmp(arg, "-r") == 0) {
			if (!pass_on(o, "ro"))
				return false;
		} else if (strncmp(arg, "-o", 2) == 0) {
			const char *list = arg[2] ? arg + 2 : argv[++i];

			if (!list)
				return refuse("-o", NULL, "needs options");
			if (!set_options(o, list))
				return false;
		} else if (arg[0] == '-' && arg[1]) {
			if (!set_flag(o, arg))
				return false;
		} else if (nr == ARRAY_SIZE(operands)) {
			return refuse("operand", arg, "too many volumes");
		} else {
			operands[nr++] = arg;
		}
	}
	if (o->help || o->version)
		return true;
	if (nr == 0 || nr % 2 != 0)
		return refuse("usage", NULL,
			      "plimsoll [-f] [-o OPTIONS] SOURCE MOUNTPOINT "
			      "[SOURCE MOUNTPOINT ...]");
	for (unsigned int i = 0; i < nr; i += 2) {
		o->sources[o->nr_pairs] = operands[i];
		o->mountpoints[o->nr_pairs++] = operands[i + 1];
	}
	if (o->mem == 0)
		o->mem = options_default_mem();
	return check_mmap_dirty(o);
}
