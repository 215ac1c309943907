/*
 * space.c - reserved + what was spent since it was asked <= what it had, or ask
 * again.
 */
#include "fs/space.h"

#include "mm/mm.h"

#include <errno.h>

/* Others use the file system too: what it said holds for so long. */
#define ASK_AGAIN_NS (1 * NSEC_PER_SEC)

/*
 * What others could take at the full rate of a fast disk between one look and
 * the next. While we then write out what is counted they may take as much again
 * as we do: twice that is added.
 */
#define TAKEN_BY_OTHERS (4ull << 30)

/* A quota, or what else says less than statfs(2), is remembered for so long. */
#define REFUSED_NS (300 * NSEC_PER_SEC)

/*
 * Where all is counted and nothing allocated: not given to data, for indirect
 * blocks, directories and the journal; or a share of a small one. A guess.
 */
#define MARGIN_BYTES (1ull << 20)
enum { MARGIN_SHARE = 256 };

/* --- all of them ---------------------------------------------------- */

int space_table_init(struct space_table *t, struct mm *mm)
{
	t->mm = mm;
	mutex_init(&t->lock);
	list_init(&t->spaces);
	return kmem_cache_init(mm, &t->cache, "space", sizeof(struct space),
			       false);
}

void space_table_destroy(struct space_table *t)
{
	while (!list_empty(&t->spaces)) {
		struct space *s =
			list_first_entry(&t->spaces, struct space, link);

		ASSERT(s->reserved == 0);
		list_del(&s->link);
		kmem_cache_free(&t->cache, s);
	}
	kmem_cache_destroy(&t->cache);
}

static struct space *find(struct space_table *t, uint64_t dev)
	must_hold(t->lock)
{
	struct space *s;

	list_for_each_entry(s, &t->spaces, struct space, link)
		if (s->dev == dev)
			return s;
	return NULL;
}

struct space *space_of_dev(struct space_table *t, uint64_t dev)
{
	struct space *s, *fresh = NULL;

	mutex_lock(&t->lock);
	s = find(t, dev);
	mutex_unlock(&t->lock);
	if (s)
		return s;
	fresh = kmem_cache_zalloc(&t->cache, GFP_KERNEL);
	if (!fresh)
		return NULL;
	fresh->mm = t->mm;
	fresh->dev = dev;
	fresh->block = PAGE_SIZE;
	mutex_init(&fresh->lock);
	mutex_lock(&t->lock);
	s = find(t, dev); /* somebody may have been faster */
	if (!s)
		list_add_tail(&t->spaces, &fresh->link);
	mutex_unlock(&t->lock);
	if (s)
		kmem_cache_free(&t->cache, fresh);
	return s ? s : fresh;
}

struct space *space_next(struct space_table *t, struct space *s)
{
	struct list_head *next;

	mutex_lock(&t->lock);
	next = s ? s->link.next : t->spaces.next;
	mutex_unlock(&t->lock);
	return next == &t->spaces ? NULL
				  : container_of(next, struct space, link);
}

/* --- asking ----------------------------------------------------------------- */

/* Dirty pages there may be, of all volumes, in bytes. */
static uint64_t dirty_max(struct mm *mm)
{
	unsigned long background, limit;

	dirty_limits(mm, &background, &limit);
	return (uint64_t)limit << PAGE_SHIFT;
}

static uint64_t taken(const struct space *s)
{
	return s->reserved + (s->spent - s->spent_then);
}

static bool is_refused(const struct space *s)
{
	return s->refused_ns > 0 && os_now_ns() - s->refused_ns <= REFUSED_NS;
}

/* Are bytes more to be allocated first? */
static bool decide(struct space *s, uint64_t bytes) must_hold(s->lock)
{
	bool first = s->room.limited || is_refused(s) ||
		     taken(s) + bytes + s->plenty > s->room.bytes;

	if (first && !atomic_load(&s->blocks_first))
		vmstat_inc(s->mm, SPACE_SCARCE);
	atomic_store(&s->blocks_first, first);
	return first;
}

/* Those who only count wait for the lock, so it is not held meanwhile. */
static void ask_again(struct space *s, int fd) must_hold(s->lock)
{
	uint64_t spent = s->spent, began = os_now_ns(), plenty;
	struct backing_room room;
	int err;

	s->nr_asking++;
	mutex_unlock(&s->lock);
	err = backing_room(fd, &room);
	plenty = TAKEN_BY_OTHERS + 2 * dirty_max(s->mm);
	mutex_lock(&s->lock);
	s->nr_asking--;
	/* Who began later may have the newer answer already. */
	if (err || began < s->asked_ns)
		return;
	s->room = room;
	s->plenty = plenty;
	s->spent_then = spent; /* it may not know of what came after */
	s->asked_ns = began;
	atomic_store(&s->copies, room.copies);
	atomic_store(&s->known, true);
	atomic_store(&s->block, min_of(room.block, (uint32_t)PAGE_SIZE));
}

