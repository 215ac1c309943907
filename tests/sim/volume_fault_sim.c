/*
 * volume_fault_sim.c - failures on purpose, by the control files, on for a
 * while and off again; and what answers they excuse.
 *
 *   (1) An answer is excused by a fault only if that was on at some time since
 *       the operation began, or shortly before: what had begun then may end
 *       later. What is told by fsync may be as old as it likes.
 *   (2) A write to a file that is lost is noted in the model: each sector is as
 *       before or as written.
 *   (3) EIO of an anon page is excused by a loss only if what was lost is where
 *       the page's contents lie.
 */
#include "tests/sim/volume_world.h"

#include "fs/anon_inode.h"
#include "swap/swap.h"
#include "tests/sim/backing_sim.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A disk takes no longer for what has begun (start_faults()). */
#define IN_FLIGHT_NS (200 * NSEC_PER_MSEC)

enum fault_name {
	WF_IO,
	WF_FSYNC,
	WF_SWAP_IO,
	WF_COMPRESS,
	WF_DECOMPRESS,
	WF_RESERVE,
	WF_PAGE_ALLOC,
	WF_SLAB,
	WF_NODE,
	NR_FAULT_NAMES
};

static const char *const names[NR_FAULT_NAMES] = {
	"fail_io",	   "fail_fsync",      "fail_swap_io",
	"fail_compress",   "fail_decompress", "fail_reserve",
	"fail_page_alloc", "failslab",	      "fail_xarray_node",
};

/* Until when it may have an effect; 0: it was never on. */
static struct {
	bool busy;
	uint64_t until_ns[NR_FAULT_KINDS][NR_FAULT_OPS];
} faults[NR_FAULT_NAMES];

/* What was made to fail, over all seeds. */
static unsigned long injected[NR_FAULT_NAMES][NR_FAULT_KINDS];

static bool has_kinds(enum fault_name n)
{
	return n == WF_IO || n == WF_FSYNC || n == WF_SWAP_IO;
}

/* --- what is excused (1) ----------------------------------------------------- */

static bool was_on(enum fault_name n, enum fault_kind kind, enum fault_op op,
		   uint64_t since_ns)
{
	const uint64_t *until = faults[n].until_ns[kind];

	return until[FAULT_ALL] > since_ns || until[op] > since_ns;
}

static bool plain_was_on(enum fault_name n, uint64_t since_ns)
{
	return faults[n].until_ns[0][FAULT_ALL] > since_ns;
}

static bool is_sync(enum world_op op)
{
	return op == WORLD_SYNC || op == WORLD_WRITE_SYNC;
}

static bool io_excuses(enum world_op op, int err, uint64_t since_ns)
{
	/* Writes of old, too. */
	uint64_t writes_since = is_sync(op) ? 0 : since_ns;

	if (op == WORLD_NAMES_ONLY)
		return false;
	if (err == -EIO && op != WORLD_SYNC &&
	    (was_on(WF_IO, FAULT_EIO, FAULT_READS, since_ns) ||
	     was_on(WF_IO, FAULT_SHORT, FAULT_READS, since_ns)))
		return true;
	if (op == WORLD_READ)
		return false;
	if (err == -EIO)
		return was_on(WF_IO, FAULT_EIO, FAULT_WRITES, writes_since) ||
		       was_on(WF_IO, FAULT_TORN, FAULT_WRITES, writes_since);
	if (err == -EDQUOT)
		return was_on(WF_IO, FAULT_EDQUOT, FAULT_WRITES, writes_since);
	return err == -ENOSPC &&
	       (was_on(WF_IO, FAULT_ENOSPC, FAULT_WRITES, writes_since) ||
		was_on(WF_IO, FAULT_SHORT, FAULT_WRITES, writes_since));
}

static bool sync_excuses(enum world_op op, int err)
{
	enum fault_kind kind = err == -EIO	? FAULT_EIO
			       : err == -EDQUOT ? FAULT_EDQUOT
						: FAULT_ENOSPC;

	return is_sync(op) &&
	       (err == -EIO || err == -ENOSPC || err == -EDQUOT) &&
	       was_on(WF_FSYNC, kind, FAULT_ALL, 0);
}

static bool memory_excuses(int err, uint64_t since_ns)
{
	return (err == -ENOMEM || err == -ENOSPC) &&
	       (plain_was_on(WF_PAGE_ALLOC, since_ns) ||
		plain_was_on(WF_SLAB, since_ns) ||
		plain_was_on(WF_NODE, since_ns) ||
		(err == -ENOSPC && plain_was_on(WF_RESERVE, since_ns)));
}

