/*
 * anon_ops_sim.c - reading, writing, dropping and reserving anonymous pages, as
 * fs/ will. Numbers in brackets are those of anon_world.h.
 */
#include "tests/sim/anon_world.h"

#include "mm/oom.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "mm/writeback.h"
#include "tests/sim/sim.h"

#include <errno.h>
#include <string.h>

/* So often a page that is only busy is tried. */
enum { BUSY_TRIES = 10000 };

/* --- reading --------------------------------------------------------------- */

/* (2): data was read between "before" and now. */
static void check_data(struct anon_file *f, pgoff_t i, uint32_t before,
		       const void *data)
{
	if (before % 2 == 1 || f->slots[i].seq != before)
		return;
	if (memcmp(data, anon_model(f, i), PAGE_SIZE) != 0)
		sim_fail("page %llu of mapping %llu was read wrong",
			 (unsigned long long)i,
			 (unsigned long long)f->mapping.id);
}

static void check_eio(struct client *c, struct anon_file *f, pgoff_t i,
		      uint32_t before)
{
	if (f->slots[i].seq != before)
		return; /* it was the fate of what was there before */
	if (!c->aw->reads_fail && !f->slots[i].damaged)
		sim_fail("page %llu of mapping %llu: -EIO for no reason",
			 (unsigned long long)i,
			 (unsigned long long)f->mapping.id);
}

static bool find(struct client *c, struct anon_file *f, pgoff_t i,
		 uint32_t before)
{
	struct mm *mm = c->aw->mm;
	struct page *page;

	if (page_cache_find_run(&f->mapping, f->base + i, 1, &page) == 0)
		return false;
	if (page == mm->zero_page) {
		check_data(f, i, before, page_address(&mm->arena, page));
		anon_seen.read_zero++;
	} else {
		anon_check_page(f, i, page);
		page_mark_accessed(mm, page);
		anon_check_page(f, i, page);
	}
	page_put(mm, page);
	return true;
}

static void begin(struct client *c, struct anon_file *f, pgoff_t i)
{
	gfp_t gfp = sim_chance(40) ? GFP_NOWAIT : GFP_KERNEL;
	unsigned int nr = (unsigned int)min_of(sim_between(1, 24),
					       (uint64_t)(ANON_PAGES_MAX - i));

	(void)c;
	if (!(gfp & GFP_RECLAIM))
		sim_no_sleep_begin();
	page_cache_read(&f->mapping, f->base + i, nr, UINT64_MAX, gfp);
	if (!(gfp & GFP_RECLAIM))
		sim_no_sleep_end();
}

int anon_read(struct client *c, struct anon_file *f, pgoff_t i)
{
	struct mm *mm = c->aw->mm;
	unsigned char data[PAGE_SIZE];
	uint32_t before;
	int err;

	anon_seen.reads++;
	for (int failures = 0; failures < 2;) {
		struct page *page;

		if (find(c, f, i, f->slots[i].seq))
			return 0;
		begin(c, f, i);
		page = page_cache_find(&f->mapping, f->base + i);
		if (!page) {
			failures++;
			continue;
		}
		page_wait(&mm->page_waits, page, PG_locked);
		failures += !page_test(page, PG_uptodate);
		page_put(mm, page);
	}
	anon_seen.read_around++;
	before = f->slots[i].seq;
	err = anon_read_page(&f->mapping, f->base + i, data);
	if (err) {
		ASSERT(err == -EIO);
		check_eio(c, f, i, before);
		anon_seen.read_eio++;
	} else {
		check_data(f, i, before, data);
	}
	return err;
}

void op_anon_read(struct client *c, struct anon_file *f)
{
	pgoff_t first = sim_between(0, c->aw->pages_max - 1);
	pgoff_t last = min_of(first + sim_between(0, 40),
			      (pgoff_t)c->aw->pages_max - 1);
	bool locked = sim_chance(30);

	/* Most readers take no lock: they meet who drops pages. */
	if (locked)
		rwlock_lock_shared(&f->io_lock);
	for (pgoff_t i = first; i <= last; i++)
		anon_read(c, f, i);
	if (locked)
		rwlock_unlock_shared(&f->io_lock);
}

/* --- writing --------------------------------------------------------------- */

