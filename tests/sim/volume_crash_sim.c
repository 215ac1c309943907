/*
 * volume_crash_sim.c - a file volume is armed, and crashes, and what that has
 * left (fs/crash.h).
 *
 *   (1) "home" is what a backing file has, as far as the model knows: what it had
 *       when the volume was armed, what was synced since, what cut it since. Where
 *       a sync may have written, or not, or something that came meanwhile, it is
 *       not known.
 *   (2) A plain crash leaves home, and the size of home. Where it leaves anything
 *       else pages were written early, and no more of them than the volume says.
 *   (3) A torn one leaves of each sector home or what the model has, whole; and
 *       one of both sizes.
 *   (4) Both are asked for when nothing else is under way: the caller has quiet
 *       alone. What is synced is "sure", as ever, and looked at by the witness.
 */
#include "tests/sim/volume_world.h"

#include "tests/sim/backing_sim.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>

enum { SECTORS = VFILE_PAGES_MAX * (PAGE_SIZE / SIM_SECTOR) };

static struct wvolume *volume_of(struct world *w)
{
	return &w->volumes[0];
}

static bool control_is(struct client *c, const char *path, const char *text)
{
	return front_control_text(c, volume_of(c->w), path, text) == 0;
}

static int disk_of(const struct vfile *f)
{
	return backing_sim_file(f->ino);
}

/* A file that is still there, in the backing directory. */
static bool is_there(const struct vfile *f)
{
	return disk_of(f) >= 0 && (f->nr_names > 0 || f->nr_opens > 0);
}

/* --- arming ---------------------------------------------------------------------- */

static void find_home(struct vfile *f)
{
	int disk = disk_of(f);

	model_set_home(&f->model, sim_file_data(disk, 0, VFILE_BYTES_MAX),
		       sim_file_size(disk));
}

/* What grew it after it was armed will be undone, from where it was then. */
static void find_home_again(struct vfile *f)
{
	uint64_t before = f->model.home_size;

	find_home(f);
	f->model.home_size_unknown = f->model.home_size != before;
}

static void each_file(struct world *w, void (*fn)(struct vfile *f))
{
	struct wvolume *wv = volume_of(w);

	for (unsigned int i = 0; i < wv->nr_files; i++)
		if (is_there(wv->files[i]))
			fn(wv->files[i]);
}

/* What is being written still ends before that is looked at. */
static void wait_for_writeback(struct world *w)
{
	for (int i = 0; i < 1000 && vmstat_read(w->mm, NR_WRITEBACK) > 0; i++)
		os_sleep_ns(10 * NSEC_PER_MSEC);
}

static void forget_home(struct vfile *f)
{
	f->model.has_home = false;
}

static void disarm(struct client *c)
{
	c->w->armed = false;
	each_file(c->w, forget_home);
	ASSERT(control_is(c, "fault/crash/armed", "0"));
}

static void arm(struct client *c)
{
	struct world *w = c->w;

	each_file(w, find_home);
	ASSERT(control_is(c, "fault/crash/armed", "1"));
	/* A flusher that has begun may take what is dirty with it. */
	os_sleep_ns(NSEC_PER_SEC);
	wait_for_writeback(w);
	w->armed = vmstat_read(w->mm, NR_WRITEBACK) == 0;
	w->early_before = vmstat_read(w->mm, CRASH_EARLY);
	if (w->armed)
		each_file(w, find_home_again);
	else
		disarm(c);
}

/* --- looking at what is left ------------------------------------------------------ */

/* Does [start, end) lie as the model has it? */
static bool is_new(const struct model *m, const unsigned char *disk,
		   uint64_t start, uint64_t end)
{
	for (uint64_t i = start; i < end; i++)
		if (!model_allows(m, i, disk[i]))
			return false;
	return true;
}

static bool is_home(const struct model *m, const unsigned char *disk,
		    uint64_t start, uint64_t end)
{
	for (uint64_t i = start; i < end; i++)
		if (!m->home_unknown[i] && disk[i] != m->home[i])
			return false;
	return true;
}

