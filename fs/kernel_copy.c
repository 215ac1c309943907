/*
 * kernel_copy.c - a ledger, a queue, and the thread that keeps both in bounds.
 *
 *   (1) nr is the sum of all extents' nr. An extent with nr > 0 is in the queue
 *       or being taken back.
 *   (2) While an extent is being taken back its nr stays; what is charged
 *       meanwhile is counted in "fresh" too, and the rest is what the kernel
 *       says. It is found again by its mapping's id, which is never used twice:
 *       an inode may go meanwhile.
 *   (3) An inode whose extents are in the ledger exists: they leave it, with
 *       the lock held, before the inode goes.
 *   (4) The balloon has a frame for each page charged, and for those of reads
 *       that have not been seen yet, but for what kernel_copies_charge() has
 *       complained of.
 */
#include "fs/kernel_copy.h"

#include "fs/copy_taker.h"
#include "fs/log.h"
#include "fs/volume.h"
#include "mm/page_alloc.h"

#include <errno.h>
#include <fcntl.h>

/*
 * Of the arena: at most 3/4 for copies; 1/32, at most 8 MiB, for reads that are
 * on their way and not seen yet; as much again ahead of those to come. These two
 * are never given up: a page of a full volume that has been promised its room
 * can then be mapped still.
 */
enum { MAX_SHARE = 4, TRANSIT_SHARE = 32, SLACK_SHARE = 32 };
#define TRANSIT_MAX ((8ul << 20) >> PAGE_SHIFT)
#define SLACK_MAX   ((8ul << 20) >> PAGE_SHIFT)

/* So often in a row most of an extent stays: it is mapped. */
enum { MAPPED_TRIES = 3 };

/* Look again though nobody called. */
#define PERIOD_NS (1 * NSEC_PER_SEC)
/* When nothing could be had. */
#define REST_NS (5 * NSEC_PER_MSEC)

static void extent_init(struct copy_extent *e, struct inode *inode,
			uint64_t index)
{
	*e = (struct copy_extent){ .inode = inode, .index = index };
	list_init(&e->queue);
	list_init(&e->hash);
	list_init(&e->of_inode);
}

void inode_copies_init(struct inode_copies *ic, struct inode *inode)
{
	extent_init(&ic->first, inode, 0);
	ic->all = ic->mapped = false;
	list_init(&ic->extents);
	ic->nr_taking_file = 0;
	atomic_store(&ic->nr_open, 0);
	atomic_store(&ic->nr_writers, 0);
	atomic_store(&ic->nr_mappers, 0);
}

static struct list_head *bucket_of(struct kernel_copies *k, uint64_t mapping,
				   uint64_t index)
{
	/* Fibonacci hashing (Knuth, TAOCP 6.4). */
	uint64_t h = (mapping * 31 + index) * 0x9e3779b97f4a7c15u;

	return &k->hash[h >> (64 - COPY_HASH_BITS)];
}

static struct copy_extent *find(struct kernel_copies *k, uint64_t mapping,
				uint64_t index) must_hold(k->lock)
{
	struct copy_extent *e;

	list_for_each_entry(e, bucket_of(k, mapping, index), struct copy_extent,
			    hash)
		if (e->inode->mapping.id == mapping && e->index == index)
			return e;
	return NULL;
}

static bool is_first(const struct copy_extent *e)
{
	return e == &e->inode->copies.first;
}

/* The extent of that index, a new one if need be. */
static struct copy_extent *get(struct kernel_copies *k, struct inode *inode,
			       uint64_t index) must_hold(k->lock)
{
	struct inode_copies *ic = &inode->copies;
	struct copy_extent *e;

	if (index == 0 || ic->all) {
		e = &ic->first;
	} else {
		e = find(k, inode->mapping.id, index);
		if (e)
			return e;
		e = kmem_cache_alloc(&k->extents, GFP_NOWAIT | GFP_GROWTH);
		if (!e) {
			ic->all = true;
			return get(k, inode, 0);
		}
		extent_init(e, inode, index);
		list_add(&ic->extents, &e->of_inode);
	}
	if (list_empty(&e->hash))
		list_add(bucket_of(k, inode->mapping.id, e->index), &e->hash);
	return e;
}

static void add(struct kernel_copies *k, struct copy_extent *e, long nr)
	must_hold(k->lock)
{
	e->nr += (unsigned long)nr;
	atomic_store(&k->nr, atomic_load(&k->nr) + (unsigned long)nr);
	vmstat_add(k->mm, NR_KERNEL_COPIES, nr);
}

