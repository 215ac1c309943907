/*
 * test_pcp.c - a per-CPU list against an array with a hot and a cold end.
 *
 *	free, hot ──► | deck[0] deck[1] ... deck[n-1] | ◄── free, cold
 *	alloc     ◄── |                               | ──► drain, to the buddy
 *
 * Which frames a refill brings is the buddy's affair; that it is a batch, and
 * what becomes of them afterwards, is checked.
 */
#include "mm/pcp.h"
#include "tests/unit/unit.h"

enum { NR_FRAMES = 4000, NR_STEPS = 40000, DECK_MAX = 1000 };

static struct page pages[NR_FRAMES];
static struct page *out[NR_FRAMES]; /* frames the test has */
static unsigned int nr_out;
static struct page *deck[DECK_MAX];
static unsigned int nr_deck;
static struct buddy b;
static struct pcp pcp;

/* The frame so far from the hot end. */
static struct page *in_ring(unsigned int n)
{
	return pcp.frames[pcp.stack.top - 1 - n];
}

/* The list must be the deck, frame by frame. */
static void check_deck(void)
{
	assert_int_equal(pcp_count(&pcp), nr_deck);
	for (unsigned int n = 0; n < nr_deck; n++)
		assert_ptr_equal(in_ring(n), deck[n]);
	assert_true(nr_deck <= pcp.high);
	assert_int_equal(buddy_nr_free(&b) + nr_deck + nr_out, NR_FRAMES);
}

/* The deck was empty: learn what the refill brought. */
static void learn_refill(struct page *got, unsigned long free_before)
{
	while (nr_deck < pcp_count(&pcp)) {
		deck[nr_deck] = in_ring(nr_deck);
		nr_deck++;
	}
	assert_int_equal(nr_deck + (got != NULL),
			 min_of((unsigned long)pcp.batch, free_before));
}

static void alloc_step(void)
{
	unsigned long free_before = buddy_nr_free(&b);
	struct page *page = pcp_alloc(&pcp, &b, 0, 0);

	if (nr_deck == 0) {
		learn_refill(page, free_before);
	} else {
		assert_ptr_equal(page, deck[0]);
		memmove(deck, deck + 1, --nr_deck * sizeof(deck[0]));
	}
	if (!page) {
		assert_int_equal(free_before, 0);
		return;
	}
	for (unsigned int i = 0; i < nr_out && DEBUG >= 2; i++)
		assert_ptr_not_equal(out[i], page);
	out[nr_out++] = page;
}

static void free_step(void)
{
	unsigned int i = (unsigned int)rnd(nr_out);
	struct page *page = out[i];
	bool cold = rnd(2);

	out[i] = out[--nr_out];
	if (nr_deck == pcp.high)
		nr_deck -= pcp.batch;
	pcp_free(&pcp, &b, page, cold, 0, 0);
	if (cold) {
		deck[nr_deck++] = page;
	} else {
		memmove(deck + 1, deck, nr_deck++ * sizeof(deck[0]));
		deck[0] = page;
	}
}

static void set_up(pfn_t zone_pages)
{
	memset(pages, 0, sizeof(pages));
	nr_out = nr_deck = 0;
	buddy_init(&b, pages, 0, NR_FRAMES);
	mutex_lock(&b.lock);
	buddy_donate(&b, 0, NR_FRAMES);
	mutex_unlock(&b.lock);
	pcp_init(&pcp, zone_pages, 1 + (unsigned int)rnd(4), 0, 0);
}

static void drain_all(void)
{
	pcp_drain(&pcp, 1, &b);
	nr_deck = 0;
	check_deck();
}

static void random_steps(void **state)
{
	(void)state;
	set_up((pfn_t)rnd(20 * NR_FRAMES));
	for (int n = 0; n < NR_STEPS / (DEBUG >= 2 ? 20 : 1); n++) {
		/* Long phases of mostly taking, and of mostly giving back. */
		bool taking = rnd(10) < (n / 5000 % 2 ? 3 : 7);

		if (rnd(1000) == 0)
			drain_all();
		else if (taking || nr_out == 0)
			alloc_step();
		else
			free_step();
		check_deck();
	}
	while (nr_out > 0)
		free_step();
	drain_all();
	assert_int_equal(buddy_nr_free(&b), NR_FRAMES);
	mutex_lock(&b.lock);
	buddy_check(&b);
	mutex_unlock(&b.lock);
}

/* Whatever the size, a list moves something and holds a share of the zone. */
static void sizes_are_sane(void **state)
{
	(void)state;
	for (int n = 0; n < 10000; n++) {
		pfn_t zone = (pfn_t)rnd(1u << rnd(30));
		unsigned int slots = 1 + (unsigned int)rnd(64);

		pcp_init(&pcp, zone, slots, 0, 0);
		assert_true(pcp.batch >= 1 && pcp.batch <= pcp.high);
		assert_true(pcp.batch == 1 ||
			    (uint64_t)pcp.high * slots <= zone / 16);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_steps),
		cmocka_unit_test(sizes_are_sane),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
