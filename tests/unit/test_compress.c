/*
 * test_compress.c - a page there and back, and what is no page compressed.
 *
 *	page ──compress──► data ──decompress──► page
 *	                    └─ a few bits flipped, cut ──► -EIO, or any page
 *
 * That damaged data is not taken for good is the checksum's task (swap_in.c);
 * here it must only end. Who is same-filled is asked of a loop over words.
 */
#include "swap/compress.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_PAGES = 3000, NR_WORDS = PAGE_SIZE / 4, NR_THREADS = 4 };

static uint32_t page[NR_WORDS], back[NR_WORDS];

static void fill_noise(uint64_t *state, void *to, size_t len)
{
	unsigned char *p = to;

	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)rnd_of(state);
}

/* A share of the page is noise, the rest repeats. */
static void fill_page(uint64_t *state, uint32_t *to)
{
	size_t noise = rnd_of(state) % 3 ? rnd_of(state) % PAGE_SIZE
					 : rnd_of(state) % 2 * PAGE_SIZE;

	memset(to, (int)(rnd_of(state) % 256), PAGE_SIZE);
	fill_noise(state, to, noise);
	if (noise > 0 && noise < PAGE_SIZE / 2)
		memcpy((char *)to + PAGE_SIZE - noise, to, noise);
}

static int set_up(void **state)
{
	*state = compressor_create(2);
	return *state ? 0 : -1;
}

static int tear_down(void **state)
{
	compressor_destroy(*state);
	return 0;
}

/* --- there and back --------------------------------------------------------- */

static void pages_come_back(void **state)
{
	unsigned int nr_fit = 0, nr_not = 0;

	for (int n = 0; n < NR_PAGES; n++) {
		char data[PAGE_SIZE];
		size_t max = rnd(3) ? PAGE_SIZE * 15 / 16 : rnd(PAGE_SIZE);
		size_t len;

		fill_page(&unit_state, page);
		memset(data, 0x5a, sizeof(data));
		len = compress_page(*state, page, data, max);
		assert_true(len <= max);
		for (size_t i = max; i < sizeof(data); i++)
			assert_int_equal(data[i], 0x5a);
		nr_fit += len > 0;
		nr_not += len == 0;
		if (len == 0)
			continue;
		memset(back, 0, sizeof(back));
		assert_int_equal(decompress_page(*state, data, len, back), 0);
		assert_memory_equal(back, page, PAGE_SIZE);
	}
	assert_true(nr_fit > 100 && nr_not > 100);
}

static void noise_does_not_fit(void **state)
{
	char data[PAGE_SIZE];

	for (int n = 0; n < 200; n++) {
		fill_noise(&unit_state, page, PAGE_SIZE);
		assert_int_equal(
			compress_page(*state, page, data, PAGE_SIZE * 15 / 16),
			0);
	}
}

static void repetition_is_small(void **state)
{
	char data[PAGE_SIZE];

	for (int n = 0; n < 200; n++) {
		size_t len;

		fill_noise(&unit_state, page, 64);
		for (size_t at = 64; at < PAGE_SIZE; at += 64)
			memcpy((char *)page + at, page, 64);
		len = compress_page(*state, page, data, sizeof(data));
		assert_true(len > 0 && len < 200);
	}
}

/* --- damage ----------------------------------------------------------------- */

