/*
 * test_swap_compact.c - room is made where there is any, and nowhere else; and
 * what cannot be written goes elsewhere.
 *
 *	pages, in order ──pageout──► clusters, in order: 31 pages of noise each
 *	     ▲                           │ holes, damage, failing writes
 *	     └── compared with seeds ◄───┴── the compactor ──► clusters compared
 *	                                                       with what they were
 */
#include "swap/compress.h"
#include "tests/unit/swap_file.h"

#include <sys/mman.h>

enum {
	OBJECTS = SWAP_CLUSTER_PAGES, /* pages of noise in a cluster */
	PATIENCE = 500, /* told so often to wait, for nothing: a failure */
};

static int set_up_noise(void **state)
{
	struct test *t;

	set_up(state);
	t = *state;
	t->noise_percent = 100;
	return 0;
}

/* Write it, and have it stored: false when there is no room, nor will be. */
static bool store(struct test *t, pgoff_t i, uint64_t seed)
{
	struct oom_patience patience = { .tries = 0 };
	unsigned int nr = 0;

	if (write_seed(t, i, seed) != 0)
		return false;
	while (push_page(t, i) != PAGEOUT_CLEAN) {
		if (oom_judge(t->mm, &patience) == OOM_REFUSE)
			return false;
		assert_true(nr++ < PATIENCE);
		writeback_wait_progress(t->mm, 20 * NSEC_PER_MSEC);
	}
	return true;
}

/* Pages of noise from "first" on. Returns how many could be stored. */
static pgoff_t store_noise(struct test *t, pgoff_t first, pgoff_t nr)
{
	for (pgoff_t n = 0; n < nr; n++)
		if (!store(t, first + n, new_seed()))
			return n;
	return nr;
}

static void punch(struct test *t, pgoff_t first, pgoff_t nr)
{
	anon_punch(&t->m, first, first + nr - 1);
	memset(&t->seeds[first], 0, nr * sizeof(t->seeds[0]));
}

/* As it is now. */
static struct swap_cluster cluster(struct test *t, unsigned int area,
				   uint32_t nr)
{
	struct swap_cluster c;

	mutex_lock(&t->swap->lock);
	c = *swap_map_at(&t->swap->areas[area].map, nr);
	mutex_unlock(&t->swap->lock);
	return c;
}

static uint32_t nr_stuck(struct test *t)
{
	uint32_t nr;

	mutex_lock(&t->swap->lock);
	nr = t->swap->nr_stuck;
	mutex_unlock(&t->swap->lock);
	return nr;
}

/* Waits for it: a hang is a failure. */
#define await(condition)             \
	do {                         \
		while (!(condition)) \
			unit_nap();  \
	} while (0)

/* --- which are moved -------------------------------------------------------------- */

/*
 * The seed of a page that, behind all but one of the pages of noise that go
 * into a cluster, leaves at its end the size of a page, and less than that of
 * an object.
 */
static uint64_t tail_seed(struct test *t)
{
	char page[PAGE_SIZE], out[PAGE_SIZE];

	for (;;) {
		uint64_t seed = (3200 + rnd(200)) << 32 | new_seed();
		size_t len, end;

		contents(t, seed, page);
		len = compress_page(t->swap->compressor, page, out,
				    sizeof(out));
		end = (OBJECTS - 1) * SWAP_OBJECT_MAX +
		      ((sizeof(struct swap_object_header) + len + 7) & ~7ul) +
		      PAGE_SIZE;
		if (len > 0 && end <= SWAP_CLUSTER_SIZE &&
		    end + SWAP_OBJECT_MAX - PAGE_SIZE > SWAP_CLUSTER_SIZE)
			return seed;
	}
}

/* Clusters that were filled as well as they can be are left as they are. */
static void ends_of_clusters_are_no_garbage(void **state)
{
	struct test *t = *state;
	pgoff_t i = 0;

	add_area(t, 40, NULL, 0);
	while (store(t, i,
		     i % OBJECTS == OBJECTS - 1 ? tail_seed(t) : new_seed()))
		i++;
	assert_int_equal(i, (39 - SWAP_RESERVED_CLUSTERS) * OBJECTS);
	settle(t);
	/* Each has void bytes for a page, but not for an object with one. */
	for (uint32_t n = 1; n <= 39 - SWAP_RESERVED_CLUSTERS; n++) {
		uint32_t tail = SWAP_CLUSTER_SIZE - cluster(t, 0, n).live;

		assert_in_range(tail, PAGE_SIZE, SWAP_OBJECT_MAX - 1);
	}
	/* All were full when the last page was refused: none was looked into. */
	assert_int_equal(vmstat_read(t->mm, SWAP_COMPACT_RUN), 0);
	assert_int_equal(read_all(t), 0);
}

/*
 * More clusters than are looked at in one go, most of them bad: those with
 * holes are found again and again, though some searches are in vain.
 */
