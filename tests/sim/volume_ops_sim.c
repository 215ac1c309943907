/* volume_ops_sim.c - what clients do to files and names. */
#include "tests/sim/volume_world.h"

#include "mm/page_alloc.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before an answer is given up that says what an error has left. */
enum { TRIES = 400 };

/* Is that an answer that may come? */
static void check_error(const struct client *c, const struct wvolume *wv,
			enum world_op op, const char *what, int64_t err)
{
	const struct world *w = c->w;
	bool short_of_room = err == -ENOSPC || err == -ENOMEM;

	if (err >= 0 || (w->faulty && !w->quiet_end && err == -EIO))
		return;
	/* A write that ends early is taken for a disk that is full. */
	if (short_of_room &&
	    (!wv->is_file || w->faulty || w->squeezed || w->room != UINT64_MAX))
		return;
	if (faults_excuse(c, wv, op, (int)err))
		return;
	sim_fail("%s on %s: %lld", what, wv->vol->ops->kind, (long long)err);
}

/* --- files as clients know them ---------------------------------------------- */

static struct vfile *vfile_new(struct wvolume *wv, uint64_t ino)
{
	struct vfile *f = calloc(1, sizeof(*f));

	ASSERT(f);
	f->wv = wv;
	f->ino = ino;
	f->users = 1;
	model_init(&f->model);
	if (wv->w->armed && wv->is_file) /* nothing, yet */
		model_set_home(&f->model, f->model.a, 0);
	mutex_lock(&wv->lock);
	ASSERT(wv->nr_files < ARRAY_SIZE(wv->files));
	wv->files[wv->nr_files++] = f;
	mutex_unlock(&wv->lock);
	return f;
}

static void vfile_hold(struct vfile *f)
{
	mutex_lock(&f->wv->lock);
	f->users++;
	mutex_unlock(&f->wv->lock);
}

/* The reply had an inode with a kernel ref. */
static void vfile_found(struct vfile *f, struct inode *inode, uint64_t ino)
{
	mutex_lock(&f->wv->lock);
	if ((f->inode && f->inode != inode) || f->ino != ino)
		sim_fail("inode %llu was found, not %llu",
			 (unsigned long long)ino, (unsigned long long)f->ino);
	f->inode = inode;
	f->nlookup++;
	mutex_unlock(&f->wv->lock);
}

/* One user less; with "forget" the kernel forgets it with the last. */
static bool put(struct vfile *f, bool forget)
{
	struct wvolume *wv = f->wv;
	struct inode *inode = NULL;
	uint64_t nlookup = 0;
	bool gone = false;

	mutex_lock(&wv->lock);
	if (--f->users == 0) {
		gone = f->nr_names == 0;
		if (gone || forget) {
			inode = f->inode;
			nlookup = f->nlookup;
			f->inode = NULL;
			f->nlookup = 0;
		}
	}
	for (unsigned int i = 0; gone && i < wv->nr_files; i++)
		if (wv->files[i] == f)
			wv->files[i--] = wv->files[--wv->nr_files];
	mutex_unlock(&wv->lock);
	if (inode) {
		vseen.forgets++;
		sim_no_sleep_begin();
		inode_forget(inode, nlookup);
		sim_no_sleep_end();
	}
	if (gone) {
		model_destroy(&f->model);
		free(f);
	}
	return inode != NULL;
}

void vfile_put(struct vfile *f)
{
	put(f, sim_chance(30));
}

bool vfile_forget(struct vfile *f)
{
	vfile_hold(f);
	return put(f, true);
}

/* --- names --------------------------------------------------------------------- */

static void name_of(unsigned int n, char *name)
{
	snprintf(name, 16, "n%u", n);
}

/* Look it up, until there is an answer, if "must". 0 or -errno. */
static int lookup(struct client *c, struct wvolume *wv, unsigned int n,
		  bool must)
{
	struct vfile *f = wv->names[n];
	struct inode *inode;
	uint64_t ino;
	char name[16];
	int err;

	name_of(n, name);
	for (int i = 0;; i++) {
		err = front_lookup(c, wv, name, &inode, &ino);
		if (!err || err == -ENOENT || !must)
			break;
		if (i == TRIES)
			sim_fail("a name cannot be looked up: %d", err);
		os_sleep_ns(10 * NSEC_PER_MSEC);
	}
	if (err == -ENOENT && f)
		sim_fail("name %s is gone", name);
	if (err && err != -ENOENT)
		check_error(c, wv, WORLD_NAMES_ONLY, "lookup", err);
	if (err)
		return err;
	if (!f) { /* an error was the answer, and it was made all the same */
		if (!must)
			sim_fail("name %s is there", name);
		wv->names[n] = f = vfile_new(wv, ino);
		f->nr_names = 1;
		vfile_found(f, inode, ino);
		vfile_put(f);
	} else {
		vfile_found(f, inode, ino);
	}
	return 0;
}

