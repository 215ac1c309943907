/*
 * test_anon_names.c - names of an anon volume against a list of them.
 *
 *	links[]: directory, name ──► nodes[]: type, inode number
 *
 * A name of the model is looked for by going through the list. What the kernel
 * would hold is held for one operation only: each begins at the root. So the
 * volume's inodes are at any time those that the list leads to.
 */
#include "fs/anon_attr.h"
#include "fs/anon_dir.h"
#include "fs/anon_inode.h"
#include "fs/anon_volume.h"
#include "fs/fs.h"
#include "fs/privs.h"
#include "swap/swap.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

enum {
	NR_NODES = 200,
	NR_LINKS = 300,
	NR_NAMES = 12,
	NR_STEPS = 20000,
	FOR_EVER = -1,
};

struct node {
	mode_t type; /* 0: none */
	uint64_t ino;
};

struct link {
	int dir; /* node; -1: no link */
	int node;
	int name;
	bool touched; /* since the stream was opened */
	int seen;     /* by it */
};

static struct node nodes[NR_NODES]; /* 0: the root */
static struct link links[NR_LINKS];
static char names[NR_NAMES][300];
static struct fs fs;
static struct volume *vol;

static struct anon_volume *av(void)
{
	return anon_volume_of(vol);
}

static void open_volume(struct mm *mm, uint64_t nr_inodes)
{
	struct anon_limits limits = { .mode = ANON_ROOT_MODE,
				      .nr_inodes = nr_inodes,
				      .uid = 7,
				      .gid = 8 };
	int err;

	fs.mm = mm;
	assert_int_equal(swap_start(mm), 0);
	vol = anon_volume_open(&fs, &limits, &err);
	assert_non_null(vol);
	assert_int_equal(err, 0);
	memset(nodes, 0, sizeof(nodes));
	for (int i = 0; i < NR_LINKS; i++)
		links[i].dir = -1;
	nodes[0] = (struct node){ S_IFDIR, anon_inode_of(vol->root)->ino };
	for (int i = 0; i < NR_NAMES; i++) {
		size_t len = i < 8 ? 1 + rnd(40) : 250 + rnd(6);

		memset(names[i], 'a' + i, len);
		names[i][len] = '\0';
	}
}

static void close_volume(struct mm *mm)
{
	volume_close(vol);
	swap_stop(mm);
	mm_check_all_free(mm);
}

/* --- the model --------------------------------------------------------------- */

static struct link *link_find(int dir, int name)
{
	for (int i = 0; i < NR_LINKS; i++)
		if (links[i].dir == dir && links[i].name == name)
			return &links[i];
	return NULL;
}

static struct link *link_new(int dir, int name, int node)
{
	struct link *l = links;

	while (l->dir >= 0)
		l++;
	assert_true(l < links + NR_LINKS);
	*l = (struct link){ dir, node, name, true, 0 };
	return l;
}

static bool node_is_dir(int node)
{
	return S_ISDIR(nodes[node].type);
}

static int dir_count(int dir, bool subdirs_only)
{
	int nr = 0;

	for (int i = 0; i < NR_LINKS; i++)
		nr += links[i].dir == dir &&
		      (!subdirs_only || node_is_dir(links[i].node));
	return nr;
}

static int node_nlink(int node)
{
	int nr = 0;

	if (node_is_dir(node))
		return 2 + dir_count(node, true);
	for (int i = 0; i < NR_LINKS; i++)
		nr += links[i].dir >= 0 && links[i].node == node;
	return nr;
}

static struct link *link_to(int node)
{
	for (int i = 0; i < NR_LINKS; i++)
		if (links[i].dir >= 0 && links[i].node == node)
			return &links[i];
	return NULL;
}

/* The link is gone, and the node with its last. */
static void link_end(struct link *l)
{
	int node = l->node;

	l->dir = -1;
	if (!link_to(node))
		nodes[node].type = 0;
}

static bool node_is_below(int node, int above)
{
	while (node != above && node != 0)
		node = link_to(node)->dir;
	return node == above;
}