static void a_search_in_vain_is_not_the_last(void **state)
{
	enum { NR = 3 * 8192, USABLE = 60, HOLES = 40 };
	struct test *t = *state;
	static uint32_t bad[NR];
	unsigned int nr_bad = 0;
	pgoff_t full, again;

	for (uint32_t n = USABLE + 1; n < NR; n++)
		bad[nr_bad++] = n;
	add_area(t, NR, bad, nr_bad);
	full = store_noise(t, 0, NR_PAGES);
	assert_int_equal(full, (USABLE - SWAP_RESERVED_CLUSTERS) * OBJECTS);
	/* The one that was refused, and the first of each two. */
	punch(t, full, 1);
	for (pgoff_t i = 0; i < HOLES * OBJECTS; i += 2)
		punch(t, i, 1);
	/* As many go in as were taken out, but for a few clusters' worth. */
	again = store_noise(t, full, NR_PAGES - full);
	assert_in_range(again, HOLES * OBJECTS / 2 - 3 * OBJECTS,
			HOLES * OBJECTS / 2 + OBJECTS);
	assert_int_equal(read_all(t), 0);
}

/*
 * The last object of a cluster is damaged, which has more holes than others:
 * those before it stay where they are.
 */
static void damaged_clusters_are_not_touched(void **state)
{
	enum { HOLES = 30, DAMAGED = 6, VOID = 4 };
	struct test *t = *state;
	pgoff_t first = 40 * OBJECTS;

	add_area(t, 60, NULL, 0);
	assert_int_equal(store_noise(t, 0, first), first);
	settle(t);
	for (pgoff_t n = 0; n < HOLES; n++)
		punch(t, n * OBJECTS, n < DAMAGED ? VOID : VOID - 1);
	for (uint32_t n = 0; n < DAMAGED; n++)
		flip(t, ((n + 1ull) << SWAP_CLUSTER_SHIFT) +
				(OBJECTS - 1) * SWAP_OBJECT_MAX +
				PAGE_SIZE / 2);
	assert_int_equal(fsync(t->buffered_fd[0]), 0);
	/* More than the free clusters have room for; then it is at an end. */
	assert_true(store_noise(t, first, NR_PAGES - first) >
		    (19 - SWAP_RESERVED_CLUSTERS) * OBJECTS);
	await(nr_stuck(t) == DAMAGED);
	assert_true(vmstat_read(t->mm, SWAP_COMPACT_FREED) > 0);
	/* What they had before is what they have. */
	for (uint32_t n = 1; n <= DAMAGED; n++)
		assert_int_equal(cluster(t, 0, n).live,
				 (OBJECTS - VOID) * SWAP_OBJECT_MAX);
	/* Their last pages cannot be read, and all others can. */
	for (pgoff_t n = 1; n <= DAMAGED; n++)
		assert_int_equal(read_page(t, n * OBJECTS - 1), -EIO);
	assert_int_equal(read_all(t), DAMAGED);
}

/* --- what cannot be written --------------------------------------------------------- */

/* The first area fails: it is tried, and then the second one is filled. */
static void a_failing_area_is_passed_by(void **state)
{
	enum { NR = 30, PAGES = 3000 };
	struct test *t = *state;
	uint32_t tried = 0;

	add_read_only_area(t, NR);
	add_area(t, 120, NULL, 0);
	assert_int_equal(store_noise(t, 0, PAGES), PAGES);
	settle(t);
	for (uint32_t n = 1; n < NR; n++)
		tried += cluster(t, 0, n).seq != 0;
	/* All buffers can have been on their way to it, and no more. */
	assert_in_range(tried, 1, t->swap->nr_buffers);
	assert_true(vmstat_read(t->mm, SWAP_WRITE_ERROR) > 0);
	assert_int_equal(read_all(t), 0);
}

/* The last cluster is behind the end of a file that cannot grow. */
static void a_failing_cluster_is_bad(void **state)
{
	enum { NR = 12, KEEP = 4, FAILS = NR - 1, ROUND = 100 };
	struct test *t = *state;
	int fd = memfd_create("area", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t total, used;
	bool bad = false;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, FAILS << SWAP_CLUSTER_SHIFT), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	t->fd[0] = fd;
	t->buffered_fd[0] = dup(fd);
	add_open_area(t, NR, NULL, 0);
	/* Others are written and given up, but for what is in that one. */
	for (pgoff_t n = 0; !bad; n++) {
		pgoff_t old = n - KEEP;

		assert_int_equal(store_noise(t, n % ROUND * OBJECTS, OBJECTS),
				 OBJECTS);
		if (n >= KEEP && old != FAILS - 1)
			punch(t, old % ROUND * OBJECTS, OBJECTS);
		if (n >= FAILS)
			os_sleep_ns(20 * NSEC_PER_MSEC);
		bad = cluster(t, 0, FAILS).state == CLUSTER_BAD;
		assert_true(n < ROUND);
	}
	/* It, and no other, is out of use; what was in it is elsewhere. */
	swap_usage(t->swap, &total, &used);
	assert_int_equal(total, (uint64_t)(NR - 2) << SWAP_CLUSTER_SHIFT);
	assert_int_equal(vmstat_read(t->mm, SWAP_COMPACT_MOVED), OBJECTS);
	assert_true(t->seeds[(FAILS - 1) * OBJECTS] != 0);
	assert_int_equal(read_all(t), 0);
}

#define with_test(f) cmocka_unit_test_setup_teardown(f, set_up_noise, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_test(ends_of_clusters_are_no_garbage),
		with_test(a_search_in_vain_is_not_the_last),
		with_test(damaged_clusters_are_not_touched),
		with_test(a_failing_area_is_passed_by),
		with_test(a_failing_cluster_is_bad),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
