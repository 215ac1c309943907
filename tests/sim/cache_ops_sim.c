/* cache_ops_sim.c - reading, writing, truncating and syncing, as fs/ would. */
#include "tests/sim/cache_world.h"

#include "mm/oom.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "mm/writeback.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Before a page is given up. */
enum { TRIES = 40 };

/* --- reading --------------------------------------------------------------- */

/* A request that goes on when its page is there, as fs/ has them. */
struct async_wait {
	struct page_waiter waiter;
	struct mutex lock;
	struct cond woken;
	bool done;
};

static void async_wake(struct page_waiter *waiter)
{
	struct async_wait *a = container_of(waiter, struct async_wait, waiter);

	mutex_lock(&a->lock);
	a->done = true;
	cond_signal(&a->woken);
	mutex_unlock(&a->lock);
}

static void wait_unlocked(struct mm *mm, struct page *page)
{
	struct async_wait a = { .waiter.wake = async_wake };

	if (sim_chance(50)) {
		page_wait(&mm->page_waits, page, PG_locked);
		return;
	}
	mutex_init(&a.lock);
	cond_init(&a.woken);
	if (!page_wait_async(&mm->page_waits, page, PG_locked, &a.waiter))
		return;
	mutex_lock(&a.lock);
	while (!a.done)
		cond_wait(&a.woken, &a.lock);
	mutex_unlock(&a.lock);
}

static gfp_t reader_gfp(void)
{
	return sim_chance(30) ? GFP_NOWAIT : GFP_KERNEL;
}

/* Begin to read; -ENOMEM if that is all that stands in the way. */
static int read_begin(struct actor *a, struct file *f, enum readahead_cause why,
		      pgoff_t index, unsigned int nr)
{
	pgoff_t nr_file = pages_of(f->size);
	struct readahead_request req = { .cause = why,
					 .index = index,
					 .nr = nr,
					 .nr_file = nr_file,
					 .max = 32 };
	struct readahead_plan plan = { index, nr, nr, UINT64_MAX };
	gfp_t gfp = reader_gfp();
	unsigned int started;

	/* fs/ asks for nothing behind the end, where there is no model. */
	ASSERT(index < nr_file);
	nr = (unsigned int)min_of((pgoff_t)nr, nr_file - index);
	req.nr = plan.nr = plan.nr_asked = nr;
	if (sim_chance(50))
		plan = readahead_next(&a->ra, &req);
	if (plan.nr == 0 || index < plan.first || index >= plan.first + plan.nr)
		plan = (struct readahead_plan){ index, nr, nr, UINT64_MAX };
	if (!(gfp & GFP_RECLAIM))
		sim_no_sleep_begin();
	started = page_cache_read_plan(&f->mapping, &plan, gfp);
	if (!(gfp & GFP_RECLAIM))
		sim_no_sleep_end();
	ASSERT(started <= plan.nr);
	return started > 0 ? 0 : -ENOMEM;
}

/* One page, as fs/ would. 0 or -errno. */
static int read_page(struct actor *a, struct file *f, pgoff_t index)
{
	struct mm *mm = a->w->mm;
	unsigned int failed = 0;
	int err = -EIO;

	for (unsigned int i = 0; failed < TRIES; i++) {
		struct page *page = page_cache_find(&f->mapping, index);

		if (!page) {
			err = read_begin(a, f, RA_MISS, index,
					 (unsigned int)sim_between(1, 8));
			if (err)
				os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
			if (!err || a->w->nr_squeezers == 0)
				failed += err != 0 || i > 0;
			continue;
		}
		if (!page_test(page, PG_uptodate))
			wait_unlocked(mm, page);
		if (file_is_current(f, page)) {
			file_check_page(f, page);
			page_mark_accessed(mm, page);
			if (page_test_and_clear(page, PG_readahead))
				read_begin(a, f, RA_MARKER, index, 1);
			if (file_is_current(f, page))
				file_check_page(f, page);
			page_put(mm, page);
			readahead_note(&a->ra, index, 1);
			return 0;
		}
		page_put(mm, page);
		err = -EIO;
		failed += a->w->faulty ? TRIES / 2 : 1;
	}
	return err;
}

void op_read(struct actor *a, struct file *f)
{
	pgoff_t nr_file, first, nr;

	rwlock_lock_shared(&f->io_lock);
	nr_file = pages_of(f->size);
	if (nr_file == 0)
		goto out;
	first = sim_chance(40) ? a->ra.next % nr_file
			       : sim_between(0, nr_file - 1);
	nr = min_of(sim_between(1, 16), nr_file - first);
	for (pgoff_t i = first; i < first + nr; i++) {
		int err = read_page(a, f, i);

		seen.reads++;
		if (err)
			seen.read_errors++;
		if (err && !a->w->faulty)
			sim_fail("a read failed: %d", err);
	}
out:
	rwlock_unlock_shared(&f->io_lock);
}

