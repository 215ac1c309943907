/* volume_ops_sim.c - what clients do, at random. */
#include "tests/sim/volume_ops.h"

#include "mm/page_alloc.h"
#include "tests/sim/sim.h"

#include <errno.h>

/* For a while there is no frame at all, or hardly one. */
static void op_squeeze(struct client *c)
{
	struct mm *mm = c->w->mm;
	struct list_head pages;
	struct page *page;
	unsigned long left = sim_chance(50) ? 0 : sim_between(0, 60);

	list_init(&pages);
	c->w->squeezed = true;
	while (page_alloc_nr_free(mm) > left &&
	       (page = page_alloc(mm, GFP_RESERVE | GFP_MOVABLE, 0)))
		list_add(&pages, &page->lru);
	vseen.squeezes++;
	os_sleep_ns(sim_between(1, 300 * NSEC_PER_MSEC));
	while (!list_empty(&pages)) {
		page = list_first_entry(&pages, struct page, lru);
		list_del_init(&page->lru);
		page_put(mm, page);
	}
}

static void op_outage(struct client *c)
{
	if (!c->w->faulty || c->w->quiet_end)
		return;
	vseen.outages++;
	sim_disk_fail_writes(-EIO);
	os_sleep_ns(sim_between(1, 1500) * NSEC_PER_MSEC);
	sim_disk_fail_writes(0);
}

/* Others take what room there was on the disk, for a while. */
static void op_full_disk(struct client *c)
{
	if (c->w->room == UINT64_MAX)
		return;
	vseen.full_disks++;
	/* All of it, or more than there was: some comes back first. */
	sim_disk_set_room(sim_chance(50) ? c->w->room - sim_disk_room()
					 : c->w->room / sim_between(1, 4));
	os_sleep_ns(sim_between(1, 500) * NSEC_PER_MSEC);
	sim_disk_set_room(c->w->room);
}

static void op_tune(struct client *c, struct wvolume *wv)
{
	static const struct {
		const char *path;
		long least, most;
	} settings[] = {
		{ "sys/vm/dirty_ratio", 5, 90 },
		{ "sys/vm/dirty_background_ratio", 0, 60 },
		{ "sys/vm/dirty_expire_centisecs", 1, 500 },
		{ "sys/vm/dirty_writeback_centisecs", 1, 200 },
		{ "sys/vm/swappiness", 0, 200 },
		{ "sys/vm/vfs_cache_pressure", 0, 400 },
	};
	unsigned int i = (unsigned int)sim_between(0, ARRAY_SIZE(settings) - 1);

	ASSERT(front_control(c, wv, settings[i].path,
			     (long)sim_between((uint64_t)settings[i].least,
					       (uint64_t)settings[i].most)) ==
	       0);
}

static void op_quiet(struct client *c)
{
	struct world *w = c->w;

	rwlock_unlock_shared(&w->quiet);
	rwlock_lock(&w->quiet);
	check_quiet(w);
	rwlock_unlock(&w->quiet);
	rwlock_lock_shared(&w->quiet);
}

static void leave_homes(struct wvolume *wv)
{
	for (unsigned int i = 0; i < wv->nr_files; i++)
		model_leave_home(&wv->files[i]->model);
}

static void op_volume_sync(struct client *c, struct wvolume *wv)
{
	int err;

	leave_homes(wv);
	err = front_control(c, wv, "sync", 1);
	leave_homes(wv);
	check_answer(c, wv, WORLD_SYNC, "sync", err);
	vseen.volume_syncs++;
}

static void op_rare(struct client *c, struct wvolume *wv)
{
	switch (sim_between(0, 8)) {
	case 0:
	case 1:
		ASSERT(front_control(c, wv, "sys/vm/drop_caches",
				     (long)sim_between(1, 3)) == 0);
		vseen.drops++;
		break;
	case 2:
		op_volume_sync(c, wv);
		break;
	case 3:
		op_tune(c, wv);
		break;
	case 4:
		op_outage(c);
		break;
	case 5:
		op_full_disk(c);
		break;
	case 6:
		op_squeeze(c);
		break;
	case 7:
		op_quiet(c);
		break;
	default:
		os_sleep_ns(sim_between(1, 50 * NSEC_PER_MSEC));
	}
}