static void open_init(struct wopen *o, struct vfile *f, struct open_file *file,
		      int flags, uint64_t began_ns)
{
	struct world *w = f->wv->w;

	mutex_lock(&f->wv->lock);
	f->nr_opens++;
	mutex_unlock(&f->wv->lock);
	*o = (struct wopen){ .f = f,
			     .file = file,
			     .writable = (flags & O_ACCMODE) != O_RDONLY,
			     .kept = w->has_taker && sim_chance(60),
			     .told_least_ns = began_ns,
			     .told_most_ns = os_now_ns() };
	vseen.opens++;
}

static void op_create(struct client *c, struct wvolume *wv, unsigned int n,
		      struct wopen *o)
{
	struct inode *inode;
	struct open_file *file;
	struct vfile *f;
	uint64_t ino;
	char name[16];
	int err;

	name_of(n, name);
	rwlock_lock(&wv->names_lock);
	if (!wv->names[n]) {
		err = front_create(c, wv, name, O_RDWR | O_EXCL, &inode, &ino,
				   &file);
		check_error(c, wv, WORLD_NAMES_ONLY, "create", err);
		if (err) {
			vseen.name_errors++;
			lookup(c, wv, n, true);
		} else {
			f = vfile_new(wv, ino);
			f->nr_names = 1;
			wv->names[n] = f;
			vfile_found(f, inode, ino);
			open_init(o, f, file, O_RDWR, c->since_ns);
			vseen.creates++;
		}
	}
	rwlock_unlock(&wv->names_lock);
}

static void op_open(struct client *c, struct wvolume *wv, unsigned int n,
		    struct wopen *o)
{
	int flags = sim_chance(75) ? O_RDWR : O_RDONLY;
	struct open_file *file;
	struct vfile *f;
	bool stale;
	int err;

	rwlock_lock_shared(&wv->names_lock);
	f = wv->names[n];
	if (f)
		vfile_hold(f);
	err = lookup(c, wv, n, false);
	rwlock_unlock_shared(&wv->names_lock);
	if (!f)
		return;
	if (!err)
		err = front_open(c, f->inode, flags, &file);
	/* The kernel looks again, and finds no name. */
	rwlock_lock_shared(&wv->names_lock);
	stale = err == -ESTALE && f->nr_names == 0;
	rwlock_unlock_shared(&wv->names_lock);
	if (!stale)
		check_error(c, wv, WORLD_NAMES_ONLY, "open", err);
	if (err) {
		vseen.open_errors++;
		vfile_put(f);
		return;
	}
	open_init(o, f, file, flags, c->since_ns);
}

static void op_close(struct client *c, struct wopen *o)
{
	struct vfile *f = o->f;

	ASSERT(front_release(c, f->inode, o->file) == 0);
	*o = (struct wopen){ .f = NULL };
	mutex_lock(&f->wv->lock);
	f->nr_opens--;
	mutex_unlock(&f->wv->lock);
	vfile_put(f);
}

void client_close_all(struct client *c)
{
	for (unsigned int i = 0; i < CLIENT_OPENS; i++)
		if (c->opens[i].f)
			op_close(c, &c->opens[i]);
}

static void op_unlink(struct client *c, struct wvolume *wv, unsigned int n)
{
	struct vfile *f;
	char name[16];
	int err;

	name_of(n, name);
	rwlock_lock(&wv->names_lock);
	f = wv->names[n];
	if (f)
		vfile_hold(f);
	err = front_unlink(c, wv, name);
	if (!f && err != -ENOENT)
		check_error(c, wv, WORLD_NAMES_ONLY, "unlink of nothing",
			    err ? err : -ENOENT);
	if (f) {
		check_error(c, wv, WORLD_NAMES_ONLY, "unlink", err);
		vseen.name_errors += err != 0;
		if (!err) {
			wv->names[n] = NULL;
			mutex_lock(&wv->lock);
			f->nr_names--;
			vseen.unlinks++;
			vseen.unlinks_open += f->nr_opens > 0;
			mutex_unlock(&wv->lock);
		}
		vfile_put(f);
	}
	rwlock_unlock(&wv->names_lock);
}

