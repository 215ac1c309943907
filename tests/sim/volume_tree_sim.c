/*
 * volume_tree_sim.c - a client that makes, moves, links, lists and removes
 * directories, files and symbolic links, and sets their attributes.
 *
 *   (1) The model is a list of names and a list of nodes, which know no more of one
 *       another than numbers. One client of a volume has it, and so its requests
 *       come one after the other, as under the kernel's locks; others use other
 *       names of the same volume meanwhile, and memory is taken away.
 *   (2) What the kernel refuses by itself is not asked for.
 *   (3) A call that failed for want of anything has been done, or has not: its
 *       names tell which, and it is all or nothing.
 *   (4) The kernel forgets only what has no names in it.
 *   (5) Set-id bits and capabilities are those of the model, whatever is written
 *       back: a write(2) takes them, stores to a mapping do not.
 */
#include "tests/sim/volume_ops.h"
#include "tests/sim/volume_tree.h"

#include "fs/xattr_name.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
	NODES = 16,
	NAMES = 20,
	WORDS = 5, /* names in a directory */
	ROOT = 0,
	NONE = NODES,
	XATTRS = 3,
	CAPS = 2,
	STEPS = 60,
};

struct node {
	bool used;
	mode_t mode; /* with its type */
	uint64_t ino;
	struct inode *inode; /* NULL: forgotten (4) */
	uint64_t nlookup;
	char target[16];
	char xattrs[XATTRS][16]; /* "": none */
	bool mtime_known;
	struct timespec mtime;
};

struct name {
	bool used;
	unsigned int dir, word, node;
};

struct tree {
	struct client *c;
	struct wvolume *wv;
	struct node nodes[NODES];
	struct name names[NAMES];
};

static const char *const xattr_names[XATTRS] = { "user.a", "user.b",
						 XATTR_CAPS };

/* --- the model ------------------------------------------------------------------- */

static void word_of(unsigned int word, char *to)
{
	snprintf(to, 16, "t%u", word);
}

static bool is_dir(const struct tree *t, unsigned int node)
{
	return S_ISDIR(t->nodes[node].mode);
}

static struct name *find(struct tree *t, unsigned int dir, unsigned int word)
{
	for (unsigned int i = 0; i < NAMES; i++)
		if (t->names[i].used && t->names[i].dir == dir &&
		    t->names[i].word == word)
			return &t->names[i];
	return NULL;
}

static unsigned int nr_names_in(const struct tree *t, unsigned int dir)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < NAMES; i++)
		nr += t->names[i].used && t->names[i].dir == dir;
	return nr;
}

static unsigned int links_of(const struct tree *t, unsigned int node)
{
	unsigned int nr = is_dir(t, node) ? 1 : 0;

	for (unsigned int i = 0; i < NAMES; i++) {
		const struct name *n = &t->names[i];

		nr += n->used && n->node == node;
		nr += n->used && n->dir == node && is_dir(t, n->node);
	}
	return nr;
}

static struct name *any_name(struct tree *t)
{
	unsigned int at = (unsigned int)sim_between(0, NAMES - 1);

	for (unsigned int i = 0; i < NAMES; i++)
		if (t->names[(at + i) % NAMES].used)
			return &t->names[(at + i) % NAMES];
	return NULL;
}

static unsigned int any_dir(struct tree *t)
{
	for (int i = 0; i < 4; i++) {
		unsigned int n = (unsigned int)sim_between(0, NODES - 1);

		if (t->nodes[n].used && is_dir(t, n))
			return n;
	}
	return ROOT;
}

static bool is_above(struct tree *t, unsigned int node, unsigned int dir)
{
	while (dir != ROOT && dir != node)
		for (unsigned int i = 0; i < NAMES; i++)
			if (t->names[i].used && t->names[i].node == dir) {
				dir = t->names[i].dir;
				break;
			}
	return dir == node;
}

static bool add_name(struct tree *t, unsigned int dir, unsigned int word,
		     unsigned int node)
{
	for (unsigned int i = 0; i < NAMES; i++)
		if (!t->names[i].used) {
			t->names[i] = (struct name){ true, dir, word, node };
			return true;
		}
	return false;
}

static bool has_room(const struct tree *t, unsigned int *node)
{
	unsigned int free_names = 0;

	for (unsigned int i = 0; i < NAMES; i++)
		free_names += !t->names[i].used;
	for (*node = 1; *node < NODES && t->nodes[*node].used; ++*node)
		;
	return free_names > 0 && *node < NODES;
}

