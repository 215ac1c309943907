/*
 * cache_file_sim.c - the owner's side of a page: struct address_space_ops over
 * the fake disk, as fs/ does it over a real one.
 *
 * Numbers in brackets are those of cache_world.h.
 */
#include "tests/sim/cache_world.h"

#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "mm/writeback.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <errno.h>
#include <string.h>

struct cache_seen seen;

/* --- the owner's side: struct address_space_ops ---------------------------- */

static struct file *file_of(struct address_space *m)
{
	return container_of(m, struct file, mapping);
}

static void file_free(struct file *f)
{
	ASSERT(f->users == 0 && f->holds == 0);
	address_space_destroy(&f->mapping);
	sim_file_remove(f->fd);
	free(f->model);
	free(f);
}

static void file_hold(struct world *w, struct file *f)
{
	mutex_lock(&w->lock);
	ASSERT(f->holds > 0);
	f->holds++;
	mutex_unlock(&w->lock);
}

static void file_unhold(struct world *w, struct file *f)
{
	bool last;

	mutex_lock(&w->lock);
	ASSERT(f->holds > 0);
	last = --f->holds == 0;
	mutex_unlock(&w->lock);
	if (last) {
		file_free(f);
		w->nr_alive--;
	}
}

static struct world *world_of(struct address_space *m)
{
	return file_of(m)->world;
}

static void ops_hold(struct address_space *m)
{
	file_hold(world_of(m), file_of(m));
}

static void ops_release(struct address_space *m)
{
	file_unhold(world_of(m), file_of(m));
}

static void ops_written(struct address_space *m)
{
	ASSERT(file_of(m)->holds > 0);
	sim_yield();
}

static enum pageout_result ops_pageout(struct address_space *m,
				       struct page *page)
{
	ASSERT(page_test(page, PG_locked) && page_test(page, PG_dirty));
	if (sim_chance(20))
		return PAGEOUT_KEEP;
	sim_no_sleep_begin();
	flusher_kick(m);
	sim_no_sleep_end();
	return PAGEOUT_STARTED;
}

static void ops_page_dropped(struct address_space *m, struct page *page)
{
	ASSERT(page_test(page, PG_locked) && page->mapping == m->id);
	ASSERT(file_of(m)->holds > 0);
}

/* Move io on by the nr bytes that were transferred. */
static void io_advance(struct page_io *io, uint64_t nr)
{
	io->offset += nr;
	io->nr_bytes -= nr;
	while (nr > 0 && nr >= io->iov->iov_len) {
		nr -= io->iov->iov_len;
		io->iov++;
		io->nr_iov--;
	}
	if (nr > 0) {
		io->iov->iov_base = (char *)io->iov->iov_base + nr;
		io->iov->iov_len -= nr;
	}
}

static void io_start(struct page_run *run, struct page_io *io)
{
	struct mm *mm = run->mapping->mm;

	if (io->op == PAGE_IO_WRITE && run->here && sim_chance(80)) {
		seen.writes_here++;
		page_io_do(mm->io, io);
	} else if (sim_chance(50)) {
		page_io_queue(mm->io, io); /* mm/ ends with a kick */
	} else {
		page_io_submit(mm->io, io);
	}
}

static void read_done(struct page_io *io)
{
	struct page_run *run = container_of(io, struct page_run, io[0]);

	if (io->result < 0) {
		page_run_read_done(run, 0, (int)io->result);
		return;
	}
	run->nr_bytes += (uint64_t)io->result;
	/* Nothing, and not the end of the file: a failure (fs/file_pages.c). */
	if (io->result == 0 && io->offset < sim_file_size(io->fd)) {
		page_run_read_done(run, 0, -EIO);
		return;
	}
	/* Short: by chance, or the end of the file. */
	if (io->result > 0 && (uint64_t)io->result < io->nr_bytes &&
	    io->result % SIM_SECTOR == 0) {
		io_advance(io, (uint64_t)io->result);
		page_io_submit(run->mapping->mm->io, io);
		return;
	}
	page_run_read_done(run, run->nr_bytes, 0);
}

static void check_run(const struct page_run *run, uint32_t flag)
{
	ASSERT(run->nr > 0 && run->nr <= PAGE_RUN_MAX);
	for (unsigned int i = 0; i < run->nr; i++) {
		ASSERT(page_test(run->pages[i], flag));
		ASSERT(run->pages[i]->mapping == run->mapping->id);
		ASSERT(run->pages[i]->index == run->first + i);
	}
}

static void ops_read_run(struct address_space *m, struct page_run *run)
{
	struct page_io *io = &run->io[0];

	sim_no_sleep_begin();
	check_run(run, PG_locked);
	page_run_map(run, 0, run->nr);
	run->nr_bytes = 0;
	*io = (struct page_io){
		.op = PAGE_IO_READ,
		.fd = file_of(m)->fd,
		.offset = run->first << PAGE_SHIFT,
		.iov = run->iov,
		.nr_iov = run->nr,
		.nr_bytes = (uint64_t)run->nr << PAGE_SHIFT,
		.done = read_done,
	};
	io_start(run, io);
	sim_no_sleep_end();
}