static uint64_t nr_nodes(void)
{
	uint64_t nr = 0;

	for (int i = 0; i < NR_NODES; i++)
		nr += nodes[i].type != 0;
	return nr;
}

static int any_dir(void)
{
	int node;

	do
		node = (int)rnd(NR_NODES);
	while (!node_is_dir(node) && rnd(40));
	return node_is_dir(node) ? node : 0;
}

/* --- the volume ---------------------------------------------------------------- */

static void drop(struct inode *inode)
{
	inode_forget(inode, 1);
	inode_put(inode);
}

/* The inode of a node, to be dropped, by its path. */
static struct inode *walk(int node)
{
	struct dir_entry e;
	struct inode *dir;
	struct link *l;

	if (node == 0) {
		mutex_lock(&vol->inodes.lock);
		inode_join(&vol->inodes, vol->root, true);
		mutex_unlock(&vol->inodes.lock);
		return vol->root;
	}
	l = link_to(node);
	dir = walk(l->dir);
	assert_int_equal(anon_lookup(dir, names[l->name], &e), 0);
	assert_true(e.attr.st_ino == nodes[node].ino);
	drop(dir);
	return e.inode;
}

static void check_attr(int node, const struct stat *st)
{
	assert_true(st->st_ino == nodes[node].ino);
	assert_int_equal(st->st_mode & S_IFMT, nodes[node].type);
	assert_int_equal(st->st_nlink, node_nlink(node));
	if (node_is_dir(node))
		assert_int_equal(st->st_size, 20 * dir_count(node, false));
	if (S_ISLNK(nodes[node].type))
		assert_int_equal(st->st_size, 10 + node);
}

/* --- steps ------------------------------------------------------------------------ */

static int free_node(void)
{
	for (int i = 0; i < NR_NODES; i++)
		if (!nodes[i].type)
			return i;
	return -1;
}

static bool links_left(void)
{
	int nr = 0;

	for (int i = 0; i < NR_LINKS; i++)
		nr += links[i].dir >= 0;
	return nr < NR_LINKS - 1;
}

static void make_step(void)
{
	static const mode_t types[] = { S_IFREG,  S_IFDIR, S_IFLNK, S_IFIFO,
					S_IFSOCK, S_IFCHR, S_IFDIR, S_IFDIR };
	int dir = any_dir(), name = (int)rnd(NR_NAMES), node = free_node();
	struct inode *parent;
	char target[NR_NODES + 11];
	struct dir_make make = { .name = names[name], .target = target };
	struct dir_entry e;
	int want = 0;

	if (node < 0 || !links_left())
		return;
	make.mode = types[rnd(ARRAY_SIZE(types))] | 0755;
	make.exclusive = rnd(2);
	memset(target, 't', sizeof(target));
	target[10 + node] = '\0';
	if (link_find(dir, name))
		want = S_ISREG(make.mode) && !make.exclusive ? -ESTALE
							     : -EEXIST;
	parent = walk(dir);
	assert_int_equal(anon_make(parent, &make, &e), want);
	drop(parent);
	if (want)
		return;
	nodes[node] = (struct node){ make.mode & S_IFMT, e.attr.st_ino };
	link_new(dir, name, node);
	check_attr(node, &e.attr);
	if (S_ISLNK(make.mode)) {
		char buf[NR_NODES + 20];

		assert_int_equal(anon_readlink(e.inode, buf, sizeof(buf)), 0);
		assert_string_equal(buf, target);
	}
	drop(e.inode);
}

static void lookup_step(void)
{
	int dir = any_dir(), name = (int)rnd(NR_NAMES);
	struct link *l = link_find(dir, name);
	struct inode *parent = walk(dir);
	struct dir_entry e;

	assert_int_equal(anon_lookup(parent, names[name], &e), l ? 0 : -ENOENT);
	drop(parent);
	if (!l)
		return;
	check_attr(l->node, &e.attr);
	drop(e.inode);
}

