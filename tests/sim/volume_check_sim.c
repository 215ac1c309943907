/* volume_check_sim.c - what has to hold at each moment, and at quiet ones. */
#include "tests/sim/volume_world.h"

#include "fs/anon_inode.h"
#include "fs/file_volume.h"
#include "mm/page_alloc.h"
#include "swap/swap.h"
#include "tests/sim/backing_sim.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct volume_seen vseen;

enum { ATTEMPTS = 200 };

/* --- at each moment ---------------------------------------------------------- */

/* (3): what is sure is there, and would be after a power cut. */
static void check_sure(struct vfile *f, int disk)
{
	const struct model *m = &f->model;
	const unsigned char *data = sim_file_data(disk, 0, VFILE_BYTES_MAX);
	const unsigned char *durable =
		sim_file_durable(disk, 0, VFILE_BYTES_MAX);

	if (sim_file_size(disk) < m->sure_size ||
	    sim_file_durable_size(disk) < m->sure_size)
		sim_fail("the backing file has %llu bytes, %llu of them after "
			 "a power cut, and %llu were synced",
			 (unsigned long long)sim_file_size(disk),
			 (unsigned long long)sim_file_durable_size(disk),
			 (unsigned long long)m->sure_size);
	for (uint64_t i = 0; i < VFILE_BYTES_MAX; i++) {
		if (i % PAGE_SIZE == 0)
			vseen.moments_sure += m->sure[i];
		if (i % PAGE_SIZE == 0 &&
		    memcmp(m->a + i, data + i, PAGE_SIZE) == 0 &&
		    memcmp(m->a + i, durable + i, PAGE_SIZE) == 0) {
			i += PAGE_SIZE - 1;
			continue;
		}
		if (m->sure[i] && (!model_allows(m, i, data[i]) ||
				   !model_allows(m, i, durable[i])))
			sim_fail("byte %llu was synced as %02x %02x; in the "
				 "file it is %02x, after a power cut %02x",
				 (unsigned long long)i, m->a[i], m->b[i],
				 data[i], durable[i]);
	}
}

/* (4) */
static void check_length(struct vfile *f, int disk)
{
	const struct model *m = &f->model;
	uint64_t most = m->size;

	for (unsigned int i = 0; i < CHANGES_MAX; i++)
		if (m->changes[i].used)
			most = max_of(most, m->changes[i].size_most);
	/* What a write has left that failed, and could not be cut off. */
	if (f->inode && atomic_load(&file_inode(f->inode)->too_long))
		return;
	if (sim_file_size(disk) > most)
		sim_fail("the backing file has %llu bytes, and %llu at most "
			 "were written",
			 (unsigned long long)sim_file_size(disk),
			 (unsigned long long)most);
}

/* (5) */
static void check_clean_page(struct vfile *f, int disk, struct page *page)
{
	uint64_t start = page->index << PAGE_SHIFT;
	const unsigned char *data = sim_file_data(disk, start, PAGE_SIZE);
	const void *memory = page_address(&f->wv->w->mm->arena, page);

	if (!page_test(page, PG_uptodate) ||
	    page_test(page, PG_dirty | PG_writeback | PG_locked) ||
	    model_is_changing(&f->model, start, start + PAGE_SIZE))
		return;
	for (uint64_t at = 0; at < PAGE_SIZE; at += SIM_SECTOR)
		if (memcmp(data + at, (const char *)memory + at, SIM_SECTOR) !=
			    0 &&
		    !sim_file_is_lost(disk, start + at, SIM_SECTOR))
			sim_fail("page %llu is clean, and the file is "
				 "different",
				 (unsigned long long)page->index);
}

