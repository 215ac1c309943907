/*
 * test_every_failure.c - what is left when any one call fails.
 *
 * Allocations and I/O, of trees, slabs, the page cache on a real file, and
 * swap. See every_failure.h. Contents are compared with what was written last.
 */
#include "tests/unit/every_failure.h"
#include "tests/unit/swap_file.h"

#include <sys/stat.h>

/* --- trees and slabs ----------------------------------------------------------- */

struct tree {
	struct xarray xa;
	uint64_t index[8];
};

/* Far from each other: new roots, and paths down. */
static int insert_some(void *arg)
{
	struct tree *t = arg;
	struct xa_stash stash = { .gfp = GFP_KERNEL };
	unsigned int n;
	int err = 0;

	for (n = 0; n < ARRAY_SIZE(t->index) && !err; n++)
		err = xa_store(&t->xa, t->index[n], xa_mk_value(n + 1), &stash);
	n -= err != 0;
	xa_check(&t->xa);
	for (unsigned int i = 0; i < ARRAY_SIZE(t->index); i++)
		assert_ptr_equal(xa_load(&t->xa, t->index[i]),
				 i < n ? xa_mk_value(i + 1) : NULL);
	while (n-- > 0)
		assert_ptr_equal(xa_erase(&t->xa, t->index[n]),
				 xa_mk_value(n + 1));
	assert_null(t->xa.root);
	return err;
}

static int fill_a_stash(void *arg)
{
	struct tree *t = arg;
	struct xa_stash stash = { .nr = 0 };
	int err = xa_stash_fill(&t->xa, &stash, GFP_KERNEL);

	assert_int_equal(stash.nr, err ? 0 : ARRAY_SIZE(stash.nodes));
	xa_stash_drain(&t->xa, &stash);
	return err;
}

static void trees(void **state)
{
	struct mm *mm = *state;
	struct fault_attr *attrs[] = { &mm->fail_xarray_node, &mm->failslab,
				       &mm->fail_page_alloc };
	struct tree t;

	xa_init(&t.xa, &mm->xa_nodes);
	for (size_t i = 0; i < ARRAY_SIZE(t.index); i++)
		t.index[i] = i << (6 * i);
	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		unsigned int n = every_failure(mm, attrs[i], "insert", -ENOMEM,
					       insert_some, &t);

		assert_true(n > 0 || attrs[i] == &mm->fail_page_alloc);
		every_failure(mm, attrs[i], "stash", -ENOMEM, fill_a_stash, &t);
		every_outage(mm, attrs[i], "insert", -ENOMEM, insert_some, &t,
			     i == 1 ? 300 : 1);
	}
}

enum { NR_OBJECTS = 300 };

static int alloc_objects(void *arg)
{
	struct kmem_cache *c = arg;
	static unsigned char *objects[NR_OBJECTS];
	unsigned int n;

	for (n = 0; n < NR_OBJECTS; n++) {
		objects[n] = kmem_cache_zalloc(c, GFP_KERNEL);
		if (!objects[n])
			break;
		memset(objects[n], (int)n, c->size);
	}
	kmem_cache_check(c);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(objects[i][0], (unsigned char)i);
		assert_int_equal(objects[i][c->size - 1], (unsigned char)i);
		kmem_cache_free(c, objects[i]);
	}
	return n < NR_OBJECTS ? -ENOMEM : 0;
}

static int make_a_cache(void *arg)
{
	struct kmem_cache c;
	int err = kmem_cache_init(arg, &c, "short-lived", 200, false);

	if (!err)
		kmem_cache_destroy(&c);
	return err;
}

static void slabs(void **state)
{
	struct mm *mm = *state;
	struct kmem_cache c;

	assert_int_equal(kmem_cache_init(mm, &c, "test", 700, false), 0);
	assert_true(every_failure(mm, &mm->failslab, "objects", -ENOMEM,
				  alloc_objects, &c) > 0);
	assert_true(every_failure(mm, &mm->fail_page_alloc, "objects", -ENOMEM,
				  alloc_objects, &c) > 0);
	every_outage(mm, &mm->failslab, "objects", -ENOMEM, alloc_objects, &c,
		     700);
	every_outage(mm, &mm->fail_page_alloc, "objects", -ENOMEM,
		     alloc_objects, &c, 1);
	every_failure(mm, &mm->fail_page_alloc, "a cache", -ENOMEM,
		      make_a_cache, mm);
	kmem_cache_destroy(&c);
}

