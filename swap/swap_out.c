/*
 * swap_out.c - from a page to an object, from objects to a cluster.
 *
 *   (1) A buffer is open in one stream, or writing, or failed (used, neither
 *       open nor writing), or free (not used). While it is used its cluster
 *       names it, and whoever reads an object of that cluster reads it there.
 *   (2) What is in a buffer does not move and is not changed while the buffer
 *       is used; an open one only grows.
 *   (3) A buffer becomes free when its cluster is on the disk, or when nobody
 *       uses the cluster any more.
 *   (4) Nothing here allocates; nothing waits for I/O.
 */
#include "swap/swap.h"

#include "mm/mm.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

/* What saves less than this share of a page is not worth unpacking. */
enum { COMPRESSED_MAX = PAGE_SIZE - PAGE_SIZE / 16 };

#define RETRY_SOON_NS (200 * NSEC_PER_MSEC)
#define RETRY_NS      (1 * NSEC_PER_SEC)

uint64_t swap_data_sum(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

uint32_t swap_check(const struct swap_object_header *h, uint64_t sum,
		    uint32_t seq)
{
	/* All of the header but the checksum itself. */
	return (uint32_t)XXH3_64bits_withSeed(
		(const char *)h + sizeof(h->check),
		sizeof(*h) - sizeof(h->check), sum + seq);
}

/* --- buffers --------------------------------------------------------------- */

static struct swap_cluster *cluster_of(struct swap *s,
				       const struct swap_buffer *b)
	must_hold(s->lock)
{
	return swap_map_at(&s->areas[b->area].map, b->cluster);
}

unsigned int swap_nr_free_buffers(struct swap *s)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < s->nr_buffers; i++)
		nr += !s->buffers[i].used;
	return nr;
}

unsigned int swap_nr_writing(struct swap *s)
{
	unsigned int nr = 0;

	for (unsigned int i = 0; i < s->nr_buffers; i++)
		nr += s->buffers[i].writing;
	return nr;
}

/* Could a buffer be opened now? 0, -ENOSPC or -EBUSY. */
static int may_open(struct swap *s, enum swap_stream stream) must_hold(s->lock)
{
	uint32_t reserved = stream == SWAP_OUT ? SWAP_RESERVED_CLUSTERS : 0;
	unsigned int nr = swap_nr_free_buffers(s);

	if (s->nr_free <= reserved)
		return -ENOSPC;
	/* The last one is the compactor's: without it there is no more room. */
	if (nr == 0 || (stream == SWAP_OUT && nr == 1 && !s->open[SWAP_MOVE]))
		return -EBUSY;
	return 0;
}

static struct swap_buffer *free_buffer(struct swap *s) must_hold(s->lock)
{
	struct swap_buffer *b = s->buffers;

	while (b->used)
		b++;
	ASSERT(b < s->buffers + s->nr_buffers);
	return b;
}

/* A free cluster of the first area that has one. */
static uint32_t take_cluster(struct swap *s, unsigned int *area)
	must_hold(s->lock)
{
	for (int failing = 0; failing <= 1; failing++)
		for (*area = 0; *area < s->nr_areas; ++*area) {
			struct swap_area *a = &s->areas[*area];
			uint32_t n = a->failing == failing
					     ? swap_map_take(&a->map)
					     : 0;

			if (n) {
				s->nr_free--;
				return n;
			}
		}
	return 0;
}

static int open_buffer(struct swap *s, enum swap_stream stream)
	must_hold(s->lock)
{
	int err = may_open(s, stream);
	struct swap_cluster *c;
	struct swap_buffer *b;

	if (err)
		return err;
	b = free_buffer(s);
	b->cluster = take_cluster(s, &b->area);
	ASSERT(b->cluster != 0);
	b->used = true;
	b->fill = 0;
	b->nr_failed = b->nr_alone = 0;
	b->failed_ns = 0;
	c = cluster_of(s, b);
	c->buffer = (uint8_t)(b - s->buffers);
	c->seq = ++s->seq;
	s->open[stream] = b;
	return 0;
}

/* Writers wait for it; no longer when it has failed again and again. */
static void set_pending(struct swap *s, struct swap_buffer *b, bool pending)
	must_hold(s->lock)
{
	if (b->pending == pending)
		return;
	b->pending = pending;
	vmstat_add(s->mm, NR_SWAP_PENDING, pending ? 1 : -1);
}

/*
 * Full: it is written next, by swap_submit(). It is on its way from now on, even
 * if who has filled it does not get to that soon: nobody is to be refused.
 */
