/*
 * test_cache_sim.c - cache, writeback and reclaim against an array.
 *
 *	test_cache_sim [-v] [FIRST_SEED [NR_SEEDS]]
 *
 * A few files on the fake disk, several times as many pages as there are free
 * frames, and a few threads that read, write, truncate, sync, delete and drop
 * them, while kswapd and the flusher do their work, memory and disk fail now
 * and then, and the seed decides who runs. What has to hold is in
 * cache_world.h.
 */
#include "tests/sim/cache_world.h"

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

static unsigned long stats[NR_VMSTAT_ITEMS];

/* --- one thread ------------------------------------------------------------ */

static void op_delete(struct actor *a, struct file *f)
{
	struct world *w = a->w;
	struct file *other = file_new(w);

	mutex_lock(&w->lock);
	for (unsigned int i = 0; i < w->nr_files; i++)
		if (w->files[i] == f) {
			w->files[i] = other;
			other = f;
			seen.deletes++;
		}
	mutex_unlock(&w->lock);
	file_put(w, other);
}

static void op_invalidate(struct actor *a, struct file *f)
{
	pgoff_t first = sim_between(0, a->w->pages_max - 1);
	pgoff_t last = sim_chance(30) ? UINT64_MAX
				      : sim_between(first, a->w->pages_max);

	seen.invalidated += page_cache_invalidate(&f->mapping, first, last);
}

static void op_tune(struct actor *a)
{
	struct mm *mm = a->w->mm;

	vm_set(mm, VM_DIRTY_RATIO, (long)sim_between(5, 90));
	vm_set(mm, VM_DIRTY_BACKGROUND_RATIO, (long)sim_between(0, 60));
	vm_set(mm, VM_DIRTY_EXPIRE_CENTISECS, (long)sim_between(1, 500));
	vm_set(mm, VM_DIRTY_WRITEBACK_CENTISECS, (long)sim_between(1, 200));
}

static void op_check(struct actor *a, struct file *f)
{
	struct mm *mm = a->w->mm;

	rwlock_lock_shared(&f->io_lock);
	file_check(f);
	rwlock_unlock_shared(&f->io_lock);
	lru_check(mm);
	kmem_cache_check(&mm->xa_nodes);
	kmem_cache_check(&mm->run_cache);
}

static void op_rare(struct actor *a, struct file *f)
{
	struct mm *mm = a->w->mm;

	switch (sim_between(0, 10)) {
	case 0:
		reclaim_drop_pagecache(mm);
		seen.drops++;
		break;
	case 1:
		slab_reap(mm);
		break;
	case 2:
		lru_drain(mm);
		page_alloc_drain(mm);
		break;
	case 3:
		flusher_wake(mm);
		break;
	case 4:
		flusher_kick(&f->mapping);
		break;
	case 5:
		mapping_flush(&f->mapping);
		break;
	case 6:
		op_tune(a);
		break;
	case 7:
		op_delete(a, f);
		break;
	case 8:
		seen.outages += world_outage(a->w, 1500);
		break;
	case 9:
		world_squeeze(a->w);
		seen.squeezes++;
		break;
	default:
		os_sleep_ns(sim_between(1, 50 * NSEC_PER_MSEC));
	}
}

static void actor_main(void *arg)
{
	struct actor *a = arg;

	for (unsigned int i = 0; i < a->w->nr_ops; i++) {
		struct file *f = file_get(a->w);
		uint64_t what = sim_between(0, 99);

		if (what < 35)
			op_read(a, f);
		else if (what < 70)
			op_write(a, f);
		else if (what < 74)
			op_find_run(a, f);
		else if (what < 79)
			op_truncate(a, f);
		else if (what < 83)
			op_sync(a, f);
		else if (what < 85)
			op_sync_alone(a, f);
		else if (what < 87)
			op_sync_all(a);
		else if (what < 90)
			op_invalidate(a, f);
		else if (what < 93)
			op_check(a, f);
		else
			op_rare(a, f);
		file_put(a->w, f);
	}
}

/* --- one seed -------------------------------------------------------------- */

static void start_faults(struct world *w)
{
	struct sim_disk_options disk = { .short_percent = 0 };

	if (sim_chance(50))
		disk.short_percent = 20;
	w->faulty = sim_chance(70);
	if (w->faulty) {
		disk.read_error_percent = (unsigned int)sim_between(0, 5);
		world_memory_faults(w);
		if (sim_chance(50))
			world_io_faults(w, &w->mm->fail_io);
	}
	sim_disk_set(&disk);
}

