/*
 * test_swap_sim.c - anonymous memory and swap against an array.
 *
 *	test_swap_sim [-v] [FIRST_SEED [NR_SEEDS [SCENARIO]]]
 *
 * SEED=n is the same as n 1. A scenario is drawn from the seed:
 *
 *	random    a few threads do anything to a few anonymous files, and files
 *	          of the other kind, while disk, memory and scheduler are unkind
 *	promise   what is reserved can be written, whatever others do
 *	slow      nobody is refused while swap has room
 *	full      refusals come soon, readers go on, what is given back is usable
 *	outage    after an outage all is as before
 *	torn      what is void here and there is made room of, at last
 *
 * What has to hold is in anon_world.h.
 */
#include "tests/sim/anon_world.h"

#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/writeback.h"
#include "tests/sim/seeds.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 6 };

/*
 * A second of waiting, before a refusal. By the clock it may be more: here a
 * step takes up to 20 us, a hundred times what it does elsewhere.
 */
enum { WAITS_MAX = 50 };
#define SOON_NS (5 * NSEC_PER_SEC)

static unsigned long stats[NR_VMSTAT_ITEMS];

enum scenario {
	SCENARIO_RANDOM,
	SCENARIO_PROMISE,
	SCENARIO_SLOW,
	SCENARIO_FULL,
	SCENARIO_OUTAGE,
	SCENARIO_TORN,
	NR_SCENARIOS
};
static const char *const scenario_names[NR_SCENARIOS] = { "random", "promise",
							  "slow",   "full",
							  "outage", "torn" };
static int forced = -1;

/* --- the world --------------------------------------------------------------- */

static void add_area(struct anon_world *w, uint32_t nr_clusters)
{
	uint32_t bad[4];
	unsigned int nr_bad = (unsigned int)sim_between(0, 2);
	int fd = sim_file_create((uint64_t)nr_clusters << SWAP_CLUSTER_SHIFT);

	for (unsigned int i = 0; i < nr_bad; i++)
		bad[i] = (uint32_t)sim_between(0, nr_clusters + 3);
	ASSERT(swap_add_area(w->swap, fd, SIM_SECTOR, nr_clusters, "sim", bad,
			     nr_bad) == 0);
	w->area_fd[w->nr_areas++] = fd;
}

static struct anon_group *any_group(struct anon_world *w)
{
	return &w->groups[sim_chance(70) ? 0 : 1];
}

static void world_start(struct anon_world *w, bool random)
{
	struct mm_config config = { .size = MM_SIZE_MIN, .io_depth = 64 };
	int err;

	mutex_init(&w->lock);
	mutex_init(&w->files.lock);
	rwlock_init(&w->quiet);
	w->mm = w->files.mm = mm_create(&config, &err);
	ASSERT(w->mm);
	groups_start(&w->files);
	ASSERT(swap_start(w->mm) == 0);
	w->swap = w->mm->swap;
	w->groups[0].max_pages = UINT64_MAX;
	w->groups[1].max_pages = sim_between(10, 600);
	w->pages_max = (unsigned int)sim_between(60, ANON_PAGES_MAX);
	w->noise_percent = (unsigned int)sim_between(0, 95);
	w->files.pages_max = (unsigned int)sim_between(50, FILE_PAGES_MAX);
	if (random && sim_chance(92))
		add_area(w, (uint32_t)(sim_chance(80) ? sim_between(8, 40)
						      : sim_between(40, 200)));
	if (random && w->nr_areas == 1 && sim_chance(30))
		add_area(w, (uint32_t)sim_between(3, 30));
	world_hog(&w->files);
}

static void add_anon(struct anon_world *w, unsigned int nr)
{
	for (; nr > 0; nr--)
		w->anon[w->nr_anon++] = anon_file_new(
			w, w->fixed_files ? &w->groups[0] : any_group(w));
}