/* Out of the ledger: its copies are gone, or it is. */
static void drop(struct kernel_copies *k, struct copy_extent *e)
	must_hold(k->lock)
{
	add(k, e, -(long)e->nr);
	list_del_init(&e->queue);
	list_del_init(&e->hash);
	e->taking = false;
	e->nr_failed = 0;
	if (is_first(e)) {
		e->inode->copies.all = false;
		return;
	}
	list_del(&e->of_inode);
	kmem_cache_free(&k->extents, e);
}

/* How the taker finds the file, and we the order's. */
static void order_init(struct copy_order *o, const struct inode *inode)
{
	*o = (struct copy_order){
		.mount = inode->vol->number,
		.nodeid = inode_nodeid(inode),
		.generation = (uint32_t)inode->mapping.id,
		.mapping = inode->mapping.id,
	};
}

/* What there is room for. */
static unsigned long room(struct kernel_copies *k)
{
	unsigned long size = balloon_size(&k->mm->balloon);

	return size > k->transit ? size - k->transit : 0;
}

bool kernel_copies_fit(struct kernel_copies *k)
{
	return atomic_load_explicit(&k->nr, memory_order_relaxed) <= room(k);
}

void kernel_copies_disable(struct kernel_copies *k)
{
	atomic_store(&k->off, true);
}

bool kernel_copies_charge(struct kernel_copies *k, struct inode *inode,
			  uint64_t first, unsigned int nr)
{
	bool fit;

	if (!k->taker || nr == 0 || atomic_load(&k->off))
		return true;
	vmstat_add(k->mm, COPY_FILL, (long)nr);
	mutex_lock(&k->lock);
	while (nr > 0) {
		struct copy_extent *e =
			get(k, inode, first / COPY_EXTENT_PAGES);
		unsigned int in = (unsigned int)min_of(
			COPY_EXTENT_PAGES - first % COPY_EXTENT_PAGES,
			(uint64_t)nr);
		unsigned long more = in;

		if (!inode->copies.all)
			more = min_of(more, COPY_EXTENT_PAGES - e->nr);
		add(k, e, (long)more);
		if (e->taking)
			e->fresh += in; /* (2) */
		else if (list_empty(&e->queue))
			list_add_tail(&k->queue, &e->queue);
		first += in;
		nr -= in;
	}
	fit = kernel_copies_fit(k);
	if (atomic_load(&k->nr) + k->slack / 2 > room(k))
		cond_signal(&k->more);
	mutex_unlock(&k->lock);
	return fit;
}

bool kernel_copies_receive(struct kernel_copies *k, size_t bytes)
{
	if (!k->taker || balloon_deflate(k->mm, pages_of(bytes)) == 0)
		return false;
	vmstat_inc(k->mm, COPY_RECEIVE);
	return true;
}

void kernel_copies_forget(struct kernel_copies *k, struct inode *inode)
{
	struct inode_copies *ic = &inode->copies;

	if (!k->taker)
		return;
	mutex_lock(&k->lock);
	while (!list_empty(&ic->extents))
		drop(k, list_first_entry(&ic->extents, struct copy_extent,
					 of_inode));
	drop(k, &ic->first);
	ic->nr_taking_file = 0;
	mutex_unlock(&k->lock);
}

bool kernel_copies_taking(struct kernel_copies *k, struct inode *inode,
			  uint64_t first, unsigned int nr)
{
	uint64_t index = first / COPY_EXTENT_PAGES;
	uint64_t last = (first + nr - 1) / COPY_EXTENT_PAGES;
	bool taking;

	mutex_lock(&k->lock);
	taking = inode->copies.nr_taking_file > 0 ||
		 (inode->copies.first.taking &&
		  (index == 0 || inode->copies.all));
	for (; index <= last && !taking; index++) {
		const struct copy_extent *e = find(k, inode->mapping.id, index);

		taking = e && e->taking;
	}
	mutex_unlock(&k->lock);
	return taking;
}

bool kernel_copies_any(struct kernel_copies *k, struct inode *inode)
{
	const struct inode_copies *ic = &inode->copies;
	bool any;

	mutex_lock(&k->lock);
	any = ic->first.nr > 0 || !list_empty(&ic->extents);
	mutex_unlock(&k->lock);
	return any;
}

bool kernel_copies_may_be_dirty(struct inode *inode)
{
	const struct inode_copies *ic = &inode->copies;

	return atomic_load(inode->vol->cache == CACHE_WRITEBACK
				   ? &ic->nr_writers
				   : &ic->nr_mappers) > 0;
}

