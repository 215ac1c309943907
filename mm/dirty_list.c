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
	list_init(&dl->mappings);
}

/* NULL: all are. */
static bool is_of(const struct address_space *m,
		  const struct writeback_group *group)
{
	return !group || m->group == group;
}

/* Are owners being told still, so that times are put back, for one? */
static unsigned int nr_releasing(const struct dirty_list *dl,
				 const struct writeback_group *group)
	must_hold(dl->lock)
{
	return group ? group->nr_releasing : dl->nr_releasing;
}

bool dirty_list_add(struct address_space *m)
{
	struct dirty_list *dl = &m->mm->dirty_list;
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
		list_add_tail(&dl->mappings, &m->dirty_link);
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

void dirty_list_put_back(struct address_space *m, uint64_t started_ns,
			 uint64_t sync_pass)
{
	struct mm *mm = m->mm;
	struct dirty_list *dl = &mm->dirty_list;
	struct writeback_group *g = writeback_group_of(m);
	bool clean;

	mutex_lock(&m->lock);
	mutex_lock(&dl->lock);
	clean = m->nr_dirty == 0 && m->nr_writeback == 0;
	if (clean) {
		list_del(&m->dirty_link);
		m->on_dirty_list = false;
		m->round.under_way = false;
		dl->nr_releasing++;
		g->nr_releasing++;
	} else {
		if (started_ns)
			m->dirtied_ns = started_ns;
		/* The rest, or what came since, at the next pass. */
		if (m->kicked_ns >= started_ns)
			m->wb_now = true;
		list_move_tail(&dl->mappings, &m->dirty_link);
	}
	m->wb_busy = false;
	if (!clean && sync_pass == 0)
		g->flushing = false;
	m->sync_pass = max_of(m->sync_pass, sync_pass);
	mutex_unlock(&dl->lock);
	mutex_unlock(&m->lock);
	if (!clean)
		return;
	m->ops->written(m);
	m->ops->release(m);
	/* Only now: its device may have kept us waiting for this, too. */
	mutex_lock(&dl->lock);
	if (sync_pass == 0)
		g->flushing = false;
	dl->nr_releasing--;
	g->nr_releasing--;
	mutex_unlock(&dl->lock);
	writeback_note_progress(mm);
}

/* The next of group that no sync of this pass or a later one has done. */
static struct address_space *
next_of_group(struct mm *mm, const struct writeback_group *group, uint64_t pass)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct address_space *m, *found = NULL;

	mutex_lock(&dl->lock);
	list_for_each_entry(m, &dl->mappings, struct address_space, dirty_link)
		if (is_of(m, group) && m->sync_pass < pass && !m->wb_busy) {
			m->wb_busy = true;
			found = m;
			break;
		}
	mutex_unlock(&dl->lock);
	return found;
}

/* One that another thread is still at. */
static bool any_undone(struct mm *mm, const struct writeback_group *group,
		       uint64_t pass)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct address_space *m;
	bool undone;

	mutex_lock(&dl->lock);
	undone = nr_releasing(dl, group) > 0;
	list_for_each_entry(m, &dl->mappings, struct address_space, dirty_link)
		undone |= is_of(m, group) && m->sync_pass < pass;
	mutex_unlock(&dl->lock);
	return undone;
}

/* The error of a mapping that could not be written since then, or 0. */
static int error_since(struct mm *mm, const struct writeback_group *group,
		       uint64_t since_ns)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct address_space *m;
	int err = 0;

	mutex_lock(&dl->lock);
	list_for_each_entry(m, &dl->mappings, struct address_space, dirty_link)
		if (is_of(m, group) && m->nr_dirty > 0 &&
		    m->retry_ns >= since_ns + RETRY_NS)
			err = errseq_peek(&m->wb_err);
	mutex_unlock(&dl->lock);
	return err;
}

/*
 * A sync that began later has a higher pass: what it did after our beginning
 * counts for us as well, its errors too; what an earlier one did does not.
 */
int dirty_list_sync(struct mm *mm, const struct writeback_group *group)
{
	uint64_t began = os_now_ns();
	struct address_space *m;
	uint64_t pass = dirty_list_new_pass(&mm->dirty_list);
	int err = 0;

	do {
		while ((m = next_of_group(mm, group, pass))) {
			uint64_t started = os_now_ns();
			int e = mapping_sync(m, 0, UINT64_MAX);

			err = err ? err : e;
			dirty_list_put_back(m, started, pass);
		}
		if (!any_undone(mm, group, pass))
			break;
		writeback_wait_progress(mm, WRITEBACK_WAIT_NS);
	} while (true);
	return err ? err : error_since(mm, group, began);
}

void dirty_list_for_each(struct mm *mm, const struct writeback_group *group,
			 void (*fn)(struct address_space *m, void *arg),
			 void *arg)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct address_space *m;

	mutex_lock(&dl->lock);
	list_for_each_entry(m, &dl->mappings, struct address_space, dirty_link)
		if (is_of(m, group))
			fn(m, arg);
	mutex_unlock(&dl->lock);
}

static void count_mapping(struct address_space *m, void *arg)
{
	(void)m;
	++*(unsigned int *)arg;
}

bool dirty_list_busy(struct mm *mm, const struct writeback_group *group)
{
	struct dirty_list *dl = &mm->dirty_list;
	unsigned int nr = 0;
	bool releasing;

	dirty_list_for_each(mm, group, count_mapping, &nr);
	mutex_lock(&dl->lock);
	releasing = nr_releasing(dl, group) > 0;
	mutex_unlock(&dl->lock);
	return nr > 0 || releasing;
}

static void add_bytes(struct address_space *m, void *arg)
{
	*(uint64_t *)arg += (m->nr_dirty + m->nr_writeback) << PAGE_SHIFT;
}

uint64_t dirty_list_bytes(struct mm *mm, const struct writeback_group *group)
{
	uint64_t bytes = 0;

	dirty_list_for_each(mm, group, add_bytes, &bytes);
	return bytes;
}
