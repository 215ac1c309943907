/*
 * anon_dir.c - names: one hash table a volume to find them, one tree a
 * directory to list them.
 *
 *	buckets[hash(directory, name)] ──► name ──► name
 *	directory->names[cookie]       ──► name ──► inode
 *
 *   (1) A name is in its bucket and in its directory's tree, or in neither.
 *   (2) A cookie is given out once, in ascending order: the offset of a reader
 *       stays right whatever is made and removed meanwhile. A name that is
 *       changed in place, replaced or exchanged keeps its cookie.
 *   (3) All that a change may need is there before names_lock is taken. What
 *       removes names, or puts one inode in place of another, needs nothing.
 *   (4) A directory with nlink 0 has no names and gets none.
 *   (5) nlink of a directory is 2 and one for each subdirectory; parent is
 *       the directory that has its name.
 *   (6) An inode that is found by its name gets its ref before names_lock is
 *       dropped: until then its name keeps it.
 */
#include "fs/anon_dir.h"

#include "fs/anon_attr.h"
#include "fs/anon_inode.h"
#include "mm/mm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

enum { NAME_LEN_MAX = 255 };

/* Some odd number, to tell directories apart: 2^64 over the golden ratio. */
#define INO_FACTOR 0x9e3779b97f4a7c15ull

/* (N) guarded by names_lock, the rest constant. */
struct anon_name {
	struct anon_name *next; /* in its bucket (N) */
	struct anon_inode *dir;
	struct anon_inode *inode; /* (N) */
	uint64_t cookie;
	uint8_t len;
	char name[];
};

struct anon_stream {
	struct dir_stream stream;
	/*
	 * Cookies from here on were given out after reading began: a reader
	 * who makes names as it goes comes to an end. (names_lock)
	 */
	uint64_t end;
};

/* --- names in their places --------------------------------------------------- */

static int check_name(const char *name)
{
	size_t len = strnlen(name, NAME_LEN_MAX + 1);

	if (len == 0)
		return -ENOENT;
	return len > NAME_LEN_MAX ? -ENAMETOOLONG : 0;
}

static struct anon_name **bucket_of(struct anon_volume *av,
				    const struct anon_inode *dir,
				    const char *name, size_t len)
{
	uint64_t seed = av->hash_seed + dir->ino * INO_FACTOR;
	uint64_t hash = XXH3_64bits_withSeed(name, len, seed);

	return &av->buckets[hash & (av->nr_buckets - 1)];
}

static struct anon_name *find(struct anon_volume *av,
			      const struct anon_inode *dir, const char *name)
	must_hold(av->names_lock)
{
	size_t len = strlen(name);
	struct anon_name *n = *bucket_of(av, dir, name, len);

	while (n && (n->dir != dir || n->len != len ||
		     memcmp(n->name, name, len) != 0))
		n = n->next;
	return n;
}

static void hash_add(struct anon_volume *av, struct anon_name *n)
	must_hold(av->names_lock)
{
	struct anon_name **bucket = bucket_of(av, n->dir, n->name, n->len);

	n->next = *bucket;
	*bucket = n;
	av->nr_names++;
}

static void hash_del(struct anon_volume *av, struct anon_name *n)
	must_hold(av->names_lock)
{
	struct anon_name **at = bucket_of(av, n->dir, n->name, n->len);

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	av->nr_names--;
}

/* What one more name takes, got before the lock (3). */
struct room {
	struct anon_name *name;
	struct xa_stash stash;
};

static void room_put(struct anon_volume *av, const struct anon_inode *dir,
		     struct room *room)
{
	struct xarray nodes;

	xa_init(&nodes, dir->dir.names.nodes);
	xa_stash_drain(&nodes, &room->stash);
	kfree(av->vol.mm, room->name);
}

/* 0 or -ENOROOM. */
static int room_get(struct anon_volume *av, const struct anon_inode *dir,
		    const char *name, struct room *room)
{
	size_t len = strlen(name);
	struct xarray nodes;

	*room = (struct room){ .stash = { .nr = 0 } };
	room->name = anon_kmalloc(av->vol.mm, sizeof(*room->name) + len + 1);
	if (!room->name)
		return -ENOROOM;
	room->name->len = (uint8_t)len;
	memcpy(room->name->name, name, len + 1);
	xa_init(&nodes, dir->dir.names.nodes);
	if (xa_stash_fill(&nodes, &room->stash, GFP_KERNEL | GFP_GROWTH) == 0)
		return 0;
	room_put(av, dir, room);
	return -ENOROOM;
}

