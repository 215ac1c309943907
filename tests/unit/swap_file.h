/*
 * swap_file.h - anonymous pages of one mapping, and the files they go to.
 *
 * The files are made in TMPDIR, or in build/, or here, and unlinked at once;
 * with O_DIRECT where there is such a thing. What each page has in it is made
 * from its seed, and compared with that when it is read.
 */
#ifndef TESTS_UNIT_SWAP_FILE_H
#define TESTS_UNIT_SWAP_FILE_H

#include "mm/oom.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "swap/anon.h"
#include "swap/swap.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>

enum { NR_PAGES = 5000, AREAS_MAX = 2, ALIGN = 4096 };

struct test {
	struct mm *mm;
	struct swap *swap;
	struct anon_group group;
	struct address_space m;
	unsigned int nr_areas;
	int fd[AREAS_MAX], buffered_fd[AREAS_MAX];
	uint64_t seeds[NR_PAGES]; /* of the contents; 0: zeroes */
	uint64_t noise_percent;
};

/* --- set-up ------------------------------------------------------------------- */

static inline void open_area_file(struct test *t, unsigned int area,
				  uint64_t size)
{
	const char *dirs[] = { getenv("TMPDIR"), "build", "." };
	char path[4096];
	int fd = -1;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && fd < 0; i++) {
		if (!dirs[i])
			continue;
		snprintf(path, sizeof(path), "%s/swap_file.XXXXXX", dirs[i]);
		fd = mkstemp(path);
	}
	assert_true(fd >= 0);
	t->buffered_fd[area] = fd;
	t->fd[area] = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (t->fd[area] < 0)
		t->fd[area] = open(path, O_RDWR | O_CLOEXEC);
	unlink(path);
	assert_true(t->fd[area] >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

/* The file is open already. */
static inline void add_open_area(struct test *t, uint32_t nr_clusters,
				 const uint32_t *bad, unsigned int nr_bad)
{
	unsigned int a = t->nr_areas++;

	assert_int_equal(swap_add_area(t->swap, t->fd[a], ALIGN, nr_clusters,
				       "test", bad, nr_bad),
			 0);
}

static inline void add_area(struct test *t, uint32_t nr_clusters,
			    const uint32_t *bad, unsigned int nr_bad)
{
	open_area_file(t, t->nr_areas,
		       (uint64_t)nr_clusters << SWAP_CLUSTER_SHIFT);
	add_open_area(t, nr_clusters, bad, nr_bad);
}

/* Every write to it fails. */
static inline void add_read_only_area(struct test *t, uint32_t nr_clusters)
{
	unsigned int a = t->nr_areas;
	char path[64];

	open_area_file(t, a, (uint64_t)nr_clusters << SWAP_CLUSTER_SHIFT);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->buffered_fd[a]);
	close(t->fd[a]);
	t->fd[a] = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(t->fd[a] >= 0);
	add_open_area(t, nr_clusters, NULL, 0);
}

static inline int set_up(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	*state = t;
	t->mm = unit_mm(MM_SIZE_MIN);
	assert_int_equal(swap_start(t->mm), 0);
	t->swap = t->mm->swap;
	t->group.max_pages = UINT64_MAX;
	t->noise_percent = 30;
	address_space_init(&t->m, t->mm, &anon_aops, &t->group);
	return 0;
}

static inline void empty(struct test *t)
{
	anon_truncate(&t->m, 0, UINT64_MAX);
	memset(t->seeds, 0, sizeof(t->seeds));
	assert_int_equal(t->group.nr_pages, 0);
}

static inline int tear_down(void **state)
{
	struct test *t = *state;

	empty(t);
	address_space_destroy(&t->m);
	swap_stop(t->mm);
	mm_destroy(t->mm);
	for (unsigned int a = 0; a < t->nr_areas; a++) {
		close(t->fd[a]);
		close(t->buffered_fd[a]);
	}
	free(t);
	return 0;
}

/* --- contents ------------------------------------------------------------------ */