/* One step: page and model (1). */
static void commit(struct anon_file *f, struct page *page, pgoff_t i,
		   size_t from, size_t to, const void *data)
{
	struct mm *mm = f->mapping.mm;

	sim_ignore_races_begin();
	memcpy((char *)page_address(&mm->arena, page) + from, data, to - from);
	memcpy(anon_model(f, i) + from, data, to - from);
	sim_ignore_races_end();
	ASSERT(f->slots[i].seq % 2 == 0);
	f->slots[i].seq += 2;
	f->slots[i].stored = true;
	f->slots[i].damaged = false;
}

static int try_write(struct client *c, struct anon_file *f, pgoff_t i,
		     size_t from, size_t to, const void *data)
{
	struct address_space *m = &f->mapping;
	struct mm *mm = c->aw->mm;
	bool nowait = sim_chance(30);
	gfp_t gfp = (nowait ? GFP_NOWAIT : GFP_KERNEL) | GFP_GROWTH;
	struct page *page;
	int err;

	if (nowait)
		sim_no_sleep_begin();
	page = page_cache_grab(m, f->base + i, gfp, &err);
	if (!page)
		goto out;
	anon_assert_state(m, page);
	err = 0;
	if (!page_test(page, PG_uptodate) && to - from < PAGE_SIZE)
		err = anon_fill(m, page, gfp);
	if (!err)
		err = anon_charge(m, page);
	if (err) {
		if (!page_test(page, PG_uptodate))
			page_cache_remove(m, page);
		page_unlock(&mm->page_waits, page);
	} else {
		commit(f, page, i, from, to, data);
		page_set(page, PG_uptodate);
		anon_set_dirty(m, page);
		page_unlock(&mm->page_waits, page);
		page_mark_accessed(mm, page);
	}
	page_put(mm, page);
out:
	if (nowait)
		sim_no_sleep_end();
	/* What is short for one who must not wait is not short yet. */
	return nowait && err == -ENOMEM ? -EAGAIN : err;
}

int anon_write(struct client *c, struct anon_file *f, pgoff_t i, size_t from,
	       size_t to, const void *data)
{
	struct oom_patience patience = { .tries = 0 };
	struct mm *mm = c->aw->mm;
	uint64_t start = os_now_ns();
	unsigned int waits = 0;
	int err;

	anon_seen.writes++;
	for (unsigned int n = 0; n < BUSY_TRIES; n++) {
		err = try_write(c, f, i, from, to, data);
		if (err == -EAGAIN) {
			sim_yield();
			continue;
		}
		if (err == -EIO) {
			check_eio(c, f, i, f->slots[i].seq);
			anon_seen.write_eio++;
			return err;
		}
		if (err == -ENOSPC) {
			ASSERT(f->group->max_pages != UINT64_MAX);
			anon_seen.limits++;
			return err;
		}
		if (!err) {
			c->nr_written++;
			return 0;
		}
		ASSERT(err == -ENOMEM);
		if (oom_judge(mm, &patience) == OOM_REFUSE) {
			anon_seen.refusals++;
			c->nr_refused++;
			c->refusal_ns =
				max_of(c->refusal_ns, os_now_ns() - start);
			c->waits_max = max_of(c->waits_max, waits);
			return -ENOSPC;
		}
		anon_seen.oom_waits++;
		waits++;
		writeback_wait_progress(mm, sim_between(1, 20 * NSEC_PER_MSEC));
	}
	return -EAGAIN;
}

void op_anon_write(struct client *c, struct anon_file *f)
{
	unsigned char data[PAGE_SIZE];
	pgoff_t first = sim_between(0, c->aw->pages_max - 1);
	pgoff_t last = min_of(first + sim_between(0, 30),
			      (pgoff_t)c->aw->pages_max - 1);

	rwlock_lock_shared(&f->io_lock);
	for (pgoff_t i = first; i <= last; i++) {
		size_t from = 0, to = PAGE_SIZE;

		if (sim_chance(40)) {
			from = sim_between(0, PAGE_SIZE - 1);
			to = sim_between(from + 1, PAGE_SIZE);
		}
		anon_pattern(c->aw, data + from, to - from);
		if (anon_write(c, f, i, from, to, data + from) == -ENOSPC &&
		    sim_chance(80))
			break;
	}
	rwlock_unlock_shared(&f->io_lock);
}

/* --- dropping -------------------------------------------------------------- */