static void link_step(void)
{
	int dir = any_dir(), name = (int)rnd(NR_NAMES);
	int node = (int)rnd(NR_NODES), want = 0;
	struct inode *parent, *inode;
	struct dir_entry e;

	if (!nodes[node].type || !links_left())
		return;
	if (node_is_dir(node))
		want = -EPERM;
	else if (link_find(dir, name))
		want = -EEXIST;
	parent = walk(dir);
	inode = walk(node);
	assert_int_equal(anon_link(inode, parent, names[name], &e), want);
	drop(parent);
	drop(inode);
	if (want)
		return;
	link_new(dir, name, node);
	assert_ptr_equal(e.inode, inode);
	check_attr(node, &e.attr);
	drop(e.inode);
}

static int want_removal(const struct link *l, bool as_dir)
{
	if (!l)
		return -ENOENT;
	if (as_dir && !node_is_dir(l->node))
		return -ENOTDIR;
	if (!as_dir && node_is_dir(l->node))
		return -EISDIR;
	return as_dir && dir_count(l->node, false) > 0 ? -ENOTEMPTY : 0;
}

/* A directory is removed while somebody has it as working directory. */
static void check_removed(struct inode *dir)
{
	struct dir_make make = { .name = "x", .mode = S_IFREG | 0600 };
	struct dir_entry e;
	struct stat st;

	assert_int_equal(anon_lookup(dir, "x", &e), -ENOENT);
	assert_int_equal(anon_make(dir, &make, &e), -ENOENT);
	assert_int_equal(anon_rename(vol->root, "x", dir, "y", 0), -ENOENT);
	assert_int_equal(anon_getattr(dir, &st), 0);
	assert_int_equal(st.st_nlink, 0);
}

static void unlink_step(void)
{
	int dir = any_dir(), name = (int)rnd(NR_NAMES);
	struct link *l = link_find(dir, name);
	bool as_dir = l && rnd(8) ? node_is_dir(l->node) : rnd(2);
	int want = want_removal(l, as_dir);
	struct inode *parent = walk(dir), *held = NULL;

	if (!want && rnd(2))
		held = walk(l->node);
	assert_int_equal(anon_unlink(parent, names[name], as_dir), want);
	drop(parent);
	if (!want)
		link_end(l);
	if (!held)
		return;
	if (as_dir)
		check_removed(held);
	drop(held);
}

static int want_rename(int from, const struct link *src, int to,
		       const struct link *dst, unsigned int flags)
{
	bool exchange = flags & RENAME_EXCHANGE;

	if (!src)
		return -ENOENT;
	if (dst && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!dst && exchange)
		return -ENOENT;
	if (dst && dst->node == src->node)
		return 0;
	if (node_is_dir(src->node) && node_is_below(to, src->node))
		return -EINVAL;
	if (exchange)
		return node_is_dir(dst->node) && node_is_below(from, dst->node)
			       ? -EINVAL
			       : 0;
	return dst ? want_removal(dst, node_is_dir(src->node)) : 0;
}

static void model_rename(struct link *src, int to, int name, struct link *dst,
			 unsigned int flags)
{
	int node = src->node;

	if (dst && dst->node == node)
		return;
	if (flags & RENAME_EXCHANGE) {
		src->node = dst->node;
		dst->node = node;
		return; /* both names stay where they are */
	}
	if (dst) {
		struct link old = *dst;

		dst->node = node; /* and so does this one */
		src->dir = -1;
		if (!link_to(old.node))
			nodes[old.node].type = 0;
		return;
	}
	src->dir = -1;
	link_new(to, name, node);
}

static void rename_step(void)
{
	static const unsigned int flags_of[] = {
		0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE
	};
	unsigned int flags = flags_of[rnd(ARRAY_SIZE(flags_of))];
	int from = any_dir(), to = rnd(3) ? any_dir() : from;
	int name = (int)rnd(NR_NAMES), new_name = (int)rnd(NR_NAMES);
	struct link *src = link_find(from, name);
	struct link *dst = link_find(to, new_name);
	int want = want_rename(from, src, to, dst, flags);
	struct inode *a = walk(from), *b = walk(to);

	assert_int_equal(anon_rename(a, names[name], b, names[new_name], flags),
			 want);
	drop(a);
	drop(b);
	if (!want)
		model_rename(src, to, new_name, dst, flags);
}