/* Pages that are there, all at once. */
void op_find_run(struct actor *a, struct file *f)
{
	struct page *pages[32];
	pgoff_t first = sim_between(0, a->w->pages_max - 1);
	unsigned int nr;

	rwlock_lock_shared(&f->io_lock);
	nr = page_cache_find_run(&f->mapping, first, ARRAY_SIZE(pages), pages);
	ASSERT(nr <= ARRAY_SIZE(pages));
	for (unsigned int i = 0; i < nr; i++) {
		ASSERT(pages[i]->index == first + i);
		if (file_is_current(f, pages[i]))
			file_check_page(f, pages[i]);
		page_mark_accessed(a->w->mm, pages[i]);
		page_put(a->w->mm, pages[i]);
	}
	rwlock_unlock_shared(&f->io_lock);
}

/* --- writing --------------------------------------------------------------- */

/* A part of one page. */
struct piece {
	pgoff_t index;
	size_t from, to;
};

/* The page is locked. One step, but for the last call. */
static void commit(struct actor *a, struct file *f, struct page *page,
		   const struct piece *p)
{
	char *memory = page_address(&a->w->mm->arena, page);
	uint64_t start = p->index << PAGE_SHIFT;
	unsigned char *model = file_model(f, p->index);

	sim_ignore_races_begin();
	if (!page_test(page, PG_uptodate))
		memset(memory, 0, PAGE_SIZE);
	fill_random(model + p->from, p->to - p->from);
	memcpy(memory + p->from, model + p->from, p->to - p->from);
	sim_ignore_races_end();
	f->seq[p->index]++;
	f->size = max_of(f->size, start + p->to);
	page_set(page, PG_uptodate);
	sim_yield();
	page_set_dirty(&f->mapping, page);
	f->seq[p->index]++;
}

/* Is nothing of the page on the disk that the piece does not replace? */
static bool is_replaced(struct file *f, const struct piece *p)
{
	uint64_t start = p->index << PAGE_SHIFT;

	return start >= f->size || (p->from == 0 && start + p->to >= f->size) ||
	       (p->from == 0 && p->to == PAGE_SIZE);
}

/* 0, -EAGAIN: look again, or another -errno. */
static int try_write_piece(struct actor *a, struct file *f,
			   const struct piece *p)
{
	struct mm *mm = a->w->mm;
	bool nowait = sim_chance(20);
	struct page *page;
	bool usable;
	int err;

	if (!is_replaced(f, p)) {
		err = read_page(a, f, p->index);
		if (err)
			return err;
	}
	if (nowait)
		sim_no_sleep_begin();
	page = page_cache_grab(&f->mapping, p->index,
			       (nowait ? GFP_NOWAIT : GFP_KERNEL) | GFP_GROWTH,
			       &err);
	if (nowait)
		sim_no_sleep_end();
	if (!page) {
		ASSERT(err == -ENOMEM || err == -EAGAIN);
		return err;
	}
	usable = page_test(page, PG_uptodate) || is_replaced(f, p);
	if (usable)
		commit(a, f, page, p);
	else
		page_cache_remove(&f->mapping, page);
	page_unlock(&mm->page_waits, page);
	if (usable)
		page_mark_accessed(mm, page);
	page_put(mm, page);
	return usable ? 0 : -EAGAIN;
}

/* As fs/ would: wait for as long as that may help, then refuse. */
static int write_piece(struct actor *a, struct file *f, const struct piece *p)
{
	struct oom_patience patience = { .tries = 0 };
	struct mm *mm = a->w->mm;
	unsigned int failed = 0;
	int err;

	while ((err = try_write_piece(a, f, p)) != 0 && failed < TRIES) {
		if (err == -EAGAIN) {
			sim_yield();
			continue;
		}
		failed++;
		if (err != -ENOMEM)
			return err;
		if (oom_judge(mm, &patience) == OOM_REFUSE) {
			seen.refusals++;
			return -ENOSPC;
		}
		seen.oom_waits++;
		writeback_wait_progress(mm, sim_between(1, 20 * NSEC_PER_MSEC));
	}
	return err;
}