/* (2), (3): pages that are as nothing but an early write can have left them. */
static unsigned long strange_pages(const struct vfile *f, bool torn)
{
	const struct model *m = &f->model;
	int disk = disk_of(f);
	const unsigned char *data = sim_file_data(disk, 0, VFILE_BYTES_MAX);
	uint64_t size = min_of(sim_file_size(disk), VFILE_BYTES_MAX);
	unsigned long nr = 0;
	pgoff_t last = UINT64_MAX;

	for (uint64_t at = 0; at < size; at += SIM_SECTOR) {
		uint64_t end = min_of(at + SIM_SECTOR, size);

		if (at >> PAGE_SHIFT == last || is_home(m, data, at, end) ||
		    (torn && is_new(m, data, at, end)))
			continue;
		last = at >> PAGE_SHIFT;
		nr++;
	}
	return nr;
}

static void check_size(const struct vfile *f, bool torn)
{
	const struct model *m = &f->model;
	uint64_t size = sim_file_size(disk_of(f));

	if (m->home_size_unknown || size == m->home_size ||
	    (torn && size == m->size))
		return;
	sim_fail("a crash left %llu bytes; %llu were synced, %llu written",
		 (unsigned long long)size, (unsigned long long)m->home_size,
		 (unsigned long long)m->size);
}

/* Something was written that is not home: else there is nothing to see. */
static bool had_unsynced(const struct model *m)
{
	for (uint64_t i = 0; i < m->size; i++)
		if (!m->home_unknown[i] && !model_allows(m, i, m->home[i]))
			return true;
	return false;
}

/* From here on the file is what the crash has left. */
static void start_again(struct vfile *f)
{
	int disk = disk_of(f);

	f->touch_least_ns = f->touch_most_ns = 0; /* times of now and then */
	model_reset(&f->model, sim_file_data(disk, 0, VFILE_BYTES_MAX),
		    sim_file_size(disk));
}

static void check_left(struct world *w, bool torn)
{
	struct wvolume *wv = volume_of(w);
	unsigned long early = vmstat_read(w->mm, CRASH_EARLY) - w->early_before;
	unsigned long strange = 0;

	for (unsigned int i = 0; i < wv->nr_files; i++) {
		struct vfile *f = wv->files[i];

		if (!is_there(f) || !f->model.has_home)
			continue;
		check_size(f, torn);
		strange += strange_pages(f, torn);
		vseen.crashed_unsynced += !early && had_unsynced(&f->model);
	}
	if (strange > early)
		sim_fail("a crash left %lu pages that were not synced; %lu "
			 "were written early",
			 strange, early);
	vseen.crashes_torn += torn;
	vseen.crashes += !torn;
	vseen.crashes_early += early > 0;
	each_file(w, start_again);
}

/* --- what clients do ----------------------------------------------------------------- */

/* (4) */
static void crash(struct client *c)
{
	struct world *w = c->w;
	bool torn = sim_chance(40);
	int err;

	ASSERT(control_is(c, "fault/crash/torn", torn ? "1" : "0"));
	ASSERT(front_control(c, volume_of(w), "fault/crash/seed",
			     (long)sim_between(0, 1u << 30)) == 0);
	err = front_control(c, volume_of(w), "fault/crash/now", 1);
	if (err) { /* of some file; what it has of others is done */
		if (!w->faulty &&
		    !faults_excuse(c, volume_of(w), WORLD_WRITE, err))
			sim_fail("a crash failed: %d", err);
		for (int i = 0; i < 200 && err; i++) {
			os_sleep_ns(100 * NSEC_PER_MSEC);
			err = front_control(c, volume_of(w), "fault/crash/now",
					    1);
		}
		if (err)
			sim_fail("crashing fails again and again: %d", err);
	}
	wait_for_writeback(w);
	check_left(w, torn);
	disarm(c);
}

static void crash_step(struct client *c)
{
	struct world *w = c->w;

	rwlock_lock(&w->quiet); /* (4) */
	c->since_ns = os_now_ns();
	if (c->w->armed)
		crash(c);
	else
		arm(c);
	rwlock_unlock(&w->quiet);
}

static void crasher_main(void *arg)
{
	struct client *c = arg;

	while (!c->w->crash) {
		os_sleep_ns(sim_between(1, 40) * NSEC_PER_MSEC);
		crash_step(c);
	}
	if (c->w->armed && sim_chance(50))
		crash_step(c);
	else if (c->w->armed)
		disarm(c);
}

void crash_start(struct world *w)
{
	if (!w->has_crasher)
		return;
	w->crasher = (struct client){ .w = w };
	ASSERT(os_thread_start(&w->crasher.thread, "crasher", crasher_main,
			       &w->crasher) == 0);
}

void crash_stop(struct world *w)
{
	if (w->has_crasher)
		os_thread_join(&w->crasher.thread);
}
