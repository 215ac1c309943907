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
	/* Something that none of the seeds has met, or NULL. */
	const char *(*unseen)(void);
};

/* For unseen(). */
#define SIM_MET(cond)                 \
	do {                          \
		if (!(cond))          \
			return #cond; \
	} while (0)

/*
 * main() of a test: [-v] [FIRST_SEED [NR_SEEDS [SCENARIO]]], or SEED in the
 * environment, for that one; else nr_seeds that nobody has seen before, and
 * more of them until all has been met that is to be tested. The first is
 * printed. Returns the exit status.
 */
int sim_main(const struct sim_test *t, int argc, char **argv);

#endif