static void name_put_at(struct anon_volume *av, struct anon_inode *dir,
			uint64_t cookie, struct anon_inode *ai,
			struct room *room) must_hold(av->names_lock)
{
	struct anon_name *n = room->name;
	int err;

	VM_ASSERT(dir->nlink > 0); /* (4) */
	n->dir = dir;
	n->inode = ai;
	n->cookie = cookie;
	err = xa_store(&dir->dir.names, cookie, n, &room->stash);
	ASSERT(err == 0); /* (3) */
	hash_add(av, n);
	room->name = NULL;
}

static void name_add(struct anon_volume *av, struct anon_inode *dir,
		     struct anon_inode *ai, struct room *room)
	must_hold(av->names_lock)
{
	name_put_at(av, dir, dir->dir.next_cookie++, ai, room); /* (2) */
}

/* Out of both places; for the caller to free, without the lock. */
static void name_del(struct anon_volume *av, struct anon_name *n)
	must_hold(av->names_lock)
{
	void *entry = xa_erase(&n->dir->dir.names, n->cookie);

	ASSERT(entry == n); /* (1) */
	hash_del(av, n);
}

void anon_dir_drop_names(struct anon_inode *dir)
{
	struct anon_volume *av = anon_volume_of(dir->inode.vol);
	struct anon_name *n;
	uint64_t cookie = 0;

	if (!dir->dir.names.root)
		return;
	mutex_lock(&av->names_lock);
	while ((n = xa_find(&dir->dir.names, &cookie, UINT64_MAX,
			    XA_PRESENT))) {
		name_del(av, n);
		kfree(av->vol.mm, n);
	}
	mutex_unlock(&av->names_lock);
}

/* --- what a change of names changes in inodes --------------------------------- */

/* Names and subdirectories came or went. */
static void dir_changed(struct anon_volume *av, struct anon_inode *dir,
			int names, int subdirs) must_hold(av->names_lock)
{
	struct timespec now = os_realtime();

	(void)av;
	mutex_lock(&dir->inode.time_lock);
	dir->dir.nr_names += (uint64_t)(int64_t)names;
	dir->nlink += (uint32_t)subdirs;
	dir->mtime = now;
	anon_changed(&dir->inode, now);
	mutex_unlock(&dir->inode.time_lock);
}

static void set_links(struct anon_volume *av, struct anon_inode *ai,
		      uint32_t nlink) must_hold(av->names_lock)
{
	struct timespec now = os_realtime();

	(void)av;
	mutex_lock(&ai->inode.time_lock);
	ai->nlink = nlink;
	anon_changed(&ai->inode, now);
	mutex_unlock(&ai->inode.time_lock);
}

/* What an inode is reached by has changed: it may have no ref, so no more. */
static void set_ctime(struct anon_inode *ai)
{
	struct timespec now = os_realtime();

	mutex_lock(&ai->inode.time_lock);
	anon_changed(&ai->inode, now);
	mutex_unlock(&ai->inode.time_lock);
}

static bool is_dir(const struct anon_inode *ai)
{
	return S_ISDIR(ai->inode.type);
}

static struct inode *join(struct anon_inode *ai, bool lookup)
{
	struct inode_table *t = &ai->inode.vol->inodes;

	mutex_lock(&t->lock);
	inode_join(t, &ai->inode, lookup); /* (6) */
	mutex_unlock(&t->lock);
	return &ai->inode;
}

/* An inode loses a name, and a directory is gone with it. */
static void lose_name(struct anon_volume *av, struct anon_inode *ai)
	must_hold(av->names_lock)
{
	if (is_dir(ai))
		ai->dir.parent = ai;
	set_links(av, ai, is_dir(ai) ? 0 : ai->nlink - 1);
}

/* --- looking up and making ---------------------------------------------------- */

