/*
 * lru.h - the five lists of a node (Linux: mm/swap.c).
 *
 *	inactive anon | active anon | inactive file | active file | unevictable
 *
 * Two bits decide where a page goes. An access sets *referenced*; an access to
 * a referenced inactive page makes it active and clears the bit. The scan from
 * the tail clears referenced and gives the page another round. So one access
 * is not enough to become active, and one quiet scan not enough to be taken.
 *
 *	               access           access
 *	inactive,0 ──────────► inactive,1 ──────────► active,0 ◄─► active,1
 *	    ▲ ◄──────────────────────┘                  │   access / scan
 *	    │           scan                            │
 *	    └───────────────────────────────────────────┘ scan
 *
 * Pages on their way to a list wait in a batch of their CPU, so that the lock
 * of the lists is taken once for many.
 */
#ifndef MM_LRU_H
#define MM_LRU_H

#include "mm/lock.h"
#include "mm/page.h"

struct mm;

enum lru_list {
	LRU_INACTIVE_ANON,
	LRU_ACTIVE_ANON,
	LRU_INACTIVE_FILE,
	LRU_ACTIVE_FILE,
	LRU_UNEVICTABLE,
	NR_LRU_LISTS
};

#define LRU_ACTIVE 1 /* LRU_x_INACTIVE + LRU_ACTIVE is its active list */

/* The two kinds of pages that reclaim weighs against each other. */
enum lru_kind { LRU_ANON, LRU_FILE, NR_LRU_KINDS };

/* (L) guarded by lock. */
struct lruvec {
	struct mutex lock;
	struct list_head lists[NR_LRU_LISTS];	/* newest first (L) */
	_Atomic unsigned long nr[NR_LRU_LISTS]; /* their lengths (L) */
	/* What scanning each kind has cost lately, in pages (L). */
	unsigned long cost[NR_LRU_KINDS];
	/* Pages still to be scanned that were no full batch (L). */
	unsigned long carry[NR_LRU_KINDS];
};

#define LRU_BATCH 15 /* as the kernel's PAGEVEC_SIZE */

/* Pages with a reference each, not yet where they should be; (S) lock. */
struct lru_batch {
	_Alignas(CACHE_LINE) struct cpu_lock lock;
	/* Written by who has the lock, read by drains (S). */
	_Atomic unsigned int nr_add, nr_activate;
	struct page *add[LRU_BATCH];	  /* to a list (S) */
	struct page *activate[LRU_BATCH]; /* to its active list (S) */
};

void lruvec_init(struct lruvec *v);
/* cpu, rseq: see cpu_lock_init(). */
void lru_batch_init(struct lru_batch *b, unsigned int cpu, int32_t rseq);

/* Queue a new page, by its flags (PG_active, PG_anon, PG_unevictable). */
void lru_add(struct mm *mm, struct page *page);
/* The same for nr pages, locked. */
void lru_add_run(struct mm *mm, struct page **pages, unsigned int nr);
/* An access: see the drawing. The caller has a reference. */
void page_mark_accessed(struct mm *mm, struct page *page);
/* Referenced since the last call? Clears the bit. */
static inline bool page_check_referenced(struct page *page)
{
	return page_test(page, PG_referenced) &&
	       page_test_and_clear(page, PG_referenced);
}

/* Take a page that nobody can find any more off its list. */
void lru_del(struct mm *mm, struct page *page);
/* Up to nr from the unevictable list to the tail of inactive anon. */
void lru_rescue(struct mm *mm, unsigned long nr);
/* To the tail of its inactive list: it is the next to go. */
void lru_rotate(struct mm *mm, struct page *page);
/* Empty all batches. */
void lru_drain(struct mm *mm);

/*
 * For reclaim: up to nr pages from the tail of a list, off the list and with a
 * reference each, onto "pages". Pages outside the zones of zone_mask are
 * passed by. *nr_scanned: how many were looked at. Returns how many were taken.
 */
unsigned int lru_isolate(struct mm *mm, enum lru_list list, unsigned int nr,
			 unsigned int zone_mask, struct list_head *pages,
			 unsigned long *nr_scanned);
/* Back to the lists, by their flags; drops the references. */
void lru_putback(struct mm *mm, struct list_head *pages);

/*
 * Scanning a kind has cost so many transfers, and so many pages that were found
 * in use (Linux: lru_note_cost). What is long ago counts less and less.
 */
void lru_note_cost(struct mm *mm, enum lru_kind kind, unsigned long nr_io,
		   unsigned long nr_rotated);
/*
 * The share of each kind in what is to be scanned: by swappiness (0: file only,
 * 100: alike, 200: anon only) and inversely by cost. Only their ratio counts.
 */
void lru_shares(struct mm *mm, unsigned long share[NR_LRU_KINDS]);
/*
 * So many pages of a kind are to be scanned: how many of them now, in whole
 * batches. The rest is carried over to the next time.
 */
unsigned long lru_scan_now(struct mm *mm, enum lru_kind kind, unsigned long nr,
			   unsigned int batch);

static inline unsigned long lru_size(struct lruvec *v, enum lru_list list)
{
	return atomic_load_explicit(&v->nr[list], memory_order_relaxed);
}

/* Abort unless lengths and flags agree with the lists. */
void lru_check(struct mm *mm);

#endif
