/*
 * control.c - a small fixed tree.
 *
 *	.plimsoll/  meminfo vmstat swaps zoneinfo buddyinfo slabinfo volume
 *	            unwritten sync
 *	            sys/vm/<setting>  drop_caches
 *	            fault/<name>/{probability,interval,times,space,seed,…}
 *	            fault/crash/{armed,torn,seed,now,…}  (file volumes)
 */
#include "fs/control.h"

#include "fs/fs.h"
#include "fs/procfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Open at once; and the most a file can say. */
enum { NR_HANDLES = 64, HANDLE_BYTES = 32768 };

enum { NR_NODES_MAX = 192 };

/* Inode numbers that no volume gives out, see fs/number.h. */
#define CONTROL_INO_FIRST (1ull << 62)

struct node {
	uint64_t parent;
	const char *name;
	bool is_dir;
	/* NULL: cannot be read; cannot be written. */
	void (*show)(struct volume *vol, const struct node *node,
		     struct text *t);
	int (*store)(struct volume *vol, const struct node *node,
		     int64_t value);
	bool waits; /* store may wait, for the disk or for others */
	void (*print)(struct volume *vol, struct text *t);
	int which; /* setting or fault field */
	struct fault_attr *fault;
};

struct handle {
	bool used;  /* (lock) */
	size_t len; /* (lock) */
	char *contents;
};

struct control {
	struct volume *vol;
	unsigned int nr_nodes;
	struct node nodes[NR_NODES_MAX]; /* the node n is nodes[n - FIRST] */
	struct mutex lock;		 /* of the handles */
	struct handle handles[NR_HANDLES];
	char *memory; /* of their contents */
};

static const struct node *node_of(const struct control *c, uint64_t id)
{
	if (id < CONTROL_FIRST || id >= CONTROL_FIRST + c->nr_nodes)
		return NULL;
	return &c->nodes[id - CONTROL_FIRST];
}

/* --- what files show and take -------------------------------------------- */

static void show_print(struct volume *vol, const struct node *node,
		       struct text *t)
{
	node->print(vol, t);
}

static void show_setting(struct volume *vol, const struct node *node,
			 struct text *t)
{
	text_printf(t, "%lu\n", vm_get(vol->mm, (enum vm_setting)node->which));
}

static int store_setting(struct volume *vol, const struct node *node,
			 int64_t value)
{
	return vm_set(vol->mm, (enum vm_setting)node->which, value);
}

static void show_fault(struct volume *vol, const struct node *node,
		       struct text *t)
{
	enum fault_field field = (enum fault_field)node->which;
	int64_t value = fault_get(node->fault, field);
	const char *word = fault_word(field, value);

	(void)vol;
	if (word)
		text_printf(t, "%s\n", word);
	else
		text_printf(t, "%lld\n", (long long)value);
}

static int store_fault(struct volume *vol, const struct node *node,
		       int64_t value)
{
	(void)vol;
	return fault_set(node->fault, (enum fault_field)node->which, value);
}

/* 1: pages, 2: slabs and inodes, 3: both; the kernel's numbers. */
static int store_drop_caches(struct volume *vol, const struct node *node,
			     int64_t value)
{
	(void)node;
	if (value < 1 || value > 3)
		return -EINVAL;
	if (value & 1) {
		vmstat_inc(vol->mm, DROP_PAGECACHE);
		reclaim_drop_pagecache(vol->mm);
	}
	if (value & 2) {
		vmstat_inc(vol->mm, DROP_SLAB);
		for (int prio = 4; prio >= 0; prio--)
			shrinker_scan_all(vol->mm, (unsigned int)prio);
		slab_reap(vol->mm);
	}
	return 0;
}

static int store_sync(struct volume *vol, const struct node *node,
		      int64_t value)
{
	(void)node;
	(void)value;
	return vol->ops->sync(vol);
}

/* --- the tree ------------------------------------------------------------- */

static uint64_t add(struct control *c, const struct node *node)
{
	ASSERT(c->nr_nodes < NR_NODES_MAX);
	c->nodes[c->nr_nodes] = *node;
	return CONTROL_FIRST + c->nr_nodes++;
}

static uint64_t add_dir(struct control *c, uint64_t parent, const char *name)
{
	return add(c, &(struct node){
			      .parent = parent, .name = name, .is_dir = true });
}

