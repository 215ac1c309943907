/* volume_names_sim.c - what clients do to names. */
#include "tests/sim/volume_ops.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

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
		check_answer(c, wv, WORLD_NAMES_ONLY, "lookup", err);
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

void file_op_create(struct client *c, struct wvolume *wv, unsigned int n,
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
		check_answer(c, wv, WORLD_NAMES_ONLY, "create", err);
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

void file_op_open(struct client *c, struct wvolume *wv, unsigned int n,
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
		check_answer(c, wv, WORLD_NAMES_ONLY, "open", err);
	if (err) {
		vseen.open_errors++;
		vfile_put(f);
		return;
	}
	open_init(o, f, file, flags, c->since_ns);
}

void file_op_close(struct client *c, struct wopen *o)
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
			file_op_close(c, &c->opens[i]);
}

void file_op_unlink(struct client *c, struct wvolume *wv, unsigned int n)
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
		check_answer(c, wv, WORLD_NAMES_ONLY, "unlink of nothing",
			     err ? err : -ENOENT);
	if (f) {
		check_answer(c, wv, WORLD_NAMES_ONLY, "unlink", err);
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

void file_op_rename(struct client *c, struct wvolume *wv, unsigned int from)
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
		check_answer(c, wv, WORLD_WRITE, "rename", err ? err : -EINVAL);
		vseen.name_errors++;
	} else if (!err) {
		renamed(wv, from, to, flags);
	}
	if (old)
		vfile_put(old);
	rwlock_unlock(&wv->names_lock);
}

void file_op_link(struct client *c, struct wvolume *wv, unsigned int n)
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
		check_answer(c, wv, WORLD_NAMES_ONLY, "link", err);
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

void file_op_list(struct client *c, struct wvolume *wv)
{
	unsigned int mask, want = 0;
	int err;

	rwlock_lock_shared(&wv->names_lock);
	for (unsigned int n = 0; n < WORLD_NAMES; n++)
		want |= (wv->names[n] != NULL) << n;
	err = front_list(c, wv, &mask);
	check_answer(c, wv, WORLD_NAMES_ONLY, "list", err);
	if (!err && mask != want)
		sim_fail("names %x are listed, not %x", mask, want);
	rwlock_unlock_shared(&wv->names_lock);
	vseen.lists++;
}
