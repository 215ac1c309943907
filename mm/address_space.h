/*
 * address_space.h - what one file has in memory, and what its owner can do
 * with a page of it.
 *
 * The tree maps an index to a page, or to a value that stands for a page that
 * is not here (a swap entry, a shadow). struct address_space_ops is the one
 * way mm/ calls up to the owner of a page: it never asks what kind it is.
 *
 * A mapping has an id, a number that is never used again; pages name their
 * owner by it. address_space_find() goes from the id to the mapping.
 */
#ifndef MM_ADDRESS_SPACE_H
#define MM_ADDRESS_SPACE_H

#include "mm/errseq.h"
#include "mm/lock.h"
#include "mm/page.h"
#include "mm/page_io.h"
#include "mm/xarray.h"

struct mm;
struct address_space;

/* 256 KiB; with more, a struct page_run would not fit into half a page. */
#define PAGE_RUN_MAX 64

/*
 * Pages of one mapping, next to each other in the file, on their way in or out
 * together. Reading: each page is locked. Writing: each is under writeback.
 * The run holds a reference to each.
 */
struct page_run {
	struct address_space *mapping;
	pgoff_t first;
	unsigned int nr;
	bool here; /* writing: the caller waits for it, page_io_do() will do */
	struct page *pages[PAGE_RUN_MAX];
	struct iovec iov[PAGE_RUN_MAX]; /* of the pages, for the owner */

	/* for the owner, while it has the run ----------------------------- */
	struct page *bounce;	    /* where the partial page is sent from */
	struct page_io io[2];	    /* the whole pages; the partial last one */
	struct list_head wait;	    /* for a buffer of swap */
	unsigned int next;	    /* page to go on with then */
	_Atomic unsigned int nr_io; /* how many of them are under way */
	_Atomic int error;	    /* the first -errno, or 0 */
	_Atomic uint64_t nr_bytes;  /* read so far */
	uint64_t size_before;	    /* of the file, when it began */
};

enum pageout_result {
	PAGEOUT_KEEP,	 /* cannot go now; stays where it is */
	PAGEOUT_STARTED, /* is being written, or will be soon */
	PAGEOUT_CLEAN,	 /* is clean now: drop it */
	PAGEOUT_BUSY,	 /* as KEEP, and so will the others, for a moment */
};

/*
 * Calls up. None of them is made with the mapping's lock held, but for
 * page_dropped(), value_taken() and value_left().
 */
struct address_space_ops {
	bool anon; /* for address_space.anon */
	/*
	 * Read the run, then page_run_read_done(). Must not block; may be
	 * called on a thread that receives requests.
	 */
	void (*read_run)(struct address_space *m, struct page_run *run);
	/*
	 * Write the run, then page_run_write_done(). May block, but must not
	 * allocate without GFP_MEMALLOC.
	 */
	void (*write_run)(struct address_space *m, struct page_run *run);
	/* Push a dirty, locked page out. Must neither block nor unlock it. */
	enum pageout_result (*pageout)(struct address_space *m,
				       struct page *page);
	/*
	 * Shall its dirty pages wait for a sync, as long as there is room?
	 * dirty_list.lock is held. May be NULL: no.
	 */
	bool (*hold_back)(struct address_space *m);
	/*
	 * The page, locked, leaves the cache. Only counts: the mapping may be
	 * locked.
	 */
	void (*page_dropped)(struct address_space *m, struct page *page);
	/* A value entry has been taken out: what it stood for is void. */
	void (*free_value)(struct address_space *m, pgoff_t index,
			   uint64_t value);
	/*
	 * A page, locked, has taken a value's place; the value is kept with the
	 * page from now on. The mapping is locked. NULL: free_value() instead.
	 */
	void (*value_taken)(struct address_space *m, struct page *page,
			    uint64_t value);
	/*
	 * A page, locked, is about to leave the cache: the value that is to
	 * take its place, or 0. The mapping is locked. May be NULL.
	 */
	uint64_t (*value_left)(struct address_space *m, struct page *page);
	/* Does it stand for a page of zeroes? Only for anon mappings. */
	bool (*value_is_zero)(uint64_t value);
	/* The contents of a page, locked, are void: truncated. May be NULL. */
	void (*page_truncated)(struct address_space *m, struct page *page);
	/* Nothing of the mapping is dirty or in flight any more. May block. */
	void (*written)(struct address_space *m);
	/* The mapping must stay, because it has dirty pages; and no longer. */
	void (*hold)(struct address_space *m);
	void (*release)(struct address_space *m);
};