int kernel_copies_look(struct kernel_copies *k, const struct inode *inode,
		       uint64_t offset, uint64_t len, struct kernel_view *view)
{
	struct copy_order o;
	int err = -ENOTSUP;

	order_init(&o, inode);
	o.offset = offset & ~PAGE_MASK;
	o.len = len ? len + (offset & PAGE_MASK) : 0;
	if (k->taker && !atomic_load(&k->off))
		err = k->look(k->taker, &o, view);
	vmstat_inc(inode->vol->mm, err ? COPY_LOOK_FAILED : COPY_LOOK);
	return err;
}

int kernel_copies_push(struct kernel_copies *k, const struct volume *vol,
		       const struct inode *inode, uint64_t patience_ns)
{
	struct copy_order o = { .mount = vol->number };

	if (!k->taker || atomic_load(&k->off))
		return -ENOTSUP;
	if (inode)
		order_init(&o, inode);
	return k->push(k->taker, &o, patience_ns);
}

void kernel_copies_opened(struct inode *inode, int mode)
{
	struct inode_copies *ic = &inode->copies;

	atomic_fetch_add(&ic->nr_open, 1);
	atomic_fetch_add(&ic->nr_writers, mode != O_RDONLY);
	atomic_fetch_add(&ic->nr_mappers, mode == O_RDWR);
}

void kernel_copies_closed(struct kernel_copies *k, struct inode *inode,
			  int mode)
{
	struct inode_copies *ic = &inode->copies;

	atomic_fetch_sub(&ic->nr_writers, mode != O_RDONLY);
	atomic_fetch_sub(&ic->nr_mappers, mode == O_RDWR);
	if (atomic_fetch_sub(&ic->nr_open, 1) > 1 || !k->taker)
		return;
	mutex_lock(&k->lock);
	ic->mapped = false;
	mutex_unlock(&k->lock);
}

/* --- taking back ----------------------------------------------------------- */

/*
 * Pages that are being read or written are left behind as well as mapped ones,
 * but not most of them, again and again. To write to the file is best,
 * as it takes just the range; but only what is written by others too is open to
 * that, and with a write-back cache in front the kernel would use the taker's
 * open file for pages of others.
 */
static enum copy_take how_to_take(const struct copy_extent *e)
{
	const struct inode_copies *ic = &e->inode->copies;

	if (!ic->mapped)
		return COPY_TAKE_IDLE;
	return atomic_load(&ic->nr_writers) > 0 &&
			       e->inode->vol->cache != CACHE_WRITEBACK
		       ? COPY_TAKE_RANGE
		       : COPY_TAKE_FILE;
}

static void order_of(const struct copy_extent *e, struct copy_order *o)
{
	bool all = is_first(e) && e->inode->copies.all;
	uint64_t bytes = (uint64_t)COPY_EXTENT_PAGES << PAGE_SHIFT;

	order_init(o, e->inode);
	o->offset = e->index * bytes;
	o->len = all ? 0 : bytes;
	o->index = e->index;
	o->how = how_to_take(e);
	o->nr_left = (uint32_t)e->nr;
}

/* The oldest, up to nr pages of them; how many orders that makes. */
static unsigned int choose(struct kernel_copies *k, unsigned long nr)
{
	unsigned int n = 0, most = COPY_ORDERS;
	enum copy_take how;

	mutex_lock(&k->lock);
	while (n < most && nr > 0 && !list_empty(&k->queue)) {
		struct copy_extent *e =
			list_first_entry(&k->queue, struct copy_extent, queue);

		list_del_init(&e->queue);
		e->taking = true;
		e->fresh = 0;
		order_of(e, &k->orders[n++]);
		how = (enum copy_take)k->orders[n - 1].how;
		e->inode->copies.nr_taking_file += how == COPY_TAKE_FILE;
		/* Those may take time, and others want the taker. */
		if (how != COPY_TAKE_IDLE)
			most = COPY_ORDERS / 8;
		nr -= min_of(nr, e->nr);
	}
	mutex_unlock(&k->lock);
	return n;
}

