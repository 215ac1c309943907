/*
 * test_volume_sim.c - volumes of both kinds against an array: all of plimsoll
 * but for FUSE.
 *
 *	test_volume_sim [-v] [FIRST_SEED [NR_SEEDS [SCENARIO]]]
 *
 * A file volume on a backing directory that lies in memory, and anon volumes,
 * on a budget that is a fraction of what is written. Clients read, write, cut,
 * punch, sync, rename, unlink and open files, as the kernel would have them do;
 * disk, memory and scheduler are unkind. A witness looks at all of it at any
 * moment, as a power cut would. A scenario is drawn from the seed:
 *
 *	random    anything
 *	around    anon files take all frames: a file volume's writes go around
 *	          the cache, while others read the same pages
 *	swap      anon files are swapped out and in, and that is made to fail
 *
 * What has to hold is in volume_world.h.
 */
#include "tests/sim/volume_world.h"

#include "fs/anon_volume.h"
#include "fs/file_volume.h"
#include "mm/page_alloc.h"
#include "swap/swap.h"
#include "tests/sim/backing_sim.h"
#include "tests/sim/seeds.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long stats[NR_VMSTAT_ITEMS];

enum scenario { SCENARIO_RANDOM, SCENARIO_AROUND, SCENARIO_SWAP, NR_SCENARIOS };
static const char *const scenario_names[NR_SCENARIOS] = { "random", "around",
							  "swap" };
static int forced = -1;

/* --- the world ----------------------------------------------------------------- */

/* Take frames away until a zone has no more than "left". */
static void hog_zone(struct world *w, enum zone_type t, gfp_t gfp,
		     unsigned long left)
{
	struct zone *z = &w->mm->zones[t];

	while (zone_nr_free(z) > left && w->nr_hogs < WORLD_HOGS) {
		struct page *page = page_alloc(w->mm, gfp, 0);

		if (!page)
			break;
		w->hogs[w->nr_hogs++] = page;
	}
}

static void add_volume(struct world *w, struct volume *vol, bool is_file)
{
	struct wvolume *wv = &w->volumes[w->nr_volumes];

	wv->w = w;
	wv->vol = vol;
	wv->is_file = is_file;
	mutex_init(&wv->lock);
	rwlock_init(&wv->names_lock);
	vol->number = w->nr_volumes++;
	vol->control = control_create(vol);
	ASSERT(vol->control);
	front_start(wv);
}

static void add_file_volume(struct world *w)
{
	struct backing_sim_options o = {
		.handles = sim_chance(75),
		.stale_unlinked = sim_chance(50),
		.direct = sim_chance(80),
		.root = sim_chance(70),
		.quotas = sim_chance(30),
		.copies = sim_chance(20),
	};
	struct volume *vol;
	int err;

	backing_sim_start(&o);
	vol = file_volume_open(&w->fs, backing_sim_root(), O_RDWR, &err);
	ASSERT(vol);
	add_volume(w, vol, true);
}

static void add_anon_volume(struct world *w)
{
	struct anon_limits limits = { .mode = 0755 };
	struct volume *vol;
	int err;

	if (w->few_pages == 0 && sim_chance(30))
		limits.size = sim_between(50, 500) << PAGE_SHIFT;
	vol = anon_volume_open(&w->fs, &limits, &err);
	ASSERT(vol);
	add_volume(w, vol, false);
}

static void add_swap(struct world *w)
{
	uint32_t nr = (uint32_t)sim_between(6, 40);

	w->swap_fd = sim_file_create((uint64_t)nr << SWAP_CLUSTER_SHIFT);
	w->has_swap = true;
	ASSERT(swap_add_area(w->mm->swap, w->swap_fd, SIM_SECTOR, nr, "sim",
			     NULL, 0) == 0);
}

static void world_start(struct world *w, enum scenario s)
{
	struct fs_config config = {
		.mem = MM_SIZE_MIN,
		.request_max = fs_request_max(MM_SIZE_MIN),
		.swap = true,
	};

	rwlock_init(&w->quiet);
	w->has_taker = sim_chance(30);
	if (w->has_taker)
		config.taker = &w->taker;
	ASSERT(fs_init(&w->fs, &config) == 0);
	w->mm = w->fs.mm;
	for (int i = 0; i < NR_REQUEST_CLASSES; i++)
		sim_set_idle_cond(&w->fs.requests.queues[i].more.impl);
	sim_set_idle_cond(&w->mm->swap->unpack_more.impl);
	w->pages_max = (unsigned int)sim_between(20, VFILE_PAGES_MAX);
	w->noise_percent = (unsigned int)sim_between(0, 100);
	w->nr_ops = (unsigned int)sim_between(20, 90);
	w->room = UINT64_MAX;
	w->swapping = s == SCENARIO_SWAP;
	if (s == SCENARIO_AROUND)
		w->pages_max = VFILE_PAGES_MAX;
	if (s == SCENARIO_AROUND)
		w->few_pages = (unsigned int)sim_between(1, 24);
	add_file_volume(w);
	for (uint64_t n = sim_between(s != SCENARIO_RANDOM, 2); n > 0; n--)
		add_anon_volume(w);
	if (sim_chance(s == SCENARIO_RANDOM ? 75
		       : s == SCENARIO_SWAP ? 100
					    : 10))
		add_swap(w);
	hog_zone(w, ZONE_NORMAL, GFP_NOWAIT, sim_between(170, 330));
	hog_zone(w, ZONE_MOVABLE, GFP_NOWAIT | GFP_MOVABLE,
		 s == SCENARIO_SWAP ? sim_between(50, 90)
				    : sim_between(70, 250));
}