static void add_print(struct control *c, uint64_t dir, const char *name,
		      void (*print)(struct volume *vol, struct text *t))
{
	add(c, &(struct node){ .parent = dir,
			       .name = name,
			       .show = show_print,
			       .print = print });
}

static void add_fault(struct control *c, uint64_t faults,
		      struct fault_attr *attr)
{
	uint64_t dir = add_dir(c, faults, attr->name);

	for (int f = 0; f < NR_FAULT_FIELDS; f++)
		if (fault_has(attr, (enum fault_field)f))
			add(c, &(struct node){ .parent = dir,
					       .name = fault_field_name(
						       (enum fault_field)f),
					       .show = show_fault,
					       .store = f == FAULT_INJECTED
								? NULL
								: store_fault,
					       .which = f,
					       .fault = attr });
}

static void show_crash(struct volume *vol, const struct node *node,
		       struct text *t)
{
	text_printf(t, "%lld\n",
		    (long long)vol->ops->crash_get(
			    vol, (enum crash_field)node->which));
}

static int store_crash(struct volume *vol, const struct node *node,
		       int64_t value)
{
	return vol->ops->crash_set(vol, (enum crash_field)node->which, value);
}

static void add_crash(struct control *c, uint64_t faults)
{
	uint64_t dir = add_dir(c, faults, "crash");

	for (int f = 0; f < NR_CRASH_FIELDS; f++)
		add(c,
		    &(struct node){
			    .parent = dir,
			    .name = crash_field_name((enum crash_field)f),
			    .show = f == CRASH_FIELD_NOW ? NULL : show_crash,
			    .store = f > CRASH_FIELD_NOW ? NULL : store_crash,
			    .waits = f == CRASH_FIELD_NOW ||
				     f == CRASH_FIELD_ARMED,
			    .which = f });
}

static void build(struct control *c)
{
	struct mm *mm = c->vol->mm;
	uint64_t top = add_dir(c, 1, CONTROL_NAME);
	uint64_t sys, vm, faults;

	ASSERT(top == CONTROL_FIRST);
	add_print(c, top, "meminfo", procfile_meminfo);
	add_print(c, top, "vmstat", procfile_vmstat);
	add_print(c, top, "zoneinfo", procfile_zoneinfo);
	add_print(c, top, "swaps", procfile_swaps);
	add_print(c, top, "buddyinfo", procfile_buddyinfo);
	add_print(c, top, "slabinfo", procfile_slabinfo);
	add_print(c, top, "volume", procfile_volume);
	add_print(c, top, "unwritten", procfile_unwritten);
	add(c, &(struct node){ .parent = top,
			       .name = "sync",
			       .store = store_sync,
			       .waits = true });
	sys = add_dir(c, top, "sys");
	vm = add_dir(c, sys, "vm");
	add(c, &(struct node){ .parent = vm,
			       .name = "drop_caches",
			       .store = store_drop_caches,
			       .waits = true });
	for (int s = 0; s < NR_VM_SETTINGS; s++)
		add(c,
		    &(struct node){ .parent = vm,
				    .name = vm_setting_name((enum vm_setting)s),
				    .show = show_setting,
				    .store = store_setting,
				    .which = s });
	faults = add_dir(c, top, "fault");
	add_fault(c, faults, &mm->fail_page_alloc);
	add_fault(c, faults, &mm->failslab);
	add_fault(c, faults, &mm->fail_xarray_node);
	add_fault(c, faults, &mm->fail_io);
	add_fault(c, faults, &mm->fail_fsync);
	add_fault(c, faults, &mm->fail_swap_io);
	add_fault(c, faults, &mm->fail_compress);
	add_fault(c, faults, &mm->fail_decompress);
	add_fault(c, faults, &mm->fail_reserve);
	if (c->vol->ops->crash_set)
		add_crash(c, faults);
}