static void close_buffer(struct swap *s, enum swap_stream stream)
	must_hold(s->lock)
{
	struct swap_buffer *b = s->open[stream];

	/* The end of its objects is to be seen by who walks over them. */
	memset(b->mem + b->fill, 0, SWAP_CLUSTER_SIZE - b->fill);
	cluster_of(s, b)->state = CLUSTER_WRITING;
	s->open[stream] = NULL;
	set_pending(s, b, true);
	atomic_fetch_add(&s->nr_closed, 1);
}

/* Nobody needs it any more (3). */
static void drop_buffer(struct swap *s, struct swap_buffer *b)
	must_hold(s->lock)
{
	b->used = false;
	set_pending(s, b, false);
	if (swap_is_bad(b)) {
		swap_map_set_bad(&s->areas[b->area].map, b->cluster);
		s->nr_clusters--;
	} else {
		swap_give_cluster(s, b->area, b->cluster);
	}
}

void swap_drop_if_unused(struct swap *s, struct swap_buffer *b)
{
	if (cluster_of(s, b)->users == 0)
		drop_buffer(s, b);
}

static void written(struct swap *s, struct swap_buffer *b) must_hold(s->lock)
{
	struct swap_cluster *c = cluster_of(s, b);

	s->areas[b->area].written_ns = os_now_ns();
	s->blocked = false;
	b->nr_failed = 0;
	if (c->users == 0) {
		drop_buffer(s, b);
		return;
	}
	b->used = false;
	swap_cluster_full(s, c);
}

/* How long until it may be tried again. */
static uint64_t retry_ns(const struct swap_buffer *b)
{
	return b->nr_failed < SWAP_ATTEMPTS_MAX ? RETRY_SOON_NS : RETRY_NS;
}

static void write_done(struct page_io *io)
{
	struct swap_buffer *b = container_of(io, struct swap_buffer, io);
	struct swap *s = b->swap;
	struct mm *mm = s->mm;

	mutex_lock(&s->lock);
	b->writing = false;
	s->areas[b->area].failing = io->result != (int64_t)io->nr_bytes;
	if (io->result == (int64_t)io->nr_bytes) {
		vmstat_add(mm, PGPGOUT, (long)(io->nr_bytes >> 10));
		set_pending(s, b, false);
		written(s, b);
	} else {
		vmstat_inc(mm, SWAP_WRITE_ERROR);
		b->nr_failed++;
		/* Others were written meanwhile: it is not the whole disk. */
		if (s->areas[b->area].written_ns > b->failed_ns)
			b->nr_alone++;
		b->failed_ns = os_now_ns();
		if (b->nr_failed >= SWAP_ATTEMPTS_MAX)
			set_pending(s, b, false);
		swap_drop_if_unused(s, b);
	}
	swap_update_room(s);
	if (io->result != (int64_t)io->nr_bytes || s->waits_for_write)
		cond_signal(&s->compact_wake);
	mutex_unlock(&s->lock);
	writeback_note_progress(mm);
}

/* One that is closed and not yet sent off, or is to be tried again. */
static struct swap_buffer *next_to_write(struct swap *s, bool again)
	must_hold(s->lock)
{
	uint64_t now = os_now_ns();

	for (unsigned int i = 0; i < s->nr_buffers; i++) {
		struct swap_buffer *b = &s->buffers[i];

		if (!b->used || b->writing || b == s->open[SWAP_OUT] ||
		    b == s->open[SWAP_MOVE])
			continue;
		if (b->nr_failed == 0 ||
		    (again && b->failed_ns + retry_ns(b) <= now))
			return b;
	}
	return NULL;
}

static void submit(struct swap *s, bool again)
{
	struct swap_buffer *b;

	mutex_lock(&s->lock);
	while ((b = next_to_write(s, again))) {
		b->writing = true;
		if (b->nr_failed == 0)
			atomic_fetch_sub(&s->nr_closed, 1);
		set_pending(s, b, true);
		b->iov = (struct iovec){ b->mem, SWAP_CLUSTER_SIZE };
		b->io = (struct page_io){
			.op = PAGE_IO_WRITE,
			.fd = s->areas[b->area].fd,
			.swap = true,
			.drop_behind = !s->areas[b->area].direct,
			.offset = (uint64_t)b->cluster << SWAP_CLUSTER_SHIFT,
			.iov = &b->iov,
			.nr_iov = 1,
			.nr_bytes = SWAP_CLUSTER_SIZE,
			.done = write_done,
		};
		mutex_unlock(&s->lock);
		vmstat_inc(s->mm, SWAP_WRITE_IO);
		page_io_submit(s->mm->io, &b->io);
		mutex_lock(&s->lock);
	}
	mutex_unlock(&s->lock);
}