static void world_stop(struct anon_world *w)
{
	struct mm *mm = w->mm;

	for (unsigned int i = 0; i < w->files.nr_files; i++)
		file_put(&w->files, w->files.files[i]);
	while (w->files.nr_alive > 0)
		os_sleep_ns(10 * NSEC_PER_MSEC);
	for (unsigned int i = 0; i < w->nr_anon; i++)
		anon_file_put(w, w->anon[i]);
	ASSERT(w->nr_alive == 0);
	/* At once, now and then: what is under way must not be in the way. */
	if (sim_chance(70))
		anon_check_empty(w);
	lru_check(mm);
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		stats[i] += vmstat_read(mm, (enum vmstat_item)i);
	swap_stop(mm);
	ASSERT(mm->swap == NULL);
	groups_stop(&w->files);
	while (w->files.nr_hogs > 0)
		page_put(mm, w->files.hogs[--w->files.nr_hogs]);
	ASSERT(vmstat_read(mm, NR_ANON_PAGES) == 0);
	ASSERT(vmstat_read(mm, NR_ANON_RESERVED) == 0);
	ASSERT(vmstat_read(mm, NR_SWAPPED) == 0);
	ASSERT(vmstat_read(mm, NR_SWAPPED_SAME) == 0);
	ASSERT(vmstat_read(mm, NR_SWAP_STORED) == 0);
	ASSERT(vmstat_read(mm, NR_SWAP_PENDING) == 0);
	ASSERT(vmstat_read(mm, NR_SWAP_BUFFERS) == 0);
	mm_destroy(mm);
}

/* Every page is what the model says, or was damaged. */
static void read_all(struct anon_world *w)
{
	struct client c = { .aw = w, .actor.w = &w->files };

	for (unsigned int i = 0; i < w->nr_anon; i++)
		for (pgoff_t p = 0; p < w->pages_max; p++)
			anon_read(&c, w->anon[i], p);
}

/* --- random ------------------------------------------------------------------ */

static void op_delete(struct client *c, struct anon_file *f)
{
	struct anon_world *w = c->aw;
	struct anon_file *other = anon_file_new(w, any_group(w));

	mutex_lock(&w->lock);
	for (unsigned int i = 0; i < w->nr_anon; i++)
		if (w->anon[i] == f) {
			w->anon[i] = other;
			other = f;
			anon_seen.deletes++;
		}
	mutex_unlock(&w->lock);
	anon_file_put(w, other);
}

/* (5): alone. */
static void op_check_all(struct client *c)
{
	struct anon_world *w = c->aw;

	rwlock_unlock_shared(&w->quiet);
	rwlock_lock(&w->quiet);
	anon_check_counts(w);
	lru_check(w->mm);
	kmem_cache_check(&w->mm->xa_nodes);
	rwlock_unlock(&w->quiet);
	rwlock_lock_shared(&w->quiet);
}

static void op_rare(struct client *c, struct anon_file *f)
{
	struct mm *mm = c->aw->mm;

	switch (sim_between(0, 8)) {
	case 0:
		reclaim_drop_pagecache(mm);
		break;
	case 1:
		slab_reap(mm);
		break;
	case 2:
		lru_drain(mm);
		page_alloc_drain(mm);
		break;
	case 3:
		page_cache_invalidate(&f->mapping, 0, UINT64_MAX);
		break;
	case 4:
		vm_set(mm, VM_SWAPPINESS, (long)sim_between(0, 200));
		break;
	case 5:
		anon_seen.outages += world_outage(&c->aw->files, 5000);
		break;
	case 6:
		world_squeeze(&c->aw->files);
		anon_seen.squeezes++;
		break;
	case 7:
		reclaim_direct(mm, GFP_KERNEL | GFP_MOVABLE);
		break;
	default:
		os_sleep_ns(sim_between(1, 50 * NSEC_PER_MSEC));
	}
}

static void op_on_file(struct client *c)
{
	struct file *f = file_get(&c->aw->files);
	uint64_t what = sim_between(0, 99);

	if (what < 45)
		op_read(&c->actor, f);
	else if (what < 90)
		op_write(&c->actor, f);
	else if (what < 95)
		op_truncate(&c->actor, f);
	else
		op_sync(&c->actor, f);
	file_put(&c->aw->files, f);
}

static void op_any(struct client *c)
{
	struct anon_file *f = anon_file_get(c->aw);
	uint64_t what = sim_between(0, 99);

	if (what < 30)
		op_anon_read(c, f);
	else if (what < 66)
		op_anon_write(c, f);
	else if (what < 74)
		op_anon_drop(c, f);
	else if (what < 78)
		op_anon_reserve(c, f);
	else if (what < 81)
		op_anon_seek(c, f);
	else if (what < 83)
		op_delete(c, f);
	else if (what < 88)
		op_rare(c, f);
	else if (what < 91 && c->aw->corrupts)
		op_anon_corrupt(c, f);
	else
		op_on_file(c);
	anon_file_put(c->aw, f);
}

