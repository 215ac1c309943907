/* volume_io_sim.c - what clients do to what is in files. */
#include "tests/sim/volume_ops.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

/* --- contents -------------------------------------------------------------------- */

static uint64_t limit(const struct client *c)
{
	unsigned int few = c->few ? c->w->few_pages : 0;

	return (uint64_t)(few ? few : c->w->pages_max) << PAGE_SHIFT;
}

/* 1 byte to 1 MiB, each magnitude as likely; aligned or not. */
static void draw_range(struct client *c, uint64_t *start, uint64_t *end)
{
	uint64_t most = limit(c), len;

	*start = sim_between(0, most - 1);
	if (sim_chance(40))
		*start &= ~PAGE_MASK;
	len = sim_between(1,
			  min_of(2ull << sim_between(0, 19), (uint64_t)IO_MAX));
	if (sim_chance(40))
		len = pages_of(len) << PAGE_SHIFT;
	*end = min_of(*start + len, most);
	if (c->fills && sim_chance(70)) {
		*start = 0;
		*end = most;
	}
}

void file_op_read(struct client *c, struct wopen *o)
{
	struct model *m = &o->f->model;
	uint64_t start, end;
	struct watch watch;
	unsigned long around;
	int64_t n = 0, got = 0;

	draw_range(c, &start, &end);
	if (sim_chance(70)) /* where there is something */
		start = min_of(start, m->size ? sim_between(0, m->size) : 0);
	end = min_of(end, start + c->w->fs.request_max);
	end = max_of(end, start + 1);
	model_watch(m, &watch, start, end);
	around = vmstat_read(c->w->mm, CACHE_UNCACHED_WRITE);
	n = front_read(c, o, start, end - start, c->buf);
	if (watch.nr_alts > 0 &&
	    around != vmstat_read(c->w->mm, CACHE_UNCACHED_WRITE))
		vseen.read_while_around++;
	got = n > 0 ? n : 0;
	/* What others have written meanwhile may have been lost before. */
	if (n != -EIO || !(faults_lost(o->f, start, end) ||
			   (watch.nr_alts > 0 && c->w->swap_losses > 0)))
		check_answer(c, o->f->wv, WORLD_READ, "read", n);
	vseen.reads++;
	vseen.read_errors += n < 0;
	if (n < 0)
		model_synced(m, &watch, false);
	else
		model_check_read(m, &watch, c->buf, (size_t)got, end - start);
}

/* --- errors that all who have it open shall hear of ------------------------------ */

/*
 * An error that is told to "teller" came after it was told last. Who was told
 * last before that has not heard of it.
 */
static void must_hear(const struct wopen *teller, struct wopen *o, int err)
{
	if (o->f == teller->f && o != teller && !o->syncing &&
	    o->told_most_ns < teller->told_least_ns)
		o->must_hear = err;
}

/* What it could not be cut to has to be, before it grows. */
static bool has_excess(const struct vfile *f)
{
	return f->wv->is_file && atomic_load(&file_inode(f->inode)->too_long);
}

static void sync_begin(struct wopen *o)
{
	o->syncing = true;
	o->sync_began_ns = os_now_ns();
	o->excess_seen = has_excess(o->f);
}

/* sure: it has looked for errors, whatever it returned. */
static void sync_end(struct client *c, struct wopen *o, int err, bool sure)
{
	struct world *w = c->w;
	bool is_file = o->f->wv->is_file;
	/* Of what could not be cut off only who asks is told. */
	bool excess = o->excess_seen || has_excess(o->f);

	o->syncing = false;
	if (sure && !err && o->must_hear)
		sim_fail("an fsync that failed (%d) was not told to all who "
			 "had the file open",
			 o->must_hear);
	if (sure && is_file && err && o->told_err && !w->faulty &&
	    w->room == UINT64_MAX && !w->squeezed &&
	    !faults_of_sync_since(o->told_least_ns))
		sim_fail("an error was told twice: %d", err);
	if (sure && !err)
		vseen.heard_once += o->told_err;
	if (sure && err && is_file && !excess)
		for (unsigned int i = 0; i < w->nr_clients; i++)
			for (unsigned int n = 0; n < CLIENT_OPENS; n++)
				must_hear(o, &w->clients[i].opens[n], err);
	vseen.heard += sure && o->must_hear;
	o->told_most_ns = os_now_ns();
	if (sure || !err)
		o->told_least_ns = o->sync_began_ns;
	o->told_err = sure && err;
	o->must_hear = 0;
}