/* The model of a rename that was done. */
static void renamed(struct wvolume *wv, unsigned int from, unsigned int to,
		    unsigned int flags)
{
	struct vfile *f = wv->names[from], *old = wv->names[to];

	vseen.renames++;
	if (from == to || f == old)
		return;
	wv->names[to] = f;
	wv->names[from] = flags & RENAME_EXCHANGE ? old : NULL;
	if (old && !(flags & RENAME_EXCHANGE)) {
		mutex_lock(&wv->lock);
		old->nr_names--;
		mutex_unlock(&wv->lock);
		vseen.renames_over++;
	}
}

static int expected_rename(const struct wvolume *wv, unsigned int from,
			   unsigned int to, unsigned int flags)
{
	if (!wv->names[from] || ((flags & RENAME_EXCHANGE) && !wv->names[to]))
		return -ENOENT;
	return wv->names[to] && (flags & RENAME_NOREPLACE) ? -EEXIST : 0;
}

static void op_rename(struct client *c, struct wvolume *wv, unsigned int from)
{
	static const unsigned int kinds[] = { 0, 0, 0, RENAME_NOREPLACE,
					      RENAME_EXCHANGE };
	unsigned int to = (unsigned int)sim_between(0, WORLD_NAMES - 1);
	unsigned int flags = kinds[sim_between(0, ARRAY_SIZE(kinds) - 1)];
	char name[16], new_name[16];
	struct vfile *old;
	int err, want;

	if (from == to) /* the kernel does not ask for that */
		return;
	name_of(from, name);
	name_of(to, new_name);
	rwlock_lock(&wv->names_lock);
	old = wv->names[to];
	if (old)
		vfile_hold(old);
	want = expected_rename(wv, from, to, flags);
	err = front_rename(c, wv, name, new_name, flags);
	if (err != want) {
		check_error(c, wv, WORLD_WRITE, "rename", err ? err : -EINVAL);
		vseen.name_errors++;
	} else if (!err) {
		renamed(wv, from, to, flags);
	}
	if (old)
		vfile_put(old);
	rwlock_unlock(&wv->names_lock);
}

static void op_link(struct client *c, struct wvolume *wv, unsigned int n)
{
	unsigned int to = (unsigned int)sim_between(0, WORLD_NAMES - 1);
	struct vfile *f;
	char name[16];
	int err;

	name_of(to, name);
	rwlock_lock(&wv->names_lock);
	f = wv->names[n];
	if (!f || wv->names[to])
		goto out;
	vfile_hold(f);
	err = lookup(c, wv, n, false);
	if (!err) {
		err = front_link(c, wv, f->inode, name);
		check_error(c, wv, WORLD_NAMES_ONLY, "link", err);
		wv->names[to] = f;
		mutex_lock(&wv->lock);
		f->nr_names++;
		if (!err)
			f->nlookup++;
		mutex_unlock(&wv->lock);
		vseen.links += !err;
	}
	if (err) {
		struct inode *inode;
		uint64_t ino;
		int found = -EIO;

		vseen.name_errors++;
		for (int i = 0; i < TRIES && found && found != -ENOENT; i++) {
			found = front_lookup(c, wv, name, &inode, &ino);
			os_sleep_ns(10 * NSEC_PER_MSEC);
		}
		if (!found) {
			vfile_found(f, inode, ino);
			wv->names[to] = f;
		}
		if (found && wv->names[to]) {
			wv->names[to] = NULL;
			mutex_lock(&wv->lock);
			f->nr_names--;
			mutex_unlock(&wv->lock);
		}
	}
	vfile_put(f);
out:
	rwlock_unlock(&wv->names_lock);
}

static void op_list(struct client *c, struct wvolume *wv)
{
	unsigned int mask, want = 0;
	int err;

	rwlock_lock_shared(&wv->names_lock);
	for (unsigned int n = 0; n < WORLD_NAMES; n++)
		want |= (wv->names[n] != NULL) << n;
	err = front_list(c, wv, &mask);
	check_error(c, wv, WORLD_NAMES_ONLY, "list", err);
	if (!err && mask != want)
		sim_fail("names %x are listed, not %x", mask, want);
	rwlock_unlock_shared(&wv->names_lock);
	vseen.lists++;
}

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

static void op_read(struct client *c, struct wopen *o)
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
		check_error(c, o->f->wv, WORLD_READ, "read", n);
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

	if (n != -EIO || !(had_excess || has_excess(o->f) ||
			   faults_lost(o->f, at, at + asked)))
		check_error(c, wv, op, "write", n);
	vseen.writes++;
	vseen.refusals += n == -ENOSPC;
	vseen.write_errors += n < 0 && n != -ENOSPC;
	vseen.short_writes += n > 0 && (uint64_t)n < asked;
}