/* What became of one; how many pages less there are. */
static unsigned long settle(struct kernel_copies *k, const struct copy_order *o)
	must_hold(k->lock)
{
	struct copy_extent *e = find(k, o->mapping, o->index);
	unsigned long left, gone, nr;

	if (!e || !e->taking) /* forgotten meanwhile (2) */
		return 0;
	e->inode->copies.nr_taking_file -= o->how == COPY_TAKE_FILE;
	nr = e->nr;
	left = o->nr_left + e->fresh;
	if (!(is_first(e) && e->inode->copies.all))
		left = min_of(left, (unsigned long)COPY_EXTENT_PAGES);
	gone = e->nr - min_of(left, e->nr);
	add(k, e, (long)left - (long)e->nr);
	e->taking = false;
	if (o->nr_left > 0)
		vmstat_inc(k->mm, COPY_TAKE_FAILED);
	e->nr_failed = o->nr_left * 2ul > nr ? e->nr_failed + 1 : 0;
	if (e->nr_failed >= MAPPED_TRIES)
		e->inode->copies.mapped = true;
	if (left > 0)
		list_add_tail(&k->queue, &e->queue);
	else
		drop(k, e);
	return gone;
}

/* The taker is gone; without another one nothing comes back. */
static void revive(struct kernel_copies *k)
{
	vmstat_inc(k->mm, COPY_TAKER_DIED);
	if (copy_taker_restart(k->taker) == 0)
		log_line("the process that takes the kernel's copies back had "
			 "ended; it was started again");
	else
		os_sleep_ns(PERIOD_NS);
}

/* Take up to nr pages back; how many it were. */
static unsigned long take_back(struct kernel_copies *k, unsigned long nr)
{
	unsigned int n = choose(k, nr);
	unsigned long gone = 0;

	if (n == 0)
		return 0;
	if (k->take(k->taker, k->orders, n) == -EIO)
		revive(k);
	mutex_lock(&k->lock);
	for (unsigned int i = 0; i < n; i++) {
		vmstat_inc(k->mm, COPY_TAKE_BACK);
		if (k->orders[i].how != COPY_TAKE_IDLE)
			vmstat_inc(k->mm, COPY_TAKE_UNMAP);
		gone += settle(k, &k->orders[i]);
	}
	mutex_unlock(&k->lock);
	vmstat_add(k->mm, COPY_TAKEN, (long)gone);
	atomic_fetch_add(&k->nr_taken, gone);
	return gone;
}

/* --- the thread, and those who call it -------------------------------------- */

/* What there should be frames for. */
static unsigned long wanted(struct kernel_copies *k)
{
	return atomic_load(&k->nr) + k->transit + k->slack;
}

static unsigned long surplus(struct kernel_copies *k)
{
	unsigned long size = balloon_size(&k->mm->balloon);
	unsigned long keep = max_of(wanted(k), k->min);

	return size > keep ? size - keep : 0;
}

static unsigned long count_frames(struct shrinker *s)
{
	struct kernel_copies *k =
		container_of(s, struct kernel_copies, shrinker);

	unsigned long size = balloon_size(&k->mm->balloon);

	return size > k->min ? size - k->min : 0;
}

/* They will come, from the thread: reclaim does not wait for that. */
static unsigned long ask_frames(struct shrinker *s, unsigned long nr)
{
	struct kernel_copies *k =
		container_of(s, struct kernel_copies, shrinker);
	_Atomic unsigned long *asked = &k->mm->balloon.nr_asked;

	if (atomic_load(asked) < nr)
		atomic_store(asked, nr);
	mutex_lock(&k->lock);
	cond_signal(&k->more);
	mutex_unlock(&k->lock);
	return 0;
}

void kernel_copies_ask(struct kernel_copies *k)
{
	if (k->taker && count_frames(&k->shrinker) > 0)
		ask_frames(&k->shrinker, k->slack);
}

/* Others need frames: at least a batch, as each round trip costs the same. */
static void give_frames(struct kernel_copies *k, unsigned long nr)
{
	struct mm *mm = k->mm;
	unsigned long given;

	nr = max_of(nr, k->slack);
	given = balloon_deflate(mm, min_of(nr, surplus(k)));
	if (given < nr) {
		take_back(k, nr - given);
		balloon_deflate(mm, min_of(nr - given, surplus(k)));
	}
	atomic_store(&mm->balloon.nr_asked, 0);
}

/*
 * Of "need" pages, how many copies should go, and how many pages of ours: in
 * proportion to what there is of each, as between the lists of reclaim.
 */
static unsigned long copies_share(struct kernel_copies *k, unsigned long need)
{
	unsigned long share[NR_LRU_KINDS], copies, anon;

	lru_shares(k->mm, share);
	copies = atomic_load(&k->nr) * share[LRU_FILE];
	anon = (lru_size(&k->mm->lru, LRU_INACTIVE_ANON) +
		lru_size(&k->mm->lru, LRU_ACTIVE_ANON)) *
	       share[LRU_ANON];
	if (copies + anon == 0)
		return need;
	return (unsigned long)((unsigned __int128)need * copies /
			       (copies + anon));
}