/* --- times (5a) ---------------------------------------------------------------------- */

/* The clock of files is a coarse one. */
#define TICK_NS (20 * NSEC_PER_MSEC)

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NSEC_PER_SEC + (uint64_t)t->tv_nsec;
}

static uint64_t file_clock(void)
{
	struct timespec now = os_realtime();

	return ns_of(&now);
}

/* A change ended that began then; sure: it has changed something. */
static void touched(struct vfile *f, uint64_t began_ns, bool sure)
{
	if (sure)
		f->touch_least_ns = max_of(f->touch_least_ns, began_ns);
	f->touch_most_ns = max_of(f->touch_most_ns, file_clock());
}

static void check_mtime(const struct vfile *f, const struct stat *st,
			uint64_t least_ns, bool changing)
{
	uint64_t mtime = ns_of(&st->st_mtim);
	uint64_t most = changing ? file_clock() : f->touch_most_ns;

	/* What could not be put back on a bad disk is not. */
	if (f->touch_most_ns == 0 || f->wv->w->faulty)
		return;
	if (mtime + TICK_NS < least_ns || mtime > most + TICK_NS)
		sim_fail("the mtime is %lld us after the last change began, "
			 "and %lld us after it had ended",
			 (long long)(mtime - least_ns) / 1000,
			 (long long)(mtime - most) / 1000);
	vseen.mtimes++;
}

/* Requests of one write(2), one after the other. */
static int64_t write_all(struct client *c, struct wopen *o, uint64_t start,
			 uint64_t end, int flags)
{
	uint64_t at = start;

	while (at < end) {
		size_t len = min_of(end - at, c->w->fs.request_max);
		int64_t n = front_write(c, o, at, c->buf + (at - start), len,
					flags);

		if (n < 0)
			return at > start ? (int64_t)(at - start) : n;
		if (n == 0 || n > (int64_t)len)
			sim_fail("a write of %zu returned %lld", len,
				 (long long)n);
		at += (uint64_t)n;
		if (n < (int64_t)len)
			break;
	}
	return (int64_t)(at - start);
}

static uint64_t asked_size(struct client *c, struct vfile *f)
{
	struct stat st;
	int err = -EIO;

	for (int i = 0; i < TRIES && err; i++) {
		err = front_getattr(c, f->inode, &st);
		if (err)
			os_sleep_ns(10 * NSEC_PER_MSEC);
	}
	if (err)
		sim_fail("attributes cannot be had: %d", err);
	return (uint64_t)st.st_size;
}

/* What an error has left of a change that was to make it that size. */
static void settle_size(struct client *c, struct vfile *f, uint64_t size)
{
	uint64_t now = asked_size(c, f);

	mutex_lock(&f->model.lock);
	if (now == size)
		model_set_size(&f->model, size);
	mutex_unlock(&f->model.lock);
}

static void grown(struct model *m, uint64_t end)
{
	mutex_lock(&m->lock);
	model_set_size(m, max_of(m->size, end));
	mutex_unlock(&m->lock);
}

static void note_write(struct client *c, struct wopen *o, uint64_t at,
		       int64_t n, uint64_t asked, enum world_op op,
		       bool had_excess)
{
	struct wvolume *wv = o->f->wv;

	if (n != -EIO ||
	    !(had_excess || has_excess(o->f) ||
	      faults_lost(o->f, at, at + asked) || faults_lost_tail(o->f)))
		check_answer(c, wv, op, "write", n);
	vseen.writes++;
	vseen.refusals += n == -ENOSPC;
	vseen.write_errors += n < 0 && n != -ENOSPC;
	vseen.short_writes += n > 0 && (uint64_t)n < asked;
}

