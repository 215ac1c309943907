/*
 * dirty_list.c - the mappings that have dirty pages, oldest first.
 *
 *   (1) A mapping is on the list from its first dirty page until it has neither
 *       dirty pages nor writeback, and "held" for as long.
 *   (2) One thread at a time is at a mapping: who has set wb_busy.
 *   (3) It leaves the list with both locks held, its own and the list's.
 */
#include "mm/dirty_list.h"

#include "mm/mm.h"

/* After an error a mapping rests, so that a dead disk costs no CPU. */
#define RETRY_NS (1 * NSEC_PER_SEC)

void dirty_list_init(struct dirty_list *dl)
{
	*dl = (struct dirty_list){ .pass = 0 };
	mutex_init(&dl->lock);
	list_init(&dl->groups);
}

bool dirty_list_add(struct address_space *m)
{
	struct dirty_list *dl = &m->mm->dirty_list;
	struct writeback_group *g = writeback_group_of(m);
	bool added = false;

	/* It leaves the list with both locks held: no need for the other. */
	if (atomic_load(&m->on_dirty_list))
		return false;
	mutex_lock(&dl->lock);
	if (!m->on_dirty_list) {
		m->on_dirty_list = true;
		m->dirtied_ns = os_now_ns();
		m->retry_ns = m->kicked_ns = 0;
		atomic_store(&m->wb_leave, false);
		/* All it has is newer than every sync that has begun. */
		m->sync_pass = dl->pass;
		atomic_fetch_add(&dl->nr_dirty_groups,
				 list_empty(&g->mappings));
		list_add_tail(&g->mappings, &m->dirty_link);
		added = true;
	}
	mutex_unlock(&dl->lock);
	return added;
}

void dirty_list_retry_later(struct address_space *m)
{
	struct dirty_list *dl = &m->mm->dirty_list;

	mutex_lock(&dl->lock);
	m->kicked_ns = os_now_ns();
	m->retry_ns = m->kicked_ns + RETRY_NS;
	m->wb_now = true; /* then, whatever its age */
	mutex_unlock(&dl->lock);
}

uint64_t dirty_list_new_pass(struct dirty_list *dl)
{
	uint64_t pass;

	mutex_lock(&dl->lock);
	pass = ++dl->pass;
	mutex_unlock(&dl->lock);
	return pass;
}

/*
 * Off the list if it is clean (3); else what is left waits for the next pass.
 * Returns whether it is off.
 */
static bool leave(struct dirty_list *dl, struct address_space *m,
		  uint64_t started_ns) must_hold(m->lock, dl->lock)
{
	struct writeback_group *g = writeback_group_of(m);

	m->wb_busy = false;
	if (m->nr_dirty > 0 || m->nr_writeback > 0) {
		if (started_ns)
			m->dirtied_ns = started_ns;
		/* The rest, or what came since. */
		if (m->kicked_ns >= started_ns)
			m->wb_now = true;
		list_move_tail(&g->mappings, &m->dirty_link);
		return false;
	}
	list_del(&m->dirty_link);
	atomic_fetch_sub(&dl->nr_dirty_groups, list_empty(&g->mappings));
	m->on_dirty_list = false;
	m->round.under_way = false;
	mapping_note_mended(m, atomic_load(&m->nr_write_errors));
	g->nr_releasing++;
	return true;
}

/* Its owner hears that it is clean. The mapping is gone then. */
static void release(struct address_space *m)
{
	m->ops->written(m);
	m->ops->release(m);
}

/* Whoever found the group busy looks again. */
static void end_flushing(struct dirty_list *dl, struct writeback_group *g,
			 bool *look, bool *all) must_hold(dl->lock)
{
	(void)dl;
	g->flushing = false;
	*look = g->look_again;
	*all = g->look_all;
	g->look_again = g->look_all = false;
}

void dirty_list_end_flush(struct address_space *m, uint64_t started_ns)
{
	struct mm *mm = m->mm;
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g = writeback_group_of(m);
	bool left, look, all;

	mutex_lock(&m->lock);
	mutex_lock(&dl->lock);
	left = leave(dl, m, started_ns);
	if (!left)
		end_flushing(dl, g, &look, &all);
	mutex_unlock(&dl->lock);
	mutex_unlock(&m->lock);
	if (left) {
		release(m);
		/* Only now: its device may have kept us waiting there, too. */
		mutex_lock(&dl->lock);
		end_flushing(dl, g, &look, &all);
		g->nr_releasing--;
		mutex_unlock(&dl->lock);
		writeback_note_progress(mm);
	}
	if (look && all)
		flusher_wake(mm);
	else if (look)
		flusher_look(mm);
}