static int alloc_big(void *arg)
{
	struct mm *mm = arg;
	struct page *pages[6];
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(pages); n++) {
		pages[n] = page_alloc(mm, GFP_KERNEL | GFP_ZERO, n);
		if (!pages[n])
			break;
	}
	for (unsigned int i = 0; i < n; i++)
		page_put(mm, pages[i]);
	return n < ARRAY_SIZE(pages) ? -ENOMEM : 0;
}

/* And some orders, or some callers, are spared. */
static void frames(void **state)
{
	struct mm *mm = *state;
	struct fault_attr *attr = &mm->fail_page_alloc;

	assert_int_equal(
		every_failure(mm, attr, "frames", -ENOMEM, alloc_big, mm), 6);
	assert_int_equal(fault_set(attr, FAULT_MIN_ORDER, 4), 0);
	assert_int_equal(every_failure(mm, attr, "frames from order 4", -ENOMEM,
				       alloc_big, mm),
			 2);
	assert_int_equal(fault_set(attr, FAULT_MIN_ORDER, 0), 0);
	assert_int_equal(fault_set(attr, FAULT_IGNORE_GFP_WAIT, 1), 0);
	assert_int_equal(every_failure(mm, attr, "frames without waiting",
				       -ENOMEM, alloc_big, mm),
			 0);
}

/* --- the page cache, on a real file ---------------------------------------------- */

enum { FILE_PAGES = 200 };

/* A file whose every page is its version, over and over. */
struct disk_file {
	struct address_space mapping;
	struct writeback_group group;
	int fd;
	_Atomic int held;
	uint64_t version[FILE_PAGES]; /* that the file has, or will have */
	pgoff_t first, last;	      /* for the operation */
};

static struct disk_file *disk_file_of(struct address_space *m)
{
	return container_of(m, struct disk_file, mapping);
}

static void read_ended(struct page_io *io)
{
	struct page_run *run = container_of(io, struct page_run, io[0]);
	int err = io->result < 0			? (int)io->result
		  : (uint64_t)io->result < io->nr_bytes ? -EIO
							: 0;

	page_run_read_done(run, err ? 0 : io->nr_bytes, err);
}

static void write_ended(struct page_io *io)
{
	struct page_run *run = container_of(io, struct page_run, io[0]);

	page_run_write_done(run, io->result < 0 ? (int)io->result
				 : (uint64_t)io->result < io->nr_bytes ? -ENOSPC
								       : 0);
}

static void start(struct address_space *m, struct page_run *run,
		  enum page_io_op op)
{
	page_run_map(run, 0, run->nr);
	run->io[0] = (struct page_io){
		.op = op,
		.fd = disk_file_of(m)->fd,
		.drop_behind = true,
		.offset = run->first << PAGE_SHIFT,
		.iov = run->iov,
		.nr_iov = run->nr,
		.nr_bytes = (uint64_t)run->nr << PAGE_SHIFT,
		.done = op == PAGE_IO_READ ? read_ended : write_ended,
	};
	page_io_queue(m->mm->io, &run->io[0]);
}

static void read_run(struct address_space *m, struct page_run *run)
{
	start(m, run, PAGE_IO_READ);
}

static void write_run(struct address_space *m, struct page_run *run)
{
	start(m, run, PAGE_IO_WRITE);
}

static enum pageout_result keep(struct address_space *m, struct page *page)
{
	(void)m;
	(void)page;
	return PAGEOUT_KEEP;
}

static void nothing(struct address_space *m)
{
	(void)m;
}

static void hold(struct address_space *m)
{
	atomic_fetch_add(&disk_file_of(m)->held, 1);
}

static void release(struct address_space *m)
{
	atomic_fetch_sub(&disk_file_of(m)->held, 1);
}

