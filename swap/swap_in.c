/*
 * swap_in.c - from an entry to a page.
 *
 *   (1) Whoever reads an object has a user of its cluster: the page it is for
 *       has the entry and is locked, or swap_get() was called. So the object
 *       stays where it is.
 *   (2) A run that finds no buffer for its next object waits, without a thread,
 *       for one to be returned.
 *   (3) A run holds itself (nr_io) while somebody walks over it.
 *   (4) The completion thread has no time for what takes long: it hands reads of
 *       many objects, and all while others wait to be unpacked, to the
 *       unpackers. A lone small object it unpacks itself, as waking somebody
 *       would take longer.
 */
#include "swap/swap.h"

#include "mm/address_space.h"
#include "mm/mm.h"

#include <errno.h>
#include <string.h>

/*
 * Objects that are unpacked by who learns that they are in: 5 us each, and about
 * as long to wake a thread.
 */
enum { UNPACK_HERE_MAX = 1 };

/* The object, if it is whole and of that owner, into a page. 0 or -EIO. */
static int unpack_object(struct swap *s, const void *object, uint32_t size,
			 uint32_t seq, uint64_t mapping, pgoff_t index,
			 void *to)
{
	struct swap_object_header h;
	const char *data = (const char *)object + sizeof(h);

	if (size < sizeof(h))
		return -EIO;
	memcpy(&h, object, sizeof(h));
	if (h.magic != SWAP_OBJECT_MAGIC || h.len > size - sizeof(h) ||
	    h.len > PAGE_SIZE || h.mapping != mapping || h.index != index ||
	    h.check != swap_check(&h, swap_data_sum(data, h.len), seq))
		return -EIO;
	if (h.len == PAGE_SIZE) {
		memcpy(to, data, PAGE_SIZE);
		return 0;
	}
	return decompress_page(s->compressor, data, h.len, to);
}

/* The same of an object whose bytes are damaged on purpose. */
static __attribute__((noinline)) int
unpack_damaged(struct swap *s, const void *object, uint32_t size, uint32_t seq,
	       uint64_t mapping, pgoff_t index, void *to)
{
	_Alignas(8) char damaged[SWAP_OBJECT_MAX + SWAP_UNIT];
	struct swap_object_header h;
	uint64_t random =
		(uint64_t)fault_get(&s->mm->fail_decompress, FAULT_INJECTED) *
		0x9e3779b97f4a7c15u;

	vmstat_inc(s->mm, DECOMPRESS_FAIL_INJECTED);
	if (size < sizeof(h) || size > sizeof(damaged))
		return -EIO;
	memcpy(damaged, object, size);
	memcpy(&h, object, sizeof(h));
	/* Not behind the data: what is there to fill up has no meaning. */
	damaged[random % min_of(size, (uint32_t)(sizeof(h) + h.len))] ^=
		(char)(1u << (random >> 32) % 8);
	return unpack_object(s, damaged, size, seq, mapping, index, to);
}

static int unpack(struct swap *s, const void *object, uint32_t size,
		  uint32_t seq, uint64_t mapping, pgoff_t index, void *to)
{
	bool damage = should_fail(&s->mm->fail_decompress, PAGE_SIZE);
	int err = damage ? unpack_damaged(s, object, size, seq, mapping, index,
					  to)
			 : unpack_object(s, object, size, seq, mapping, index,
					 to);

	if (err)
		vmstat_inc(s->mm, SWPIN_DAMAGED);
	return err;
}

/* What is not on the disk: 0 or -EIO; -EAGAIN: it is there. Sets the seq. */
static int from_memory(struct swap *s, uint64_t mapping, pgoff_t index,
		       swap_entry_t entry, void *to, uint32_t *seq)
{
	struct swap_place p = swap_entry_place(entry);
	_Alignas(8) char object[SWAP_OBJECT_MAX + SWAP_UNIT];
	struct swap_cluster *c;
	bool buffered;

	if (swap_entry_type(entry) != SWAP_STORED) {
		page_fill_same(to, swap_entry_word(entry));
		vmstat_inc(s->mm, SWPIN_SAME);
		return 0;
	}
	ASSERT(p.size <= sizeof(object));
	mutex_lock(&s->lock);
	c = swap_map_at(&s->areas[p.area].map, p.cluster);
	ASSERT(c->users > 0); /* (1) */
	*seq = c->seq;
	buffered = c->state == CLUSTER_OPEN || c->state == CLUSTER_WRITING;
	if (buffered)
		memcpy(object, s->buffers[c->buffer].mem + p.offset, p.size);
	mutex_unlock(&s->lock);
	if (!buffered)
		return -EAGAIN;
	vmstat_inc(s->mm, SWPIN_BUFFER);
	return unpack(s, object, p.size, *seq, mapping, index, to);
}

/* --- buffers for reading --------------------------------------------------- */

/* One, or NULL; then the run, if there is one, waits for it (2). */
static struct swap_read *read_get(struct swap *s, struct page_run *run)
{
	struct swap_read *r = NULL;