static void check_pages(struct vfile *f, int disk)
{
	struct address_space *m = &f->inode->mapping;
	pgoff_t at = 0;
	void *entry;

	mutex_lock(&m->lock);
	/* One step from here on. It may be gone. */
	sim_ignore_races_begin();
	for (; f->nr_names > 0 && backing_sim_file(f->ino) == disk &&
	       (entry = xa_find(&m->pages, &at, UINT64_MAX, XA_PRESENT));
	     at++)
		if (!xa_is_value(entry))
			check_clean_page(f, disk, entry);
	sim_ignore_races_end();
	mutex_unlock(&m->lock);
}

static void check_file(struct vfile *f)
{
	int disk = backing_sim_file(f->ino);

	if (f->nr_names == 0 || disk < 0)
		return;
	check_sure(f, disk);
	check_length(f, disk);
	if (f->inode)
		check_pages(f, disk);
}

void check_moment(struct world *w)
{
	vseen.moments++;
	for (unsigned int v = 0; v < w->nr_volumes; v++) {
		struct wvolume *wv = &w->volumes[v];

		for (unsigned int i = 0; wv->is_file; i++) {
			struct vfile *f = NULL;

			mutex_lock(&wv->lock);
			if (i < wv->nr_files)
				f = wv->files[i];
			if (f)
				f->users++;
			mutex_unlock(&wv->lock);
			if (!f)
				break;
			check_file(f);
			vfile_put(f);
		}
	}
}

/* --- at quiet ones ------------------------------------------------------------- */

struct sums {
	unsigned long file_pages, anon_pages, dirty, writeback, entries;
	unsigned long swapcache, inodes;
	uint64_t reserved;
	unsigned int data_fds;
	char what[160]; /* the first difference; "": none */
};

static void expect(struct sums *s, const char *what, unsigned long has,
		   unsigned long should)
{
	if (has != should && !s->what[0])
		snprintf(s->what, sizeof(s->what), "%s is %lu, should be %lu",
			 what, has, should);
}

static void add_page(struct sums *s, const struct address_space *m,
		     struct page *page)
{
	s->file_pages += !m->anon;
	s->anon_pages += m->anon;
	s->swapcache += m->anon && page_test(page, PG_swapcache);
	s->entries += m->anon && page_test(page, PG_swapcache);
	s->dirty += !m->anon && page_test(page, PG_dirty);
	s->writeback += !m->anon && page_test(page, PG_writeback);
	s->reserved +=
		!m->anon && page_test(page, PG_reserved_space) ? PAGE_SIZE : 0;
	expect(s, "locked", page_test(page, PG_locked), 0);
}

static void add_mapping(struct sums *s, struct address_space *m)
{
	unsigned long nr_pages = 0, nr_values = 0;
	unsigned long dirty = s->dirty, writeback = s->writeback;
	pgoff_t at = 0;
	void *entry;

	mutex_lock(&m->lock);
	for (; (entry = xa_find(&m->pages, &at, UINT64_MAX, XA_PRESENT));
	     at++) {
		nr_values += xa_is_value(entry);
		nr_pages += !xa_is_value(entry);
		s->entries += m->anon && xa_is_value(entry);
		if (!xa_is_value(entry))
			add_page(s, m, entry);
	}
	mutex_unlock(&m->lock);
	expect(s, "nr_pages of a mapping", m->nr_pages, nr_pages);
	expect(s, "nr_values of a mapping", m->nr_values, nr_values);
	if (m->anon)
		return;
	expect(s, "nr_dirty of a mapping", m->nr_dirty, s->dirty - dirty);
	expect(s, "nr_writeback of a mapping", m->nr_writeback,
	       s->writeback - writeback);
	if (m->nr_dirty > 0)
		expect(s, "on the dirty list", m->on_dirty_list, true);
}

static unsigned int opens_of(struct wvolume *wv, const struct inode *inode)
{
	struct open_file *file;
	unsigned int nr = 0;

	mutex_lock(&wv->vol->opens_lock);
	list_for_each_entry(file, &wv->vol->open_files, struct open_file, link)
		nr += file->inode == inode;
	mutex_unlock(&wv->vol->opens_lock);
	return nr;
}