void anon_drop(struct anon_file *f, pgoff_t first, pgoff_t last, bool punch)
{
	struct address_space *m = &f->mapping;
	pgoff_t end = min_of(last, (pgoff_t)ANON_PAGES_MAX - 1);

	for (pgoff_t i = first; i <= end; i++)
		f->slots[i].seq++;
	if (punch)
		anon_punch(m, f->base + first, f->base + end);
	else
		anon_truncate(m, f->base + first,
			      last > end ? UINT64_MAX : f->base + last);
	/* One step. */
	memset(anon_model(f, first), 0, (end - first + 1) << PAGE_SHIFT);
	for (pgoff_t i = first; i <= end; i++) {
		struct anon_slot *s = &f->slots[i];

		s->seq++;
		s->stored = s->damaged = false;
		s->reserved &= punch;
	}
}

void op_anon_drop(struct client *c, struct anon_file *f)
{
	pgoff_t first = sim_between(0, c->aw->pages_max - 1), last;
	bool punch = sim_chance(60);

	last = sim_chance(30) && !punch ? UINT64_MAX
					: min_of(first + sim_between(0, 60),
						 (pgoff_t)c->aw->pages_max - 1);
	rwlock_lock(&f->io_lock);
	anon_drop(f, first, last, punch);
	anon_check_file(f);
	rwlock_unlock(&f->io_lock);
	anon_seen.punches += punch;
	anon_seen.truncates += !punch;
}

/* --- reserving, seeking ------------------------------------------------------ */

int anon_try_reserve(struct anon_file *f, pgoff_t first, pgoff_t last)
{
	int err = anon_reserve(&f->mapping, f->base + first, f->base + last);

	ASSERT(err == 0 || err == -ENOSPC || err == -ENOMEM);
	for (pgoff_t i = first; i <= last && !err; i++)
		f->slots[i].reserved = true;
	anon_seen.reserves += !err;
	anon_seen.reserves_full += err != 0;
	return err;
}

void op_anon_reserve(struct client *c, struct anon_file *f)
{
	pgoff_t first = sim_between(0, c->aw->pages_max - 1);
	pgoff_t last = min_of(first + sim_between(0, sim_chance(20) ? 400 : 30),
			      (pgoff_t)c->aw->pages_max - 1);

	rwlock_lock(&f->io_lock);
	anon_try_reserve(f, first, last);
	anon_check_file(f);
	rwlock_unlock(&f->io_lock);
}

/* What is passed over is zeroes; what is taken for data was written. */
void op_anon_seek(struct client *c, struct anon_file *f)
{
	pgoff_t first = sim_between(0, c->aw->pages_max - 1), at;

	rwlock_lock(&f->io_lock);
	at = anon_seek_data(&f->mapping, f->base + first);
	ASSERT(at >= f->base + first);
	for (pgoff_t i = first; i < ANON_PAGES_MAX && f->base + i < at; i++)
		for (size_t n = 0; n < PAGE_SIZE; n++)
			ASSERT(anon_model(f, i)[n] == 0);
	at = anon_seek_hole(&f->mapping, f->base + first);
	ASSERT(at >= f->base + first);
	ASSERT(at <= f->base + ANON_PAGES_MAX);
	if (at < f->base + ANON_PAGES_MAX)
		for (size_t n = 0; n < PAGE_SIZE; n++)
			ASSERT(anon_model(f, at - f->base)[n] == 0);
	rwlock_unlock(&f->io_lock);
	anon_seen.seeks++;
}

/* --- damage ------------------------------------------------------------------ */

void op_anon_corrupt(struct client *c, struct anon_file *f)
{
	struct address_space *m = &f->mapping;
	swap_entry_t e = 0;
	void *entry;
	pgoff_t at;

	if (c->aw->files.quiet)
		return;
	at = f->base + sim_between(0, c->aw->pages_max - 1);
	mutex_lock(&m->lock);
	entry = xa_find(&m->pages, &at, UINT64_MAX, XA_PRESENT);
	if (entry && xa_is_value(entry))
		e = xa_to_value(entry);
	else if (entry && page_test(entry, PG_swapcache))
		e = ((struct page *)entry)->private;
	if (swap_entry_type(e) == SWAP_STORED) {
		struct swap_place p = swap_entry_place(e);
		uint64_t where = ((uint64_t)p.cluster << SWAP_CLUSTER_SHIFT) +
				 p.offset + sim_between(0, p.size - 1);
		int fd = c->aw->area_fd[p.area];
		unsigned char byte = *sim_file_data(fd, where, 1);

		byte ^= (unsigned char)(1u << sim_between(0, 7));
		sim_file_fill(fd, where, &byte, 1);
		f->slots[at - f->base].damaged = true;
		anon_seen.corruptions++;
	}
	mutex_unlock(&m->lock);
}