int anon_lookup(struct inode *dir, const char *name, struct dir_entry *entry)
{
	struct anon_volume *av = anon_volume_of(dir->vol);
	int err = check_name(name);
	struct anon_name *n;

	if (err)
		return err;
	mutex_lock(&av->names_lock);
	n = find(av, anon_inode_of(dir), name);
	if (n)
		entry->inode = join(n->inode, true);
	mutex_unlock(&av->names_lock);
	return n ? anon_getattr(entry->inode, &entry->attr) : -ENOENT;
}

/* Mode, owner and group, as the directory and the caller have it. */
static struct anon_inode_new describe_new(struct anon_inode *dir,
					  const struct dir_make *make)
{
	struct anon_inode_new new = {
		.mode = make->mode & (S_IFMT | 07777u),
		.uid = make->caller.uid,
		.gid = make->caller.gid,
		.rdev = make->rdev,
		.target = make->target,
	};

	if (S_ISLNK(new.mode))
		new.mode = S_IFLNK | 0777;
	else
		new.mode &= ~(make->caller.umask & 0777);
	mutex_lock(&dir->inode.time_lock);
	if (atomic_load(&dir->mode) & S_ISGID) {
		new.gid = dir->gid;
		new.mode |= S_ISDIR(new.mode) ? S_ISGID : 0;
	}
	mutex_unlock(&dir->inode.time_lock);
	return new;
}

static int check_make(struct anon_volume *av, const struct anon_inode *dir,
		      const struct dir_make *make) must_hold(av->names_lock)
{
	if (dir->nlink == 0)
		return -ENOENT; /* (4) */
	/*
	 * It was not there when the kernel was told so: let it look again, and
	 * check who may open it.
	 */
	if (find(av, dir, make->name))
		return S_ISREG(make->mode) && !make->exclusive ? -ESTALE
							       : -EEXIST;
	if (S_ISDIR(make->mode) && dir->nlink >= ANON_LINK_MAX)
		return -EMLINK;
	return 0;
}

static int make_locked(struct anon_volume *av, struct anon_inode *dir,
		       const struct dir_make *make, struct anon_inode *ai,
		       struct room *room) must_hold(av->names_lock)
{
	struct inode_table *t = &av->vol.inodes;
	int err = check_make(av, dir, make);

	if (err)
		return err;
	ai->nlink = is_dir(ai) ? 2 : 1;
	if (is_dir(ai))
		ai->dir.parent = dir; /* (5) */
	mutex_lock(&t->lock);
	inode_add(t, &ai->inode, true);
	mutex_unlock(&t->lock);
	name_add(av, dir, ai, room);
	dir_changed(av, dir, 1, is_dir(ai));
	return 0;
}

int anon_make(struct inode *dir, const struct dir_make *make,
	      struct dir_entry *entry)
{
	struct anon_volume *av = anon_volume_of(dir->vol);
	struct anon_inode *parent = anon_inode_of(dir), *ai;
	struct anon_inode_new new = describe_new(parent, make);
	struct room room;
	int err = check_name(make->name);

	if (!err && S_ISLNK(make->mode) && !make->target[0])
		err = -ENOENT;
	if (err)
		return err;
	err = room_get(av, parent, make->name, &room);
	if (err)
		return err;
	ai = anon_inode_new(av, &new, &err);
	if (ai) {
		mutex_lock(&av->names_lock);
		err = make_locked(av, parent, make, ai, &room);
		mutex_unlock(&av->names_lock);
		if (err)
			anon_inode_destroy(&ai->inode);
	}
	room_put(av, parent, &room);
	if (err)
		return err;
	entry->inode = &ai->inode;
	return anon_getattr(entry->inode, &entry->attr);
}

int anon_make_unnamed(struct inode *dir, const struct dir_make *make,
		      struct dir_entry *entry)
{
	struct anon_inode_new new = describe_new(anon_inode_of(dir), make);
	struct inode_table *t = &dir->vol->inodes;
	int err;
	struct anon_inode *ai =
		anon_inode_new(anon_volume_of(dir->vol), &new, &err);

	if (!ai)
		return err;
	ai->unnamed = true;
	mutex_lock(&t->lock);
	inode_add(t, &ai->inode, true);
	mutex_unlock(&t->lock);
	entry->inode = &ai->inode;
	return anon_getattr(entry->inode, &entry->attr);
}

