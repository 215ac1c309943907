/*
 * test_buddy.c - the buddy allocator against one owner a frame.
 *
 *	pages  | not ours | base .................. base + NR_FRAMES |
 *	owned             | 0 1 1 1 1 0 0 1 1 ...                    |
 *
 * Random allocations and frees run on both. A block must be aligned, in range
 * and owned by nobody; it is refused only if no aligned run of free frames is
 * left; and when all is free again, the zone is one list of largest blocks.
 */
#include "mm/buddy.h"
#include "tests/unit/unit.h"

enum { FRAMES_MAX = 6000, NR_BLOCKS = 600, NR_STEPS = 20000 };

static struct page pages[2048 + FRAMES_MAX];
static bool owned[FRAMES_MAX];
static struct buddy b;
static pfn_t nr_frames, base;
static struct {
	struct page *page;
	unsigned int order;
} blocks[NR_BLOCKS];

static void model_mark(const struct page *page, unsigned int order, bool value)
{
	pfn_t pfn = (pfn_t)(page - pages);

	assert_int_equal(pfn % (1u << order), 0);
	assert_true(pfn >= base && pfn + (1u << order) <= base + nr_frames);
	for (pfn_t i = pfn - base; i < pfn - base + (1u << order); i++) {
		assert_int_equal(owned[i], !value);
		owned[i] = value;
	}
}

static unsigned long model_nr_free(void)
{
	unsigned long nr = 0;

	for (pfn_t i = 0; i < nr_frames; i++)
		nr += !owned[i];
	return nr;
}

/* Is there an aligned run of 2^order free frames? */
static bool model_has(unsigned int order)
{
	pfn_t size = 1u << order;

	for (pfn_t p = (base + size - 1) / size * size;
	     p + size <= base + nr_frames; p += size) {
		pfn_t i = p - base, end = i + size;

		while (i < end && !owned[i])
			i++;
		if (i == end)
			return true;
	}
	return false;
}

static void step(unsigned int max_order) must_hold(b.lock)
{
	unsigned int i = (unsigned int)rnd(NR_BLOCKS);

	if (blocks[i].page) {
		model_mark(blocks[i].page, blocks[i].order, false);
		buddy_free(&b, blocks[i].page, blocks[i].order);
		blocks[i].page = NULL;
		return;
	}
	blocks[i].order = (unsigned int)rnd(max_order + 1);
	blocks[i].page = buddy_alloc(&b, blocks[i].order);
	if (blocks[i].page)
		model_mark(blocks[i].page, blocks[i].order, true);
	else
		assert_false(model_has(blocks[i].order));
}

/* Every frame given, in ranges cut at random. */
static void donate(void) must_hold(b.lock)
{
	pfn_t from = 0;

	while (from < nr_frames) {
		pfn_t nr = (pfn_t)min_of(1 + rnd(2000),
					 (uint64_t)(nr_frames - from));

		buddy_donate(&b, base + from, nr);
		from += nr;
	}
	assert_int_equal(buddy_nr_free(&b), nr_frames);
}

static void free_all(void) must_hold(b.lock)
{
	for (int i = 0; i < NR_BLOCKS; i++) {
		if (!blocks[i].page)
			continue;
		model_mark(blocks[i].page, blocks[i].order, false);
		buddy_free(&b, blocks[i].page, blocks[i].order);
		blocks[i].page = NULL;
	}
	buddy_check(&b);
	assert_int_equal(buddy_nr_free(&b), nr_frames);
}

/* As many blocks of the largest order as fit the range, aligned. */
static void check_merged(void) must_hold(b.lock)
{
	const pfn_t largest = 1u << BUDDY_MAX_ORDER;
	pfn_t first = (base + largest - 1) / largest;
	pfn_t end = (base + nr_frames) / largest;

	assert_int_equal(buddy_nr_blocks(&b, BUDDY_MAX_ORDER),
			 end > first ? end - first : 0);
}

static void set_up(void)
{
	memset(pages, 0, sizeof(pages));
	memset(owned, 0, sizeof(owned));
	base = (pfn_t)rnd(2048);
	nr_frames = 500 + (pfn_t)rnd(FRAMES_MAX - 500);
	buddy_init(&b, pages, base, nr_frames);
}

static void random_steps(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		set_up();
		mutex_lock(&b.lock);
		donate();
		for (int n = 0; n < NR_STEPS / (DEBUG >= 2 ? 10 : 1); n++) {
			step(round == 0 ? BUDDY_MAX_ORDER : 5);
			if (n % 500 == 0) {
				assert_int_equal(buddy_nr_free(&b),
						 model_nr_free());
				buddy_check(&b);
			}
		}
		free_all();
		check_merged();
		mutex_unlock(&b.lock);
	}
}

/* Frame by frame to the last one, then none, then all merged again. */
static void gives_every_frame(void **state)
{
	static struct page *taken[FRAMES_MAX];
	pfn_t n = 0;

	(void)state;
	set_up();
	mutex_lock(&b.lock);
	donate();
	while ((taken[n] = buddy_alloc(&b, 0)))
		model_mark(taken[n++], 0, true);
	assert_int_equal(n, nr_frames);
	assert_int_equal(buddy_nr_free(&b), 0);
	assert_int_equal(b.nonempty, 0);
	while (n > 0) {
		pfn_t i = (pfn_t)rnd(n--);

		buddy_free(&b, taken[i], 0);
		taken[i] = taken[n];
	}
	buddy_check(&b);
	check_merged();
	mutex_unlock(&b.lock);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps),
		cmocka_unit_test(gives_every_frame),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