struct control *control_create(struct volume *vol)
{
	struct control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->vol = vol;
	mutex_init(&c->lock);
	/* Touched only where something is read. */
	c->memory = mmap(NULL, (size_t)NR_HANDLES * HANDLE_BYTES,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (c->memory == MAP_FAILED) {
		free(c);
		return NULL;
	}
	for (size_t i = 0; i < NR_HANDLES; i++)
		c->handles[i].contents = c->memory + i * HANDLE_BYTES;
	build(c);
	return c;
}

void control_destroy(struct control *c)
{
	munmap(c->memory, (size_t)NR_HANDLES * HANDLE_BYTES);
	free(c);
}

uint64_t control_lookup(const struct control *c, uint64_t dir, const char *name)
{
	for (unsigned int i = 0; i < c->nr_nodes; i++)
		if (c->nodes[i].parent == dir &&
		    strcmp(c->nodes[i].name, name) == 0)
			return CONTROL_FIRST + i;
	return 0;
}

int control_getattr(const struct control *c, uint64_t id, struct stat *st)
{
	const struct node *node = node_of(c, id);
	struct timespec now = os_realtime();

	if (!node)
		return -ENOENT;
	*st = (struct stat){
		.st_ino = CONTROL_INO_FIRST + id,
		.st_uid = c->vol->owner,
		.st_gid = c->vol->owner_gid,
		.st_nlink = node->is_dir ? 2 : 1,
		.st_atim = now,
		.st_mtim = now,
		.st_ctim = now,
	};
	if (node->is_dir)
		st->st_mode = S_IFDIR | 0500;
	else
		st->st_mode = (mode_t)(S_IFREG | (node->show ? 0400 : 0) |
				       (node->store ? 0200 : 0));
	return 0;
}

const char *control_entry(const struct control *c, uint64_t dir, unsigned int n,
			  uint64_t *id)
{
	for (unsigned int i = 0; i < c->nr_nodes; i++)
		if (c->nodes[i].parent == dir && n-- == 0) {
			*id = CONTROL_FIRST + i;
			return c->nodes[i].name;
		}
	return NULL;
}

int control_open(struct control *c, uint64_t id, bool for_writing)
{
	const struct node *node = node_of(c, id);
	struct text t;
	int h;

	if (!node || node->is_dir)
		return node ? -EISDIR : -ENOENT;
	if (for_writing && !node->store)
		return -EACCES;
	mutex_lock(&c->lock);
	for (h = 0; h < NR_HANDLES && c->handles[h].used; h++)
		;
	if (h < NR_HANDLES)
		c->handles[h].used = true;
	mutex_unlock(&c->lock);
	if (h == NR_HANDLES)
		return -EMFILE;
	t = (struct text){ .buf = c->handles[h].contents,
			   .size = HANDLE_BYTES };
	if (node->show)
		node->show(c->vol, node, &t);
	mutex_lock(&c->lock);
	c->handles[h].len = t.len;
	mutex_unlock(&c->lock);
	return h;
}

void control_release(struct control *c, int h)
{
	os_received(&c->handles[h]); /* from those who read it */
	mutex_lock(&c->lock);
	ASSERT(c->handles[h].used);
	c->handles[h].used = false;
	mutex_unlock(&c->lock);
}

size_t control_read(struct control *c, int h, uint64_t offset, size_t size,
		    const char **data)
{
	const struct handle *handle = &c->handles[h];
	size_t len;

	/* Another thread may have opened it. */
	mutex_lock(&c->lock);
	len = handle->len;
	mutex_unlock(&c->lock);
	if (offset >= len)
		return 0;
	*data = handle->contents + offset;
	return min_of(size, len - (size_t)offset);
}

void control_read_end(struct control *c, int h)
{
	os_handed_over(&c->handles[h]);
}

bool control_waits(const struct control *c, uint64_t id)
{
	const struct node *node = node_of(c, id);

	return node && node->waits;
}

/* A number, or a word that stands for one in a field of a fault. */
static int parse(const struct node *node, const char *text, int64_t *value)
{
	char *end;

	if (node->fault &&
	    fault_word((enum fault_field)node->which, 0) != NULL) {
		*value = fault_word_value((enum fault_field)node->which, text);
		return *value < 0 ? -EINVAL : 0;
	}
	errno = 0;
	*value = strtoll(text, &end, 10);
	return errno || end == text || *end != '\0' ? -EINVAL : 0;
}

int control_write(struct control *c, uint64_t id, const char *data, size_t size)
{
	const struct node *node = node_of(c, id);
	char text[32];
	int64_t value;
	int err;

	if (!node || !node->store)
		return -EACCES;
	if (size == 0 || size >= sizeof(text))
		return -EINVAL;
	while (size > 0 && (data[size - 1] == '\n' || data[size - 1] == ' '))
		size--;
	memcpy(text, data, size);
	text[size] = '\0';
	err = parse(node, text, &value);
	return err ? err : node->store(c->vol, node, value);
}