static int link_locked(struct anon_volume *av, struct anon_inode *ai,
		       struct anon_inode *dir, struct room *room)
	must_hold(av->names_lock)
{
	if ((ai->nlink == 0 && !ai->unnamed) || dir->nlink == 0)
		return -ENOENT;
	if (find(av, dir, room->name->name))
		return -EEXIST;
	if (ai->nlink >= ANON_LINK_MAX)
		return -EMLINK;
	name_add(av, dir, ai, room);
	ai->unnamed = false;
	set_links(av, ai, ai->nlink + 1);
	dir_changed(av, dir, 1, 0);
	join(ai, true);
	return 0;
}

int anon_link(struct inode *inode, struct inode *dir, const char *name,
	      struct dir_entry *entry)
{
	struct anon_volume *av = anon_volume_of(dir->vol);
	struct anon_inode *parent = anon_inode_of(dir);
	int err = check_name(name);
	struct room room;

	if (!err && S_ISDIR(inode->type))
		err = -EPERM;
	if (!err)
		err = room_get(av, parent, name, &room);
	if (err)
		return err;
	mutex_lock(&av->names_lock);
	err = link_locked(av, anon_inode_of(inode), parent, &room);
	mutex_unlock(&av->names_lock);
	room_put(av, parent, &room);
	if (err)
		return err;
	entry->inode = inode;
	return anon_getattr(inode, &entry->attr);
}

int anon_readlink(struct inode *inode, char *buf, size_t size)
{
	if (!S_ISLNK(inode->type))
		return -EINVAL;
	snprintf(buf, size, "%s", anon_inode_of(inode)->target);
	anon_accessed(inode);
	return 0;
}

/* --- removing ------------------------------------------------------------------ */

/* May this inode lose a name, which is said to be a directory's or not? */
static int check_removal(struct anon_volume *av, const struct anon_inode *ai,
			 bool as_dir) must_hold(av->names_lock)
{
	(void)av;
	if (as_dir && !is_dir(ai))
		return -ENOTDIR;
	if (!as_dir && is_dir(ai))
		return -EISDIR;
	if (is_dir(ai) && ai->dir.nr_names > 0)
		return -ENOTEMPTY;
	return 0;
}

int anon_unlink(struct inode *dir, const char *name, bool as_dir)
{
	struct anon_volume *av = anon_volume_of(dir->vol);
	struct inode *victim = NULL;
	int err = check_name(name);
	struct anon_name *n;

	if (err)
		return err;
	mutex_lock(&av->names_lock);
	n = find(av, anon_inode_of(dir), name);
	err = n ? check_removal(av, n->inode, as_dir) : -ENOENT;
	if (!err) {
		victim = join(n->inode, false);
		name_del(av, n);
		lose_name(av, n->inode);
		dir_changed(av, anon_inode_of(dir), -1, as_dir ? -1 : 0);
	}
	mutex_unlock(&av->names_lock);
	if (err)
		return err;
	kfree(av->vol.mm, n);
	inode_put(victim);
	return 0;
}

/* --- renaming -------------------------------------------------------------------- */

struct renaming {
	struct anon_volume *av;
	struct anon_inode *from, *to;
	const char *name, *new_name;
	unsigned int flags;
	struct anon_name *src, *dst; /* dst: NULL if there is none */
	struct room *room;	     /* for a new name, or NULL */
	struct anon_name *dead;	     /* to be freed */
	struct inode *victim;	     /* to be put */
};

/* Is dir what "above" is, or somewhere below it? */
static bool is_below(struct anon_volume *av, const struct anon_inode *dir,
		     const struct anon_inode *above) must_hold(av->names_lock)
{
	(void)av;
	while (dir != above && dir->dir.parent != dir)
		dir = dir->dir.parent; /* (5) */
	return dir == above;
}