void op_write(struct actor *a, struct file *f)
{
	uint64_t limit = (uint64_t)a->w->pages_max << PAGE_SHIFT;
	uint64_t at = sim_between(0, limit - 1), end, pause;
	unsigned long nr = 0;
	int err = 0;

	if (sim_chance(50))
		at &= ~PAGE_MASK;
	end = at + (sim_chance(50) ? sim_between(1, 16) << PAGE_SHIFT
				   : sim_between(1, 3 * PAGE_SIZE));
	end = min_of(end, limit);
	rwlock_lock_shared(&f->io_lock);
	while (at < end && !err) {
		uint64_t to = min_of(end, (at | PAGE_MASK) + 1);
		struct piece p = { at >> PAGE_SHIFT, at & PAGE_MASK,
				   to - (at & ~PAGE_MASK) };

		err = write_piece(a, f, &p);
		at = to;
		nr += !err;
	}
	rwlock_unlock_shared(&f->io_lock);
	seen.writes++;
	seen.write_errors += err != 0 && err != -ENOSPC;
	pause = balance_dirty_pages(writeback_group_of(&f->mapping), nr);
	ASSERT(pause <= BALANCE_PAUSE_MAX);
	if (pause > 0 && sim_chance(70))
		os_sleep_ns(pause);
}

/* --- truncating ------------------------------------------------------------ */

void op_truncate(struct actor *a, struct file *f)
{
	struct address_space *m = &f->mapping;
	uint64_t size, limit = (uint64_t)a->w->pages_max << PAGE_SHIFT;
	int err;

	rwlock_lock(&f->io_lock);
	size = sim_chance(60) ? sim_between(f->size / 2, limit)
			      : sim_between(0, limit);
	if (sim_chance(50))
		size &= ~PAGE_MASK;
	mapping_freeze(m);
	/* What is in flight was cut at the old end. */
	mapping_wait_writeback(m, min_of(size, f->size) >> PAGE_SHIFT,
			       UINT64_MAX);
	f->unsure = min_of(size, f->size) >> PAGE_SHIFT;
	err = page_io_truncate(m->mm->io, f->fd, size);
	if (!err) {
		if (size < f->size)
			page_cache_truncate(m, pages_of(size));
		file_set_size(f, size);
	}
	file_bump(f, f->unsure);
	f->unsure = UINT64_MAX;
	mapping_thaw(m);
	file_check(f);
	rwlock_unlock(&f->io_lock);
	seen.truncates++;
	seen.truncate_errors += err != 0;
	if (err && !a->w->faulty)
		sim_fail("a truncate failed: %d", err);
}

/* --- syncing --------------------------------------------------------------- */

static void count_sync(struct actor *a, int err)
{
	seen.syncs++;
	seen.sync_errors += err != 0;
	if (err && !a->w->faulty)
		sim_fail("a sync failed: %d", err);
}

void op_sync(struct actor *a, struct file *f)
{
	struct snapshot *s = malloc(sizeof(*s));
	pgoff_t first = 0, last = UINT64_MAX;
	int err;

	ASSERT(s);
	if (sim_chance(50)) {
		first = sim_between(0, a->w->pages_max - 1);
		last = sim_between(first, a->w->pages_max - 1);
	}
	snapshot_take(s, f);
	err = mapping_sync(&f->mapping, first, last);
	if (!err) {
		snapshot_check(s, first, last, false);
		err = page_io_sync(a->w->mm->io, f->fd, sim_chance(50));
	}
	if (!err)
		snapshot_check(s, first, last, true);
	count_sync(a, err);
	free(s);
}

/* With nobody else writing: all of it, and the size. */
void op_sync_alone(struct actor *a, struct file *f)
{
	struct snapshot *s = malloc(sizeof(*s));
	int err;

	ASSERT(s);
	rwlock_lock(&f->io_lock);
	snapshot_take(s, f);
	err = mapping_sync(&f->mapping, 0, UINT64_MAX);
	if (!err) {
		snapshot_check(s, 0, UINT64_MAX, false);
		ASSERT(address_space_is_clean(&f->mapping));
		ASSERT(sim_file_size(f->fd) == f->size);
	}
	rwlock_unlock(&f->io_lock);
	count_sync(a, err);
	free(s);
}

void op_sync_all(struct actor *a)
{
	struct world *w = a->w;
	struct snapshot *s = calloc(FILES_MAX, sizeof(*s));
	struct writeback_group *group = NULL;
	int err;

	ASSERT(s);
	mutex_lock(&w->lock);
	for (unsigned int i = 0; i < w->nr_files; i++) {
		snapshot_take(&s[i], w->files[i]);
		w->files[i]->users++;
	}
	mutex_unlock(&w->lock);
	if (sim_chance(50))
		group = &w->groups[sim_between(0, NR_GROUPS - 1)];
	err = dirty_list_sync(w->mm, group);
	for (unsigned int i = 0; i < w->nr_files; i++) {
		if (!err && (!group || s[i].file->mapping.group == group))
			snapshot_check(&s[i], 0, UINT64_MAX, false);
	}
	for (unsigned int i = 0; i < w->nr_files; i++)
		file_put(w, s[i].file);
	count_sync(a, err);
	free(s);
}
