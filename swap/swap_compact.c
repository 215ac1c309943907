/*
 * swap_compact.c - clusters whose objects are mostly void are moved together,
 * so that there are free ones to write to.
 *
 *   (1) An object is moved by storing it again and putting the new entry where
 *       the old one was, with the mapping locked: it is always in one place at
 *       least, and in the tree only with the one that holds.
 *   (2) The header of an object says whose it is. Whether it still is, is seen
 *       by the tree: it has exactly this entry, or a page that has it.
 *   (3) What is damaged is left where it is: its reader is to hear of it. A
 *       cluster with such objects is not looked at again.
 *   (4) A buffer that could not be written is moved in the same way.
 */
#include "swap/swap.h"

#include "mm/address_space.h"
#include "mm/mm.h"
#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "swap/anon.h"

#include <errno.h>
#include <string.h>

/* Below this many free clusters it begins: a share of all, within limits. */
enum { LOW_SHARE = 32, LOW_MIN = 4, LOW_MAX = 64 };

/*
 * A cluster with less void bytes is not worth moving; with nothing else left,
 * the size of a page is.
 */
enum {
	WORTH_BYTES = SWAP_CLUSTER_SIZE / 16,
	WORTH_BYTES_LEAST = SWAP_OBJECT_MAX,
};

/* So many clusters are looked at for the best one. */
enum { SEARCH_MAX = 8192 };

/* What could not be moved is tried again after a while: errors pass. */
#define UNSTICK_NS   (10 * NSEC_PER_SEC)
#define PERIOD_NS    (1 * NSEC_PER_SEC)
#define BUSY_WAIT_NS (10 * NSEC_PER_MSEC)

static uint32_t worth_bytes(struct swap *s) must_hold(s->lock)
{
	return s->nr_free <= SWAP_RESERVED_CLUSTERS + 1 ? WORTH_BYTES_LEAST
							: WORTH_BYTES;
}

bool swap_compact_wanted(struct swap *s)
{
	uint32_t low =
		min_of(max_of(s->nr_clusters / LOW_SHARE, (uint32_t)LOW_MIN),
		       (uint32_t)LOW_MAX);
	uint32_t worth = worth_bytes(s);
	/* Nothing was worth it: then not before there is more. */
	uint64_t barren = worth < s->barren_worth ? 0 : s->barren;
	uint64_t more = worth < WORTH_BYTES ? worth : 2 * SWAP_CLUSTER_SIZE;

	return s->nr_free < low + SWAP_RESERVED_CLUSTERS && !s->blocked &&
	       s->garbage >= barren + more;
}

uint64_t swap_compactable(struct swap *s)
{
	uint64_t garbage, unworthy;

	mutex_lock(&s->lock);
	garbage = s->garbage;
	unworthy = (uint64_t)(s->nr_clusters - s->nr_free) * WORTH_BYTES_LEAST;
	mutex_unlock(&s->lock);
	return garbage - min_of(garbage, unworthy);
}

/* --- objects ---------------------------------------------------------------- */

/* One cluster being moved. */
struct move {
	struct swap_place at; /* of the object */
	uint32_t seq;
	const char *mem;
	uint32_t fill; /* bytes of objects in mem */
	bool damaged;
	int err; /* -EBUSY, -ENOSPC: not now */
	unsigned long nr_moved, nr_given_up;
};

/* The tree has this very entry: store the object again (1). */
static void move_value(struct swap *s, struct address_space *m, struct move *mv,
		       const struct swap_object_header *h, swap_entry_t old)
	must_hold(m->lock)
{
	swap_entry_t entry;
	int err;

	mv->err = swap_store(s, SWAP_MOVE, h,
			     mv->mem + mv->at.offset + sizeof(*h), &entry);
	if (mv->err)
		return;
	err = xa_store(&m->pages, h->index, xa_mk_value(entry), NULL);
	ASSERT(err == 0); /* its place is there */
	swap_put(s, old, true);
	mv->nr_moved++;
}

/* It is in memory: it need not be here as well. */
static bool give_up_copy(struct swap *s, struct address_space *m,
			 struct page *page, swap_entry_t old)
{
	bool given_up = false;

