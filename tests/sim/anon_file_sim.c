/*
 * anon_file_sim.c - anonymous files and their models. Numbers in brackets are
 * those of anon_world.h.
 */
#include "tests/sim/anon_world.h"

#include "mm/page_alloc.h"
#include "mm/page_cache.h"
#include "mm/page_wait.h"
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

struct anon_seen anon_seen;

/* --- contents -------------------------------------------------------------- */

void anon_noise(unsigned char *p, size_t len)
{
	uint64_t r = 0;

	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			r = sim_random();
		p[i] = (unsigned char)(r >> i % 8 * 8);
	}
}

/* 64-byte records, of which a few bytes differ. */
static void records(unsigned char *p, size_t len)
{
	size_t differ = sim_between(1, 24);

	for (size_t i = 0; i < len; i++)
		p[i] = (unsigned char)(i % 64);
	for (size_t i = 0; i + 64 <= len; i += 64)
		anon_noise(p + i, differ);
}

void anon_pattern(struct anon_world *w, unsigned char *p, size_t len)
{
	if (sim_chance(w->noise_percent)) {
		anon_noise(p, len);
		return;
	}
	switch (sim_between(0, 5)) {
	case 0:
		memset(p, 0, len);
		break;
	case 1:
		memset(p, (int)sim_between(0, 255), len);
		break;
	case 2:
		anon_noise(p, len / 2);
		memset(p + len / 2, 1, len - len / 2);
		break;
	default:
		records(p, len);
	}
}

/* --- files ----------------------------------------------------------------- */

struct anon_file *anon_file_new(struct anon_world *w, struct anon_group *g)
{
	static const pgoff_t bases[] = {
		0, 0, 0, 5000, 1ull << 30, UINT64_MAX - ANON_PAGES_MAX - 100
	};
	struct anon_file *f = calloc(1, sizeof(*f));

	ASSERT(f);
	f->model = calloc(ANON_PAGES_MAX, PAGE_SIZE);
	ASSERT(f->model);
	f->base = bases[sim_between(0, ARRAY_SIZE(bases) - 1)];
	f->group = g;
	f->users = 1;
	rwlock_init(&f->io_lock);
	address_space_init(&f->mapping, w->mm, &anon_aops, g);
	w->nr_alive++;
	return f;
}

struct anon_file *anon_file_get(struct anon_world *w)
{
	struct anon_file *f;

	mutex_lock(&w->lock);
	f = w->anon[sim_between(0, w->nr_anon - 1)];
	f->users++;
	mutex_unlock(&w->lock);
	return f;
}

void anon_file_put(struct anon_world *w, struct anon_file *f)
{
	bool last;

	mutex_lock(&w->lock);
	ASSERT(f->users > 0);
	last = --f->users == 0;
	mutex_unlock(&w->lock);
	if (!last)
		return;
	anon_truncate(&f->mapping, 0, UINT64_MAX);
	address_space_destroy(&f->mapping);
	free(f->model);
	free(f);
	w->nr_alive--;
}

unsigned char *anon_model(struct anon_file *f, pgoff_t i)
{
	ASSERT(i < ANON_PAGES_MAX);
	return f->model + (i << PAGE_SHIFT);
}

/* --- checks ---------------------------------------------------------------- */

static bool is_zero(const unsigned char *p)
{
	return p[0] == 0 && memcmp(p, p + 1, PAGE_SIZE - 1) == 0;
}

void anon_check_page(struct anon_file *f, pgoff_t i, struct page *page)
{
	struct mm *mm = f->mapping.mm;
	const unsigned char *data = page_address(&mm->arena, page);

	/* Gone since it was found: not what the file has any more. */
	if (page->mapping != f->mapping.id || !page_test(page, PG_uptodate))
		return;
	ASSERT(page->index == f->base + i);
	if (memcmp(data, anon_model(f, i), PAGE_SIZE) == 0)
		return;
	if (f->slots[i].seq % 2 == 1 && is_zero(data))
		return;
	sim_fail("page %llu of mapping %llu differs from the model, flags %#x",
		 (unsigned long long)i, (unsigned long long)f->mapping.id,
		 (unsigned int)page->flags);
}

static void check_value(struct anon_file *f, pgoff_t i, swap_entry_t e)
{
	const uint32_t *model = (const void *)anon_model(f, i);
	bool may_be_zero = f->slots[i].seq % 2 == 1;

	ASSERT(swap_entry_type(e) >= SWAP_STORED);
	ASSERT(f->slots[i].stored || f->slots[i].reserved);
	if (swap_entry_type(e) == SWAP_STORED)
		return;
	for (size_t n = 0; n < PAGE_SIZE / sizeof(*model); n++)
		if (model[n] != swap_entry_word(e) &&
		    !(may_be_zero && swap_entry_word(e) == 0))
			sim_fail("value %llu of mapping %llu is not the model",
				 (unsigned long long)i,
				 (unsigned long long)f->mapping.id);
}

static void check_entry(struct anon_file *f, pgoff_t i, void *entry)
{
	struct mm *mm = f->mapping.mm;
	struct page *page = entry;

	if (xa_is_value(entry)) {
		check_value(f, i, xa_to_value(entry));
		return;
	}
	ASSERT(page->mapping == f->mapping.id);
	anon_check_page(f, i, page);
	if (page_trylock(page)) {
		anon_assert_state(&f->mapping, page);
		page_unlock(&mm->page_waits, page);
	}
}

void anon_check_file(struct anon_file *f)
{
	struct address_space *m = &f->mapping;
	unsigned long nr_pages = 0, nr_values = 0;
	void *entry;

	mutex_lock(&m->lock);
	xa_check(&m->pages);
	for (pgoff_t at = 0;
	     (entry = xa_find(&m->pages, &at, UINT64_MAX, XA_PRESENT)); at++) {
		ASSERT(at >= f->base && at < f->base + ANON_PAGES_MAX);
		check_entry(f, at - f->base, entry);
		nr_pages += !xa_is_value(entry);
		nr_values += xa_is_value(entry);
	}
	ASSERT(nr_pages == m->nr_pages);
	ASSERT(nr_values == m->nr_values);
	for (pgoff_t i = 0; i < ANON_PAGES_MAX; i++) { /* (4) */
		bool tagged = xa_get_tag(&m->pages, f->base + i, XA_RESERVED);

		if (tagged != f->slots[i].reserved)
			sim_fail("page %llu of mapping %llu: %s",
				 (unsigned long long)i,
				 (unsigned long long)m->id,
				 tagged ? "reserved, and should not be"
					: "no longer reserved");
		if (f->slots[i].stored && f->slots[i].seq % 2 == 0 &&
		    !xa_load(&m->pages, f->base + i) &&
		    !is_zero(anon_model(f, i)))
			sim_fail("page %llu of mapping %llu is lost",
				 (unsigned long long)i,
				 (unsigned long long)m->id);
	}
	mutex_unlock(&m->lock);
}