/* --- listing ------------------------------------------------------------------------ */

static struct dir_stream *stream;
static int stream_dir;
static uint64_t stream_at;

struct listing {
	int left; /* names to take */
	uint64_t at;
	int dots;
};

static bool take(void *arg, const struct dir_name *n)
{
	struct listing *l = arg;
	struct link *link = NULL;

	if (l->left-- == 0)
		return false;
	assert_true(n->next > l->at);
	l->at = n->next;
	if (n->name[0] == '.') {
		l->dots++;
		assert_int_equal(n->type, S_IFDIR);
		return true;
	}
	for (int i = 0; i < NR_NAMES; i++)
		if (strcmp(names[i], n->name) == 0)
			link = link_find(stream_dir, i);
	assert_non_null(link);
	assert_int_equal(n->type, nodes[link->node].type);
	assert_true(n->ino == nodes[link->node].ino);
	link->seen++;
	return true;
}

static void stream_open(int dir)
{
	struct inode *inode = walk(dir);
	int err;

	stream = anon_dir_open(inode, &err); /* the ref is its own now */
	assert_non_null(stream);
	inode_forget(inode, 1);
	stream_dir = dir;
	stream_at = 0;
	for (int i = 0; i < NR_LINKS; i++) {
		links[i].touched = false;
		links[i].seen = 0;
	}
}

static void stream_close(void)
{
	anon_dir_close(stream);
	stream = NULL;
}

static void check_seen(bool all)
{
	for (int i = 0; i < NR_LINKS; i++)
		if (links[i].dir == stream_dir && !links[i].touched) {
			assert_true(links[i].seen <= 1);
			if (all)
				assert_int_equal(links[i].seen, 1);
		}
}

static void read_step(void)
{
	struct listing l = { .left = (int)rnd(5) };
	int asked;

	if (stream &&
	    (!node_is_dir(stream_dir) ||
	     anon_inode_of(stream->inode)->ino != nodes[stream_dir].ino)) {
		check_removed(stream->inode);
		stream_close();
	}
	if (!stream) {
		stream_open(any_dir());
		return;
	}
	l.at = stream_at;
	asked = l.left;
	assert_int_equal(anon_dir_read(stream, stream_at, take, &l), 0);
	stream_at = l.at;
	/* A name that was refused is counted down too. */
	if (l.left >= 0 && asked > 0) {
		check_seen(true);
		stream_close();
	} else {
		check_seen(false);
	}
}

/* Each directory, in one go, is what the model has. */
static void check_all(void)
{
	for (int dir = 0; dir < NR_NODES; dir++) {
		struct listing l = { .left = NR_LINKS };
		struct stat st;

		if (!node_is_dir(dir))
			continue;
		stream_open(dir);
		anon_dir_read(stream, 0, take, &l);
		assert_int_equal(l.dots, 2);
		for (int i = 0; i < NR_LINKS; i++)
			if (links[i].dir == dir)
				assert_int_equal(links[i].seen, 1);
		anon_getattr(stream->inode, &st);
		check_attr(dir, &st);
		xa_check(&anon_inode_of(stream->inode)->dir.names);
		stream_close();
	}
}

static void check_counts(void)
{
	bool orphan = stream && anon_inode_of(stream->inode)->nlink == 0;

	assert_int_equal(atomic_load(&av()->nr_inodes), nr_nodes() + orphan);
	assert_int_equal(vol->inodes.nr, nr_nodes() + orphan);
}

static void random_step(void)
{
	switch (rnd(8)) {
	case 0:
	case 1:
		make_step();
		break;
	case 2:
		lookup_step();
		break;
	case 3:
		link_step();
		break;
	case 4:
		unlink_step();
		break;
	case 5:
	case 6:
		rename_step();
		break;
	case 7:
		read_step();
	}
}

static void random_steps(void **state)
{
	open_volume(*state, 0);
	for (int n = 0; n < NR_STEPS; n++) {
		random_step();
		check_counts();
		if (n % 500 == 0) {
			if (stream)
				stream_close();
			check_all();
		}
	}
	if (rnd(2) && stream)
		stream_close();
	stream = NULL; /* or left to volume_close() */
	close_volume(*state);
}