	if (page_trylock(page)) {
		if (page->mapping == m->id && page_test(page, PG_swapcache) &&
		    page->private == old && page_test(page, PG_uptodate)) {
			anon_set_dirty(m, page);
			given_up = true;
		}
		page_unlock(&s->mm->page_waits, page);
	}
	page_put(s->mm, page);
	return given_up;
}

static void move_object(struct swap *s, struct move *mv,
			const struct swap_object_header *h)
{
	struct address_space *m = address_space_pin(s->mm, h->mapping);
	swap_entry_t old = swap_entry_stored(&mv->at);
	struct page *page = NULL;
	void *entry;

	if (!m)
		return; /* void: its file is gone */
	mutex_lock(&m->lock);
	entry = xa_load(&m->pages, h->index);
	if (entry == xa_mk_value(old))
		move_value(s, m, mv, h, old);
	else if (entry && !xa_is_value(entry) && page_get_unless_zero(entry))
		page = entry;
	mutex_unlock(&m->lock);
	if (page)
		mv->nr_given_up += give_up_copy(s, m, page, old);
	address_space_unpin(m);
	swap_submit(s);
}

static bool is_whole(const struct move *mv, const struct swap_object_header *h)
{
	const char *data = mv->mem + mv->at.offset + sizeof(*h);

	return h->magic == SWAP_OBJECT_MAGIC && h->len <= PAGE_SIZE &&
	       mv->at.offset + mv->at.size <= mv->fill &&
	       h->check == swap_check(h, swap_data_sum(data, h->len), mv->seq);
}

/* The object at mv->at.offset, whose size it sets. False: no more, or damaged. */
static bool next_object(struct move *mv, struct swap_object_header *h)
{
	if (mv->at.offset + sizeof(*h) > mv->fill)
		return false;
	memcpy(h, mv->mem + mv->at.offset, sizeof(*h));
	if (h->magic == 0)
		return false; /* the padding at the end */
	mv->at.size = swap_object_size(h->len);
	mv->damaged = !is_whole(mv, h);
	return !mv->damaged;
}

/*
 * All of it is looked at before anything is moved (3): what is moved out of a
 * cluster that cannot be emptied takes room, and gives none.
 */
static void check_objects(struct move *mv)
{
	struct swap_object_header h;

	while (next_object(mv, &h))
		mv->at.offset += mv->at.size;
	mv->at.offset = 0;
}

/* Objects from mv->at.offset on; stops where one cannot be moved now. */
static void move_objects(struct swap *s, struct move *mv)
{
	struct swap_object_header h;

	mv->err = 0;
	while (next_object(mv, &h)) {
		move_object(s, mv, &h);
		if (mv->err)
			return;
		mv->at.offset += mv->at.size;
	}
}

/* The same, waiting for buffers while some are on their way. */
static void move_all(struct swap *s, struct move *mv)
{
	check_objects(mv);
	if (mv->damaged)
		return;
	move_objects(s, mv);
	while (mv->err == -EBUSY && vmstat_read(s->mm, NR_SWAP_PENDING) > 0) {
		swap_retry_failed(s); /* nobody else does */
		writeback_wait_progress(s->mm, BUSY_WAIT_NS);
		move_objects(s, mv);
	}
	vmstat_add(s->mm, SWAP_COMPACT_MOVED, (long)mv->nr_moved);
}

/* --- clusters ---------------------------------------------------------------- */

/* Go on to the next cluster of all areas. */
static void advance(struct swap *s) must_hold(s->lock)
{
	if (++s->hand < s->areas[s->hand_area].map.nr)
		return;
	s->hand = 1;
	s->hand_area = (s->hand_area + 1) % s->nr_areas;
}