static void client_main(void *arg)
{
	struct client *c = arg;

	rwlock_lock_shared(&c->aw->quiet);
	for (unsigned int i = 0; i < c->aw->files.nr_ops; i++) {
		op_any(c);
		if (sim_chance(6))
			op_check_all(c);
		/* Who waits for quiet shall get it. */
		rwlock_unlock_shared(&c->aw->quiet);
		rwlock_lock_shared(&c->aw->quiet);
	}
	rwlock_unlock_shared(&c->aw->quiet);
}

static void run_clients(struct anon_world *w, struct client *clients,
			unsigned int nr, void (*fn)(void *))
{
	for (unsigned int i = 0; i < nr; i++) {
		clients[i] = (struct client){ .aw = w, .actor.w = &w->files };
		ASSERT(os_thread_start(&clients[i].actor.thread, "client", fn,
				       &clients[i]) == 0);
	}
	for (unsigned int i = 0; i < nr; i++)
		os_thread_join(&clients[i].actor.thread);
}

static void start_faults(struct anon_world *w)
{
	struct sim_disk_options disk = { .short_percent = 0 };
	bool faulty = sim_chance(60);

	w->corrupts = sim_chance(35);
	w->files.faulty = true; /* memory is short: its files may say so */
	if (sim_chance(40))
		disk.delay_max_ns = sim_between(1, 200) * NSEC_PER_MSEC;
	if (faulty) {
		w->reads_fail = sim_chance(60);
		if (w->reads_fail) {
			disk.read_error_percent =
				(unsigned int)sim_between(0, 15);
			disk.short_percent = sim_chance(50) ? 5 : 0;
			if (sim_chance(50))
				world_io_faults(&w->files,
						&w->mm->fail_swap_io);
		}
		disk.write_error_percent =
			sim_chance(50) ? (unsigned int)sim_between(1, 60) : 0;
		world_memory_faults(&w->files);
	}
	sim_disk_set(&disk);
}

static void stop_faults(struct anon_world *w)
{
	world_well_again(&w->files);
	/* What had been begun with them has ended. */
	os_sleep_ns(3 * NSEC_PER_SEC);
	w->reads_fail = false;
}

/* So that there is something to be read, and no room any more. */
static void start_full(struct anon_world *w)
{
	struct client me = { .aw = w, .actor.w = &w->files };
	unsigned char data[PAGE_SIZE];

	for (unsigned int i = 0; i < w->nr_anon && sim_chance(60); i++)
		for (pgoff_t p = 0; p < w->pages_max; p++) {
			anon_pattern(w, data, sizeof(data));
			if (anon_write(&me, w->anon[i], p, 0, PAGE_SIZE,
				       data) != 0)
				break;
		}
}

static void scenario_random(struct anon_world *w)
{
	static struct client clients[THREADS_MAX];

	w->files.nr_files = (unsigned int)sim_between(1, 2);
	w->files.nr_ops = (unsigned int)sim_between(20, 160);
	for (unsigned int i = 0; i < w->files.nr_files; i++)
		w->files.files[i] = file_new(&w->files);
	add_anon(w, (unsigned int)sim_between(1, ANON_FILES_MAX));
	start_full(w);
	start_faults(w);
	run_clients(w, clients, (unsigned int)sim_between(2, THREADS_MAX),
		    client_main);
	stop_faults(w);
	read_all(w);
	rwlock_lock(&w->quiet);
	anon_check_counts(w);
	rwlock_unlock(&w->quiet);
}

/* --- scenarios --------------------------------------------------------------- */

static void write_noise(struct client *c, struct anon_file *f, pgoff_t first,
			pgoff_t last, bool must)
{
	unsigned char data[PAGE_SIZE];

	rwlock_lock_shared(&f->io_lock);
	for (pgoff_t i = first; i <= last; i++) {
		int err;

		anon_noise(data, sizeof(data));
		err = anon_write(c, f, i, 0, PAGE_SIZE, data);
		if (err && must)
			sim_fail("page %llu cannot be written: %d; free %lu, "
				 "swap has room for %ld, left %llu, demand "
				 "%lld, garbage %llu",
				 (unsigned long long)i, err,
				 page_alloc_nr_free(c->aw->mm),
				 atomic_load(&c->aw->mm->nr_swap_free),
				 (unsigned long long)anon_pages_left(c->aw->mm),
				 (long long)c->aw->swap->reserved_demand,
				 (unsigned long long)c->aw->swap->garbage);
		if (err)
			break;
	}
	rwlock_unlock_shared(&f->io_lock);
}