static void add_inode(struct sums *s, struct wvolume *wv, struct inode *inode)
{
	unsigned int nr = opens_of(wv, inode);
	bool grown; /* since it was synced; fs/crash.h */

	nr += atomic_load(&inode->mapping.on_dirty_list);
	nr += inode == wv->vol->root;
	s->inodes++;
	add_mapping(s, &inode->mapping);
	grown = wv->is_file && S_ISREG(inode->type) && file_inode(inode)->grown;
	expect(s, "refs of an inode", atomic_load(&inode->refs), nr + grown);
	if (wv->is_file && S_ISREG(inode->type)) {
		struct file_inode *fi = file_inode(inode);

		expect(s, "users of a file", atomic_load(&fi->users), nr);
		if (atomic_load(&fi->users) > 0)
			s->data_fds += 1 + (fi->fds.direct >= 0);
	}
}

static void add_list(struct sums *s, struct wvolume *wv, struct list_head *list)
{
	struct inode *inode;

	list_for_each_entry(inode, list, struct inode, link)
		add_inode(s, wv, inode);
}

static void add_volume(struct sums *s, struct wvolume *wv)
{
	struct inode_table *t = &wv->vol->inodes;
	unsigned long before = s->inodes;

	mutex_lock(&t->lock);
	add_list(s, wv, &t->held);
	add_list(s, wv, &t->idle);
	expect(s, "inodes of a volume", t->nr, s->inodes - before);
	expect(s, "an inode is to be buried", !list_empty(&t->graves), false);
	mutex_unlock(&t->lock);
	if (wv->is_file) {
		expect(s, "bytes reserved on the disk",
		       space_reserved(file_inode(wv->vol->root)->space),
		       s->reserved);
		expect(s, "nr_backing_fds",
		       vmstat_read(wv->w->mm, NR_BACKING_FDS), s->data_fds);
		expect(s, "descriptors open", backing_sim_nr_data_fds(),
		       s->data_fds);
	}
}

static unsigned int nr_free_requests(struct request_engine *e)
{
	struct request *rq;
	unsigned int nr = 0;

	mutex_lock(&e->lock);
	list_for_each_entry(rq, &e->free, struct request, link)
		nr++;
	mutex_unlock(&e->lock);
	return nr;
}

/* (7), frames. */
static void check_frames(struct world *w, struct sums *s)
{
	struct mm *mm = w->mm;
	unsigned long used;

	lru_drain(mm);
	page_alloc_drain(mm);
	used = mm->arena.nr_pages - mm->arena.first_pfn -
	       page_alloc_nr_free(mm);
	expect(s, "frames in use", used,
	       vmstat_read(mm, NR_SLAB_RECLAIMABLE) +
		       vmstat_read(mm, NR_SLAB_UNRECLAIMABLE) + mm->bounce.nr +
		       1 + vmstat_read(mm, NR_SWAP_BUFFERS) +
		       balloon_size(&mm->balloon) + s->file_pages +
		       s->anon_pages + w->nr_hogs);
}

static bool try_quiet(struct world *w, bool last)
{
	struct sums s = { .what = "" };
	struct mm *mm = w->mm;

	for (unsigned int v = 0; v < w->nr_volumes; v++)
		add_volume(&s, &w->volumes[v]);
	expect(&s, "requests free", nr_free_requests(&w->fs.requests), 512);
	expect(&s, "nr_parked", vmstat_read(mm, NR_PARKED), 0);
	expect(&s, "nr_dirty", vmstat_read(mm, NR_FILE_DIRTY), s.dirty);
	expect(&s, "nr_writeback", vmstat_read(mm, NR_WRITEBACK), s.writeback);
	expect(&s, "nr_file_pages", vmstat_read(mm, NR_FILE_PAGES),
	       s.file_pages);
	expect(&s, "nr_anon_pages", vmstat_read(mm, NR_ANON_PAGES),
	       s.anon_pages);
	expect(&s, "nr_swapcached", vmstat_read(mm, NR_SWAPCACHE), s.swapcache);
	expect(&s, "nr_swapped",
	       vmstat_read(mm, NR_SWAPPED) + vmstat_read(mm, NR_SWAPPED_SAME),
	       s.entries);
	expect(&s, "nr_inodes", vmstat_read(mm, NR_INODES), s.inodes);
	check_frames(w, &s);
	if (s.what[0] && last)
		sim_fail("%s", s.what);
	return !s.what[0];
}

