/*
 * test_balloon.c - frames that are given up, and come back.
 *
 *	arena.fd:  what the system says of its memory (st_blocks) is the judge
 *	           of whether a frame has been given up
 *
 *	    frame:  free ──inflate──► balloon, no memory ──deflate──► free
 *
 * The memory is quiet: nothing is reclaimed, so that where the balloon stops is
 * a matter of watermarks alone.
 */
#include "mm/balloon.h"

#include "tests/unit/unit.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { NR_STEPS = 2000, FRAMES_MAX = MM_SIZE_MIN / 4096 };

static struct page *taken[FRAMES_MAX];
static unsigned int nr_taken;

/* Pages of the arena that the system has memory for. */
static unsigned long nr_backed(struct mm *mm)
{
	struct stat st;

	assert_int_equal(fstat(mm->arena.fd, &st), 0);
	return (unsigned long)st.st_blocks / (PAGE_SIZE / 512);
}

/* So that all that is free has memory, and its contents would be missed. */
static void touch_free_frames(struct mm *mm)
{
	struct page *page;
	unsigned int n = 0;

	while ((page = page_alloc(mm, GFP_MEMALLOC | GFP_MOVABLE, 0))) {
		memset(page_address(&mm->arena, page), 0xa5, PAGE_SIZE);
		assert_true(n < FRAMES_MAX);
		taken[n++] = page;
	}
	while (n > 0)
		page_put(mm, taken[--n]);
	page_alloc_drain(mm);
}

static unsigned long frames_of(struct mm *mm)
{
	slab_reap(mm);
	page_alloc_drain(mm);
	return page_alloc_nr_free(mm);
}

/* None of them has memory, none is of DMA, and they are as many as it says. */
static void check(struct mm *mm)
{
	struct balloon *b = &mm->balloon;
	unsigned char resident[1 << 9];
	unsigned long nr = 0;
	struct page *page;

	list_for_each_entry(page, &b->blocks, struct page, lru) {
		pfn_t pfn = page_to_pfn(&mm->arena, page);

		assert_false(zone_contains(&mm->zones[ZONE_DMA], pfn));
		assert_true(page_nr(page) <= sizeof(resident));
		assert_int_equal(mincore(page_address(&mm->arena, page),
					 page_nr(page) << PAGE_SHIFT, resident),
				 0);
		for (unsigned int i = 0; i < page_nr(page); i++)
			assert_int_equal(resident[i] & 1, 0);
		nr += page_nr(page);
	}
	assert_int_equal(nr, balloon_size(b));
	assert_int_equal(nr, vmstat_read(mm, NR_BALLOON_PAGES));
}

static void memory_is_given_back(void **state)
{
	struct mm *mm = *state;
	unsigned long before, free, got;

	touch_free_frames(mm);
	before = nr_backed(mm);
	free = frames_of(mm);
	got = balloon_inflate(mm, 700, GFP_NOWAIT);
	assert_int_equal(got, 700);
	check(mm);
	assert_int_equal(frames_of(mm), free - got);
	assert_int_equal(nr_backed(mm), before - got);

	assert_int_equal(balloon_deflate(mm, ULONG_MAX), got);
	check(mm);
	assert_int_equal(frames_of(mm), free);
	/* It comes back where it is used, as zeroes. */
	assert_int_equal(nr_backed(mm), before - got);
	touch_free_frames(mm);
	assert_int_equal(nr_backed(mm), before);
}

/* Nothing below the low watermark, and nothing of DMA: those are pinned. */
static void it_stops_at_the_watermarks(void **state)
{
	struct mm *mm = *state;
	unsigned long free = frames_of(mm), keep = 0, got;

	for (int t = 0; t < NR_ZONES; t++) {
		struct zone *z = &mm->zones[t];

		if (t == ZONE_DMA)
			keep += zone_nr_free(z);
		else
			keep += atomic_load(&z->wmark[WMARK_LOW]);
		if (t == ZONE_NORMAL)
			keep += atomic_load(&z->lowmem_reserve[ZONE_MOVABLE]);
	}
	got = balloon_inflate(mm, ULONG_MAX >> 1, GFP_NOWAIT);
	check(mm);
	assert_int_equal(got, balloon_size(&mm->balloon));
	/* What is looked at may lie in blocks that are cut: not to the frame. */
	assert_true(got >= (free - keep) / 10 * 9);
	assert_true(frames_of(mm) >= keep);
	assert_int_equal(frames_of(mm), free - got);
	assert_int_equal(balloon_inflate(mm, 1, GFP_NOWAIT), 0);
	/* The others go on. */
	assert_non_null(taken[0] = page_alloc(mm, GFP_NOWAIT | GFP_MOVABLE, 0));
	page_put(mm, taken[0]);
	assert_int_equal(balloon_deflate(mm, 1) > 0, 1);
	check(mm);
	balloon_deflate(mm, ULONG_MAX);
	assert_int_equal(balloon_size(&mm->balloon), 0);
	assert_int_equal(balloon_deflate(mm, 1), 0);
	assert_int_equal(frames_of(mm), free);
}

static void refused_frames_are_not_counted(void **state)
{
	struct mm *mm = *state;

	unit_fault(&mm->fail_page_alloc, 100, -1);
	assert_int_equal(balloon_inflate(mm, 100, GFP_KERNEL), 0);
	check(mm);
	unit_fault(&mm->fail_page_alloc, 30, -1);
	for (int i = 0; i < 100; i++)
		balloon_inflate(mm, 1 + rnd(8), GFP_NOWAIT);
	check(mm);
	unit_fault(&mm->fail_page_alloc, 0, 0);
	balloon_deflate(mm, ULONG_MAX);
}

/* At random, with others that take and give frames, against a count. */
static void random_steps(void **state)
{
	struct mm *mm = *state;
	unsigned long model = 0, free = frames_of(mm);

	for (int i = 0; i < NR_STEPS; i++) {
		unsigned long nr = 1 + rnd(rnd(2) ? 8 : 800), n;
		struct page *page;

		switch (rnd(4)) {
		case 0:
			n = balloon_inflate(mm, nr, GFP_NOWAIT);
			assert_true(n <= nr);
			model += n;
			break;
		case 1:
			n = balloon_deflate(mm, nr);
			assert_true(n >= min_of(nr, model));
			assert_true(n <= model);
			model -= n;
			break;
		case 2:
			while (nr-- > 0 && nr_taken < FRAMES_MAX &&
			       (page = page_alloc(mm, GFP_NOWAIT | GFP_MOVABLE,
						  0))) {
				memset(page_address(&mm->arena, page), i,
				       PAGE_SIZE);
				taken[nr_taken++] = page;
			}
			break;
		default:
			while (nr-- > 0 && nr_taken > 0) {
				unsigned int at = (unsigned int)rnd(nr_taken);

				page_put(mm, taken[at]);
				taken[at] = taken[--nr_taken];
			}
		}
		assert_int_equal(balloon_size(&mm->balloon), model);
		if (i % 16 == 0)
			check(mm);
	}
	while (nr_taken > 0)
		page_put(mm, taken[--nr_taken]);
	balloon_deflate(mm, ULONG_MAX);
	assert_int_equal(frames_of(mm), free);
	mm_check_all_free(mm);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(memory_is_given_back),
		unit_test_mm(it_stops_at_the_watermarks),
		unit_test_mm(refused_frames_are_not_counted),
		unit_test_mm(random_steps),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