static void write_ended(struct page_run *run, struct page_io *io)
{
	int none = 0;

	if (io->result >= 0 && (uint64_t)io->result < io->nr_bytes) {
		io_advance(io, (uint64_t)io->result);
		page_io_submit(run->mapping->mm->io, io);
		return;
	}
	if (io->result < 0)
		atomic_compare_exchange_strong(&run->error, &none,
					       (int)io->result);
	if (atomic_fetch_sub(&run->nr_io, 1) == 1)
		page_run_write_done(run, atomic_load(&run->error));
}

static void write_whole_done(struct page_io *io)
{
	write_ended(container_of(io, struct page_run, io[0]), io);
}

static void write_tail_done(struct page_io *io)
{
	write_ended(container_of(io, struct page_run, io[1]), io);
}

/* Whole pages go out directly, a partial last one to its exact length. */
static void ops_write_run(struct address_space *m, struct page_run *run)
{
	struct file *f = file_of(m);
	uint64_t start = run->first << PAGE_SHIFT;
	uint64_t len, tail;
	unsigned int whole;

	check_run(run, PG_writeback);
	ASSERT(start < f->size && f->holds > 0);
	len = min_of((uint64_t)run->nr << PAGE_SHIFT, f->size - start);
	if (sim_chance(20)) {
		int err = page_io_fallocate(m->mm->io, f->fd, start, len);

		if (err) {
			page_run_write_done(run, err);
			return;
		}
	}
	whole = (unsigned int)(len >> PAGE_SHIFT);
	tail = len & PAGE_MASK;
	page_run_map(run, 0, run->nr);
	atomic_store(&run->error, 0);
	atomic_store(&run->nr_io, (whole > 0) + (tail > 0));
	run->io[0] =
		(struct page_io){ .op = PAGE_IO_WRITE,
				  .fd = f->fd,
				  .offset = start,
				  .iov = run->iov,
				  .nr_iov = whole,
				  .nr_bytes = (uint64_t)whole << PAGE_SHIFT,
				  .done = write_whole_done };
	if (tail > 0)
		run->iov[whole].iov_len = tail;
	run->io[1] = (struct page_io){ .op = PAGE_IO_WRITE,
				       .fd = f->tail_fd,
				       .drop_behind = true,
				       .offset = start + len - tail,
				       .iov = run->iov + whole,
				       .nr_iov = 1,
				       .nr_bytes = tail,
				       .done = write_tail_done };
	/* The run may be gone once the last one is under way. */
	if (whole > 0 && tail > 0)
		io_start(run, &run->io[0]);
	io_start(run, tail > 0 ? &run->io[1] : &run->io[0]);
}

static const struct address_space_ops file_ops = {
	.read_run = ops_read_run,
	.write_run = ops_write_run,
	.pageout = ops_pageout,
	.page_dropped = ops_page_dropped,
	.written = ops_written,
	.hold = ops_hold,
	.release = ops_release,
};

/* --- files ----------------------------------------------------------------- */

void fill_random(unsigned char *p, size_t len)
{
	uint64_t r = sim_random();

	for (size_t i = 0; i < len; i++) {
		if (i % 64 == 0)
			r = sim_random();
		p[i] = (unsigned char)(r >> i % 8 * 8);
	}
}

void groups_start(struct world *w)
{
	for (int i = 0; i < NR_GROUPS; i++)
		ASSERT(writeback_group_init(&w->groups[i], w->mm) == 0);
}

void groups_stop(struct world *w)
{
	for (int i = 0; i < NR_GROUPS; i++)
		writeback_group_destroy(&w->groups[i]);
}

struct file *file_new(struct world *w)
{
	struct file *f = calloc(1, sizeof(*f));

	ASSERT(f);
	f->model = calloc(1, FILE_BYTES_MAX);
	ASSERT(f->model);
	f->world = w;
	f->size = sim_between(0, (uint64_t)w->pages_max << PAGE_SHIFT);
	f->fd = sim_file_create(f->size);
	f->tail_fd = sim_file_buffered(f->fd);
	fill_random(f->model, f->size);
	if (f->size > 0)
		sim_file_fill(f->fd, 0, f->model, f->size);
	rwlock_init(&f->io_lock);
	f->users = f->holds = 1;
	f->unsure = UINT64_MAX;
	address_space_init(&f->mapping, w->mm, &file_ops,
			   &w->groups[sim_between(0, NR_GROUPS - 1)]);
	w->nr_alive++;
	return f;
}

struct file *file_get(struct world *w)
{
	struct file *f;

	mutex_lock(&w->lock);
	f = w->files[sim_between(0, w->nr_files - 1)];
	f->users++;
	mutex_unlock(&w->lock);
	return f;
}

void file_put(struct world *w, struct file *f)
{
	bool last;

	mutex_lock(&w->lock);
	ASSERT(f->users > 0);
	last = --f->users == 0;
	mutex_unlock(&w->lock);
	if (!last)
		return;
	/* Nobody uses it any more: its contents are void. */
	page_cache_truncate(&f->mapping, 0);
	file_unhold(w, f);
}

