/* address_space.c - life and lookup of mappings; pages are page_cache.c's. */
#include "mm/address_space.h"

#include "mm/mm.h"

/* Who pins a mapping that is being destroyed is done with it in no time. */
#define PIN_WAIT_NS (100 * 1000)

static struct mapping_bucket *bucket_of(struct mapping_table *t,
					mapping_id_t id)
{
	return &t->buckets[id & (ARRAY_SIZE(t->buckets) - 1)];
}

void mapping_table_init(struct mapping_table *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(t->buckets); i++) {
		mutex_init(&t->buckets[i].lock);
		list_init(&t->buckets[i].mappings);
	}
	atomic_store(&t->last_id, 0);
}

void address_space_init(struct address_space *m, struct mm *mm,
			const struct address_space_ops *ops, const void *group)
{
	struct mapping_bucket *b;

	*m = (struct address_space){
		.mm = mm, .ops = ops, .group = group, .anon = ops->anon
	};
	m->id = atomic_fetch_add(&mm->mappings->last_id, 1) + 1;
	mutex_init(&m->lock);
	xa_init(&m->pages, &mm->xa_nodes);
	b = bucket_of(mm->mappings, m->id);
	mutex_lock(&b->lock);
	list_add(&b->mappings, &m->id_link);
	mutex_unlock(&b->lock);
}

void address_space_destroy(struct address_space *m)
{
	struct mapping_bucket *b = bucket_of(m->mm->mappings, m->id);

	ASSERT(m->nr_pages == 0 && m->nr_values == 0 && !m->pages.root);
	ASSERT(!m->on_dirty_list);
	mutex_lock(&b->lock);
	list_del(&m->id_link);
	while (m->nr_pins > 0) {
		mutex_unlock(&b->lock);
		os_sleep_ns(PIN_WAIT_NS);
		mutex_lock(&b->lock);
	}
	mutex_unlock(&b->lock);
}

static struct address_space *find(struct mapping_bucket *b, mapping_id_t id)
	must_hold(b->lock)
{
	struct address_space *m;

	list_for_each_entry(m, &b->mappings, struct address_space, id_link)
		if (m->id == id)
			return m;
	return NULL;
}

struct address_space *address_space_find(struct mm *mm, mapping_id_t id)
{
	struct mapping_bucket *b = bucket_of(mm->mappings, id);
	struct address_space *m;

	mutex_lock(&b->lock);
	m = find(b, id);
	mutex_unlock(&b->lock);
	return m;
}

struct address_space *address_space_pin(struct mm *mm, mapping_id_t id)
{
	struct mapping_bucket *b = bucket_of(mm->mappings, id);
	struct address_space *m;

	mutex_lock(&b->lock);
	m = find(b, id);
	if (m)
		m->nr_pins++;
	mutex_unlock(&b->lock);
	return m;
}

void address_space_unpin(struct address_space *m)
{
	struct mapping_bucket *b = bucket_of(m->mm->mappings, m->id);

	mutex_lock(&b->lock);
	ASSERT(m->nr_pins > 0);
	m->nr_pins--;
	mutex_unlock(&b->lock);
}

unsigned long address_space_nr_entries(struct address_space *m)
{
	unsigned long nr;

	mutex_lock(&m->lock);
	nr = m->nr_pages + m->nr_values;
	mutex_unlock(&m->lock);
	return nr;
}

bool address_space_is_empty(struct address_space *m)
{
	bool empty;

	mutex_lock(&m->lock);
	empty = m->nr_pages == 0 && !m->pages.root;
	mutex_unlock(&m->lock);
	return empty;
}

bool address_space_is_clean(struct address_space *m)
{
	bool clean;

	mutex_lock(&m->lock);
	clean = m->nr_dirty == 0 && m->nr_writeback == 0;
	mutex_unlock(&m->lock);
	return clean;
}