/* --- what random steps do not meet ---------------------------------------------------- */

static int make(struct inode *dir, const char *name, mode_t mode,
		struct dir_entry *e)
{
	struct dir_make m = { .name = name,
			      .mode = mode,
			      .exclusive = true,
			      .target = "t",
			      .caller = { 1, 2, 022 } };
	int err = anon_make(dir, &m, e);

	if (!err)
		drop(e->inode); /* a name keeps it */
	return err;
}

/* Without memory: what makes names is refused, the rest goes on. */
static void full_memory_refuses_growth_only(void **state)
{
	struct mm *mm = *state;
	struct dir_entry e;

	open_volume(mm, 0);
	assert_int_equal(make(vol->root, "a", S_IFREG | 0600, &e), 0);
	assert_int_equal(make(vol->root, "b", S_IFREG | 0600, &e), 0);
	assert_int_equal(make(vol->root, "d", S_IFDIR | 0700, &e), 0);
	assert_int_equal(make(vol->root, "l", S_IFLNK, &e), 0);
	unit_fault(&mm->failslab, 100, FOR_EVER);
	unit_fault(&mm->fail_page_alloc, 100, FOR_EVER);
	assert_int_equal(make(vol->root, "c", S_IFREG | 0600, &e), -ENOROOM);
	assert_int_equal(make(vol->root, "c", S_IFLNK, &e), -ENOROOM);
	assert_int_equal(anon_rename(vol->root, "a", vol->root, "c", 0),
			 -ENOROOM);
	assert_int_equal(
		anon_rename(vol->root, "a", vol->root, "d", RENAME_EXCHANGE),
		0);
	assert_int_equal(anon_rename(vol->root, "d", vol->root, "b", 0), 0);
	assert_int_equal(anon_unlink(vol->root, "b", false), 0);
	assert_int_equal(anon_unlink(vol->root, "a", true), 0);
	assert_int_equal(anon_unlink(vol->root, "l", false), 0);
	unit_fault(&mm->failslab, 0, FOR_EVER);
	unit_fault(&mm->fail_page_alloc, 0, FOR_EVER);
	assert_int_equal(atomic_load(&av()->nr_inodes), 1);
	close_volume(mm);
}

/* Any single allocation fails: all or nothing. */
static void failures_change_nothing(void **state)
{
	struct mm *mm = *state;

	open_volume(mm, 0);
	for (int n = 0; n < 2000; n++) {
		struct dir_entry e;
		char name[20];
		int err;

		snprintf(name, sizeof(name), "n%d", n);
		unit_fault(&mm->failslab, (int)rnd(30), FOR_EVER);
		err = make(vol->root, name, rnd(2) ? S_IFLNK : S_IFDIR | 0700,
			   &e);
		unit_fault(&mm->failslab, 0, FOR_EVER);
		if (err)
			assert_int_equal(err, -ENOROOM);
		assert_int_equal(anon_lookup(vol->root, name, &e),
				 err ? -ENOENT : 0);
		if (!err) {
			bool as_dir = S_ISDIR(e.attr.st_mode);

			drop(e.inode);
			assert_int_equal(anon_unlink(vol->root, name, as_dir),
					 0);
		}
		assert_int_equal(atomic_load(&av()->nr_inodes), 1);
	}
	close_volume(mm);
}

static void inodes_are_limited(void **state)
{
	struct statvfs st;
	struct dir_entry e;

	open_volume(*state, 3);
	assert_int_equal(make(vol->root, "a", S_IFREG, &e), 0);
	assert_int_equal(make(vol->root, "b", S_IFREG, &e), 0);
	assert_int_equal(make(vol->root, "c", S_IFREG, &e), -ENOSPC);
	assert_int_equal(vol->ops->statfs(vol, &st), 0);
	assert_int_equal(st.f_files, 3);
	assert_int_equal(st.f_ffree, 0);
	assert_int_equal(anon_unlink(vol->root, "a", false), 0);
	assert_int_equal(make(vol->root, "c", S_IFREG, &e), 0);
	close_volume(*state);
}