/* The page of the model. */
unsigned char *file_model(struct file *f, pgoff_t index)
{
	ASSERT(index < FILE_PAGES_MAX);
	return f->model + (index << PAGE_SHIFT);
}

/* (1): page is in the cache and up to date. One step. */
void file_check_page(struct file *f, struct page *page)
{
	const void *memory = page_address(&f->mapping.mm->arena, page);

	sim_ignore_races_begin();
	if (memcmp(memory, file_model(f, page->index), PAGE_SIZE) != 0)
		sim_fail("page %llu of mapping %llu differs from the model",
			 (unsigned long long)page->index,
			 (unsigned long long)f->mapping.id);
	sim_ignore_races_end();
}

bool file_is_current(struct file *f, struct page *page)
{
	return page->mapping == f->mapping.id && page_test(page, PG_uptodate);
}

/* (1), and the tags, for all pages of a file; its io_lock is held. */
void file_check(struct file *f)
{
	struct address_space *m = &f->mapping;
	unsigned long nr = 0, dirty = 0, writeback = 0;
	struct page *page;

	mutex_lock(&m->lock);
	/* One step from here on. */
	xa_check(&m->pages);
	for (pgoff_t i = 0;
	     (page = xa_find(&m->pages, &i, UINT64_MAX, XA_PRESENT)); i++) {
		ASSERT(page->mapping == m->id && page->index == i);
		ASSERT(!page_test(page, PG_dirty) ==
		       !xa_get_tag(&m->pages, i, XA_DIRTY));
		ASSERT(!page_test(page, PG_writeback) ==
		       !xa_get_tag(&m->pages, i, XA_WRITEBACK));
		if (page_test(page, PG_uptodate))
			file_check_page(f, page);
		else
			ASSERT(!page_test(page, PG_dirty | PG_writeback));
		nr++;
		dirty += page_test(page, PG_dirty) != 0;
		writeback += page_test(page, PG_writeback) != 0;
	}
	ASSERT(nr == m->nr_pages);
	if (dirty != m->nr_dirty || writeback != m->nr_writeback)
		sim_fail("%lu pages are dirty, %lu counted; %lu are under "
			 "writeback, %lu counted",
			 dirty, m->nr_dirty, writeback, m->nr_writeback);
	ASSERT(dirty + writeback == 0 || m->on_dirty_list);
	mutex_unlock(&m->lock);
}

void file_bump(struct file *f, pgoff_t first)
{
	for (pgoff_t i = first; i < FILE_PAGES_MAX; i++)
		f->seq[i] += 2;
}

/* The new last page, if it is here, is zero behind the end (3). */
void file_set_size(struct file *f, uint64_t size)
{
	struct mm *mm = f->mapping.mm;
	size_t keep = size & PAGE_MASK;
	struct page *page = NULL;

	if (keep)
		page = page_cache_find(&f->mapping, size >> PAGE_SHIFT);
	if (page)
		page_lock(&mm->page_waits, page);
	/* One step. */
	sim_ignore_races_begin();
	if (page && file_is_current(f, page))
		memset((char *)page_address(&mm->arena, page) + keep, 0,
		       PAGE_SIZE - keep);
	if (size < f->size)
		memset(f->model + size, 0, f->size - size);
	sim_ignore_races_end();
	f->size = size;
	if (page) {
		page_unlock(&mm->page_waits, page);
		page_put(mm, page);
	}
}

/* --- syncing --------------------------------------------------------------- */

void snapshot_take(struct snapshot *s, struct file *f)
{
	s->file = f;
	memcpy(s->seq, f->seq, sizeof(s->seq));
}

static _Noreturn void fail_sync(struct file *f, pgoff_t index,
				const unsigned char *data, const char *what)
{
	void *entry = xa_load(&f->mapping.pages, index);
	const struct page *page = entry;
	size_t at = 0;

	while (data[at] == file_model(f, index)[at])
		at++;
	sim_fail("page %llu of mapping %llu was not %s: differs at %zu, "
		 "size %llu, on disk %llu, page flags %#x",
		 (unsigned long long)index, (unsigned long long)f->mapping.id,
		 what, at, (unsigned long long)f->size,
		 (unsigned long long)sim_file_size(f->fd),
		 page ? (unsigned int)page->flags : 0);
}

void snapshot_check(const struct snapshot *s, pgoff_t first, pgoff_t last,
		    bool durable)
{
	struct file *f = s->file;

	sim_ignore_races_begin();
	last = min_of(last, (pgoff_t)FILE_PAGES_MAX - 1);
	for (pgoff_t i = first; i <= last && i < f->unsure; i++) {
		const unsigned char *data;

		if (s->seq[i] != f->seq[i] || s->seq[i] % 2 != 0)
			continue;
		data = durable ? sim_file_durable(f->fd, i << PAGE_SHIFT,
						  PAGE_SIZE)
			       : sim_file_data(f->fd, i << PAGE_SHIFT,
					       PAGE_SIZE);
		if (memcmp(data, file_model(f, i), PAGE_SIZE) != 0)
			fail_sync(f, i, data,
				  durable ? "made durable" : "written");
	}
	sim_ignore_races_end();
}