/* The same for the sync with that pass. */
static void end_sync(struct address_space *m, uint64_t started_ns,
		     uint64_t pass)
{
	struct mm *mm = m->mm;
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g = writeback_group_of(m);
	bool left;

	mutex_lock(&m->lock);
	mutex_lock(&dl->lock);
	left = leave(dl, m, started_ns);
	m->sync_pass = max_of(m->sync_pass, pass);
	mutex_unlock(&dl->lock);
	mutex_unlock(&m->lock);
	if (!left)
		return;
	release(m);
	mutex_lock(&dl->lock);
	g->nr_releasing--;
	mutex_unlock(&dl->lock);
	writeback_note_progress(mm);
}

/* The next of a group that no sync of this pass or a later one has done. */
static struct address_space *next_to_sync(struct dirty_list *dl,
					  struct writeback_group *g,
					  uint64_t pass) must_hold(dl->lock)
{
	struct address_space *m;

	(void)dl;
	list_for_each_entry(m, &g->mappings, struct address_space, dirty_link)
		if (m->sync_pass < pass && !m->wb_busy)
			return m;
	return NULL;
}

static struct address_space *take_to_sync(struct dirty_list *dl,
					  const struct writeback_group *only,
					  uint64_t pass)
{
	struct address_space *m = NULL;
	struct writeback_group *g;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, only) if (!m) m = next_to_sync(dl, g, pass);
	if (m)
		m->wb_busy = true;
	mutex_unlock(&dl->lock);
	return m;
}

/* One that another thread is still at, or whose times are being put back. */
static bool any_undone(struct dirty_list *dl,
		       const struct writeback_group *only, uint64_t pass)
{
	struct writeback_group *g;
	struct address_space *m;
	bool undone = false;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, only)
	{
		undone |= g->nr_releasing > 0;
		list_for_each_entry(m, &g->mappings, struct address_space,
				    dirty_link)
			undone |= m->sync_pass < pass;
	}
	mutex_unlock(&dl->lock);
	return undone;
}

/* The error of a mapping that could not be written since then, or 0. */
static int error_since(struct dirty_list *dl,
		       const struct writeback_group *only, uint64_t since_ns)
{
	struct writeback_group *g;
	struct address_space *m;
	int err = 0;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, only) list_for_each_entry(
		m, &g->mappings, struct address_space,
		dirty_link) if (m->nr_dirty > 0 &&
				m->retry_ns >= since_ns + RETRY_NS) err =
		errseq_peek(&m->wb_err);
	mutex_unlock(&dl->lock);
	return err;
}

/*
 * A sync that began later has a higher pass: what it did after our beginning
 * counts for us as well, its errors too; what an earlier one did does not.
 */
int dirty_list_sync(struct mm *mm, const struct writeback_group *group)
{
	struct dirty_list *dl = &mm->dirty_list;
	uint64_t began = os_now_ns(), pass = dirty_list_new_pass(dl);
	struct address_space *m;
	int err = 0;

	do {
		while ((m = take_to_sync(dl, group, pass))) {
			uint64_t started = os_now_ns();
			int e = mapping_sync(m, 0, UINT64_MAX);

			err = err ? err : e;
			end_sync(m, started, pass);
		}
		if (!any_undone(dl, group, pass))
			break;
		writeback_wait_progress(mm, WRITEBACK_WAIT_NS);
	} while (true);
	return err ? err : error_since(dl, group, began);
}

void dirty_list_for_each(struct mm *mm, const struct writeback_group *group,
			 void (*fn)(struct address_space *m, void *arg),
			 void *arg)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g;
	struct address_space *m;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, group) list_for_each_entry(
		m, &g->mappings, struct address_space, dirty_link) fn(m, arg);
	mutex_unlock(&dl->lock);
}

bool dirty_list_busy(struct mm *mm, const struct writeback_group *group)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g;
	bool busy = false;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, group) busy |=
		!list_empty(&g->mappings) || g->nr_releasing > 0;
	mutex_unlock(&dl->lock);
	return busy;
}

bool dirty_list_moves(struct mm *mm)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g;
	bool moves = false;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, NULL) moves |=
		atomic_load(&g->nr_dirty) > 0 && !atomic_load(&g->stuck);
	mutex_unlock(&dl->lock);
	return moves;
}

uint64_t dirty_list_bytes(struct mm *mm, const struct writeback_group *group)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g;
	uint64_t nr = 0;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, group) nr +=
		atomic_load(&g->nr_dirty) + atomic_load(&g->nr_writeback);
	mutex_unlock(&dl->lock);
	return nr << PAGE_SHIFT;
}