static void links_are_limited(void **state)
{
	struct dir_entry a, d, e;

	open_volume(*state, 0);
	assert_int_equal(make(vol->root, "a", S_IFREG, &a), 0);
	assert_int_equal(make(vol->root, "d", S_IFDIR, &d), 0);
	assert_int_equal(make(vol->root, "e", S_IFDIR, &e), 0);
	anon_inode_of(a.inode)->nlink = ANON_LINK_MAX;
	anon_inode_of(d.inode)->nlink = ANON_LINK_MAX;
	assert_int_equal(anon_link(a.inode, vol->root, "b", &e), -EMLINK);
	assert_int_equal(make(d.inode, "x", S_IFDIR, &e), -EMLINK);
	assert_int_equal(anon_rename(vol->root, "e", d.inode, "x", 0), -EMLINK);
	assert_int_equal(make(d.inode, "x", S_IFREG, &e), 0);
	assert_int_equal(
		anon_rename(vol->root, "e", d.inode, "x", RENAME_EXCHANGE),
		-EMLINK);
	anon_inode_of(a.inode)->nlink = 1;
	anon_inode_of(d.inode)->nlink = 2;
	close_volume(*state);
}

static void check_owner(const struct dir_entry *e, mode_t mode, gid_t gid)
{
	assert_int_equal(e->attr.st_mode, mode);
	assert_int_equal(e->attr.st_uid, 1);
	assert_int_equal(e->attr.st_gid, gid);
}

static void new_inodes_are_the_callers(void **state)
{
	struct dir_entry d, e;
	struct stat st;

	open_volume(*state, 0);
	assert_int_equal(anon_getattr(vol->root, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 01777);
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_gid, 8);
	assert_int_equal(make(vol->root, "a", S_IFREG | 0666, &e), 0);
	check_owner(&e, S_IFREG | 0644, 2);
	assert_int_equal(make(vol->root, "l", S_IFLNK, &e), 0);
	check_owner(&e, S_IFLNK | 0777, 2);
	assert_int_equal(make(vol->root, "d", S_IFDIR | 0777, &d), 0);
	check_owner(&d, S_IFDIR | 0755, 2);
	assert_int_equal(anon_setattr(d.inode,
				      &(struct attr_change){
					      .valid = ATTR_MODE | ATTR_GID,
					      .mode = 02755,
					      .gid = 9 }),
			 0);
	assert_int_equal(make(d.inode, "a", S_IFREG | 0666, &e), 0);
	check_owner(&e, S_IFREG | 0644, 9);
	assert_int_equal(make(d.inode, "d", S_IFDIR | 0777, &e), 0);
	check_owner(&e, S_IFDIR | 02755, 9);
	close_volume(*state);
}

static void names_have_limits(void **state)
{
	char name[300], target[KMALLOC_MAX + 1];
	struct dir_make m = { .name = "l", .mode = S_IFLNK, .target = target };
	struct dir_entry e;

	open_volume(*state, 0);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(make(vol->root, name, S_IFREG, &e), -ENAMETOOLONG);
	assert_int_equal(anon_lookup(vol->root, name, &e), -ENAMETOOLONG);
	name[255] = '\0';
	assert_int_equal(make(vol->root, name, S_IFREG, &e), 0);
	assert_int_equal(anon_rename(vol->root, name, vol->root, "x", 2 | 1),
			 -EINVAL);
	memset(target, 't', sizeof(target));
	target[KMALLOC_MAX] = '\0';
	assert_int_equal(anon_make(vol->root, &m, &e), -ENAMETOOLONG);
	target[KMALLOC_MAX - 1] = '\0';
	assert_int_equal(anon_make(vol->root, &m, &e), 0);
	target[0] = '\0';
	assert_int_equal(anon_make(vol->root, &m, &e), -ENOENT);
	close_volume(*state);
}

