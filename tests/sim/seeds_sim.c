/* seeds_sim.c - seeds, one after the other, and what they have met. */
#include "tests/sim/seeds.h"

#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * What is rare is not met in every run: up to so many times the usual number of
 * seeds, the test goes on until it is. Without it that would test nothing.
 */
enum { MORE_SEEDS_MAX = 5 };

static void run(const struct sim_test *t, uint64_t seed, bool verbose)
{
	struct sim_result r = sim_run(seed, NULL, t->one_seed, NULL);

	if (verbose)
		printf("seed %llu: hash %016llx, %llu steps, %llu switches, "
		       "%.3f s\n",
		       (unsigned long long)seed, (unsigned long long)r.hash,
		       (unsigned long long)r.nr_steps,
		       (unsigned long long)r.nr_switches,
		       (double)r.now_ns / 1e9);
}

static void print_stats(const struct sim_test *t)
{
	t->print_seen();
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		if (t->stats[i])
			printf("%s %lu\n", vmstat_name((enum vmstat_item)i),
			       t->stats[i]);
}

/* Of the machine, and short enough to be typed. */
static uint64_t new_seed(void)
{
	uint32_t seed;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed;
}

int sim_main(const struct sim_test *t, int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	const char *env = getenv("SEED");
	uint64_t first, nr = t->nr_seeds;
	bool usual = true;
	uint64_t seed, limit;

	setvbuf(stdout, NULL, _IOLBF, 0);
	argc -= verbose;
	argv += verbose;
	if (argc > 1) {
		first = strtoull(argv[1], NULL, 10);
	} else if (env) {
		first = strtoull(env, NULL, 10);
		nr = 1;
		usual = false;
	} else {
		first = new_seed();
	}
	if (argc > 2) {
		nr = strtoull(argv[2], NULL, 10);
		usual = false;
	}
	for (unsigned int i = 0; argc > 3 && i < t->nr_scenarios; i++)
		if (strcmp(argv[3], t->scenarios[i]) == 0)
			*t->forced = (int)i;
	printf("seeds from %llu\n", (unsigned long long)first);
	limit = first + (usual ? MORE_SEEDS_MAX : 1) * nr;
	for (seed = first; seed < first + nr || (seed < limit && t->unseen());
	     seed++)
		run(t, seed, verbose);
	if (verbose)
		print_stats(t);
	if (usual && t->unseen()) {
		fprintf(stderr, "SIM: %llu seeds, and never: %s\n",
			(unsigned long long)(seed - first), t->unseen());
		return 1;
	}
	printf("ok %llu seeds\n", (unsigned long long)(seed - first));
	return 0;
}