/* Those that could not be moved count again; some at a time. */
static void unstick(struct swap *s) must_hold(s->lock)
{
	uint64_t now = os_now_ns();

	if (s->nr_stuck == 0)
		return;
	if (s->unstick_area == s->nr_areas) { /* at the end: rest */
		if (now - s->unstuck_ns < UNSTICK_NS)
			return;
		s->unstuck_ns = now;
		s->unstick_area = 0;
		s->unstick = 0;
	}
	for (uint32_t n = SEARCH_MAX; n > 0; n--) {
		struct swap_map *map = &s->areas[s->unstick_area].map;
		struct swap_cluster *c = swap_map_at(map, s->unstick);

		if (c->state == CLUSTER_STUCK) {
			swap_cluster_full(s, c);
			s->nr_stuck--;
		}
		if (++s->unstick < map->nr)
			continue;
		s->unstick = 0;
		if (++s->unstick_area == s->nr_areas)
			return;
	}
}

static uint32_t nr_all(struct swap *s) must_hold(s->lock)
{
	uint32_t all = 0;

	for (unsigned int i = 0; i < s->nr_areas; i++)
		all += s->areas[i].map.nr;
	return all;
}

/* The one with the least in use, among many; MOVING then. */
static bool pick_victim(struct swap *s, struct swap_place *victim)
	must_hold(s->lock)
{
	uint32_t least = SWAP_CLUSTER_SIZE - worth_bytes(s) + 1;
	uint32_t all = nr_all(s);
	bool found = false;

	for (uint32_t n = min_of(all, (uint32_t)SEARCH_MAX); n > 0; n--) {
		struct swap_cluster *c;

		s->nr_barren++;
		advance(s);
		c = swap_map_at(&s->areas[s->hand_area].map, s->hand);
		if (c->state != CLUSTER_FULL || c->live >= least)
			continue;
		least = c->live;
		*victim = (struct swap_place){ .area = s->hand_area,
					       .cluster = s->hand };
		found = true;
	}
	if (found) {
		struct swap_cluster *c = swap_map_at(
			&s->areas[victim->area].map, victim->cluster);

		s->garbage -= SWAP_CLUSTER_SIZE - c->live;
		c->state = CLUSTER_MOVING;
		s->moving = true;
		s->nr_barren = 0;
	}
	return found;
}

static int read_victim(struct swap *s, const struct swap_place *victim)
{
	struct iovec iov = { s->victim, SWAP_CLUSTER_SIZE };
	struct page_io io = {
		.op = PAGE_IO_READ,
		.fd = s->areas[victim->area].fd,
		.swap = true,
		.drop_behind = !s->areas[victim->area].direct,
		.offset = (uint64_t)victim->cluster << SWAP_CLUSTER_SHIFT,
		.iov = &iov,
		.nr_iov = 1,
		.nr_bytes = SWAP_CLUSTER_SIZE,
	};
	int64_t n;

	vmstat_inc(s->mm, SWAP_READ_IO);
	n = page_io_submit_wait(s->mm->io, &io);
	if (n == SWAP_CLUSTER_SIZE)
		return 0;
	vmstat_inc(s->mm, SWAP_READ_ERROR);
	return n < 0 ? (int)n : -EIO;
}

enum outcome {
	COMPACT_MOVED,	 /* something was gained */
	COMPACT_NOTHING, /* there is no cluster worth it */
	COMPACT_BLOCKED, /* there is, and no buffer to move it to */
};

/* Free now, or on the disk as before, with fewer objects. */
static enum outcome end_victim(struct swap *s, const struct move *mv)
	must_hold(s->lock)
{
	struct swap_cluster *c =
		swap_map_at(&s->areas[mv->at.area].map, mv->at.cluster);

	if (c->users == 0) {
		swap_give_cluster(s, mv->at.area, mv->at.cluster);
		vmstat_inc(s->mm, SWAP_COMPACT_FREED);
		return COMPACT_MOVED;
	}
	if (mv->err == 0 &&
	    (mv->damaged || mv->nr_moved + mv->nr_given_up == 0)) {
		c->state = CLUSTER_STUCK; /* not this one again, for now */
		s->nr_stuck++;
		return COMPACT_MOVED;
	}
	swap_cluster_full(s, c);
	return mv->err ? COMPACT_BLOCKED : COMPACT_MOVED;
}

/* Move one cluster. */
static enum outcome compact(struct swap *s)
{
	struct move mv = { .mem = s->victim, .fill = SWAP_CLUSTER_SIZE };
	enum outcome outcome;
	bool found, all;