/* Above 32 bits of the seed: begins with so many bytes of noise. */
static inline void contents(const struct test *t, uint64_t seed, void *to)
{
	uint64_t *p = to;
	uint64_t s = seed;

	memset(to, 0, PAGE_SIZE);
	if (seed == 0)
		return;
	if (seed >> 32 || rnd_of(&s) % 100 < t->noise_percent) {
		size_t nr = seed >> 32 ? seed >> 32 : PAGE_SIZE;

		for (size_t i = 0; i < nr / 8; i++)
			p[i] = rnd_of(&s);
	} else if (rnd_of(&s) % 8 == 0) {
		memset(to, (int)(rnd_of(&s) % 256), PAGE_SIZE);
	} else {
		size_t every = 1 + rnd_of(&s) % 20;

		for (size_t i = 0; i < PAGE_SIZE / 8; i += every)
			p[i] = rnd_of(&s) & 0xffffff;
	}
}

/* As fs/ does. 0 or -ENOSPC. */
static inline int write_seed(struct test *t, pgoff_t i, uint64_t seed)
{
	struct oom_patience patience = { .tries = 0 };
	struct page *page;
	int err;

	while (!(page = page_cache_grab(&t->m, i, GFP_KERNEL | GFP_GROWTH,
					&err))) {
		assert_int_equal(err, -ENOMEM);
		if (oom_judge(t->mm, &patience) == OOM_REFUSE)
			return -ENOSPC;
		writeback_wait_progress(t->mm, 20 * NSEC_PER_MSEC);
	}
	assert_int_equal(anon_charge(&t->m, page), 0);
	contents(t, seed, page_address(&t->mm->arena, page));
	page_set(page, PG_uptodate);
	anon_set_dirty(&t->m, page);
	page_unlock(&t->mm->page_waits, page);
	page_mark_accessed(t->mm, page);
	page_put(t->mm, page);
	t->seeds[i] = seed;
	return 0;
}

static inline uint64_t new_seed(void)
{
	return 1 + rnd(UINT32_MAX);
}

static inline bool is_right(struct test *t, pgoff_t i, const void *data)
{
	char want[PAGE_SIZE];

	contents(t, t->seeds[i], want);
	return memcmp(want, data, PAGE_SIZE) == 0;
}

/* Through the cache, or around it: 0 and right, or -EIO. */
static inline int read_page(struct test *t, pgoff_t i)
{
	char data[PAGE_SIZE];
	struct page *page = NULL;
	int err;

	if (rnd(4)) {
		page_cache_read(&t->m, i, (unsigned int)(1 + rnd(16)),
				UINT64_MAX, GFP_KERNEL);
		page = page_cache_find(&t->m, i);
	}
	if (page) {
		page_wait(&t->mm->page_waits, page, PG_locked);
		err = page_test(page, PG_uptodate) ? 0 : -EIO;
		if (!err)
			memcpy(data, page_address(&t->mm->arena, page),
			       PAGE_SIZE);
		page_mark_accessed(t->mm, page);
		page_put(t->mm, page);
	} else {
		err = anon_read_page(&t->m, i, data);
	}
	if (err)
		assert_int_equal(err, -EIO);
	else
		assert_true(is_right(t, i, data));
	return err;
}

/* Returns how many could not be read. */
static inline pgoff_t read_all(struct test *t)
{
	pgoff_t nr = 0;

	for (pgoff_t i = 0; i < NR_PAGES; i++)
		nr += read_page(t, i) != 0;
	return nr;
}

/* What is on its way is there. */
static inline void settle(struct test *t)
{
	while (vmstat_read(t->mm, NR_SWAP_PENDING) > 0)
		unit_nap();
}

/* Out of memory: PAGEOUT_CLEAN; or there is no room: PAGEOUT_KEEP. */
static inline enum pageout_result push_page(struct test *t, pgoff_t i)
{
	struct page *page = page_cache_find(&t->m, i);
	enum pageout_result r = PAGEOUT_CLEAN;

	if (!page)
		return r;
	page_lock(&t->mm->page_waits, page);
	while (page->mapping == t->m.id && page_test(page, PG_dirty) &&
	       (r = anon_aops.pageout(&t->m, page)) == PAGEOUT_BUSY)
		unit_nap();
	if (page->mapping == t->m.id && !page_test(page, PG_dirty))
		page_cache_remove(&t->m, page);
	page_unlock(&t->mm->page_waits, page);
	page_put(t->mm, page);
	return r;
}

/* --- damage ----------------------------------------------------------------------- */

static inline void flip(struct test *t, uint64_t where)
{
	unsigned char byte;

	assert_int_equal(pread(t->buffered_fd[0], &byte, 1, (off_t)where), 1);
	byte ^= (unsigned char)(1u << rnd(8));
	assert_int_equal(pwrite(t->buffered_fd[0], &byte, 1, (off_t)where), 1);
}

#endif