void swap_submit(struct swap *s)
{
	if (atomic_load(&s->nr_closed) > 0)
		submit(s, false);
}

bool swap_any_failed(struct swap *s)
{
	for (unsigned int i = 0; i < s->nr_buffers; i++)
		if (s->buffers[i].used && s->buffers[i].nr_failed > 0)
			return true;
	return false;
}

void swap_retry_failed(struct swap *s)
{
	submit(s, true);
}

/* --- objects --------------------------------------------------------------- */

/* Room for an object in the open buffer of a stream. */
static int make_room(struct swap *s, enum swap_stream stream, uint32_t size)
	must_hold(s->lock)
{
	struct swap_buffer *b = s->open[stream];

	if (b && b->fill + size <= SWAP_CLUSTER_SIZE)
		return 0;
	if (b)
		close_buffer(s, stream);
	return open_buffer(s, stream);
}

static void append(struct swap *s, struct swap_buffer *b,
		   struct swap_object_header *h, const void *data, uint64_t sum)
	must_hold(s->lock)
{
	struct swap_cluster *c = cluster_of(s, b);
	uint32_t size = swap_object_size(h->len);
	char *to = b->mem + b->fill;

	h->check = swap_check(h, sum, c->seq);
	memcpy(to, h, sizeof(*h));
	memcpy(to + sizeof(*h), data, h->len);
	memset(to + sizeof(*h) + h->len, 0, size - sizeof(*h) - h->len);
	b->fill += size;
	c->live += size;
	c->users++;
}

int swap_store(struct swap *s, enum swap_stream stream,
	       const struct swap_object_header *object, const void *data,
	       swap_entry_t *entry)
{
	struct swap_object_header h = *object;
	uint32_t size = swap_object_size(h.len);
	uint64_t sum = swap_data_sum(data, h.len); /* not with the lock */
	struct swap_buffer *b;
	int err;

	mutex_lock(&s->lock);
	err = make_room(s, stream, size);
	if (!err) {
		b = s->open[stream];
		*entry = swap_entry_stored(
			&(struct swap_place){ .area = b->area,
					      .cluster = b->cluster,
					      .offset = b->fill,
					      .size = size });
		append(s, b, &h, data, sum);
	}
	swap_update_room(s);
	mutex_unlock(&s->lock);
	if (err)
		return err;
	vmstat_inc(s->mm, NR_SWAPPED);
	vmstat_add(s->mm, NR_SWAP_STORED, size);
	return 0;
}

/* As compress_page(), but for those that are to fail: they do not fit. */
static size_t compress(struct swap *s, const void *page,
		       char data[COMPRESSED_MAX])
{
	if (should_fail(&s->mm->fail_compress, PAGE_SIZE)) {
		vmstat_inc(s->mm, COMPRESS_FAIL_INJECTED);
		return 0;
	}
	return compress_page(s->compressor, page, data, COMPRESSED_MAX);
}

/* Would it be in vain to compress anything now? */
static int check_room(struct swap *s)
{
	int err = 0;

	mutex_lock(&s->lock);
	if (!s->open[SWAP_OUT] ||
	    s->open[SWAP_OUT]->fill + SWAP_OBJECT_MAX > SWAP_CLUSTER_SIZE)
		err = may_open(s, SWAP_OUT);
	if (err == -ENOSPC && swap_compact_wanted(s))
		err = -EBUSY;
	mutex_unlock(&s->lock);
	return err;
}

int swap_out_page(struct swap *s, uint64_t mapping, pgoff_t index,
		  const void *page, swap_entry_t *entry)
{
	char data[COMPRESSED_MAX];
	struct swap_object_header h = {
		.magic = SWAP_OBJECT_MAGIC,
		.mapping = mapping,
		.index = index,
	};
	size_t len;
	int err = check_room(s);

	if (!err) {
		len = compress(s, page, data);
		h.len = (uint16_t)(len ? len : PAGE_SIZE);
		err = swap_store(s, SWAP_OUT, &h, len ? data : page, entry);
		swap_submit(s);
	}
	if (err) {
		vmstat_inc(s->mm, err == -EBUSY ? SWPOUT_BUSY : SWPOUT_FULL);
		return err;
	}
	vmstat_inc(s->mm, len ? SWPOUT_COMPRESSED : SWPOUT_INCOMPRESSIBLE);
	vmstat_inc(s->mm, PSWPOUT);
	vmstat_add(s->mm, SWPOUT_BYTES, h.len);
	return 0;
}