/* 0 only if there is a whole page; nothing outside of it is touched. */
static void damage_ends(void **state)
{
	static char room[3 * PAGE_SIZE];
	char data[PAGE_SIZE], bad[PAGE_SIZE];
	unsigned int nr_bad = 0;

	memset(room, 0x33, sizeof(room));
	for (int n = 0; n < NR_PAGES; n++) {
		size_t len, used;
		int err;

		do {
			fill_page(&unit_state, page);
			len = compress_page(*state, page, data, sizeof(data));
		} while (len == 0);
		memcpy(bad, data, len);
		used = rnd(3) ? len : rnd(len + 1);
		for (uint64_t flips = rnd(4); flips > 0; flips--)
			bad[rnd(len)] ^= (char)(1 << rnd(8));
		if (rnd(10) == 0)
			fill_noise(&unit_state, bad, len);
		err = decompress_page(*state, bad, used, room + PAGE_SIZE);
		assert_true(err == 0 || err == -EIO);
		nr_bad += err != 0;
		for (size_t i = 0; i < PAGE_SIZE; i++) {
			assert_int_equal(room[i], 0x33);
			assert_int_equal(room[2 * PAGE_SIZE + i], 0x33);
		}
		/* And the workspace is as good as before. */
		assert_int_equal(decompress_page(*state, data, len, back), 0);
		assert_memory_equal(back, page, PAGE_SIZE);
	}
	assert_true(nr_bad > NR_PAGES / 4);
}

/* --- one word --------------------------------------------------------------- */

static bool naive_same(const uint32_t *p)
{
	for (int i = 1; i < NR_WORDS; i++)
		if (p[i] != p[0])
			return false;
	return true;
}

static void same_filled_is_found(void **state)
{
	(void)state;
	for (int n = 0; n < NR_PAGES; n++) {
		uint32_t word = rnd(4) ? (uint32_t)rnd(UINT32_MAX)
				       : (uint32_t)rnd(2) * UINT32_MAX;
		uint32_t found = ~word;

		page_fill_same(page, word);
		assert_true(naive_same(page) && page[0] == word);
		assert_true(page_is_same_filled(page, &found));
		assert_int_equal(found, word);
		/* One bit, anywhere, is a difference. */
		page[rnd(NR_WORDS)] ^= 1u << rnd(32);
		assert_false(page_is_same_filled(page, &found));
	}
}

/* Periods of words and of bytes, and ends that are alike. */
static void almost_same_is_not(void **state)
{
	(void)state;
	for (int n = 0; n < NR_PAGES; n++) {
		size_t period = 1 + rnd(80);
		char *p = (char *)page;
		uint32_t found;

		fill_noise(&unit_state, p, period);
		for (size_t i = period; i < PAGE_SIZE; i++)
			p[i] = p[i - period];
		if (rnd(2))
			memcpy(p + PAGE_SIZE - 64, p, 64);
		assert_int_equal(page_is_same_filled(page, &found),
				 naive_same(page));
	}
}

/* --- threads ---------------------------------------------------------------- */

struct user {
	struct os_thread thread;
	struct compressor *c;
	uint64_t state;
};

static void user_main(void *arg)
{
	struct user *u = arg;
	uint32_t mine[NR_WORDS], copy[NR_WORDS];
	char data[PAGE_SIZE];

	for (int n = 0; n < 2000; n++) {
		size_t len;

		fill_page(&u->state, mine);
		len = compress_page(u->c, mine, data, sizeof(data));
		if (len == 0)
			continue;
		ASSERT(decompress_page(u->c, data, len, copy) == 0);
		ASSERT(memcmp(mine, copy, PAGE_SIZE) == 0);
	}
}

/* More of them than workspaces. */
static void threads_share_workspaces(void **state)
{
	struct user users[NR_THREADS];
	size_t size = compressor_size(*state);

	assert_true(size > 0);
	for (int i = 0; i < NR_THREADS; i++) {
		users[i].c = *state;
		users[i].state = rnd(UINT64_MAX);
		assert_int_equal(os_thread_start(&users[i].thread, "user",
						 user_main, &users[i]),
				 0);
	}
	for (int i = 0; i < NR_THREADS; i++)
		os_thread_join(&users[i].thread);
	/* All was allocated at the beginning. */
	assert_int_equal(compressor_size(*state), size);
}

#define with_compressor(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_compressor(pages_come_back),
		with_compressor(noise_does_not_fit),
		with_compressor(repetition_is_small),
		with_compressor(damage_ends),
		cmocka_unit_test(same_filled_is_found),
		cmocka_unit_test(almost_same_is_not),
		with_compressor(threads_share_workspaces),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