/* A file without names lives until it is let go, and gets no name again. */
static void unlinked_files_stay_for_who_has_them(void **state)
{
	struct dir_entry e, again;
	struct dir_make m = { .name = "a", .mode = S_IFREG | 0600 };
	struct stat st;

	open_volume(*state, 0);
	assert_int_equal(anon_make(vol->root, &m, &e), 0);
	assert_int_equal(anon_unlink(vol->root, "a", false), 0);
	assert_int_equal(atomic_load(&av()->nr_inodes), 2);
	assert_int_equal(anon_getattr(e.inode, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(anon_link(e.inode, vol->root, "b", &again), -ENOENT);
	inode_forget(e.inode, 1);
	assert_int_equal(atomic_load(&av()->nr_inodes), 2);
	inode_put(e.inode);
	assert_int_equal(atomic_load(&av()->nr_inodes), 1);
	close_volume(*state);
}

static void attributes_have_names_and_limits(void **state)
{
	char v[KMALLOC_MAX + 1] = "value";
	struct dir_entry e;
	char name[20];
	int nr = 0;

	open_volume(*state, 0);
	assert_int_equal(make(vol->root, "a", S_IFREG, &e), 0);
	assert_int_equal(anon_setxattr(e.inode, "user.a", v, 5, XATTR_REPLACE),
			 -ENODATA);
	assert_int_equal(anon_setxattr(e.inode, "user.a", v, 5, XATTR_CREATE),
			 0);
	assert_int_equal(anon_setxattr(e.inode, "user.a", v, 5, XATTR_CREATE),
			 -EEXIST);
	assert_int_equal(anon_setxattr(e.inode, "user.a", v + 1, 4, 0), 0);
	assert_int_equal(anon_setxattr(e.inode, "user.", v, 5, 0), -EINVAL);
	assert_int_equal(anon_setxattr(e.inode, "user.b", v, KMALLOC_MAX, 0),
			 -ENOSPC);
	assert_int_equal(
		anon_setxattr(e.inode, "system.posix_acl_access", v, 5, 0),
		-EOPNOTSUPP);
	assert_int_equal(anon_getxattr(e.inode, "user.a", v, 0), 4);
	assert_int_equal(anon_getxattr(e.inode, "user.a", v, 3), -ERANGE);
	assert_int_equal(anon_getxattr(e.inode, "user.a", v, 4), 4);
	assert_memory_equal(v, "alue", 4);
	assert_int_equal(
		anon_setxattr(e.inode, "security.capability", "", 0, 0), 0);
	assert_int_equal(anon_listxattr(e.inode, NULL, 0), 7 + 20);
	assert_int_equal(anon_listxattr(e.inode, v, 7 + 19), -ERANGE);
	assert_int_equal(anon_listxattr(e.inode, v, 7 + 20), 7 + 20);
	/* What a change of the owner takes is the kernel's to say. */
	assert_int_equal(
		anon_setattr(e.inode, &(struct attr_change){ .valid = ATTR_UID,
							     .uid = 3 }),
		0);
	assert_int_equal(anon_getxattr(e.inode, "security.capability", v, 0),
			 0);
	assert_int_equal(anon_privs(e.inode), PRIV_CAPS);
	assert_int_equal(anon_drop_privs(e.inode, PRIV_ALL), 0);
	assert_int_equal(anon_privs(e.inode), 0);
	assert_int_equal(anon_getxattr(e.inode, "security.capability", v, 0),
			 -ENODATA);
	assert_int_equal(anon_removexattr(e.inode, "user.a"), 0);
	assert_int_equal(anon_removexattr(e.inode, "user.a"), -ENODATA);
	do
		snprintf(name, sizeof(name), "user.%d", nr);
	while (anon_setxattr(e.inode, name, v, 4000, 0) == 0 && nr++ < 100);
	assert_int_equal(nr, (64 << 10) / 4007);
	close_volume(*state);
}

/* As many as there are names, and it makes one more for each it reads. */
static bool read_and_make(void *arg, const struct dir_name *n)
{
	int *left = arg;
	struct dir_entry e;
	char name[20];

	snprintf(name, sizeof(name), "new%d", *left);
	assert_int_equal(make(vol->root, name, S_IFREG, &e), 0);
	assert_true(n->name[0] == '.' || n->name[0] == 'a');
	return --*left > 0;
}

static void who_makes_names_reads_to_the_end(void **state)
{
	struct dir_stream *s;
	struct dir_entry e;
	int err, left = 10;

	open_volume(*state, 0);
	assert_int_equal(make(vol->root, "a", S_IFREG, &e), 0);
	inode_ref(vol->root);
	s = anon_dir_open(vol->root, &err);
	assert_non_null(s);
	assert_int_equal(anon_dir_read(s, 0, read_and_make, &left), 0);
	assert_int_equal(left, 10 - 3);
	anon_dir_close(s);
	close_volume(*state);
}

/* --- several threads -------------------------------------------------------------- */

enum { NR_THREADS = 4, THREAD_STEPS = 4000, THREAD_NAMES = 6 };

struct worker {
	struct os_thread thread;
	uint64_t state;
};

static bool count_names(void *arg, const struct dir_name *name)
{
	struct dir_entry e;

	/* As READDIRPLUS does. */
	if (name->name[0] != '.' && anon_lookup(vol->root, name->name, &e) == 0)
		drop(e.inode);
	++*(int *)arg;
	return true;
}

static void worker_read(void)
{
	struct dir_stream *s;
	int err, nr = 0;

	inode_ref(vol->root);
	s = anon_dir_open(vol->root, &err);
	if (!s) {
		inode_put(vol->root);
		return;
	}
	anon_dir_read(s, 0, count_names, &nr);
	ASSERT(nr >= 2);
	anon_dir_close(s);
}

static void worker_main(void *arg)
{
	struct worker *w = arg;

	for (int n = 0; n < THREAD_STEPS; n++) {
		char a[2] = { (char)('a' + rnd_of(&w->state) % THREAD_NAMES) };
		char b[2] = { (char)('a' + rnd_of(&w->state) % THREAD_NAMES) };
		struct dir_entry e;
		bool d = rnd_of(&w->state) % 2;

		switch (rnd_of(&w->state) % 5) {
		case 0:
			make(vol->root, a, d ? S_IFDIR : S_IFREG, &e);
			break;
		case 1:
			anon_unlink(vol->root, a, d);
			break;
		case 2:
			anon_rename(vol->root, a, vol->root, b,
				    d ? RENAME_EXCHANGE : 0);
			break;
		case 3:
			if (anon_lookup(vol->root, a, &e) == 0) {
				struct dir_entry l;

				if (anon_link(e.inode, vol->root, b, &l) == 0)
					drop(l.inode);
				drop(e.inode);
			}
			break;
		case 4:
			worker_read();
		}
	}
}

static void threads_share_a_directory(void **state)
{
	static struct worker workers[NR_THREADS];

	open_volume(*state, 0);
	for (int i = 0; i < NR_THREADS; i++) {
		workers[i].state = rnd(UINT64_MAX);
		assert_int_equal(os_thread_start(&workers[i].thread, "worker",
						 worker_main, &workers[i]),
				 0);
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&workers[i].thread);
	for (int i = 0; i < THREAD_NAMES; i++) {
		char name[2] = { (char)('a' + i) };

		if (anon_unlink(vol->root, name, false) == -EISDIR)
			assert_int_equal(anon_unlink(vol->root, name, true), 0);
	}
	assert_int_equal(atomic_load(&av()->nr_inodes), 1);
	assert_int_equal(anon_inode_of(vol->root)->nlink, 2);
	close_volume(*state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(random_steps),
		unit_test_mm(full_memory_refuses_growth_only),
		unit_test_mm(failures_change_nothing),
		unit_test_mm(inodes_are_limited),
		unit_test_mm(links_are_limited),
		unit_test_mm(new_inodes_are_the_callers),
		unit_test_mm(names_have_limits),
		unit_test_mm(unlinked_files_stay_for_who_has_them),
		unit_test_mm(attributes_have_names_and_limits),
		unit_test_mm(who_makes_names_reads_to_the_end),
		unit_test_mm(threads_share_a_directory),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