void file_op_write(struct client *c, struct wopen *o)
{
	uint64_t began_ns, start, end,
		pattern = pattern_new(c->w->noise_percent);
	int flags = sim_chance(8) ? O_SYNC : 0;
	bool append = sim_chance(25), maybe, had_excess;
	struct model *m = &o->f->model;
	struct change *change;
	int64_t n;

	draw_range(c, &start, &end);
	if (append) {
		uint64_t len = end - start;

		start = m->size;
		end = min_of(start + len, limit(c));
		vseen.appends++;
	}
	if (start >= end)
		return;
	change = model_change(m, start, end, pattern, end);
	pattern_fill(pattern, start, c->buf, end - start);
	had_excess = has_excess(o->f);
	began_ns = file_clock();
	if (flags) {
		model_leave_home(m);
		sync_begin(o);
	}
	n = write_all(c, o, start, end, flags);
	touched(o->f, began_ns, n > 0);
	note_write(c, o, start, n, end - start,
		   flags ? WORLD_WRITE_SYNC : WORLD_WRITE, had_excess);
	if (flags)
		model_leave_home(m);
	if (flags)
		sync_end(c, o, n < 0 ? (int)n : 0, false);
	/* Not all: it may have been made in part, or not be durable. */
	maybe = o->f->wv->is_file || flags;
	if (n > 0)
		grown(m, start + (uint64_t)n);
	if (flags && n < (int64_t)(end - start))
		grown(m, min_of(end, asked_size(c, o->f)));
	model_changed(m, change, n > 0 ? (uint64_t)n : 0, maybe);
}

static void op_truncate(struct client *c, struct wopen *o)
{
	struct model *m = &o->f->model;
	uint64_t began_ns, size = sim_between(0, limit(c));
	struct change *change;
	int err;

	if (sim_chance(60))
		size = sim_between(m->size / 2, limit(c));
	if (sim_chance(40))
		size &= ~PAGE_MASK;
	change = model_change(m, MODEL_RESIZE, UINT64_MAX, 0, size);
	began_ns = file_clock();
	err = front_truncate(c, o->f->inode, size);
	touched(o->f, began_ns, !err);
	if (err != -EIO ||
	    !(faults_lost(o->f, size, size + 1) || faults_lost_tail(o->f)))
		check_answer(c, o->f->wv, WORLD_WRITE, "truncate", err);
	vseen.truncates++;
	vseen.truncate_errors += err != 0;
	if (err) {
		settle_size(c, o->f, size);
	} else {
		mutex_lock(&m->lock);
		model_set_size(m, size);
		mutex_unlock(&m->lock);
	}
	model_changed(m, change, 0, false);
}

/* Nothing changes but the size, and what is reserved. */
static void op_allocate(struct client *c, struct wopen *o)
{
	int mode = sim_chance(30) ? FALLOC_FL_KEEP_SIZE : 0;
	struct model *m = &o->f->model;
	struct change *change;
	uint64_t start, end;
	int err;

	draw_range(c, &start, &end);
	change = model_change(m, start, end, MODEL_KEEP, mode ? 0 : end);
	err = front_fallocate(c, o->f->inode, mode, start, end - start);
	touched(o->f, 0, false);
	if (err != -EIO || !faults_lost_tail(o->f))
		check_answer(c, o->f->wv, WORLD_WRITE, "fallocate", err);
	vseen.allocates++;
	vseen.allocate_errors += err != 0;
	if (!err && !mode)
		grown(m, end);
	if (err)
		settle_size(c, o->f, end);
	model_changed(m, change, 0, false);
}