static int find_both(struct renaming *r) must_hold(r->av->names_lock)
{
	r->src = find(r->av, r->from, r->name);
	r->dst = find(r->av, r->to, r->new_name);
	if (!r->src || r->to->nlink == 0)
		return -ENOENT;
	if (r->dst && (r->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!r->dst && (r->flags & RENAME_EXCHANGE))
		return -ENOENT;
	return 0;
}

static int check_tree(struct renaming *r) must_hold(r->av->names_lock)
{
	const struct anon_inode *ai = r->src->inode;
	bool adds = is_dir(ai) && r->from != r->to;

	if (is_dir(ai) && is_below(r->av, r->to, ai))
		return -EINVAL;
	if ((r->flags & RENAME_EXCHANGE) && is_dir(r->dst->inode)) {
		if (is_below(r->av, r->from, r->dst->inode))
			return -EINVAL;
		if (!is_dir(ai) && r->from != r->to &&
		    r->from->nlink >= ANON_LINK_MAX)
			return -EMLINK;
	}
	if (adds && !(r->dst && is_dir(r->dst->inode)) &&
	    r->to->nlink >= ANON_LINK_MAX)
		return -EMLINK;
	if (r->dst && !(r->flags & RENAME_EXCHANGE))
		return check_removal(r->av, r->dst->inode, is_dir(ai));
	return 0;
}

/* Times of both directories; names and subdirectories that went over. */
static void both_changed(struct renaming *r, int names, int subdirs)
	must_hold(r->av->names_lock)
{
	if (r->from == r->to) {
		dir_changed(r->av, r->to, 0, 0);
		return;
	}
	dir_changed(r->av, r->from, -names, -subdirs);
	dir_changed(r->av, r->to, names, subdirs);
}

/* Name n leads to ai now; its own count of names stays. */
static void point_at(struct renaming *r, struct anon_name *n,
		     struct anon_inode *ai) must_hold(r->av->names_lock)
{
	(void)r;
	n->inode = ai;
	if (is_dir(ai))
		ai->dir.parent = n->dir;
	set_ctime(ai);
}

static void exchange(struct renaming *r) must_hold(r->av->names_lock)
{
	struct anon_inode *a = r->src->inode, *b = r->dst->inode;

	point_at(r, r->src, b); /* (2) */
	point_at(r, r->dst, a);
	both_changed(r, 0, is_dir(a) - is_dir(b));
}

/* Onto a name that is there. */
static void replace(struct renaming *r) must_hold(r->av->names_lock)
{
	struct anon_inode *ai = r->src->inode, *old = r->dst->inode;

	r->victim = join(old, false);
	name_del(r->av, r->src);
	point_at(r, r->dst, ai); /* (2) */
	lose_name(r->av, old);
	/* One name less where it came from; here as many as before. */
	dir_changed(r->av, r->from, -1, -is_dir(ai));
	dir_changed(r->av, r->to, 0, is_dir(ai) - is_dir(old));
	r->dead = r->src;
}

static void move(struct renaming *r) must_hold(r->av->names_lock)
{
	struct anon_inode *ai = r->src->inode;
	struct anon_name *n = r->room->name;

	if (r->from == r->to) {
		hash_del(r->av, r->src);
		name_put_at(r->av, r->to, r->src->cookie, ai,
			    r->room); /* (2) */
	} else {
		name_del(r->av, r->src);
		name_add(r->av, r->to, ai, r->room);
	}
	point_at(r, n, ai);
	both_changed(r, 1, is_dir(ai));
	r->dead = r->src;
}

/* 1: it needs room. */
static int rename_locked(struct renaming *r) must_hold(r->av->names_lock)
{
	int err = find_both(r);

	if (err)
		return err;
	if (r->dst && r->dst->inode == r->src->inode)
		return 0; /* two names of one file, or one name */
	err = check_tree(r);
	if (err)
		return err;
	if (!r->dst && !r->room)
		return 1;
	if (r->flags & RENAME_EXCHANGE)
		exchange(r);
	else if (r->dst)
		replace(r);
	else
		move(r);
	return 0;
}

/* First without memory: to replace a file must work when there is none. */
static int rename_twice(struct renaming *r, struct room *room)
{
	int err;

	mutex_lock(&r->av->names_lock);
	err = rename_locked(r);
	mutex_unlock(&r->av->names_lock);
	if (err <= 0)
		return err;
	err = room_get(r->av, r->to, r->new_name, room);
	if (err)
		return err;
	r->room = room;
	mutex_lock(&r->av->names_lock);
	err = rename_locked(r);
	mutex_unlock(&r->av->names_lock);
	room_put(r->av, r->to, room);
	return err;
}

int anon_rename(struct inode *from, const char *name, struct inode *to,
		const char *new_name, unsigned int flags)
{
	struct renaming r = {
		.av = anon_volume_of(from->vol),
		.from = anon_inode_of(from),
		.to = anon_inode_of(to),
		.name = name,
		.new_name = new_name,
		.flags = flags,
	};
	struct room room;
	int err;

	if (flags != 0 && flags != RENAME_NOREPLACE && flags != RENAME_EXCHANGE)
		return -EINVAL;
	err = check_name(name);
	if (!err)
		err = check_name(new_name);
	if (!err)
		err = rename_twice(&r, &room);
	kfree(r.av->vol.mm, r.dead);
	if (r.victim)
		inode_put(r.victim);
	return err;
}

/* --- listing ---------------------------------------------------------------------- */

struct dir_stream *anon_dir_open(struct inode *inode, int *err)
{
	struct anon_volume *av = anon_volume_of(inode->vol);
	struct anon_stream *s = kmalloc(av->vol.mm, sizeof(*s), GFP_KERNEL);

	*err = -ENOMEM;
	if (!s)
		return NULL;
	s->stream.inode = inode;
	anon_opened(inode);
	mutex_lock(&av->names_lock);
	s->end = anon_inode_of(inode)->dir.next_cookie;
	mutex_unlock(&av->names_lock);
	mutex_lock(&av->vol.opens_lock);
	list_add(&av->vol.open_dirs, &s->stream.link);
	mutex_unlock(&av->vol.opens_lock);
	*err = 0;
	return &s->stream;
}

void anon_dir_close(struct dir_stream *s)
{
	struct inode *inode = s->inode;

	mutex_lock(&inode->vol->opens_lock);
	list_del(&s->link);
	mutex_unlock(&inode->vol->opens_lock);
	kfree(inode->vol->mm, container_of(s, struct anon_stream, stream));
	inode_put(inode);
}

/* A name as it is at one instant. */
struct listed {
	struct dir_name out;
	char name[NAME_LEN_MAX + 1];
};

static void list_self(struct anon_inode *dir, uint64_t offset, struct listed *l)
{
	struct anon_inode *ai = offset == 0 ? dir : dir->dir.parent;

	strcpy(l->name, offset == 0 ? "." : "..");
	l->out = (struct dir_name){ l->name, ai->ino, S_IFDIR, offset + 1 };
}

/* The first name behind offset; false at the end. */
static bool list_next(struct anon_stream *s, uint64_t offset, struct listed *l)
{
	struct anon_inode *dir = anon_inode_of(s->stream.inode);
	struct anon_volume *av = anon_volume_of(dir->inode.vol);
	uint64_t cookie = offset + 1;
	struct anon_name *n;
	bool found = true;

	mutex_lock(&av->names_lock);
	if (offset == 0)
		s->end = dir->dir.next_cookie; /* rewinddir(3) */
	if (offset < ANON_DIR_DOTDOT) {
		list_self(dir, offset, l);
	} else {
		n = xa_find(&dir->dir.names, &cookie, s->end - 1, XA_PRESENT);
		found = n != NULL;
		if (n) {
			memcpy(l->name, n->name, (size_t)n->len + 1);
			l->out = (struct dir_name){ l->name, n->inode->ino,
						    n->inode->inode.type,
						    n->cookie };
		}
	}
	mutex_unlock(&av->names_lock);
	return found;
}

/* One name at a time: emit may look it up, which takes the lock. */
int anon_dir_read(struct dir_stream *s, uint64_t offset,
		  bool (*emit)(void *arg, const struct dir_name *name),
		  void *arg)
{
	struct listed l;

	anon_accessed(s->inode);
	while (list_next(container_of(s, struct anon_stream, stream), offset,
			 &l) &&
	       emit(arg, &l.out))
		offset = l.out.next;
	return 0;
}

int anon_dir_sync(struct dir_stream *s, bool data_only)
{
	(void)s;
	(void)data_only;
	return 0;
}