	mutex_lock(&s->read_lock);
	if (!list_empty(&s->reads_free)) {
		r = list_first_entry(&s->reads_free, struct swap_read, link);
		list_del(&r->link);
	} else if (run) {
		list_add_tail(&s->waiting, &run->wait);
	}
	mutex_unlock(&s->read_lock);
	return r;
}

static struct swap_read *read_get_wait(struct swap *s)
{
	struct swap_read *r;

	mutex_lock(&s->read_lock);
	s->nr_sleepers++;
	while (list_empty(&s->reads_free))
		cond_wait(&s->read_returned, &s->read_lock);
	s->nr_sleepers--;
	r = list_first_entry(&s->reads_free, struct swap_read, link);
	list_del(&r->link);
	mutex_unlock(&s->read_lock);
	return r;
}

/* Returned; a run that may go on now, or NULL. */
static struct page_run *read_put(struct swap *s, struct swap_read *r)
{
	struct page_run *run = NULL;

	mutex_lock(&s->read_lock);
	list_add(&s->reads_free, &r->link);
	/* Who sleeps comes first, and goes on with the runs when it is done. */
	if (s->nr_sleepers > 0) {
		cond_signal(&s->read_returned);
	} else if (!list_empty(&s->waiting)) {
		run = list_first_entry(&s->waiting, struct page_run, wait);
		list_del(&run->wait);
	}
	mutex_unlock(&s->read_lock);
	return run;
}

/* What of the cluster an object is read with: whole blocks. */
static struct swap_place blocks_of(const struct swap_area *a,
				   const struct swap_place *p)
{
	uint32_t first = p->offset & ~(a->align - 1);
	uint32_t end = (p->offset + p->size + a->align - 1) & ~(a->align - 1);

	return (struct swap_place){ .area = p->area,
				    .cluster = p->cluster,
				    .offset = first,
				    .size = end - first };
}

static void read_prepare(struct swap_read *r, const struct swap_place *from,
			 uint32_t seq, void (*done)(struct page_io *io))
{
	r->from = *from;
	r->seq = seq; /* users keep it (1) */
	r->iov = (struct iovec){ r->mem, from->size };
	r->io = (struct page_io){
		.op = PAGE_IO_READ,
		.fd = r->swap->areas[from->area].fd,
		.swap = true,
		.drop_behind = !r->swap->areas[from->area].direct,
		.offset = ((uint64_t)from->cluster << SWAP_CLUSTER_SHIFT) +
			  from->offset,
		.iov = &r->iov,
		.nr_iov = 1,
		.nr_bytes = from->size,
		.done = done,
	};
	vmstat_inc(r->swap->mm, SWAP_READ_IO);
}

/* Unpack one object of what was read. */
static int from_read(const struct swap_read *r, int64_t result,
		     swap_entry_t entry, uint64_t mapping, pgoff_t index,
		     void *to)
{
	struct swap *s = r->swap;
	struct swap_place p = swap_entry_place(entry);
	uint32_t at = p.offset - r->from.offset;

	if (result < (int64_t)(at + p.size)) {
		vmstat_inc(s->mm, SWAP_READ_ERROR);
		return -EIO;
	}
	return unpack(s, r->mem + at, p.size, r->seq, mapping, index, to);
}

/* --- runs ------------------------------------------------------------------ */

static void run_put(struct mm *mm, struct page_run *run)
{
	if (atomic_fetch_sub(&run->nr_io, 1) == 1)
		mempool_free(&mm->runs, run);
}

/* One page is in, or is not. The mapping may be gone after the last one. */
static void page_done(struct swap *s, struct page_run *run, struct page *page,
		      int err)
{
	if (!err)
		vmstat_inc(s->mm, PSWPIN);
	swap_page_in_done(page, run, err);
}

static void go_on(struct swap *s, struct page_run *run);

static void unpack_read(struct swap *s, struct swap_read *r)
{
	struct page_run *run = r->run, *next;

	for (unsigned int i = r->first; i < r->first + r->nr; i++) {
		struct page *page = run->pages[i];
		int err = from_read(r, r->io.result, page->private,
				    page->mapping, page->index,
				    page_address(&s->mm->arena, page));

		page_done(s, run, page, err);
	}
	if (r->io.result > 0)
		vmstat_add(s->mm, PGPGIN, (long)(r->io.result >> 10));
	run_put(s->mm, run); /* r keeps s */
	next = read_put(s, r);
	if (next)
		go_on(s, next);
}

/* True: an unpacker does it (4). */
static bool hand_on(struct swap *s, struct swap_read *r)
{
	bool handed;

	mutex_lock(&s->read_lock);
	handed = r->nr > UNPACK_HERE_MAX || !list_empty(&s->to_unpack);
	if (handed) {
		list_add_tail(&s->to_unpack, &r->link);
		cond_signal(&s->unpack_more);
	}
	mutex_unlock(&s->read_lock);
	return handed;
}

static void read_done(struct page_io *io)
{
	struct swap_read *r = container_of(io, struct swap_read, io);

	if (!hand_on(r->swap, r))
		unpack_read(r->swap, r);
}

