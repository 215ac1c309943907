/*
 * every_failure.h - an operation with its first call failing, its second, its
 * third, ..., until it ends without a failure.
 *
 *	n = 1      x                      the 1st call fails
 *	n = 2      . x                    the 2nd
 *	n = 3      . . x
 *	n = 4      . . .                  done: there are three
 *
 * The operation undoes what it did, whether it succeeded or not, and compares
 * contents itself. After each turn the ledger must be as it was before the
 * first: frames, objects of each cache, slots, all levels of vmstat.
 */
#ifndef TESTS_UNIT_EVERY_FAILURE_H
#define TESTS_UNIT_EVERY_FAILURE_H

#include "tests/unit/unit.h"

enum { EVERY_FAILURE_MAX = 3000, EVERY_CACHES_MAX = 64 };

/* What there is of everything. */
struct ledger {
	unsigned long nr_free;		 /* frames, or in slabs */
	unsigned long level[NR_DIRTIED]; /* those before the first event */
	unsigned long active[EVERY_CACHES_MAX];
	const char *name[EVERY_CACHES_MAX];
	unsigned int nr_caches;
};

static inline void ledger_take(struct mm *mm, struct ledger *l)
{
	struct kmem_cache *c;

	lru_drain(mm);
	slab_reap(mm);
	page_alloc_drain(mm);
	*l = (struct ledger){ .nr_free = page_alloc_nr_free(mm) };
	for (int i = 0; i < NR_DIRTIED; i++)
		l->level[i] = vmstat_read(mm, (enum vmstat_item)i);
	/* Objects are counted; in how many slabs they lie may change. */
	l->nr_free +=
		l->level[NR_SLAB_RECLAIMABLE] + l->level[NR_SLAB_UNRECLAIMABLE];
	l->level[NR_SLAB_RECLAIMABLE] = l->level[NR_SLAB_UNRECLAIMABLE] = 0;
	mutex_lock(&mm->caches_lock);
	list_for_each_entry(c, &mm->caches, struct kmem_cache, link) {
		assert_true(l->nr_caches < EVERY_CACHES_MAX);
		l->name[l->nr_caches] = c->name;
		l->active[l->nr_caches++] = kmem_cache_stat(c).nr_active;
	}
	mutex_unlock(&mm->caches_lock);
}

/*
 * Is no more in use than before? Less is possible once: what was on its way when
 * the first one was taken has ended since.
 */
static inline bool ledger_holds(const struct ledger *before,
				const struct ledger *after)
{
	bool holds = after->nr_free >= before->nr_free;

	for (int i = 0; i < NR_DIRTIED; i++)
		holds &= after->level[i] <= before->level[i];
	for (unsigned int i = 0; i < before->nr_caches; i++)
		holds &= after->active[i] <= before->active[i];
	return holds && after->nr_caches == before->nr_caches;
}

/* Say what is different, and fail. */
static inline void ledger_compare(const struct ledger *before,
				  const struct ledger *after, const char *what,
				  unsigned int n)
{
	printf("after failure %u of %s:\n", n, what);
	printf("  free %lu, were %lu\n", after->nr_free, before->nr_free);
	for (int i = 0; i < NR_DIRTIED; i++)
		if (before->level[i] != after->level[i])
			printf("  %s %lu, was %lu\n",
			       vmstat_name((enum vmstat_item)i),
			       after->level[i], before->level[i]);
	for (unsigned int i = 0; i < before->nr_caches; i++)
		if (before->active[i] != after->active[i])
			printf("  %s: %lu objects, were %lu\n", before->name[i],
			       after->active[i], before->active[i]);
	fflush(stdout);
	fail();
}

/* What goes on behind (a write that is on its way) may take a moment. */
static inline void ledger_settle(struct mm *mm, struct ledger *before,
				 const char *what, unsigned int n)
{
	struct ledger after;

	for (int tries = 0; tries < 2000; tries++) {
		ledger_take(mm, &after);
		if (ledger_holds(before, &after)) {
			*before = after;
			return;
		}
		unit_nap();
	}
	ledger_compare(before, &after, what, n);
}

/* One turn: the settings are made, but for the probability. */
static inline int64_t every_turn(struct mm *mm, struct fault_attr *attr,
				 const char *what, int allowed,
				 int (*op)(void *arg), void *arg,
				 struct ledger *before, unsigned int n,
				 int64_t times)
{
	int64_t injected = fault_get(attr, FAULT_INJECTED);
	int err;

	assert_int_equal(fault_set(attr, FAULT_SEED, 1), 0);
	unit_fault(attr, 100, times);
	err = op(arg);
	unit_fault(attr, 0, 1);
	injected = fault_get(attr, FAULT_INJECTED) - injected;
	if (err != 0 && (injected == 0 || err != allowed)) {
		printf("failure %u of %s, %s: %d\n", n, what, attr->name, err);
		fflush(stdout);
		fail();
	}
	ledger_settle(mm, before, what, n);
	return injected;
}

/*
 * op: 0 or -errno, which is checked against "allowed"; it has undone all. A
 * failure that it gets over is as good. Returns how many failed.
 */
static inline unsigned int every_failure(struct mm *mm, struct fault_attr *attr,
					 const char *what, int allowed,
					 int (*op)(void *arg), void *arg)
{
	struct ledger before;
	unsigned int n = 0;
	int64_t injected;

	assert_int_equal(op(arg), 0); /* what is made once for all is made */
	ledger_take(mm, &before);
	do {
		assert_true(++n < EVERY_FAILURE_MAX);
		assert_int_equal(fault_set(attr, FAULT_INTERVAL, n), 0);
		injected = every_turn(mm, attr, what, allowed, op, arg, &before,
				      n, 1);
	} while (injected > 0);
	assert_int_equal(fault_set(attr, FAULT_INTERVAL, 1), 0);
	printf("%s: %u failures of %s\n", what, n - 1, attr->name);
	return n - 1;
}

/*
 * The same, but from some call on all fail: of sizes below "unit", the first,
 * the second, ..., later with growing steps.
 */
static inline void every_outage(struct mm *mm, struct fault_attr *attr,
				const char *what, int allowed,
				int (*op)(void *arg), void *arg, int64_t unit)
{
	struct ledger before;
	int64_t injected, space = 0;
	unsigned int n = 0;

	assert_int_equal(op(arg), 0);
	ledger_take(mm, &before);
	do {
		assert_true(++n < EVERY_FAILURE_MAX);
		assert_int_equal(fault_set(attr, FAULT_SPACE, space), 0);
		injected = every_turn(mm, attr, what, allowed, op, arg, &before,
				      n, -1);
		space += unit + space / 16;
	} while (injected > 0);
	assert_int_equal(fault_set(attr, FAULT_SPACE, 0), 0);
	printf("%s: %u outages of %s\n", what, n - 1, attr->name);
}

#endif