/*
 * One round of the flusher through a mapping: in several passes if there is much
 * to write, from where the last one ended. What is dirtied again behind it waits
 * for the next round.
 */
struct flush_round {
	pgoff_t first, last; /* what is left of it */
	pgoff_t skipped_first,
		skipped_last; /* all that was locked is between */
	bool skipped;
	bool under_way;
	uint32_t nr_errors; /* nr_write_errors, when it began */
	uint64_t began_ns;
};

/*
 * (C) constant, (L) guarded by lock, (B) by the id table, (W) by
 * mm->dirty_list.lock, (F) of the one who has set wb_busy.
 */
struct address_space {
	struct mm *mm;			     /* (C) */
	const struct address_space_ops *ops; /* (C) */
	const void *group; /* whose it is, for syncing all of a volume (C) */
	mapping_id_t id;   /* (C) */
	/*
	 * Its pages have no home: they are for the anon lists, a hole is zeroes
	 * without a read, and nothing of it is ever on the dirty list (C).
	 */
	bool anon;
	unsigned int nr_pins;	  /* (B) */
	struct list_head id_link; /* (B) */

	struct mutex lock;
	struct xarray pages;	 /* (L) */
	unsigned long nr_pages;	 /* pages in it (L) */
	unsigned long nr_values; /* value entries in it (L) */
	/* Of them; changed with the lock, read at any time. */
	_Atomic unsigned long nr_dirty, nr_writeback;
	unsigned int nr_freezers; /* no writeback may begin (L) */
	errseq_t wb_err;
	/* Pages that failed, ever; of those written since. They may wrap. */
	_Atomic uint32_t nr_write_errors; /* changed with (L) */
	_Atomic uint32_t nr_errors_mended;

	struct list_head dirty_link; /* in writeback_group.mappings (W) */
	_Atomic bool on_dirty_list;  /* changed with (W) */
	bool wb_now;		     /* do not wait for its time (W) */
	bool wb_busy;		     /* a flusher or a sync is at it (W) */
	/* Its last close: it leaves the list as soon as it is clean (W). */
	_Atomic bool wb_leave;
	uint64_t dirtied_ns; /* when the first page was (W) */
	uint64_t retry_ns;   /* not before, after an error (W) */
	uint64_t kicked_ns;  /* when wb_now was set by others (W) */
	/* The last pass of a sync, and of the flusher, that saw it (W). */
	uint64_t sync_pass, flush_pass;
	struct flush_round round; /* (F) */
};

#define MAPPING_HASH_BITS 10

/* From id to mapping. */
struct mapping_table {
	struct mapping_bucket {
		struct mutex lock;
		struct list_head mappings;
	} buckets[1 << MAPPING_HASH_BITS];
	_Atomic mapping_id_t last_id;
};

void mapping_table_init(struct mapping_table *t);

void address_space_init(struct address_space *m, struct mm *mm,
			const struct address_space_ops *ops, const void *group);
/* The mapping must be empty, and on no list. Waits for those who pinned it. */
void address_space_destroy(struct address_space *m);

/*
 * The mapping with this id, or NULL. It stays only for as long as the caller
 * has a page of it locked.
 */
struct address_space *address_space_find(struct mm *mm, mapping_id_t id);
/* The same, and it stays until address_space_unpin(). Be brief. */
struct address_space *address_space_pin(struct mm *mm, mapping_id_t id);
void address_space_unpin(struct address_space *m);

/* How many pages and values it has. */
unsigned long address_space_nr_entries(struct address_space *m);
/* Is nothing of it in memory, dirty or in flight? */
bool address_space_is_empty(struct address_space *m);
bool address_space_is_clean(struct address_space *m);

#endif