static void write_soft(struct client *c, struct anon_file *f, pgoff_t first,
		       pgoff_t last)
{
	unsigned char data[PAGE_SIZE];

	rwlock_lock_shared(&f->io_lock);
	for (pgoff_t i = first; i <= last; i++) {
		anon_pattern(c->aw, data, sizeof(data));
		if (anon_write(c, f, i, 0, PAGE_SIZE, data) != 0)
			break;
	}
	rwlock_unlock_shared(&f->io_lock);
}

/* Of others: until they are refused, twice. */
static void filler_main(void *arg)
{
	struct client *c = arg;
	struct anon_world *w = c->aw;
	unsigned int n = (unsigned int)sim_between(1, w->nr_anon - 1);

	for (unsigned int i = 0; i < 2 * w->nr_anon; i++, n++) {
		struct anon_file *f = w->anon[1 + n % (w->nr_anon - 1)];

		if (sim_chance(70))
			write_noise(c, f, 0, ANON_PAGES_MAX - 1, false);
		else
			write_soft(c, f, 0, ANON_PAGES_MAX - 1);
	}
}

/*
 * File 0 reserves, the others take all there is; then file 0 is written with
 * what needs most.
 */
static void scenario_promise(struct anon_world *w)
{
	static struct client clients[THREADS_MAX];
	struct client me = { .aw = w, .actor.w = &w->files };
	struct anon_file *f;
	pgoff_t nr;

	w->fixed_files = true;
	add_area(w, (uint32_t)sim_between(16, 40));
	add_anon(w, ANON_FILES_MAX);
	f = w->anon[0];
	if (sim_chance(50))
		write_soft(&me, f, 0, sim_between(10, 400));
	for (nr = sim_between(20, 600); nr > 0; nr = nr * 3 / 4)
		if (anon_try_reserve(f, 0, nr - 1) == 0)
			break;
	ASSERT(nr > 0);
	if (sim_chance(60)) { /* so that it is in swap, and small there */
		write_soft(&me, f, 0, nr - 1);
		write_soft(&me, w->anon[1], 0, sim_between(100, 500));
	}
	if (sim_chance(50)) /* and here as well */
		for (pgoff_t i = 0; i < nr; i++)
			anon_read(&me, f, i);
	if (sim_chance(30))
		anon_drop(f, 0, sim_between(0, nr - 1), true);
	run_clients(w, clients, (unsigned int)sim_between(1, 3), filler_main);
	write_noise(&me, f, 0, nr - 1, true);
	read_all(w);
	anon_check_counts(w);
}

/* Twice as slow as any disk, and never full: nobody is refused. */
static void slow_main(void *arg)
{
	struct client *c = arg;
	struct anon_world *w = c->aw;

	for (unsigned int i = 0; i < 3; i++) {
		pgoff_t first = sim_between(0, 200);

		write_noise(c, w->anon[sim_between(0, w->nr_anon - 1)], first,
			    first + sim_between(50, 200), true);
	}
}

static void scenario_slow(struct anon_world *w)
{
	static struct client clients[THREADS_MAX];
	struct sim_disk_options disk = { .delay_max_ns = sim_between(1, 2000) *
							 NSEC_PER_MSEC };

	add_area(w, 80);
	w->fixed_files = true;
	add_anon(w, 4);
	sim_disk_set(&disk);
	run_clients(w, clients, (unsigned int)sim_between(1, 5), slow_main);
	read_all(w);
	anon_check_counts(w);
}

static void reader_main(void *arg)
{
	struct client *c = arg;

	for (unsigned int i = 0; i < 30; i++) {
		uint64_t start = os_now_ns();

		anon_read(c, c->aw->anon[sim_between(0, 3)],
			  sim_between(0, ANON_PAGES_MAX - 1));
		if (os_now_ns() - start > SOON_NS)
			sim_fail("a read took %.3f s",
				 (double)(os_now_ns() - start) / 1e9);
	}
}

static void full_main(void *arg)
{
	if (sim_chance(40))
		reader_main(arg);
	else
		filler_main(arg);
}

