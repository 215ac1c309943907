/*
 * backing_sim.h - a backing file system in memory: the second implementation
 * of the system's part of fs/backing.h. Names, inodes and times are here;
 * contents are files of the fake disk (sim.h), where mm/page_io.h finds them.
 */
#ifndef TESTS_SIM_BACKING_H
#define TESTS_SIM_BACKING_H

#include "mm/types.h"

struct backing_sim_options {
	bool handles;		   /* there are file handles */
	bool stale_unlinked;	   /* ... but not of what has no name */
	bool direct;		   /* O_DIRECT is possible */
	bool root;		   /* this process may do what root may */
	bool quotas;		   /* some may have less than there is room */
	bool copies;		   /* on write, as it says */
	unsigned int fail_percent; /* calls that fail, for no reason */
};

/* A new, empty one. What was there before is gone. */
void backing_sim_start(const struct backing_sim_options *o);
void backing_sim_fail(unsigned int percent);
/* A descriptor of its root, for file_volume_open(). */
int backing_sim_root(void);
/* Nothing may be open any more; frees it all. */
void backing_sim_stop(void);

/* The file of the fake disk that a number of an inode stands for; -1: none. */
int backing_sim_file(uint64_t ino);
/* Inodes there are; descriptors for data (not O_PATH) that are open. */
unsigned int backing_sim_nr_inodes(void);
unsigned int backing_sim_nr_data_fds(void);

#endif