static const struct address_space_ops disk_ops = {
	.read_run = read_run,
	.write_run = write_run,
	.pageout = keep,
	.written = nothing,
	.hold = hold,
	.release = release,
};

static void fill_words(void *to, uint64_t word)
{
	for (size_t i = 0; i < PAGE_SIZE / sizeof(word); i++)
		memcpy((char *)to + i * sizeof(word), &word, sizeof(word));
}

static bool has_words(const void *data, uint64_t word)
{
	char want[PAGE_SIZE];

	fill_words(want, word);
	return memcmp(data, want, PAGE_SIZE) == 0;
}

/* Off the dirty list, and nothing cached: as before the operation. */
static void settle_file(struct disk_file *f)
{
	while (atomic_load(&f->held) > 0)
		dirty_list_sync(f->mapping.mm, &f->group);
	page_cache_truncate(&f->mapping, 0);
	assert_true(address_space_is_empty(&f->mapping));
}

static int check_page(struct disk_file *f, pgoff_t i)
{
	struct mm *mm = f->mapping.mm;
	struct page *page = page_cache_find(&f->mapping, i);
	int err = -EIO;

	if (!page)
		return -EIO;
	page_wait(&mm->page_waits, page, PG_locked);
	if (page_test(page, PG_uptodate)) {
		assert_true(has_words(page_address(&mm->arena, page),
				      f->version[i]));
		err = 0;
	}
	page_put(mm, page);
	return err;
}

/* What cannot be read is not there, and never wrong. */
static int read_file(void *arg)
{
	struct disk_file *f = arg;
	int err = 0;

	page_cache_read(&f->mapping, f->first,
			(unsigned int)(f->last - f->first + 1), UINT64_MAX,
			GFP_KERNEL);
	for (pgoff_t i = f->first; i <= f->last; i++) {
		int e = check_page(f, i);

		err = err ? err : e;
	}
	settle_file(f);
	return err;
}

/* The frames for it may not be there: that page is as it was. */
static int write_one(struct disk_file *f, pgoff_t i)
{
	struct mm *mm = f->mapping.mm;
	int err;
	struct page *page = page_cache_grab(&f->mapping, i, GFP_KERNEL, &err);

	if (!page)
		return err;
	fill_words(page_address(&mm->arena, page), ++f->version[i]);
	page_set(page, PG_uptodate);
	page_set_dirty(&f->mapping, page);
	page_unlock(&mm->page_waits, page);
	page_put(mm, page);
	return 0;
}

/* Whether or not it was written at once, it is when it is tried again. */
static int write_file(void *arg)
{
	struct disk_file *f = arg;
	char data[PAGE_SIZE];
	int err = 0, e;

	for (pgoff_t i = f->first; i <= f->last && !err; i++)
		err = write_one(f, i);
	e = mapping_sync(&f->mapping, f->first, f->last);
	err = err ? err : e;
	for (pgoff_t i = f->first; i <= f->last; i++) {
		struct page *page = page_cache_find(&f->mapping, i);

		if (!page)
			continue;
		assert_false(page_test(page, PG_locked | PG_writeback));
		assert_true(e != 0 || !page_test(page, PG_dirty));
		assert_true(has_words(page_address(&f->mapping.mm->arena, page),
				      f->version[i]));
		page_put(f->mapping.mm, page);
	}
	if (e)
		assert_int_equal(mapping_sync(&f->mapping, 0, UINT64_MAX), 0);
	settle_file(f);
	for (pgoff_t i = f->first; i <= f->last; i++) {
		assert_int_equal(
			pread(f->fd, data, PAGE_SIZE, (off_t)(i << PAGE_SHIFT)),
			PAGE_SIZE);
		assert_true(has_words(data, f->version[i]));
	}
	return err;
}