static void scenario_full(struct anon_world *w)
{
	static struct client clients[THREADS_MAX];
	struct client me = { .aw = w, .actor.w = &w->files };
	unsigned int nr = (unsigned int)sim_between(2, 5);
	pgoff_t removed;

	add_area(w, (uint32_t)sim_between(8, 30));
	w->fixed_files = true;
	add_anon(w, ANON_FILES_MAX);
	filler_main(&me);
	ASSERT(me.nr_refused > 0);
	run_clients(w, clients, nr, full_main);
	for (unsigned int i = 0; i < nr; i++)
		if (clients[i].waits_max > WAITS_MAX ||
		    clients[i].refusal_ns > SOON_NS)
			sim_fail("a refusal took %u waits, %.3f s",
				 clients[i].waits_max,
				 (double)clients[i].refusal_ns / 1e9);
	anon_check_counts(w);
	/* What is removed can be written again, but for what is torn. */
	removed = w->anon[3]->mapping.nr_pages + w->anon[3]->mapping.nr_values;
	anon_drop(w->anon[3], 0, UINT64_MAX, false);
	if (removed > 100)
		write_noise(&me, w->anon[0], 0, removed / 8, true);
	anon_drop(w->anon[2], 0, UINT64_MAX, false);
	anon_drop(w->anon[1], 0, UINT64_MAX, false);
	anon_drop(w->anon[0], 0, UINT64_MAX, false);
	/* One is open for the compactor, two are his. */
	write_noise(&me, w->anon[0], 0,
		    min_of(200u, (w->swap->nr_clusters - 3) *
					 (uint32_t)SWAP_CLUSTER_PAGES),
		    true);
	read_all(w);
	anon_check_counts(w);
}

/* A cluster that is open for the compactor stays so. */
enum { SLACK = SWAP_CLUSTER_PAGES };

/* Outage, removal, and all the room is there again. */
static void scenario_outage(struct anon_world *w)
{
	struct client me = { .aw = w, .actor.w = &w->files };
	unsigned long written = 0;
	uint32_t nr_clusters;

	add_area(w, (uint32_t)sim_between(8, 20));
	nr_clusters = w->swap->nr_clusters;
	w->fixed_files = true;
	w->files.faulty = true;
	add_anon(w, ANON_FILES_MAX);
	for (int round = 0; round < 4; round++) {
		unsigned long before = me.nr_written;

		for (unsigned int i = 0; i < ANON_FILES_MAX; i++)
			write_noise(&me, w->anon[i], 0, ANON_PAGES_MAX - 1,
				    false);
		if (round == 0)
			written = me.nr_written;
		else if (me.nr_written - before + SLACK <
			 written - written / 10)
			sim_fail("%lu pages could be written, now %lu; "
				 "%u clusters of %u are left",
				 written, me.nr_written - before,
				 w->swap->nr_clusters, nr_clusters);
		anon_check_counts(w);
		for (unsigned int i = 0; i < ANON_FILES_MAX; i++)
			anon_drop(w->anon[i], 0, UINT64_MAX, false);
		sim_disk_fail_writes(-EIO);
		anon_seen.outages++;
		for (unsigned int i = 0; i < 2; i++)
			write_noise(&me, w->anon[i], 0, ANON_PAGES_MAX - 1,
				    false);
		os_sleep_ns(sim_between(1, 10) * NSEC_PER_SEC);
		read_all(w);
		for (unsigned int i = 0; i < 2; i++)
			anon_drop(w->anon[i], 0, UINT64_MAX, false);
		os_sleep_ns(sim_between(1, 3) * NSEC_PER_SEC);
		sim_disk_fail_writes(0);
		os_sleep_ns(5 * NSEC_PER_SEC);
	}
}

static unsigned long nr_stored(const struct anon_world *w)
{
	unsigned long nr = 0;

	for (unsigned int i = 0; i < w->nr_anon; i++)
		for (pgoff_t p = 0; p < ANON_PAGES_MAX; p++)
			nr += w->anon[i]->slots[p].stored;
	return nr;
}

/* Of each cluster a little is left, and just then the disk fails. */
static void tear(struct anon_world *w, struct client *c)
{
	struct sim_disk_options failing = { .read_error_percent = 100 };
	struct sim_disk_options none = { 0 };
	unsigned int percent = (unsigned int)sim_between(50, 90);

	w->reads_fail = true;
	if (sim_chance(50))
		sim_disk_set(&failing);
	if (sim_chance(50))
		sim_disk_fail_writes(-EIO);
	for (unsigned int i = 0; i < w->nr_anon; i++)
		for (pgoff_t p = 0; p < ANON_PAGES_MAX; p++)
			if (sim_chance(percent))
				anon_drop(w->anon[i], p, p, sim_chance(50));
	write_noise(c, w->anon[0], 0, sim_between(0, 50), false);
	os_sleep_ns(sim_between(1, 5) * NSEC_PER_SEC);
	sim_disk_set(&none);
	sim_disk_fail_writes(0);
	os_sleep_ns(30 * NSEC_PER_SEC);
	w->reads_fail = false;
}