/*
 * More copies have come than there are frames for. What is free, and clean
 * pages of ours, go first. Returns what was done.
 */
static unsigned long make_room(struct kernel_copies *k)
{
	struct mm *mm = k->mm;
	unsigned long want = wanted(k), most = min_of(want, k->max);
	unsigned long got = 0, copies;

	if (balloon_size(&mm->balloon) < most)
		got = balloon_inflate(mm, most - balloon_size(&mm->balloon),
				      GFP_WAKE | GFP_RECLAIM);
	if (balloon_size(&mm->balloon) >= want)
		return got;
	want -= balloon_size(&mm->balloon);
	copies = balloon_size(&mm->balloon) < most ? copies_share(k, want)
						   : want;
	if (copies < want)
		got += balloon_inflate(mm, want - copies, GFP_KERNEL);
	return got + take_back(k, copies);
}

static bool is_short(struct kernel_copies *k)
{
	return atomic_load(&k->nr) > 0 &&
	       wanted(k) - k->slack / 2 > balloon_size(&k->mm->balloon);
}

static void copies_main(void *arg)
{
	struct kernel_copies *k = arg;
	unsigned long asked;

	copy_taker_hurry();
	mutex_lock(&k->lock);
	while (!k->stop) {
		bool idle = false;

		asked = atomic_load(&k->mm->balloon.nr_asked);
		if (asked == 0 && !is_short(k)) {
			cond_timedwait(&k->more, &k->lock, PERIOD_NS);
			continue;
		}
		mutex_unlock(&k->lock);
		if (asked > 0)
			give_frames(k, asked);
		else
			idle = make_room(k) == 0;
		if (idle)
			os_sleep_ns(REST_NS);
		mutex_lock(&k->lock);
	}
	mutex_unlock(&k->lock);
}

static int init_hash(struct kernel_copies *k)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < sizeof(*k->hash) << COPY_HASH_BITS)
		order++;
	k->hash_page = page_alloc(k->mm, GFP_KERNEL, order);
	if (!k->hash_page)
		return -ENOMEM;
	vmstat_add(k->mm, NR_SLAB_UNRECLAIMABLE, (long)page_nr(k->hash_page));
	k->hash = page_address(&k->mm->arena, k->hash_page);
	for (size_t i = 0; i < 1u << COPY_HASH_BITS; i++)
		list_init(&k->hash[i]);
	return 0;
}

int kernel_copies_start(struct kernel_copies *k, struct mm *mm,
			struct copy_taker *taker)
{
	unsigned long pages = mm->arena.nr_pages;
	int err;

	*k = (struct kernel_copies){
		.mm = mm,
		.take = copy_taker_take,
		.look = copy_taker_look,
		.push = copy_taker_push,
		.max = pages - pages / MAX_SHARE,
		.transit = min_of(pages / TRANSIT_SHARE, TRANSIT_MAX),
		.slack = min_of(pages / SLACK_SHARE, SLACK_MAX),
	};
	mutex_init(&k->lock);
	cond_init(&k->more);
	list_init(&k->queue);
	if (!taker)
		return 0;
	err = kmem_cache_init(mm, &k->extents, "copy_extent",
			      sizeof(struct copy_extent), true);
	if (!err)
		err = init_hash(k);
	if (!err)
		err = os_thread_start(&k->thread, "copies", copies_main, k);
	if (err)
		return err;
	k->started = true;
	k->taker = taker;
	k->min = balloon_inflate(mm, k->transit + k->slack, GFP_NOWAIT);
	mm->balloon.nr_kept = k->min;
	k->shrinker = (struct shrinker){ .name = "kernel copies",
					 .count = count_frames,
					 .scan = ask_frames };
	shrinker_register(mm, &k->shrinker);
	return 0;
}

void kernel_copies_stop(struct kernel_copies *k)
{
	if (k->taker)
		shrinker_unregister(k->mm, &k->shrinker);
	mutex_lock(&k->lock);
	k->stop = true;
	cond_signal(&k->more);
	mutex_unlock(&k->lock);
	if (k->started)
		os_thread_join(&k->thread);
	ASSERT(atomic_load(&k->nr) == 0);
	balloon_deflate(k->mm, balloon_size(&k->mm->balloon));
	if (k->hash_page) {
		vmstat_add(k->mm, NR_SLAB_UNRECLAIMABLE,
			   -(long)page_nr(k->hash_page));
		page_put(k->mm, k->hash_page);
	}
	kmem_cache_destroy(&k->extents);
}