static void forget(struct node *n)
{
	if (n->inode) {
		sim_no_sleep_begin();
		inode_forget(n->inode, n->nlookup);
		sim_no_sleep_end();
	}
	n->inode = NULL;
	n->nlookup = 0;
}

static void node_unname(struct tree *t, struct name *name)
{
	unsigned int node = name->node;

	name->used = false;
	for (unsigned int i = 0; i < NAMES; i++)
		if (t->names[i].used && t->names[i].node == node)
			return;
	forget(&t->nodes[node]);
	t->nodes[node].used = false;
}

/* The reply had it, with a kernel ref. */
static void node_found(struct tree *t, unsigned int node,
		       const struct tree_found *f)
{
	struct node *n = &t->nodes[node];

	if (n->ino != f->st.st_ino || (n->inode && n->inode != f->inode))
		sim_fail("a name in a directory leads to inode %llu, not %llu",
			 (unsigned long long)f->st.st_ino,
			 (unsigned long long)n->ino);
	n->inode = f->inode;
	n->nlookup++;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static void check_attr(struct tree *t, unsigned int node, const struct stat *st)
{
	const struct node *n = &t->nodes[node];

	if (node == ROOT)
		return; /* others use it, too */
	if (st->st_mode != n->mode || st->st_nlink != links_of(t, node))
		sim_fail("a node has mode %o and %u links; model %o, %u",
			 st->st_mode, (unsigned int)st->st_nlink, n->mode,
			 links_of(t, node));
	if (S_ISLNK(n->mode) && (size_t)st->st_size != strlen(n->target))
		sim_fail("the size of a symbolic link is %lld",
			 (long long)st->st_size);
	if (n->mtime_known && !same_time(&st->st_mtim, &n->mtime))
		sim_fail("the mtime of a node is not what it was set to");
}

/* --- finding it ---------------------------------------------------------------------- */

/* Tried until there is an answer: 0 or -ENOENT. */
static int look(struct tree *t, unsigned int dir, unsigned int word,
		struct tree_found *f)
{
	char name[16];
	int err = 0;

	word_of(word, name);
	for (int i = 0; i < TRIES; i++) {
		err = front_tree_lookup(t->c, t->nodes[dir].inode, name, f);
		if (!err || err == -ENOENT)
			return err;
		check_answer(t->c, t->wv, WORLD_NAMES_ONLY, "lookup", err);
		os_sleep_ns(10 * NSEC_PER_MSEC);
	}
	sim_fail("a name in a directory cannot be looked up: %d", err);
}

/* Its inode, known to the kernel. */
static struct inode *inode_of(struct tree *t, unsigned int node)
{
	struct tree_found f;

	for (unsigned int i = 0; !t->nodes[node].inode && i < NAMES; i++) {
		struct name *n = &t->names[i];

		if (!n->used || n->node != node)
			continue;
		inode_of(t, n->dir);
		if (look(t, n->dir, n->word, &f))
			sim_fail("a name in a directory is gone");
		node_found(t, node, &f);
		check_attr(t, node, &f.st);
	}
	ASSERT(t->nodes[node].inode);
	return t->nodes[node].inode;
}

/* (3): where does the name lead now? NONE: nowhere. */
static unsigned int node_at(struct tree *t, unsigned int dir, unsigned int word)
{
	struct tree_found f;

	if (look(t, dir, word, &f))
		return NONE;
	for (unsigned int n = 1; n < NODES; n++)
		if (t->nodes[n].used && t->nodes[n].ino == f.st.st_ino) {
			node_found(t, n, &f);
			return n;
		}
	sim_fail("a name in a directory leads to something new");
}

/* Did it fail for want of anything? Then it is counted. */
static bool fell_short(struct tree *t, const char *what, int err, int want)
{
	if (err == want)
		return false;
	check_answer(t->c, t->wv, WORLD_WRITE, what, err ? err : -EINVAL);
	vseen.tree_errors++;
	return true;
}

/* --- what is done to names -------------------------------------------------------------- */

static void made(struct tree *t, unsigned int node, unsigned int dir,
		 unsigned int word, const struct tree_found *f, mode_t mode,
		 const char *target)
{
	struct node *n = &t->nodes[node];

	*n = (struct node){ .used = true, .mode = mode, .ino = f->st.st_ino };
	snprintf(n->target, sizeof(n->target), "%s", target);
	add_name(t, dir, word, node);
	node_found(t, node, f);
	check_attr(t, node, &f->st);
	vseen.tree_makes++;
}

static void op_make(struct tree *t)
{
	static const mode_t types[] = { S_IFDIR, S_IFDIR, S_IFREG, S_IFLNK };
	mode_t type = types[sim_between(0, 3)];
	mode_t mode = type | (S_ISLNK(type) ? 0777 : 0755);
	unsigned int dir = any_dir(t), node;
	unsigned int word = (unsigned int)sim_between(0, WORDS - 1);
	struct tree_found f;
	char name[16], target[16] = "";
	int err, want = find(t, dir, word) ? -EEXIST : 0;

	if (!has_room(t, &node))
		return;
	if (S_ISLNK(type))
		snprintf(target, sizeof(target), "to%llu",
			 (unsigned long long)sim_between(0, 1u << 20));
	word_of(word, name);
	err = front_tree_make(t->c, inode_of(t, dir), name, mode,
			      S_ISLNK(type) ? target : NULL, &f);
	if (fell_short(t, "mknod", err, want)) {
		if (!want && look(t, dir, word, &f) == 0)
			made(t, node, dir, word, &f, f.st.st_mode, target);
	} else if (!err) {
		made(t, node, dir, word, &f, mode, target);
	}
}

static void op_remove(struct tree *t)
{
	struct name *n = any_name(t);
	unsigned int dir, word;
	int err, want = 0;
	bool as_dir;
	char name[16];

	if (!n)
		return;
	dir = n->dir;
	word = n->word;
	as_dir = is_dir(t, n->node);
	if (as_dir && nr_names_in(t, n->node) > 0)
		want = -ENOTEMPTY;
	word_of(word, name);
	err = front_tree_remove(t->c, inode_of(t, dir), name, as_dir);
	if (fell_short(t, "rmdir", err, want)) {
		if (!want && node_at(t, dir, word) == NONE)
			node_unname(t, n);
	} else if (!err) {
		node_unname(t, n);
		vseen.tree_removes++;
	}
}

/* What renameat2(2) says; 1: the kernel refuses by itself (2). */
static int rename_wants(struct tree *t, const struct name *from,
			unsigned int dir, const struct name *over,
			unsigned int flags)
{
	if (over && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (is_dir(t, from->node) && is_above(t, from->node, dir))
		return 1;
	if (flags & RENAME_EXCHANGE)
		return !over || (is_dir(t, over->node) &&
				 is_above(t, over->node, from->dir))
			       ? 1
			       : 0;
	if (!over || over->node == from->node)
		return 0;
	if (is_dir(t, over->node) != is_dir(t, from->node))
		return 1;
	/* A directory that the source lies in has names. */
	return is_dir(t, over->node) && nr_names_in(t, over->node) > 0
		       ? -ENOTEMPTY
		       : 0;
}

static void renamed(struct tree *t, struct name *from, unsigned int dir,
		    unsigned int word, struct name *over, unsigned int flags)
{
	unsigned int node = from->node;

	vseen.tree_renames++;
	vseen.tree_moves += is_dir(t, node) && from->dir != dir;
	if (over && over->node == node)
		return; /* names of one file: nothing happens */
	if (flags & RENAME_EXCHANGE) {
		from->node = over->node;
		over->node = node;
		return;
	}
	if (over)
		node_unname(t, over);
	from->dir = dir;
	from->word = word;
}

static void op_rename(struct tree *t)
{
	static const unsigned int kinds[] = { 0, 0, RENAME_NOREPLACE,
					      RENAME_EXCHANGE };
	unsigned int flags = kinds[sim_between(0, 3)], dir = any_dir(t);
	unsigned int word = (unsigned int)sim_between(0, WORDS - 1);
	struct name *from = any_name(t), *over = find(t, dir, word);
	char name[16], new_name[16];
	int err, want;

	if (!from || from == over)
		return;
	if (over && sim_chance(30))
		flags = RENAME_EXCHANGE;
	want = rename_wants(t, from, dir, over, flags);
	if (want > 0)
		return;
	word_of(from->word, name);
	word_of(word, new_name);
	/* As the kernel: both ends are known. */
	inode_of(t, from->node);
	if (over)
		inode_of(t, over->node);
	inode_of(t, dir);
	err = front_tree_rename(t->c, inode_of(t, from->dir), name,
				inode_of(t, dir), new_name, flags);
	if (fell_short(t, "rename", err, want)) {
		if (!want && !(over && over->node == from->node) &&
		    node_at(t, dir, word) == from->node)
			renamed(t, from, dir, word, over, flags);
	} else if (!err) {
		renamed(t, from, dir, word, over, flags);
	}
}

static void op_link(struct tree *t)
{
	struct name *of = any_name(t);
	unsigned int word = (unsigned int)sim_between(0, WORDS - 1), node;
	unsigned int dir = any_dir(t);
	struct tree_found f;
	char name[16];
	int err, want = find(t, dir, word) ? -EEXIST : 0;

	if (!of || is_dir(t, of->node) || !has_room(t, &node))
		return;
	node = of->node;
	word_of(word, name);
	inode_of(t, node);
	err = front_tree_link(t->c, inode_of(t, node), inode_of(t, dir), name,
			      &f);
	if (fell_short(t, "link", err, want)) {
		if (!want && node_at(t, dir, word) == node)
			add_name(t, dir, word, node);
	} else if (!err) {
		add_name(t, dir, word, node);
		node_found(t, node, &f);
		check_attr(t, node, &f.st);
		vseen.tree_links++;
	}
}

/* --- looking ------------------------------------------------------------------------------ */

static void check_listed(struct tree *t, unsigned int dir,
			 const struct tree_list *l)
{
	unsigned int nr = 0, word;

	for (unsigned int i = 0; i < l->nr; i++) {
		const char *name = l->names[i].name;
		struct name *n;

		if (name[0] == '.' || (dir == ROOT && name[0] == 'n'))
			continue;
		if (sscanf(name, "t%u", &word) != 1 ||
		    !(n = find(t, dir, word)))
			sim_fail("%s is listed, and not there", name);
		if (l->names[i].ino != t->nodes[n->node].ino ||
		    (l->names[i].type &&
		     (t->nodes[n->node].mode & S_IFMT) != l->names[i].type))
			sim_fail("%s is listed as another", name);
		nr++;
	}
	if (nr != nr_names_in(t, dir))
		sim_fail("%u names are listed, of %u", nr, nr_names_in(t, dir));
}

static void op_list(struct tree *t)
{
	unsigned int dir = any_dir(t);
	struct tree_list l;
	int err = front_tree_list(t->c, inode_of(t, dir), &l);

	if (fell_short(t, "list", err, 0))
		return;
	check_listed(t, dir, &l);
	vseen.tree_lists++;
}

static void op_look(struct tree *t)
{
	unsigned int dir = any_dir(t);
	unsigned int word = (unsigned int)sim_between(0, WORDS - 1);
	struct name *n = find(t, dir, word);
	struct tree_found f;
	char buf[32];
	int err;

	inode_of(t, dir);
	if ((look(t, dir, word, &f) == 0) != (n != NULL))
		sim_fail("a name in a directory should%s be there",
			 n ? "" : " not");
	if (!n)
		return;
	node_found(t, n->node, &f);
	check_attr(t, n->node, &f.st);
	if (!S_ISLNK(t->nodes[n->node].mode))
		return;
	err = front_tree_readlink(t->c, inode_of(t, n->node), buf, sizeof(buf));
	if (!fell_short(t, "readlink", err < 0 ? err : 0, 0) &&
	    strcmp(buf, t->nodes[n->node].target) != 0)
		sim_fail("a symbolic link leads to %s, not %s", buf,
			 t->nodes[n->node].target);
}

/* --- attributes ---------------------------------------------------------------------------- */

static void op_setattr(struct tree *t)
{
	struct name *name = any_name(t);
	struct attr_change change = { .valid = sim_chance(50) ? ATTR_MODE
							      : ATTR_MTIME };
	struct node *n;
	struct stat st;
	int err;

	if (!name || !S_ISREG(t->nodes[name->node].mode))
		return;
	n = &t->nodes[name->node];
	change.mode = (mode_t)sim_between(0, 07777);
	change.mtime.tv_sec = (time_t)sim_between(1, 1u << 30);
	change.mtime.tv_nsec = (long)sim_between(0, 999999999);
	err = front_tree_setattr(t->c, inode_of(t, name->node), &change, &st);
	if (fell_short(t, "setattr", err, 0)) {
		/* It may have been done: then it is what is shown. */
		for (int i = 0;
		     i < TRIES && (err = front_getattr(t->c, n->inode, &st));
		     i++)
			os_sleep_ns(10 * NSEC_PER_MSEC);
		if (!err && change.valid == ATTR_MODE &&
		    st.st_mode == (S_IFREG | change.mode))
			n->mode = st.st_mode;
		n->mtime_known &= change.valid != ATTR_MTIME;
		return;
	}
	if (change.valid == ATTR_MODE) {
		n->mode = S_IFREG | change.mode;
	} else {
		n->mtime = change.mtime;
		n->mtime_known = true;
	}
	check_attr(t, name->node, &st);
	vseen.tree_setattrs++;
}

/* XATTR_CREATE, XATTR_REPLACE */
static int set_wants(const char *has, const char *value, int flags)
{
	if (!value || flags == 2)
		return has[0] ? 0 : -ENODATA;
	return flags == 1 && has[0] ? -EEXIST : 0;
}

static void check_xattr(struct tree *t, struct node *n, unsigned int which)
{
	char buf[64] = "";
	ssize_t got = front_tree_getxattr(t->c, n->inode, xattr_names[which],
					  buf, sizeof(buf) - 1);
	int want =
		n->xattrs[which][0] ? (int)strlen(n->xattrs[which]) : -ENODATA;

	if (!fell_short(t, "getxattr", (int)got, want) && got > 0 &&
	    memcmp(buf, n->xattrs[which], (size_t)got) != 0)
		sim_fail("an attribute is %s, not %s", buf, n->xattrs[which]);
	if ((got > 0) != (want > 0))
		return;
	memset(buf, 0, sizeof(buf));
	got = front_tree_getxattr(t->c, n->inode, NULL, buf, sizeof(buf) - 1);
	want = 0;
	for (unsigned int i = 0; i < XATTRS; i++)
		if (n->xattrs[i][0])
			want += (int)strlen(xattr_names[i]) + 1;
	fell_short(t, "listxattr", (int)got, want);
}

static void op_xattr(struct tree *t)
{
	unsigned int which = (unsigned int)sim_between(0, XATTRS - 1);
	struct name *name = any_name(t);
	int flags = (int)sim_between(0, 2), err, want;
	bool set = sim_chance(70);
	struct node *n;
	char value[16];

	if (!name || S_ISLNK(t->nodes[name->node].mode))
		return;
	n = &t->nodes[name->node];
	snprintf(value, sizeof(value), "v%llu",
		 (unsigned long long)sim_between(0, 1u << 30));
	want = set_wants(n->xattrs[which], set ? value : NULL, flags);
	err = front_tree_setxattr(t->c, inode_of(t, name->node),
				  xattr_names[which], set ? value : NULL,
				  flags);
	if (!fell_short(t, "setxattr", err, want) && !err)
		snprintf(n->xattrs[which], sizeof(n->xattrs[which]), "%s",
			 set ? value : "");
	check_xattr(t, n, which);
	vseen.tree_xattrs++;
}

/*
 * (5): what the file has after a write, or one that may have been made. Then it is
 * asked until it is told.
 */
static void check_privs(struct tree *t, unsigned int node, mode_t left,
			bool caps_go, bool maybe)
{
	struct node *n = &t->nodes[node];
	char caps[32] = "";
	ssize_t got = -EIO;
	struct stat st;
	int err = -EIO;

	for (int i = 0; i < TRIES && err; i++)
		err = front_getattr(t->c, n->inode, &st);
	for (int i = 0; i < TRIES && got < 0 && got != -ENODATA; i++)
		got = front_tree_getxattr(t->c, n->inode, XATTR_CAPS, caps,
					  sizeof(caps) - 1);
	if (err || (got < 0 && got != -ENODATA))
		sim_fail("attributes cannot be told: %d, %lld", err,
			 (long long)got);
	if (maybe && st.st_mode == n->mode)
		left = n->mode;
	if (st.st_mode != left)
		sim_fail("a file has mode %o; model %o", st.st_mode, left);
	if (maybe && got > 0)
		caps_go = false;
	if (strcmp(caps, caps_go ? "" : n->xattrs[CAPS]) != 0)
		sim_fail("a file has capabilities '%s'; model '%s'", caps,
			 caps_go ? "" : n->xattrs[CAPS]);
	n->mode = left;
	if (caps_go)
		n->xattrs[CAPS][0] = '\0';
	vseen.tree_privs += caps[0] != '\0';
}

static void give_setid(struct tree *t, struct node *n)
{
	struct attr_change change = { .valid = ATTR_MODE, .mode = 06755 };
	struct stat st;
	int err = front_tree_setattr(t->c, n->inode, &change, &st);

	if (fell_short(t, "setattr", err, 0))
		for (int i = 0; i < TRIES && err; i++)
			err = front_getattr(t->c, n->inode, &st);
	if (!err && st.st_mode == (S_IFREG | change.mode))
		n->mode = st.st_mode;
}

static void give_caps(struct tree *t, struct node *n)
{
	int err = front_tree_setxattr(t->c, n->inode, XATTR_CAPS, "give", 0);

	if (!fell_short(t, "setxattr", err, 0))
		snprintf(n->xattrs[CAPS], sizeof(n->xattrs[CAPS]), "give");
}

static void op_write(struct tree *t)
{
	struct name *name = any_name(t);
	struct vfile f = { .wv = t->wv };
	struct wopen o = { .f = &f, .writable = true };
	struct front_write as = { .keeps_setid = sim_chance(50),
				  .mapped = sim_chance(50) };
	static const char data[2 * PAGE_SIZE];
	struct node *n;
	mode_t left;
	int64_t got;

	if (!name || !S_ISREG(t->nodes[name->node].mode))
		return;
	n = &t->nodes[name->node];
	f.inode = inode_of(t, name->node);
	if (fell_short(t, "open", front_open(t->c, f.inode, O_RDWR, &o.file),
		       0))
		return;
	n->mtime_known = false;
	for (uint64_t i = sim_between(1, 3); i > 0; i--) {
		got = front_write_as(t->c, &o, sim_between(0, PAGE_SIZE), data,
				     sim_between(1, sizeof(data)), &as);
		left = as.mapped || as.keeps_setid
			       ? n->mode
			       : mode_without_setid(n->mode);
		if (got < 0)
			check_answer(t->c, t->wv, WORLD_WRITE, "write", got);
		check_privs(t, name->node, left, !as.mapped, got < 0);
		if (sim_chance(30))
			front_fsync(t->c, &o, sim_chance(50));
		check_privs(t, name->node, n->mode, false, false);
		/* Whatever is dirty now. */
		if (sim_chance(30))
			give_setid(t, n);
		if (sim_chance(50))
			give_caps(t, n);
		as.mapped = sim_chance(70);
	}
	front_release(t->c, f.inode, o.file);
	vseen.tree_writes++;
}

/* (4) */
static void op_forget(struct tree *t)
{
	struct name *n = any_name(t);

	if (n && nr_names_in(t, n->node) == 0)
		forget(&t->nodes[n->node]);
}

/* --- the client ------------------------------------------------------------------------------ */

static void step(struct tree *t)
{
	uint64_t what = sim_between(0, 99);

	t->c->since_ns = os_now_ns();
	if (what < 25)
		op_make(t);
	else if (what < 35)
		op_remove(t);
	else if (what < 60)
		op_rename(t);
	else if (what < 68)
		op_link(t);
	else if (what < 76)
		op_list(t);
	else if (what < 84)
		op_look(t);
	else if (what < 87)
		op_setattr(t);
	else if (what < 93)
		op_xattr(t);
	else if (what < 97)
		op_write(t);
	else
		op_forget(t);
}

static void tree_main(void *arg)
{
	struct client *c = arg;
	struct world *w = c->w;
	struct tree t = { .c = c };

	t.wv = &w->volumes[sim_between(0, w->nr_volumes - 1)];
	t.nodes[ROOT] = (struct node){ .used = true,
				       .mode = S_IFDIR | 0755,
				       .inode = t.wv->vol->root };
	for (int i = 0; i < STEPS && !w->crash; i++) {
		rwlock_lock_shared(&w->quiet);
		step(&t);
		rwlock_unlock_shared(&w->quiet);
		if (sim_chance(30))
			os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
	}
	/* The mount ends with what is there, but the kernel knows none of it. */
	for (unsigned int i = 1; i < NODES; i++)
		if (t.nodes[i].used)
			forget(&t.nodes[i]);
}

void tree_start(struct world *w)
{
	if (!w->has_tree)
		return;
	w->tree = (struct client){ .w = w };
	ASSERT(os_thread_start(&w->tree.thread, "tree", tree_main, &w->tree) ==
	       0);
}

void tree_stop(struct world *w)
{
	if (w->has_tree)
		os_thread_join(&w->tree.thread);
}