static void world_start(struct world *w)
{
	struct mm_config config = {
		.size = MM_SIZE_MIN,
		.io_depth = 64,
		.nr_flushers = (unsigned int)sim_between(1, NR_GROUPS),
	};
	int err;

	mutex_init(&w->lock);
	w->mm = mm_create(&config, &err);
	ASSERT(w->mm);
	groups_start(w);
	w->pages_max = (unsigned int)sim_between(50, FILE_PAGES_MAX);
	w->nr_files = (unsigned int)sim_between(2, FILES_MAX);
	w->nr_ops = (unsigned int)sim_between(10, 60);
	world_hog(w);
	for (unsigned int i = 0; i < w->nr_files; i++)
		w->files[i] = file_new(w);
}

/* Faults are over: everything has to arrive at last. */
static void settle(struct world *w)
{
	struct mm *mm = w->mm;
	int err = -EIO;

	for (int i = 0; i < 10 && err; i++) {
		err = dirty_list_sync(mm, NULL);
		os_sleep_ns(NSEC_PER_SEC);
	}
	if (err)
		sim_fail("everything cannot be synced: %d", err);
	for (unsigned int i = 0; i < w->nr_files; i++) {
		struct file *f = w->files[i];

		ASSERT(mapping_sync(&f->mapping, 0, UINT64_MAX) == 0);
		file_check(f);
		ASSERT(address_space_is_clean(&f->mapping));
		ASSERT(sim_file_size(f->fd) == f->size);
		if (memcmp(sim_file_data(f->fd, 0, f->size), f->model,
			   f->size) != 0)
			sim_fail("a file differs from its model at the end");
	}
}

static void world_stop(struct world *w)
{
	struct mm *mm = w->mm;

	reclaim_drop_pagecache(mm);
	lru_check(mm);
	for (unsigned int i = 0; i < w->nr_files; i++)
		file_put(w, w->files[i]);
	/* mm/ lets go of the last ones when the flusher next looks. */
	while (w->nr_alive > 0)
		os_sleep_ns(10 * NSEC_PER_MSEC);
	while (w->nr_hogs > 0)
		page_put(mm, w->hogs[--w->nr_hogs]);
	kmem_cache_check(&mm->xa_nodes);
	kmem_cache_check(&mm->run_cache);
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		stats[i] += vmstat_read(mm, (enum vmstat_item)i);
	ASSERT(vmstat_read(mm, NR_FILE_PAGES) == 0);
	ASSERT(vmstat_read(mm, NR_FILE_DIRTY) == 0);
	ASSERT(vmstat_read(mm, NR_WRITEBACK) == 0);
	groups_stop(w);
	mm_destroy(mm);
}

static void one_seed(void *arg)
{
	static struct actor actors[THREADS_MAX];
	struct world *w = calloc(1, sizeof(*w));
	unsigned int nr = (unsigned int)sim_between(3, THREADS_MAX);

	(void)arg;
	ASSERT(w);
	world_start(w);
	start_faults(w);
	for (unsigned int i = 0; i < nr; i++) {
		actors[i] = (struct actor){ .w = w };
		ASSERT(os_thread_start(&actors[i].thread, "actor", actor_main,
				       &actors[i]) == 0);
	}
	for (unsigned int i = 0; i < nr; i++)
		os_thread_join(&actors[i].thread);
	world_well_again(w);
	settle(w);
	world_stop(w);
	free(w);
}

/* --- many seeds ------------------------------------------------------------ */

static void print_seen(void)
{
#define X(name) printf("%s %lu\n", #name, seen.name);
	SEEN(X)
#undef X
}

/* A test that never gets there tests nothing. */
static const char *unseen(void)
{
#define X(name) SIM_MET(seen.name > 0);
	SEEN(X)
#undef X
	SIM_MET(stats[PGSTEAL_KSWAPD] > 0 && stats[PGSTEAL_DIRECT] > 0);
	SIM_MET(stats[WRITE_IO_ERROR] > 0 && stats[READ_IO_ERROR] > 0);
	SIM_MET(stats[OOM_REFUSED] > 0 && stats[PGALLOC_FAIL_GROWTH] > 0);
	SIM_MET(stats[PGALLOC_FAIL_INJECTED] > 0 && stats[SLAB_FAIL] > 0);
	SIM_MET(stats[IO_FAIL_INJECTED] > 0 && stats[PGROTATED] > 0);
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct sim_test test = {
		.nr_seeds = 500,
		.one_seed = one_seed,
		.stats = stats,
		.print_seen = print_seen,
		.unseen = unseen,
	};

	return sim_main(&test, argc, argv);
}