static void start_faults(struct world *w)
{
	struct sim_disk_options disk = { .mixed = true };

	disk.no_fallocate = w->no_fallocate = sim_chance(15);
	if (sim_chance(30))
		disk.delay_max_ns = sim_between(1, 100) * NSEC_PER_MSEC;
	if (sim_chance(25)) {
		w->room = sim_between(300, 900);
		sim_disk_set_room(w->room);
	}
	w->faulty = sim_chance(35);
	if (w->swapping || sim_chance(70))
		w->nr_injectors = (unsigned int)sim_between(1, WORLD_INJECTORS);
	if (w->faulty) {
		disk.read_error_percent = (unsigned int)sim_between(0, 5);
		disk.write_error_percent =
			sim_chance(50) ? (unsigned int)sim_between(1, 30) : 0;
		disk.short_percent = sim_chance(50) ? 10 : 0;
		if (sim_chance(40))
			backing_sim_fail((unsigned int)sim_between(1, 5));
	}
	sim_disk_set(&disk);
	faults_start(w);
	w->has_crasher = sim_chance(40);
	crash_start(w);
	w->has_tree = sim_chance(50);
	tree_start(w);
}

static void stop_faults(struct world *w)
{
	struct sim_disk_options none = { .mixed = true };

	sim_disk_set(&none);
	sim_disk_fail_writes(0);
	sim_disk_set_room(UINT64_MAX);
	backing_sim_fail(0);
	tree_stop(w);
	crash_stop(w);
	faults_stop(w);
	/* What had been begun with them has ended. */
	os_sleep_ns(3 * NSEC_PER_SEC);
	w->quiet_end = true;
}

/* Looks now and then, whatever is under way. */
static void witness_main(void *arg)
{
	struct world *w = arg;

	while (!w->crash) {
		os_sleep_ns(sim_between(1, sim_chance(50)
						   ? 2 * NSEC_PER_MSEC
						   : 200 * NSEC_PER_MSEC));
		check_moment(w);
	}
}

static void client_init(struct client *c, struct world *w)
{
	*c = (struct client){ .w = w, .has_lane = sim_chance(60) };
	c->lane.nr_parked_max = (unsigned int)sim_between(1, 3);
	c->buf = malloc(IO_MAX);
	ASSERT(c->buf);
}

static void run_clients(struct world *w, struct client *clients,
			unsigned int nr)
{
	struct os_thread witness;

	w->clients = clients;
	w->nr_clients = nr;
	for (unsigned int i = 0; i < nr; i++)
		client_init(&clients[i], w);
	ASSERT(os_thread_start(&witness, "witness", witness_main, w) == 0);
	for (unsigned int i = 0; i < nr; i++)
		ASSERT(os_thread_start(&clients[i].thread, "client",
				       w->few_pages == 0 ? client_main
				       : i == 0		 ? client_fill_main
							 : client_few_main,
				       &clients[i]) == 0);
	for (unsigned int i = 0; i < nr; i++)
		os_thread_join(&clients[i].thread);
	w->crash = true;
	os_thread_join(&witness);
}

/* (8): without faults, everything arrives. */
static void settle(struct client *c)
{
	struct world *w = c->w;
	int err = -EIO;

	for (int i = 0; i < 20 && err; i++) {
		err = front_control(c, &w->volumes[0], "sync", 1);
		os_sleep_ns(NSEC_PER_SEC);
	}
	if (err)
		sim_fail("everything cannot be synced: %d", err);
	check_moment(w);
	rwlock_lock(&w->quiet);
	check_quiet(w);
	rwlock_unlock(&w->quiet);
}

static void no_progress(struct volume *vol, uint64_t left)
{
	(void)vol;
	(void)left;
}

