/*
 * flusher.c - the threads that write back, and when.
 *
 *   (1) A flusher is at one mapping at a time, for a pass of limited length, so
 *       that none has to wait for the end of another.
 *   (2) "wanted" is seen before what was done ahead of it: who finds it set has
 *       nothing to do.
 *   (3) One flusher at a time is at a group: it may hang in what its device is
 *       asked, with no more than one of them.
 */
#include "mm/flusher.h"

#include "mm/mm.h"

void flusher_init(struct flusher *fl)
{
	*fl = (struct flusher){ .nr = 0 };
	mutex_init(&fl->lock);
	cond_init(&fl->work);
}

static void wake(struct mm *mm, bool all)
{
	struct flusher *fl = &mm->flusher;

	/* It will look again, and at what was done before this. */
	if (atomic_load(&fl->wanted) && (!all || atomic_load(&fl->want_all)))
		return;
	mutex_lock(&fl->lock);
	fl->want_all |= all;
	if (!fl->wanted) {
		fl->wanted = true;
		vmstat_inc(mm, FLUSHER_WAKE);
		cond_signal(&fl->work);
	}
	mutex_unlock(&fl->lock);
}

void flusher_wake(struct mm *mm)
{
	wake(mm, true);
}

void flusher_look(struct mm *mm)
{
	wake(mm, false);
}

void flusher_kick(struct address_space *m)
{
	struct dirty_list *dl = &m->mm->dirty_list;
	bool listed;

	mutex_lock(&dl->lock);
	listed = m->on_dirty_list;
	if (listed) {
		m->wb_now = true;
		m->kicked_ns = os_now_ns();
		atomic_store(&m->wb_leave, true);
	}
	mutex_unlock(&dl->lock);
	if (listed)
		wake(m->mm, false);
}

/* Are its pages to wait for a sync? */
static bool is_held_back(struct address_space *m)
{
	return m->ops->hold_back && m->ops->hold_back(m);
}

/*
 * One of g that is due and that nobody is at, or NULL; then g is stuck if all
 * that it has rests.
 */
static struct address_space *due_of(struct dirty_list *dl,
				    struct writeback_group *g, bool all,
				    uint64_t pass) must_hold(dl->lock)
{
	struct mm *mm = g->mm;
	uint64_t now = os_now_ns();
	uint64_t expire =
		vm_get(mm, VM_DIRTY_EXPIRE_CENTISECS) * 10 * NSEC_PER_MSEC;
	bool pressed = dirty_pressure(mm) > 0, rests = false, moves = false;
	struct address_space *m;

	(void)dl;
	list_for_each_entry(m, &g->mappings, struct address_space, dirty_link) {
		bool clean = m->nr_dirty == 0 && m->nr_writeback == 0;

		if (!clean && !m->wb_busy &&
		    (m->retry_ns > now || (!pressed && is_held_back(m)))) {
			rests = true;
			continue;
		}
		moves = true;
		/* Once a pass; a later one will do it for us. */
		if (m->wb_busy || m->flush_pass >= pass)
			continue;
		if (clean || all || m->wb_now || m->dirtied_ns + expire <= now)
			return m;
	}
	/* Waiting would not help. */
	atomic_store(&g->stuck, rests && !moves && g->nr_writeback == 0);
	return NULL;
}

/*
 * The next mapping that is due, of a group that nobody is at; both are then busy.
 * Or NULL. *more: there may be some in other groups, for other flushers.
 */
static struct address_space *take_due(struct mm *mm, bool all, uint64_t pass,
				      bool *more)
{
	struct dirty_list *dl = &mm->dirty_list;
	struct address_space *due = NULL;
	struct writeback_group *g;

	mutex_lock(&dl->lock);
	for_each_group(g, dl, NULL)
	{
		if (g->flushing) {
			g->look_again = true;
			g->look_all |= all;
			continue;
		}
		if (due) {
			*more |= !list_empty(&g->mappings);
			continue;
		}
		due = due_of(dl, g, all, pass);
		if (due) {
			due->wb_busy = true;
			due->wb_now = false;
			due->flush_pass = pass;
			g->flushing = true; /* (3) */
		}
	}
	mutex_unlock(&dl->lock);
	return due;
}