	mutex_lock(&s->lock);
	found = pick_victim(s, &mv.at);
	all = s->nr_barren >= nr_all(s);
	if (all)
		s->nr_barren = 0; /* the next lap begins */
	if (found)
		mv.seq = swap_map_at(&s->areas[mv.at.area].map, mv.at.cluster)
				 ->seq;
	mutex_unlock(&s->lock);
	if (!found)
		return all ? COMPACT_NOTHING : COMPACT_MOVED;
	vmstat_inc(s->mm, SWAP_COMPACT_RUN);
	if (read_victim(s, &mv.at) < 0)
		mv.damaged = true;
	else
		move_all(s, &mv);
	mutex_lock(&s->lock);
	s->moving = false;
	outcome = end_victim(s, &mv);
	swap_update_room(s);
	mutex_unlock(&s->lock);
	writeback_note_progress(s->mm);
	return outcome;
}

/* --- what could not be written ------------------------------------------------ */

/*
 * One that failed again and again while others were written, or nothing can be
 * tried elsewhere because of such; or NULL.
 */
static struct swap_buffer *hopeless_buffer(struct swap *s) must_hold(s->lock)
{
	/* Is there one for those who push pages out? */
	bool spare = swap_nr_free_buffers(s) > 1;

	for (unsigned int i = 0; i < s->nr_buffers; i++) {
		struct swap_buffer *b = &s->buffers[i];

		if (b->used && !b->writing &&
		    b->nr_failed >= SWAP_ATTEMPTS_MAX &&
		    (swap_is_bad(b) || !spare))
			return b;
	}
	return NULL;
}

/* Elsewhere with it (4). */
static void move_hopeless(struct swap *s)
{
	struct move mv = { .mem = NULL };
	struct swap_buffer *b;

	mutex_lock(&s->lock);
	b = hopeless_buffer(s);
	if (b) {
		b->writing = true; /* nobody tries to write it meanwhile */
		mv = (struct move){
			.mem = b->mem,
			.fill = b->fill,
			.at = { .area = b->area, .cluster = b->cluster },
			.seq = swap_map_at(&s->areas[b->area].map, b->cluster)
				       ->seq,
		};
	}
	mutex_unlock(&s->lock);
	if (!b)
		return;
	move_all(s, &mv);
	mutex_lock(&s->lock);
	b->writing = false;
	swap_drop_if_unused(s, b);
	b->failed_ns = os_now_ns();
	swap_update_room(s);
	mutex_unlock(&s->lock);
	writeback_note_progress(s->mm);
}

void swap_compact_main(void *arg)
{
	struct swap *s = arg;

	mutex_lock(&s->lock);
	while (!s->stop) {
		enum outcome outcome = COMPACT_MOVED;
		bool wanted;

		unstick(s);
		wanted = swap_compact_wanted(s);
		if (!wanted) {
			cond_timedwait(&s->compact_wake, &s->lock,
				       swap_any_failed(s) ? PERIOD_NS / 10
							  : PERIOD_NS);
			s->blocked = false;
			s->nr_barren = 0; /* what was seen is old */
		}
		mutex_unlock(&s->lock);
		swap_retry_failed(s);
		move_hopeless(s);
		if (wanted)
			outcome = compact(s);
		mutex_lock(&s->lock);
		if (outcome == COMPACT_NOTHING) { /* until there is more */
			s->barren = s->garbage;
			s->barren_worth = worth_bytes(s);
		}
		/* A write that ends wakes us, and says that it is not. */
		s->waits_for_write =
			outcome == COMPACT_BLOCKED && swap_nr_writing(s) > 0;
		if (s->waits_for_write)
			cond_timedwait(&s->compact_wake, &s->lock,
				       BUSY_WAIT_NS);
		else
			s->blocked = outcome == COMPACT_BLOCKED &&
				     (swap_nr_free_buffers(s) == 0 ||
				      s->nr_free == 0);
		s->waits_for_write = false;
		swap_update_room(s);
	}
	mutex_unlock(&s->lock);
}
