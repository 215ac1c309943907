/*
 * dirty_file.h - one fake file, and what the disk should have of it.
 *
 *	word[]   what was written to each page last
 *	dirty[]  pages whose word is not on the disk
 *	disk[]   what the fake owner was given
 */
#ifndef TESTS_UNIT_DIRTY_FILE_H
#define TESTS_UNIT_DIRTY_FILE_H

#include "tests/unit/fake_file.h"

enum { NR_INDICES = 600, NR_ROUNDS = 60 };

static uint64_t word[NR_INDICES];
static bool dirty[NR_INDICES];
static struct fake_file *f;

static inline void set_up(struct mm *mm)
{
	f = fake_create(mm, NR_INDICES);
	memset(word, 0, sizeof(word));
	memset(dirty, 0, sizeof(dirty));
}

static inline void write_page(pgoff_t i)
{
	word[i] = 1 + rnd(1u << 30);
	dirty[i] = true;
	assert_int_equal(fake_write(f, i, word[i]), 0);
}

/* Short stretches, so that there are runs and gaps. */
static inline void write_some(void)
{
	for (int n = 0; n < 20; n++) {
		pgoff_t first = rnd(NR_INDICES), nr = rnd(rnd(5) ? 5 : 300);

		for (pgoff_t i = first; i < first + nr && i < NR_INDICES; i++)
			write_page(i);
	}
}

static inline void check_states(void)
{
	unsigned long nr = 0;

	for (pgoff_t i = 0; i < NR_INDICES; i++) {
		assert_int_equal(fake_test(f, i, PG_dirty), dirty[i]);
		assert_false(fake_test(f, i, PG_writeback));
		if (!dirty[i])
			assert_int_equal(atomic_load(&f->disk[i]), word[i]);
		nr += dirty[i];
	}
	assert_int_equal(f->mapping.nr_dirty, nr);
	assert_int_equal(f->mapping.nr_writeback, 0);
	assert_int_equal(vmstat_read(f->mapping.mm, NR_FILE_DIRTY), nr);
	assert_int_equal(dirty_list_bytes(f->mapping.mm, &f->group),
			 nr * PAGE_SIZE);
	assert_int_equal(address_space_is_clean(&f->mapping), nr == 0);
	mutex_lock(&f->mapping.lock);
	xa_check(&f->mapping.pages);
	mutex_unlock(&f->mapping.lock);
}

#endif