static void op_write(struct client *c, struct wopen *o)
{
	uint64_t start, end, pattern = pattern_new(c->w->noise_percent);
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
	if (flags) {
		model_leave_home(m);
		sync_begin(o);
	}
	n = write_all(c, o, start, end, flags);
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
	uint64_t size = sim_between(0, limit(c));
	struct change *change;
	int err;

	if (sim_chance(60))
		size = sim_between(m->size / 2, limit(c));
	if (sim_chance(40))
		size &= ~PAGE_MASK;
	change = model_change(m, MODEL_RESIZE, UINT64_MAX, 0, size);
	err = front_truncate(c, o->f->inode, size);
	if (err != -EIO || !faults_lost(o->f, size, size + 1))
		check_error(c, o->f->wv, WORLD_WRITE, "truncate", err);
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
	check_error(c, o->f->wv, WORLD_WRITE, "fallocate", err);
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
	if (err != -EIO || !faults_lost(o->f, start, end))
		check_error(c, o->f->wv, WORLD_WRITE, "punch", err);
	vseen.punches++;
	if (!err && grows)
		grown(m, end);
	if (err && grows)
		settle_size(c, o->f, end);
	model_changed(m, change, err ? 0 : end - start, err != 0);
	model_leave_home(m);
}

static void op_sync(struct client *c, struct wopen *o)
{
	struct model *m = &o->f->model;
	struct watch watch;
	int err;

	model_watch(m, &watch, 0, VFILE_BYTES_MAX);
	model_leave_home(m);
	sync_begin(o);
	err = front_fsync(c, o, sim_chance(50));
	sync_end(c, o, err, true);
	check_error(c, o->f->wv, WORLD_SYNC, "fsync", err);
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
		check_error(c, o->f->wv, WORLD_WRITE, "lseek", at);
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
	struct stat st;
	int err;

	model_watch(m, &watch, 0, 0);
	err = front_getattr(c, o->f->inode, &st);
	check_error(c, o->f->wv, WORLD_NAMES_ONLY, "getattr", err);
	if (!err && ((uint64_t)st.st_size < watch.size_least ||
		     (uint64_t)st.st_size > watch.size_most))
		sim_fail("the size is %llu, model %llu to %llu",
			 (unsigned long long)st.st_size,
			 (unsigned long long)watch.size_least,
			 (unsigned long long)watch.size_most);
	model_synced(m, &watch, false);
}

static void op_on_open(struct client *c, struct wopen *o)
{
	uint64_t what = sim_between(0, 99);

	if (what < 35)
		op_read(c, o);
	else if (what < 75 && o->writable)
		op_write(c, o);
	else if (what < 81 && o->writable)
		op_truncate(c, o);
	else if (what < 84 && o->writable)
		op_punch(c, o);
	else if (what < 87 && o->writable)
		op_allocate(c, o);
	else if (what < 93)
		op_sync(c, o);
	else if (what < 95)
		op_seek(c, o);
	else if (what < 97)
		op_getattr(c, o);
	else
		op_close(c, o);
}

/* --- the rest of the world ----------------------------------------------------------- */

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
	sim_disk_set_room(c->w->room / sim_between(1, 4));
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
	check_error(c, wv, WORLD_SYNC, "sync", err);
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
		op_close(c, o);
	else if (!o->f && what < 70 && wv->names[n])
		op_open(c, wv, n, o);
	else if (!o->f && what < 70)
		op_create(c, wv, n, o);
	else if (what < 78)
		op_unlink(c, wv, n);
	else if (what < 86)
		op_rename(c, wv, n);
	else if (what < 92)
		op_link(c, wv, n);
	else if (what < 96)
		op_list(c, wv);
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
			op_on_open(c, o);
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
			op_write(c, o);
		else if (wv->names[n])
			op_open(c, wv, n, o);
		else
			op_create(c, wv, n, o);
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
			op_open(c, wv, 0, o);
		else if (!o->f)
			op_create(c, wv, 0, o);
		else if (what < 45)
			op_read(c, o);
		else if (what < 88 && o->writable)
			op_write(c, o);
		else if (what < 94)
			page_cache_invalidate(&o->f->inode->mapping, 0,
					      UINT64_MAX);
		else if (what < 97)
			op_sync(c, o);
		else
			op_close(c, o);
		rwlock_unlock_shared(&w->quiet);
		rwlock_lock_shared(&w->quiet);
	}
	rwlock_unlock_shared(&w->quiet);
}