static void unpacker_main(void *arg)
{
	struct swap *s = arg;

	mutex_lock(&s->read_lock);
	while (!s->unpack_stop) {
		struct swap_read *r;

		if (list_empty(&s->to_unpack)) {
			cond_wait(&s->unpack_more, &s->read_lock);
			continue;
		}
		r = list_first_entry(&s->to_unpack, struct swap_read, link);
		list_del(&r->link);
		mutex_unlock(&s->read_lock);
		vmstat_inc(s->mm, SWPIN_HANDED_ON);
		unpack_read(s, r);
		mutex_lock(&s->read_lock);
	}
	mutex_unlock(&s->read_lock);
}

int swap_in_start(struct swap *s)
{
	unsigned int nr = min_of(max_of(os_nr_cpus(), 2u),
				 (unsigned int)SWAP_UNPACKERS_MAX);
	int err = 0;

	while (s->nr_unpackers < nr && !err) {
		err = os_thread_start(&s->unpackers[s->nr_unpackers], "unpack",
				      unpacker_main, s);
		s->nr_unpackers += err == 0;
	}
	if (err)
		swap_in_stop(s);
	return err;
}

void swap_in_stop(struct swap *s)
{
	mutex_lock(&s->read_lock);
	ASSERT(list_empty(&s->to_unpack));
	s->unpack_stop = true;
	cond_broadcast(&s->unpack_more);
	mutex_unlock(&s->read_lock);
	for (unsigned int i = 0; i < s->nr_unpackers; i++)
		os_thread_join(&s->unpackers[i]);
}

/* Does the object lie so that it can be read together with the others? */
static bool extend(struct swap *s, struct swap_place *from, swap_entry_t entry)
{
	struct swap_place p = swap_entry_place(entry), blocks;
	uint32_t end;

	if (swap_entry_type(entry) != SWAP_STORED || p.area != from->area ||
	    p.cluster != from->cluster || p.offset < from->offset)
		return false;
	blocks = blocks_of(&s->areas[p.area], &p);
	end = max_of(from->offset + from->size, blocks.offset + blocks.size);
	if (end - from->offset > SWAP_READ_SIZE)
		return false;
	from->size = end - from->offset;
	return true;
}

/* The object of page "next" of the run, and those behind it, from the disk. */
static bool begin_read(struct swap *s, struct page_run *run, uint32_t seq)
{
	struct swap_place p = swap_entry_place(run->pages[run->next]->private);
	struct swap_place from = blocks_of(&s->areas[p.area], &p);
	struct swap_read *r = read_get(s, run);

	if (!r)
		return false; /* it may go on elsewhere already */
	r->run = run;
	r->first = run->next++;
	r->nr = 1;
	while (run->next < run->nr &&
	       extend(s, &from, run->pages[run->next]->private)) {
		run->next++;
		r->nr++;
	}
	atomic_fetch_add(&run->nr_io, 1);
	lru_note_cost(s->mm, LRU_ANON, 1, 0);
	read_prepare(r, &from, seq, read_done);
	page_io_queue(s->mm->io, &r->io);
	return true;
}

/* From page "next" on, as far as there are buffers. */
static void go_on(struct swap *s, struct page_run *run)
{
	struct mm *mm = s->mm; /* s may be gone after the last page */

	while (run->next < run->nr) {
		struct page *page = run->pages[run->next];
		uint32_t seq;
		int err = from_memory(s, page->mapping, page->index,
				      page->private,
				      page_address(&s->mm->arena, page), &seq);

		if (err == -EAGAIN) {
			if (begin_read(s, run, seq))
				continue;
			page_io_kick(mm->io);
			return; /* (2) */
		}
		run->next++;
		page_done(s, run, page, err);
	}
	page_io_kick(mm->io);
	run_put(mm, run); /* (3) */
}

void swap_in_run(struct swap *s, struct page_run *run)
{
	run->next = 0;
	atomic_store(&run->nr_io, 1);
	go_on(s, run);
}

/* --- one page -------------------------------------------------------------- */

int swap_in_page(struct swap *s, uint64_t mapping, pgoff_t index,
		 swap_entry_t entry, void *to, bool may_block)
{
	struct swap_place p = swap_entry_place(entry), from;
	struct page_run *next;
	struct swap_read *r;
	uint32_t seq;
	int64_t result;
	int err = from_memory(s, mapping, index, entry, to, &seq);

	if (err == -EAGAIN && may_block) {
		r = read_get_wait(s);
		lru_note_cost(s->mm, LRU_ANON, 1, 0);
		from = blocks_of(&s->areas[p.area], &p);
		read_prepare(r, &from, seq, NULL);
		result = page_io_submit_wait(s->mm->io, &r->io);
		err = from_read(r, result, entry, mapping, index, to);
		next = read_put(s, r);
		if (next)
			go_on(s, next);
	}
	if (!err)
		vmstat_inc(s->mm, PSWPIN);
	return err;
}