/* Until it is refused. */
static void fill_holes(struct anon_world *w, struct client *c)
{
	unsigned long refused = c->nr_refused;

	for (pgoff_t n = 0; n < w->nr_anon * (pgoff_t)ANON_PAGES_MAX; n++) {
		struct anon_file *f = w->anon[n / ANON_PAGES_MAX];
		pgoff_t p = n % ANON_PAGES_MAX;

		if (!f->slots[p].stored)
			write_noise(c, f, p, p, false);
		if (c->nr_refused > refused)
			return;
	}
}

static void scenario_torn(struct anon_world *w)
{
	struct client me = { .aw = w, .actor.w = &w->files };
	unsigned long full, again;

	add_area(w, (uint32_t)sim_between(16, 40));
	w->fixed_files = true;
	add_anon(w, ANON_FILES_MAX);
	for (unsigned int i = 0; i < ANON_FILES_MAX; i++)
		write_noise(&me, w->anon[i], 0, ANON_PAGES_MAX - 1, false);
	full = nr_stored(w);
	for (int round = 0; round < 3; round++) {
		tear(w, &me);
		fill_holes(w, &me);
		again = nr_stored(w);
		if (again + SLACK < full - full / 10)
			sim_fail(
				"%lu pages were stored, now %lu; garbage %llu, "
				"%u clusters of %u free, %u stuck",
				full, again,
				(unsigned long long)w->swap->garbage,
				w->swap->nr_free, w->swap->nr_clusters,
				w->swap->nr_stuck);
		read_all(w);
		anon_check_counts(w);
	}
}

/* --- one seed ---------------------------------------------------------------- */

static void one_seed(void *arg)
{
	static void (*const scenarios[NR_SCENARIOS])(struct anon_world *) = {
		scenario_random, scenario_promise, scenario_slow,
		scenario_full,	 scenario_outage,  scenario_torn,
	};
	struct anon_world *w = calloc(1, sizeof(*w));
	enum scenario s = SCENARIO_RANDOM;

	(void)arg;
	ASSERT(w);
	if (sim_chance(25))
		s = (enum scenario)sim_between(1, NR_SCENARIOS - 1);
	if (forced >= 0)
		s = (enum scenario)forced;
	world_start(w, s == SCENARIO_RANDOM);
	scenarios[s](w);
	world_stop(w);
	free(w);
}

/* --- many seeds -------------------------------------------------------------- */

static void print_seen(void)
{
#define X(name) printf("%s %lu\n", #name, anon_seen.name);
	ANON_SEEN(X)
#undef X
}

/* A test that never gets there tests nothing. */
static const char *unseen(void)
{
#define X(name) SIM_MET(anon_seen.name > 0);
	ANON_SEEN(X)
#undef X
	SIM_MET(stats[SWPOUT_SAME] > 0 && stats[SWPOUT_COMPRESSED] > 0);
	SIM_MET(stats[SWPOUT_INCOMPRESSIBLE] > 0 && stats[SWPOUT_BUSY] > 0);
	SIM_MET(stats[SWPOUT_FULL] > 0 && stats[SWPIN_BUFFER] > 0);
	SIM_MET(stats[SWPIN_SAME] > 0 && stats[SWPIN_DAMAGED] > 0);
	SIM_MET(stats[SWAP_READ_ERROR] > 0 && stats[SWAP_WRITE_ERROR] > 0);
	SIM_MET(stats[SWAP_COMPACT_FREED] > 0 && stats[SWAP_COMPACT_MOVED] > 0);
	SIM_MET(stats[ENOSPC_RESERVED] > 0 && stats[ENOSPC_SIZE] > 0);
	SIM_MET(stats[PGALLOC_FAIL_INJECTED] > 0 && stats[SLAB_FAIL] > 0);
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct sim_test test = {
		.nr_seeds = 200,
		.one_seed = one_seed,
		.scenarios = scenario_names,
		.nr_scenarios = NR_SCENARIOS,
		.forced = &forced,
		.stats = stats,
		.print_seen = print_seen,
		.unseen = unseen,
	};

	return sim_main(&test, argc, argv);
}