/* Dirty pages, some of them cut off before they are written. */
static int truncate_file(void *arg)
{
	struct disk_file *f = arg;
	uint64_t before[FILE_PAGES];
	pgoff_t i, middle = (f->first + f->last) / 2;
	int err = 0, e;

	memcpy(before, f->version, sizeof(before));
	for (i = f->first; i <= f->last && !err; i++)
		err = write_one(f, i);
	page_cache_truncate(&f->mapping, middle);
	for (i = middle; i <= f->last; i++)
		f->version[i] = before[i];
	e = mapping_sync(&f->mapping, 0, UINT64_MAX);
	if (e)
		assert_int_equal(mapping_sync(&f->mapping, 0, UINT64_MAX), 0);
	settle_file(f);
	f->first = 0;
	f->last = FILE_PAGES - 1;
	i = 0;
	while (i < FILE_PAGES) {
		char data[PAGE_SIZE];

		assert_int_equal(
			pread(f->fd, data, PAGE_SIZE, (off_t)(i << PAGE_SHIFT)),
			PAGE_SIZE);
		assert_true(has_words(data, f->version[i]));
		i++;
	}
	return err ? err : e;
}

static struct disk_file *disk_file_create(struct mm *mm)
{
	struct disk_file *f = calloc(1, sizeof(*f));
	char path[4096];
	char zeroes[PAGE_SIZE] = "";
	const char *dir = getenv("TMPDIR");

	assert_non_null(f);
	snprintf(path, sizeof(path), "%s/every.XXXXXX", dir ? dir : ".");
	f->fd = mkstemp(path);
	assert_true(f->fd >= 0);
	unlink(path);
	for (pgoff_t i = 0; i < FILE_PAGES; i++)
		assert_int_equal(pwrite(f->fd, zeroes, PAGE_SIZE,
					(off_t)(i << PAGE_SHIFT)),
				 PAGE_SIZE);
	assert_int_equal(writeback_group_init(&f->group, mm), 0);
	address_space_init(&f->mapping, mm, &disk_ops, &f->group);
	return f;
}

static void disk_file_destroy(struct disk_file *f)
{
	settle_file(f);
	address_space_destroy(&f->mapping);
	writeback_group_destroy(&f->group);
	close(f->fd);
	free(f);
}

static void each_of(struct mm *mm, struct fault_attr *attr, int allowed,
		    struct disk_file *f)
{
	f->first = 0;
	f->last = FILE_PAGES - 1;
	every_failure(mm, attr, "read", -EIO, read_file, f);
	every_failure(mm, attr, "write", allowed, write_file, f);
	every_failure(mm, attr, "truncate", allowed, truncate_file, f);
}

static void outages_of(struct mm *mm, struct fault_attr *attr,
		       struct disk_file *f, int64_t unit)
{
	f->first = 0;
	f->last = FILE_PAGES - 1;
	every_outage(mm, attr, "read", -EIO, read_file, f, unit);
	every_outage(mm, attr, "write", -ENOMEM, write_file, f, unit);
	every_outage(mm, attr, "truncate", -ENOMEM, truncate_file, f, unit);
}

static void page_cache_allocations(void **state)
{
	struct mm *mm = *state;
	struct disk_file *f = disk_file_create(mm);

	each_of(mm, &mm->fail_page_alloc, -ENOMEM, f);
	each_of(mm, &mm->failslab, -ENOMEM, f);
	each_of(mm, &mm->fail_xarray_node, -ENOMEM, f);
	outages_of(mm, &mm->fail_page_alloc, f, 1);
	outages_of(mm, &mm->failslab, f, 500);
	outages_of(mm, &mm->fail_xarray_node, f, 1);
	disk_file_destroy(f);
}

static void page_cache_io(void **state)
{
	static const struct {
		enum fault_kind kind;
		int err;
	} kinds[] = {
		{ FAULT_EIO, -EIO },	   { FAULT_ENOSPC, -ENOSPC },
		{ FAULT_EDQUOT, -EDQUOT }, { FAULT_SHORT, -ENOSPC },
		{ FAULT_TORN, -EIO },	   { FAULT_DELAY, 0 },
	};
	struct mm *mm = *state;
	struct disk_file *f = disk_file_create(mm);

	assert_int_equal(fault_set(&mm->fail_io, FAULT_DELAY_MS, 2), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		printf("%s: ", fault_word(FAULT_ERROR, kinds[i].kind));
		assert_int_equal(
			fault_set(&mm->fail_io, FAULT_ERROR, kinds[i].kind), 0);
		each_of(mm, &mm->fail_io, kinds[i].err, f);
	}
	assert_true(fault_get(&mm->fail_io, FAULT_INJECTED) > 0);
	disk_file_destroy(f);
}