static struct wvolume *any_volume(struct client *c)
{
	/* The first is the file volume. */
	bool anon = c->w->swapping && sim_chance(80);

	return &c->w->volumes[sim_between(anon, c->w->nr_volumes - 1)];
}

static void op_on_names(struct client *c, struct wopen *o)
{
	unsigned int n = (unsigned int)sim_between(0, WORLD_NAMES - 1);
	struct wvolume *wv = any_volume(c);
	uint64_t what = sim_between(0, 99);

	if (o->f && what < 20)
		file_op_close(c, o);
	else if (!o->f && what < 70 && wv->names[n])
		file_op_open(c, wv, n, o);
	else if (!o->f && what < 70)
		file_op_create(c, wv, n, o);
	else if (what < 78)
		file_op_unlink(c, wv, n);
	else if (what < 86)
		file_op_rename(c, wv, n);
	else if (what < 92)
		file_op_link(c, wv, n);
	else if (what < 96)
		file_op_list(c, wv);
	else
		op_rare(c, wv);
}

void client_main(void *arg)
{
	struct client *c = arg;
	struct world *w = c->w;

	rwlock_lock_shared(&w->quiet);
	for (unsigned int i = 0; i < w->nr_ops; i++) {
		struct wopen *o = &c->opens[sim_between(0, CLIENT_OPENS - 1)];

		c->since_ns = os_now_ns();
		if (o->f && sim_chance(90))
			file_op_on_open(c, o);
		else
			op_on_names(c, o);
		/* Who waits for quiet shall get it. */
		rwlock_unlock_shared(&w->quiet);
		rwlock_lock_shared(&w->quiet);
	}
	rwlock_unlock_shared(&w->quiet);
}

/* Anon files, until there is no frame left; and again what is left. */
void client_fill_main(void *arg)
{
	struct client *c = arg;
	struct world *w = c->w;

	c->fills = true;
	rwlock_lock_shared(&w->quiet);
	for (unsigned int i = 0; i < w->nr_ops; i++) {
		struct wopen *o = &c->opens[i % CLIENT_OPENS];
		struct wvolume *wv = &w->volumes[1];
		unsigned int n = (unsigned int)sim_between(0, WORLD_NAMES - 1);

		c->since_ns = os_now_ns();
		if (o->f)
			file_op_write(c, o);
		else if (wv->names[n])
			file_op_open(c, wv, n, o);
		else
			file_op_create(c, wv, n, o);
		rwlock_unlock_shared(&w->quiet);
		rwlock_lock_shared(&w->quiet);
	}
	rwlock_unlock_shared(&w->quiet);
}

void client_few_main(void *arg)
{
	struct client *c = arg;
	struct world *w = c->w;
	struct wvolume *wv = &w->volumes[0];

	c->few = true;
	rwlock_lock_shared(&w->quiet);
	for (unsigned int i = 0; i < 2 * w->nr_ops; i++) {
		struct wopen *o = &c->opens[0];
		uint64_t what = sim_between(0, 99);

		c->since_ns = os_now_ns();
		if (!o->f && wv->names[0])
			file_op_open(c, wv, 0, o);
		else if (!o->f)
			file_op_create(c, wv, 0, o);
		else if (what < 45)
			file_op_read(c, o);
		else if (what < 88 && o->writable)
			file_op_write(c, o);
		else if (what < 94)
			page_cache_invalidate(&o->f->inode->mapping, 0,
					      UINT64_MAX);
		else if (what < 97)
			file_op_sync(c, o);
		else
			file_op_close(c, o);
		rwlock_unlock_shared(&w->quiet);
		rwlock_lock_shared(&w->quiet);
	}
	rwlock_unlock_shared(&w->quiet);
}