static bool fits(const struct space *s, uint64_t bytes)
{
	uint64_t margin = min_of(s->room.total / MARGIN_SHARE, MARGIN_BYTES);

	return taken(s) + bytes + margin <= s->room.bytes;
}

static bool is_fresh(const struct space *s)
{
	return s->asked_ns > 0 &&
	       (s->nr_asking > 0 || os_now_ns() - s->asked_ns <= ASK_AGAIN_NS);
}

/* Is what it said last good enough? */
static bool is_known(struct space *s, uint64_t bytes) must_hold(s->lock)
{
	return is_fresh(s) && (decide(s, bytes) || fits(s, bytes));
}

int space_know(struct space *s, int fd, gfp_t gfp)
{
	if (atomic_load_explicit(&s->known, memory_order_relaxed))
		return 0;
	if (!(gfp & GFP_RECLAIM))
		return -EAGAIN;
	mutex_lock(&s->lock);
	ask_again(s, fd);
	mutex_unlock(&s->lock);
	return 0;
}

/* What is counted now is to get its blocks before others do. */
static void hurry(struct space *s)
{
	flusher_wake(s->mm);
}

/* --- reserving --------------------------------------------------------------- */

static int injected(struct space *s, uint64_t bytes)
{
	struct mm *mm = s->mm;

	if (!should_fail(&mm->fail_reserve, bytes))
		return 0;
	vmstat_inc(mm, RESERVE_FAIL_INJECTED);
	return -ENOSPC;
}

/* Reserve if they fit. 0 or -ENOSPC. */
static int count(struct space *s, uint64_t bytes) must_hold(s->lock)
{
	if (!fits(s, bytes)) {
		vmstat_inc(s->mm, ENOSPC_BACKING);
		return -ENOSPC;
	}
	s->reserved += bytes;
	return 0;
}

int space_reserve(struct space *s, int fd, uint64_t bytes, gfp_t gfp)
{
	bool turned = false, was_first;
	int err = injected(s, bytes);

	if (err)
		return err;
	mutex_lock(&s->lock);
	if (!is_known(s, bytes)) {
		if (!(gfp & GFP_RECLAIM)) {
			mutex_unlock(&s->lock);
			return -EAGAIN;
		}
		ask_again(s, fd);
	}
	was_first = atomic_load(&s->blocks_first);
	if (decide(s, bytes)) {
		err = SPACE_ALLOCATE;
		turned = !was_first && s->reserved > 0;
	} else {
		err = count(s, bytes);
	}
	mutex_unlock(&s->lock);
	if (turned)
		hurry(s);
	return err;
}

int space_count(struct space *s, int fd, uint64_t bytes)
{
	int err;

	mutex_lock(&s->lock);
	if (!is_fresh(s) || !fits(s, bytes))
		ask_again(s, fd);
	err = count(s, bytes);
	mutex_unlock(&s->lock);
	return err;
}

void space_release(struct space *s, uint64_t bytes, bool written)
{
	mutex_lock(&s->lock);
	ASSERT(s->reserved >= bytes);
	s->reserved -= bytes;
	if (written)
		s->spent += bytes;
	mutex_unlock(&s->lock);
}

int space_check(struct space *s, int fd, uint64_t bytes)
{
	bool as_other;
	int err = 0;

	mutex_lock(&s->lock);
	as_other = s->room.as_other;
	if (as_other) {
		ask_again(s, fd);
		if (taken(s) + bytes > s->room.bytes)
			err = -ENOSPC;
	}
	mutex_unlock(&s->lock);
	return err;
}

void space_allocated(struct space *s, uint64_t bytes)
{
	mutex_lock(&s->lock);
	s->spent += bytes;
	mutex_unlock(&s->lock);
}

void space_refused(struct space *s)
{
	mutex_lock(&s->lock);
	s->refused_ns = os_now_ns();
	decide(s, 0);
	mutex_unlock(&s->lock);
}

/* --- looking ------------------------------------------------------------------ */

/* Decided every time, also where what it said last is good enough. */
void space_look(struct space *s, int fd)
{
	bool turned;

	mutex_lock(&s->lock);
	if (!is_fresh(s))
		ask_again(s, fd);
	turned = decide(s, 0) && s->reserved > 0;
	mutex_unlock(&s->lock);
	if (turned)
		hurry(s);
}

uint64_t space_reserved(struct space *s)
{
	uint64_t bytes;

	mutex_lock(&s->lock);
	bytes = s->reserved;
	mutex_unlock(&s->lock);
	return bytes;
}
