/*
 * options.h - the command line: plimsoll [-f] [-o OPTIONS] SOURCE MOUNTPOINT …
 */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include "fs/anon_volume.h"
#include "fs/fs.h"
#include "fs/transport.h"
#include "swap/swap_entry.h"

struct options {
	bool foreground;
	bool help, version;
	bool control; /* show .plimsoll */
	bool read_only, sync;
	bool noatime, nodiratime;
	bool mlock; /* keep the process in memory */
	bool xdev;  /* without what is mounted below a source */
	enum cache_mode cache;
	enum transport_wish transport;
	size_t mmap_dirty; /* bytes */
	size_t mem;	   /* bytes */
	int swappiness;	   /* -1: the default */
	enum vm_overcommit overcommit;
	struct anon_limits anon;
	const char *anon_option; /* one of anon volumes that was given */
	unsigned int nr_swaps;
	struct swap_option {
		char path[PATH_MAX];
		uint64_t size; /* bytes; 0: it must be there */
	} swaps[SWAP_AREAS_MAX];
	char fuse[1024]; /* for libfuse: allow_other, nosuid, … */
	unsigned int nr_pairs;
	const char *sources[VOLUMES_MAX];
	const char *mountpoints[VOLUMES_MAX];
};

/* False after one line that says what is wrong. */
bool options_parse(struct options *o, int argc, char **argv);

void options_usage(void);

/*
 * A quarter of the memory this process may use: the machine's, or what its
 * control groups (of either version, inherited ones too) leave of it.
 */
size_t options_default_mem(void);

#endif
