/* seeds.h - a simulated test: one function, run with many seeds. */
#ifndef SIM_SEEDS_H
#define SIM_SEEDS_H

#include "mm/vmstat.h"

struct sim_test {
	uint64_t nr_seeds; /* unless the command line says otherwise */
	void (*one_seed)(void *arg);
	const char *const *scenarios; /* names, or NULL */
	unsigned int nr_scenarios;
	int *forced;		    /* set to the one that was asked for */
	const unsigned long *stats; /* of all seeds, by enum vmstat_item */
	void (*print_seen)(void);   /* what else was counted */
	void (*check_seen)(void);   /* after many: was all of it tested? */
};

/*
 * main() of a test: [-v] [FIRST_SEED [NR_SEEDS [SCENARIO]]], or SEED in the
 * environment, for that one; else nr_seeds that nobody has seen before. The
 * first is printed. Returns the exit status.
 */
int sim_main(const struct sim_test *t, int argc, char **argv);

#endif