/* What the next pass of the round begins with. Returns false: it has ended. */
static bool round_goes_on(struct flush_round *r, const struct write_pass *p)
{
	if (p->skipped) {
		r->skipped_first =
			r->skipped ? min_of(r->skipped_first, p->skipped_first)
				   : p->skipped_first;
		r->skipped_last =
			r->skipped ? max_of(r->skipped_last, p->skipped_last)
				   : p->skipped_last;
		r->skipped = true;
	}
	r->under_way = true;
	if (p->next > 0) {
		r->first = p->next;
	} else if (r->skipped) {
		r->first = r->skipped_first;
		r->last = r->skipped_last;
		r->skipped = false;
	} else {
		r->under_way = false;
	}
	return r->under_way;
}

/* One pass over a mapping that is busy for us. Returns how many pages begun. */
static unsigned long flush_mapping(struct address_space *m)
{
	struct flush_round *r = &m->round;
	struct write_pass p = { .tag = XA_DIRTY, .quota = WRITE_PASS_PAGES };
	bool goes_on;

	if (!r->under_way)
		*r = (struct flush_round){ .last = UINT64_MAX,
					   .began_ns = os_now_ns(),
					   .nr_errors = m->nr_write_errors };
	p.first = r->first;
	p.last = r->last;
	if (is_held_back(m)) /* no more than must be */
		p.quota = min_of(p.quota, dirty_pressure(m->mm));
	if (p.quota > 0)
		mapping_write(m, &p);
	goes_on = round_goes_on(r, &p);
	/* Each page was begun at least; one that fails again is counted anew. */
	if (!goes_on && p.quota > 0)
		mapping_note_mended(m, r->nr_errors);
	/* From then on m may be gone. */
	dirty_list_end_flush(m, goes_on ? 0 : r->began_ns);
	return p.nr;
}

static void flusher_pass(struct mm *mm, bool all)
{
	uint64_t pass = dirty_list_new_pass(&mm->dirty_list);
	bool again = false, more = false, told = false;
	struct address_space *m;

	vmstat_inc(mm, FLUSHER_RUN);
	while ((m = take_due(mm, all || dirty_over_background(mm), pass,
			     &more))) {
		/* One wakes the next: who was woken may be long at its group. */
		if (more && !told)
			wake(mm, all);
		told |= more;
		again |= flush_mapping(m) >= WRITE_PASS_PAGES;
	}
	if (again)
		wake(mm, all);
}

static void flusher_main(void *arg)
{
	struct mm *mm = arg;
	struct flusher *fl = &mm->flusher;

	mutex_lock(&fl->lock);
	while (!fl->stop) {
		bool all;

		if (!fl->wanted)
			cond_timedwait(
				&fl->work, &fl->lock,
				vm_get(mm, VM_DIRTY_WRITEBACK_CENTISECS) * 10 *
					NSEC_PER_MSEC);
		all = fl->want_all;
		fl->wanted = fl->want_all = false;
		mutex_unlock(&fl->lock);
		flusher_pass(mm, all);
		mutex_lock(&fl->lock);
		dirty_rate_update(mm);
	}
	mutex_unlock(&fl->lock);
}

int flusher_start(struct mm *mm, unsigned int nr)
{
	struct flusher *fl = &mm->flusher;
	int err = 0;

	while (!err && fl->nr < min_of(nr, (unsigned int)FLUSHERS_MAX)) {
		err = os_thread_start(&fl->threads[fl->nr], "flusher",
				      flusher_main, mm);
		fl->nr += !err;
	}
	return err;
}

void flusher_stop(struct mm *mm)
{
	struct flusher *fl = &mm->flusher;

	mutex_lock(&fl->lock);
	fl->stop = true;
	cond_broadcast(&fl->work);
	mutex_unlock(&fl->lock);
	while (fl->nr > 0)
		os_thread_join(&fl->threads[--fl->nr]);
}
