/*
 * test_memblock.c - what is carved from an arena, against an owner a byte.
 *
 *	0                 next                          end
 *	| 1 1 . 2 2 2 . . 3 3 |          0 ...           |   owner[]
 *
 * Requests of random size and alignment run until one is refused; it must be
 * one that does not fit behind the last.
 */
#include "mm/memblock.h"
#include "tests/unit/unit.h"

enum { SIZE = 64 * 1024, NR_ROUNDS = 150 };

static _Alignas(4096) char memory[SIZE];
static unsigned char owner[SIZE];

/* Nobody has these bytes, and none behind them. */
static void model_take(size_t base, size_t size, unsigned char who)
{
	for (size_t i = base; i < SIZE; i++)
		assert_int_equal(owner[i], 0);
	memset(owner + base, who, size);
}

static size_t last_owned(void)
{
	size_t n = SIZE;

	while (n > 0 && owner[n - 1] == 0)
		n--;
	return n;
}

static void check_refusal(size_t size, size_t align)
{
	size_t base = last_owned();

	while (base % align != 0)
		base++;
	assert_true(base + size > SIZE);
}

static void random_round(struct memblock *mb)
{
	for (unsigned char who = 1; who <= MEMBLOCK_NR_REGIONS; who++) {
		size_t size = 1 + rnd(SIZE / 8), align = 1ul << rnd(13);
		char *p = memblock_alloc(mb, "test", size, align);

		if (!p) {
			check_refusal(size, align);
			break;
		}
		assert_int_equal((uintptr_t)p % align, 0);
		assert_true(p >= memory && p + size <= memory + SIZE);
		model_take((size_t)(p - memory), size, who);
		assert_int_equal(mb->nr_regions, who);
		assert_int_equal(mb->reserved[who - 1].base, p - memory);
		assert_int_equal(mb->reserved[who - 1].size, size);
		assert_string_equal(mb->reserved[who - 1].name, "test");
	}
}

static void carves_without_overlap(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct memblock mb;
		pfn_t end;

		memset(owner, 0, sizeof(owner));
		memblock_init(&mb, memory, SIZE);
		random_round(&mb);
		end = memblock_end_boot(&mb);
		assert_true(end * PAGE_SIZE >= last_owned());
		assert_true(end * PAGE_SIZE < last_owned() + PAGE_SIZE);
	}
}

static void takes_all_and_no_more(void **state)
{
	struct memblock mb;

	(void)state;
	memblock_init(&mb, memory, SIZE);
	assert_null(memblock_alloc(&mb, "too much", SIZE + 1, 1));
	assert_null(memblock_alloc(&mb, "far too much", SIZE_MAX, 1));
	assert_ptr_equal(memblock_alloc(&mb, "all", SIZE, 1), memory);
	assert_null(memblock_alloc(&mb, "a byte", 1, 1));
	assert_int_equal(memblock_end_boot(&mb), SIZE / PAGE_SIZE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(carves_without_overlap),
		cmocka_unit_test(takes_all_and_no_more),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