static bool swap_excuses(enum world_op op, int err, uint64_t since_ns)
{
	return err == -EIO && op != WORLD_NAMES_ONLY && op != WORLD_SYNC &&
	       (was_on(WF_SWAP_IO, FAULT_EIO, FAULT_READS, since_ns) ||
		was_on(WF_SWAP_IO, FAULT_SHORT, FAULT_READS, since_ns) ||
		plain_was_on(WF_DECOMPRESS, since_ns));
}

bool faults_excuse(const struct client *c, const struct wvolume *wv,
		   enum world_op op, int err)
{
	uint64_t since_ns = c->since_ns;

	if (memory_excuses(err, since_ns))
		return true;
	if (wv->is_file)
		return io_excuses(op, err, since_ns) || sync_excuses(op, err);
	return swap_excuses(op, err, since_ns);
}

bool faults_of_sync_since(uint64_t since_ns)
{
	for (int kind = 0; kind < NR_FAULT_KINDS; kind++)
		for (int op = 0; op < NR_FAULT_OPS; op++)
			if (faults[WF_IO].until_ns[kind][op] > since_ns ||
			    faults[WF_FSYNC].until_ns[kind][op] > since_ns)
				return true;
	return false;
}

/* --- what is lost (2), (3) ------------------------------------------------------- */

static void note_lost(int disk, uint64_t from, uint64_t to, void *arg)
{
	struct world *w = arg;

	for (unsigned int v = 0; v < w->nr_volumes; v++) {
		struct wvolume *wv = &w->volumes[v];

		for (unsigned int i = 0; wv->is_file && i < wv->nr_files; i++)
			if (backing_sim_file(wv->files[i]->ino) == disk)
				model_lost(&wv->files[i]->model, from, to,
					   sim_file_data(disk, 0,
							 VFILE_BYTES_MAX));
	}
	w->swap_losses += w->has_swap && disk == w->swap_fd;
	vseen.losses++;
}

static bool entry_is_lost(const struct world *w, swap_entry_t e)
{
	struct swap_place p = swap_entry_place(e);

	return swap_entry_type(e) == SWAP_STORED &&
	       sim_file_is_lost(w->swap_fd,
				((uint64_t)p.cluster << SWAP_CLUSTER_SHIFT) +
					p.offset,
				p.size);
}

bool faults_lost(struct vfile *f, uint64_t start, uint64_t end)
{
	struct world *w = f->wv->w;
	struct address_space *m = &f->inode->mapping;
	pgoff_t last = (end - 1) >> PAGE_SHIFT, at = start >> PAGE_SHIFT;
	bool lost = false;
	void *entry;

	if (f->wv->is_file || !w->has_swap)
		return false;
	mutex_lock(&m->lock);
	sim_ignore_races_begin();
	for (; !lost && (entry = xa_find(&m->pages, &at, last, XA_PRESENT));
	     at++) {
		struct page *page = entry;

		lost = xa_is_value(entry)
			       ? entry_is_lost(w, xa_to_value(entry))
			       : page_test(page, PG_swapcache) &&
					 entry_is_lost(w, page->private);
	}
	sim_ignore_races_end();
	mutex_unlock(&m->lock);
	vseen.lost_pages += lost;
	return lost;
}

bool faults_lost_tail(struct vfile *f)
{
	uint64_t tail;

	if (f->wv->is_file)
		return false;
	tail = atomic_load(&anon_inode_of(f->inode)->tail_garbage);
	return tail != 0 && faults_lost(f, tail, tail + 1);
}

/* --- on, and off ------------------------------------------------------------------- */

static void set(struct client *c, enum fault_name n, const char *field,
		const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "fault/%s/%s", names[n], field);
	ASSERT(front_control_text(c, &c->w->volumes[0], path, text) == 0);
}

static void set_number(struct client *c, enum fault_name n, const char *field,
		       uint64_t least, uint64_t most)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu",
		 (unsigned long long)sim_between(least, most));
	set(c, n, field, text);
}

static struct fault_attr *attr_of(struct world *w, enum fault_name n)
{
	struct mm *mm = w->mm;
	struct fault_attr *const attrs[NR_FAULT_NAMES] = {
		&mm->fail_io,	       &mm->fail_fsync,
		&mm->fail_swap_io,     &mm->fail_compress,
		&mm->fail_decompress,  &mm->fail_reserve,
		&mm->fail_page_alloc,  &mm->failslab,
		&mm->fail_xarray_node,
	};

	return attrs[n];
}