/* --- swap ------------------------------------------------------------------------- */

enum { SWAP_PAGES = 120 };

static int push_out_and_in(void *arg)
{
	struct test *t = arg;
	int err = 0;

	for (pgoff_t i = 0; i < SWAP_PAGES && !err; i++)
		err = write_seed(t, i, 1 + i * 77);
	for (pgoff_t i = 0; i < SWAP_PAGES; i++)
		if (push_page(t, i) == PAGEOUT_KEEP)
			break;
	settle(t);
	for (pgoff_t i = 0; i < SWAP_PAGES; i++) {
		int e = read_page(t, i);

		/* Nothing is lost: another time it can be read. */
		if (e)
			assert_int_equal(read_page(t, i), 0);
		err = err ? err : e;
	}
	empty(t);
	return err;
}

static int reserve_some(void *arg)
{
	struct test *t = arg;
	int err = anon_reserve(&t->m, 5, 5 + SWAP_PAGES);

	if (!err)
		assert_true(anon_is_reserved(&t->m, 5 + SWAP_PAGES));
	else
		assert_false(anon_is_reserved(&t->m, 5));
	empty(t);
	return err;
}

/* Its buffers come and go on their own account. */
static void quiet_swap(struct test *t)
{
	kswapd_stop(t->mm);
	flusher_stop(t->mm);
	unit_pin(0);
}

static void swap_allocations(void **state)
{
	struct test *t = *state;
	struct mm *mm = t->mm;

	add_area(t, 100, NULL, 0);
	quiet_swap(t);
	every_failure(mm, &mm->fail_page_alloc, "swap", -ENOSPC,
		      push_out_and_in, t);
	every_failure(mm, &mm->failslab, "swap", -ENOSPC, push_out_and_in, t);
	every_failure(mm, &mm->fail_xarray_node, "swap", -ENOSPC,
		      push_out_and_in, t);
	every_failure(mm, &mm->fail_page_alloc, "reserve", -ENOMEM,
		      reserve_some, t);
	every_failure(mm, &mm->failslab, "reserve", -ENOMEM, reserve_some, t);
	assert_int_equal(every_failure(mm, &mm->fail_reserve, "reserve",
				       -ENOSPC, reserve_some, t),
			 1);
}

static void swap_io(void **state)
{
	static const enum fault_kind kinds[] = { FAULT_EIO,    FAULT_SHORT,
						 FAULT_ENOSPC, FAULT_EDQUOT,
						 FAULT_TORN,   FAULT_DELAY };
	struct test *t = *state;
	struct mm *mm = t->mm;

	add_area(t, 100, NULL, 0);
	quiet_swap(t);
	assert_int_equal(fault_set(&mm->fail_swap_io, FAULT_DELAY_MS, 2), 0);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		printf("%s: ", fault_word(FAULT_ERROR, kinds[i]));
		assert_int_equal(
			fault_set(&mm->fail_swap_io, FAULT_ERROR, kinds[i]), 0);
		every_failure(mm, &mm->fail_swap_io, "swap", -EIO,
			      push_out_and_in, t);
	}
	every_failure(mm, &mm->fail_compress, "swap", 0, push_out_and_in, t);
	every_failure(mm, &mm->fail_decompress, "swap", -EIO, push_out_and_in,
		      t);
	assert_true(vmstat_read(mm, SWPIN_DAMAGED) > 0);
	assert_int_equal(vmstat_read(mm, SWPIN_DAMAGED),
			 fault_get(&mm->fail_decompress, FAULT_INJECTED));
}

#define with_swap(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(trees),
		unit_test_mm(slabs),
		unit_test_mm(frames),
		unit_test_mm(page_cache_allocations),
		unit_test_mm(page_cache_io),
		with_swap(swap_allocations),
		with_swap(swap_io),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