static void op_punch(struct client *c, struct wopen *o)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	int mode = modes[sim_between(0, ARRAY_SIZE(modes) - 1)];
	bool grows = !(mode & FALLOC_FL_KEEP_SIZE);
	struct model *m = &o->f->model;
	struct change *change;
	uint64_t start, end;
	int err;

	draw_range(c, &start, &end);
	change = model_change(m, start, end, 0, grows ? end : 0);
	model_leave_home(m);
	err = front_fallocate(c, o->f->inode, mode, start, end - start);
	touched(o->f, 0, false);
	if (err != -EIO ||
	    !(faults_lost(o->f, start, end) || faults_lost_tail(o->f)))
		check_answer(c, o->f->wv, WORLD_WRITE, "punch", err);
	vseen.punches++;
	if (!err && grows)
		grown(m, end);
	if (err && grows)
		settle_size(c, o->f, end);
	model_changed(m, change, err ? 0 : end - start, err != 0);
	model_leave_home(m);
}

void file_op_sync(struct client *c, struct wopen *o)
{
	struct model *m = &o->f->model;
	struct watch watch;
	int err;

	model_watch(m, &watch, 0, VFILE_BYTES_MAX);
	model_leave_home(m);
	sync_begin(o);
	err = front_fsync(c, o, sim_chance(50));
	sync_end(c, o, err, true);
	check_answer(c, o->f->wv, WORLD_SYNC, "fsync", err);
	vseen.syncs++;
	vseen.sync_errors += err != 0;
	if (err || watch.crowded)
		model_leave_home(m);
	model_synced(m, &watch, !err && o->f->wv->is_file);
}

/* What is called a hole reads as zeroes. */
static void op_seek(struct client *c, struct wopen *o)
{
	struct model *m = &o->f->model;
	uint64_t start, end;
	struct watch watch;
	int64_t at;

	draw_range(c, &start, &end);
	model_watch(m, &watch, 0, VFILE_BYTES_MAX);
	at = front_seek(c, o->f->inode, start, SEEK_DATA);
	if (at != -ENXIO)
		check_answer(c, o->f->wv, WORLD_WRITE, "lseek", at);
	if (at >= 0 || at == -ENXIO) {
		uint64_t to = at < 0 ? watch.size_least : (uint64_t)at;

		for (uint64_t i = start; i < to && watch.nr_alts == 0; i++)
			if (!model_allows(m, i, 0))
				sim_fail("byte %llu is no hole",
					 (unsigned long long)i);
	}
	model_synced(m, &watch, false);
	vseen.seeks++;
}

static void op_getattr(struct client *c, struct wopen *o)
{
	struct model *m = &o->f->model;
	struct watch watch;
	uint64_t least_ns;
	struct stat st;
	int err;

	model_watch(m, &watch, 0, VFILE_BYTES_MAX);
	least_ns = o->f->touch_least_ns;
	err = front_getattr(c, o->f->inode, &st);
	check_answer(c, o->f->wv, WORLD_NAMES_ONLY, "getattr", err);
	if (!err && ((uint64_t)st.st_size < watch.size_least ||
		     (uint64_t)st.st_size > watch.size_most))
		sim_fail("the size is %llu, model %llu to %llu",
			 (unsigned long long)st.st_size,
			 (unsigned long long)watch.size_least,
			 (unsigned long long)watch.size_most);
	if (!err)
		check_mtime(o->f, &st, least_ns,
			    watch.nr_alts > 0 ||
				    model_is_changing(m, 0, UINT64_MAX) ||
				    watch.size_least != watch.size_most);
	model_synced(m, &watch, false);
}

void file_op_on_open(struct client *c, struct wopen *o)
{
	uint64_t what = sim_between(0, 99);

	if (what < 35)
		file_op_read(c, o);
	else if (what < 75 && o->writable)
		file_op_write(c, o);
	else if (what < 81 && o->writable)
		op_truncate(c, o);
	else if (what < 84 && o->writable)
		op_punch(c, o);
	else if (what < 87 && o->writable)
		op_allocate(c, o);
	else if (what < 93)
		file_op_sync(c, o);
	else if (what < 95)
		op_seek(c, o);
	else if (what < 98)
		op_getattr(c, o);
	else
		file_op_close(c, o);
}