static void forget_all(struct wvolume *wv)
{
	for (unsigned int n = 0; n < WORLD_NAMES; n++) {
		struct vfile *f = wv->names[n];

		wv->names[n] = NULL;
		if (!f)
			continue;
		mutex_lock(&wv->lock);
		f->users++;
		f->nr_names--;
		mutex_unlock(&wv->lock);
		vfile_put(f);
	}
	/* Who asks for inodes back may be looking at one. */
	for (int i = 0; wv->nr_files > 0 && i < 100; i++)
		os_sleep_ns(10 * NSEC_PER_MSEC);
	ASSERT(wv->nr_files == 0);
}

static void volume_stop(struct wvolume *wv)
{
	/* With or without: the mount may end before the kernel forgets. */
	if (volume_drain(wv->vol, 30, no_progress) != 0)
		sim_fail("the volume cannot be drained");
	front_stop(wv);
	control_destroy(wv->vol->control);
	volume_close(wv->vol);
	if (wv->is_file)
		backing_sim_stop();
}

static void world_stop(struct world *w)
{
	struct mm *mm = w->mm;

	for (unsigned int v = 0; v < w->nr_volumes; v++)
		forget_all(&w->volumes[v]);
	os_sleep_ns(NSEC_PER_SEC);
	for (unsigned int v = 0; v < w->nr_volumes; v++)
		volume_stop(&w->volumes[v]);
	while (w->nr_hogs > 0)
		page_put(mm, w->hogs[--w->nr_hogs]);
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		stats[i] += vmstat_read(mm, (enum vmstat_item)i);
	ASSERT(vmstat_read(mm, NR_FILE_PAGES) == 0);
	ASSERT(vmstat_read(mm, NR_FILE_DIRTY) == 0);
	ASSERT(vmstat_read(mm, NR_WRITEBACK) == 0);
	ASSERT(vmstat_read(mm, NR_ANON_PAGES) == 0);
	ASSERT(vmstat_read(mm, NR_SWAPPED) == 0);
	ASSERT(vmstat_read(mm, NR_SWAPPED_SAME) == 0);
	ASSERT(vmstat_read(mm, NR_SWAP_STORED) == 0);
	ASSERT(vmstat_read(mm, NR_INODES) == 0);
	ASSERT(vmstat_read(mm, NR_BACKING_FDS) == 0);
	fs_destroy(&w->fs);
}

static enum scenario draw_scenario(void)
{
	if (sim_chance(30))
		return SCENARIO_AROUND;
	return sim_chance(20) ? SCENARIO_SWAP : SCENARIO_RANDOM;
}

static void one_seed(void *arg)
{
	static struct client clients[WORLD_CLIENTS];
	unsigned int nr = (unsigned int)sim_between(2, WORLD_CLIENTS);
	struct world *w = calloc(1, sizeof(*w));
	enum scenario s = draw_scenario();

	(void)arg;
	ASSERT(w);
	if (forced >= 0)
		s = (enum scenario)forced;
	world_start(w, s);
	start_faults(w);
	run_clients(w, clients, nr);
	stop_faults(w);
	for (unsigned int i = 0; i < nr; i++)
		client_close_all(&clients[i]);
	settle(&clients[0]);
	ASSERT(front_control(&clients[0], &w->volumes[0], "sys/vm/drop_caches",
			     3) == 0);
	check_end(&clients[0]);
	for (unsigned int i = 0; i < nr; i++)
		free(clients[i].buf);
	world_stop(w);
	free(w);
}

/* --- many seeds ---------------------------------------------------------------- */

static void print_seen(void)
{
#define X(name) printf("%s %lu\n", #name, vseen.name);
	VOLUME_SEEN(X)
#undef X
	faults_print();
}

/* A test that never gets there tests nothing. */
static const char *unseen(void)
{
#define X(name) SIM_MET(vseen.name > 0);
	VOLUME_SEEN(X)
#undef X
	SIM_MET(stats[CACHE_UNCACHED_WRITE] > 0 &&
		stats[CACHE_UNCACHED_READ] > 0);
	SIM_MET(stats[PATH_HIT] > 0 && stats[PATH_MISS] > 0);
	SIM_MET(stats[PATH_WORKER] > 0 && stats[WRITE_PARKED] > 0);
	SIM_MET(stats[OOM_WAITED] > 0 && stats[OOM_REFUSED] > 0);
	SIM_MET(stats[WRITE_IO_ERROR] > 0 && stats[READ_IO_ERROR] > 0);
	SIM_MET(stats[ENOSPC_BACKING] > 0 && stats[INODE_EVICTED] > 0);
	SIM_MET(stats[BLOCKS_FIRST] > 0 && stats[SPACE_SCARCE] > 0);
	SIM_MET(stats[COPY_TAKEN] > 0 && stats[COPY_RECEIVE] > 0);
	SIM_MET(stats[PSWPIN] > 0 && stats[PSWPOUT] > 0);
	SIM_MET(stats[SWPIN_DAMAGED] > 0);
	return faults_unseen();
}

int main(int argc, char **argv)
{
	static const struct sim_test test = {
		.nr_seeds = 400,
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