void check_quiet(struct world *w)
{
	for (int n = 0; !try_quiet(w, n == ATTEMPTS); n++)
		os_sleep_ns(sim_between(1, 100 * NSEC_PER_MSEC));
	lru_check(w->mm);
	kmem_cache_check(&w->mm->xa_nodes);
	kmem_cache_check(&w->fs.open_files);
	vseen.quiets++;
}

/* --- at the end ------------------------------------------------------------------ */

static void check_backing(struct vfile *f)
{
	int disk = backing_sim_file(f->ino);
	const unsigned char *data;

	ASSERT(disk >= 0);
	if (sim_file_size(disk) != f->model.size)
		sim_fail("at the end a file has %llu bytes, model %llu",
			 (unsigned long long)sim_file_size(disk),
			 (unsigned long long)f->model.size);
	data = sim_file_data(disk, 0, VFILE_BYTES_MAX);
	if (memcmp(data, f->model.a, VFILE_BYTES_MAX) == 0)
		return;
	for (uint64_t i = 0; i < VFILE_BYTES_MAX; i++)
		if (!model_allows(&f->model, i, data[i]))
			sim_fail("at the end byte %llu of inode %llu is %02x, "
				 "model %02x %02x",
				 (unsigned long long)i,
				 (unsigned long long)f->ino, data[i],
				 f->model.a[i], f->model.b[i]);
}

static void read_back(struct client *c, struct vfile *f)
{
	struct wopen o = { .f = f };
	uint64_t step = c->w->fs.request_max;
	struct watch watch;
	int err = front_open(c, f->inode, O_RDONLY, &o.file);

	if (err)
		sim_fail("a file cannot be opened at the end: %d", err);
	for (uint64_t at = 0; at < f->model.size;) {
		int64_t n;

		model_watch(&f->model, &watch, at, at + step);
		n = front_read(c, &o, at, step, c->buf);
		if (n == -EIO && faults_lost(f, at, at + step)) {
			model_synced(&f->model, &watch, false);
			/* Those pages alone. */
			at += step == PAGE_SIZE ? step : 0;
			step = PAGE_SIZE;
			continue;
		}
		if (n < 0)
			sim_fail("a read failed at the end: %lld",
				 (long long)n);
		model_check_read(&f->model, &watch, c->buf, (size_t)n, step);
		at += step;
	}
	ASSERT(front_release(c, f->inode, o.file) == 0);
}

void check_end(struct client *c)
{
	struct world *w = c->w;

	for (unsigned int v = 0; v < w->nr_volumes; v++) {
		struct wvolume *wv = &w->volumes[v];

		for (unsigned int n = 0; n < WORLD_NAMES; n++) {
			struct vfile *f = wv->names[n];
			struct inode *inode;
			uint64_t ino;
			char name[16];

			snprintf(name, sizeof(name), "n%u", n);
			if (!f)
				continue;
			mutex_lock(&wv->lock);
			f->users++;
			mutex_unlock(&wv->lock);
			ASSERT(front_lookup(c, wv, name, &inode, &ino) == 0);
			if (ino != f->ino || (f->inode && f->inode != inode))
				sim_fail("a name leads elsewhere at the end");
			mutex_lock(&wv->lock);
			f->inode = inode;
			f->nlookup++;
			mutex_unlock(&wv->lock);
			read_back(c, f);
			if (wv->is_file)
				check_backing(f);
			vfile_put(f);
		}
	}
}