/* What a kind of it needs to be told. */
static void set_kind(struct client *c, enum fault_name n, enum fault_kind kind,
		     enum fault_op op)
{
	set(c, n, "error", fault_word(FAULT_ERROR, kind));
	set_number(c, n, "delay-ms", 1, 300);
	if (n != WF_FSYNC)
		set(c, n, "op", fault_word(FAULT_OP, op));
}

static enum fault_kind draw_kind(enum fault_name n)
{
	enum fault_kind kind;

	if (!has_kinds(n))
		return FAULT_EIO;
	do
		kind = (enum fault_kind)sim_between(0, NR_FAULT_KINDS - 1);
	while (n == WF_FSYNC && (kind == FAULT_SHORT || kind == FAULT_TORN ||
				 kind == FAULT_LOST));
	return kind;
}

static void one_span(struct client *c, enum fault_name n)
{
	enum fault_kind kind = draw_kind(n);
	enum fault_op op = n == WF_IO || n == WF_SWAP_IO
				   ? (enum fault_op)sim_between(0, 2)
				   : FAULT_ALL;
	struct fault_attr *attr = attr_of(c->w, n);
	uint64_t *until = &faults[n].until_ns[kind][op];
	/* Who asks for memory has no other way to go on. */
	bool gentle = n == WF_PAGE_ALLOC || n == WF_SLAB || n == WF_NODE;
	int64_t before = fault_get(attr, FAULT_INJECTED);

	if (has_kinds(n))
		set_kind(c, n, kind, op);
	set_number(c, n, "seed", 0, INT64_MAX);
	set_number(c, n, "interval", 1, sim_chance(70) ? 1 : 4);
	if (sim_chance(60))
		set(c, n, "times", "-1");
	else
		set_number(c, n, "times", 1, 20);
	*until = UINT64_MAX;
	set_number(c, n, "probability", 1, gentle ? 15 : 100);
	os_sleep_ns(sim_between(1, sim_chance(70) ? 20 : 400) * NSEC_PER_MSEC);
	set(c, n, "probability", "0");
	*until = os_now_ns() + IN_FLIGHT_NS;
	injected[n][kind] +=
		(unsigned long)(fault_get(attr, FAULT_INJECTED) - before);
}

/* What this world may be done to it. */
static bool suits(const struct world *w, enum fault_name n)
{
	switch (n) {
	case WF_SWAP_IO:
	case WF_COMPRESS:
	case WF_DECOMPRESS:
		return w->has_swap;
	default:
		return true;
	}
}

static void faults_main(void *arg)
{
	struct client *c = arg;
	struct world *w = c->w;

	while (!w->crash) {
		enum fault_name n =
			(enum fault_name)sim_between(0, NR_FAULT_NAMES - 1);

		if (sim_chance(55)) /* they have more kinds */
			n = (enum fault_name)sim_between(WF_IO, WF_SWAP_IO);
		if (w->swapping && sim_chance(70))
			n = (enum fault_name)sim_between(WF_SWAP_IO,
							 WF_DECOMPRESS);
		os_sleep_ns(sim_between(1, 10 * NSEC_PER_MSEC));
		if (faults[n].busy || !suits(w, n))
			continue;
		faults[n].busy = true;
		one_span(c, n);
		faults[n].busy = false;
	}
}

void faults_start(struct world *w)
{
	memset(faults, 0, sizeof(faults));
	sim_disk_on_lost(note_lost, w);
	for (unsigned int i = 0; i < w->nr_injectors; i++) {
		w->injectors[i] = (struct client){ .w = w };
		ASSERT(os_thread_start(&w->injectors[i].thread, "injector",
				       faults_main, &w->injectors[i]) == 0);
	}
}

void faults_stop(struct world *w)
{
	for (unsigned int i = 0; i < w->nr_injectors; i++)
		os_thread_join(&w->injectors[i].thread);
	w->nr_injectors = 0;
}

void faults_print(void)
{
	for (int n = 0; n < NR_FAULT_NAMES; n++)
		for (int kind = 0; kind < NR_FAULT_KINDS; kind++)
			if (injected[n][kind])
				printf("%s %s %lu\n", names[n],
				       has_kinds((enum fault_name)n)
					       ? fault_word(FAULT_ERROR, kind)
					       : "",
				       injected[n][kind]);
}

const char *faults_unseen(void)
{
	for (int n = 0; n < NR_FAULT_NAMES; n++)
		for (int kind = 0; kind < NR_FAULT_KINDS; kind++) {
			bool part = kind == FAULT_SHORT || kind == FAULT_TORN ||
				    kind == FAULT_LOST;

			if ((has_kinds((enum fault_name)n)
				     ? n != WF_FSYNC || !part
				     : kind == 0) &&
			    injected[n][kind] == 0)
				return names[n];
		}
	return NULL;
}
