/*
 * cache_world.h - files in the page cache, each with a model of what it should
 * contain; for test_cache_sim.c.
 *
 *   (1) What is in the cache and up to date equals the model, at every moment:
 *       a writer changes page and model in one step.
 *   (2) A page that has not changed since a sync began that returned 0 is on
 *       the disk as in the model: "seq" counts the changes of each page. After
 *       page_io_sync() it would survive a power cut.
 *   (3) The model is zero behind the end of the file, and so are cached pages.
 *   (4) A file lives for as long as somebody uses it or mm/ holds it.
 */
#ifndef TESTS_SIM_CACHE_WORLD_H
#define TESTS_SIM_CACHE_WORLD_H

#include "mm/mm.h"
#include "mm/readahead.h"

enum {
	NR_GROUPS = 2,
	FILES_MAX = 4,
	FILE_PAGES_MAX = 320,
	HOGS_MAX = 2048,
};

#define FILE_BYTES_MAX ((uint64_t)FILE_PAGES_MAX << PAGE_SHIFT)

struct file {
	struct address_space mapping;
	struct world *world;
	struct rwlock io_lock; /* truncate alone */
	int fd, tail_fd;       /* direct, and for the partial last block */
	unsigned int users;    /* threads, and its place in the world */
	unsigned int holds;    /* by users, as one, and by mm/ (4) */
	uint64_t size;
	unsigned char *model;	      /* FILE_BYTES_MAX (3) */
	uint32_t seq[FILE_PAGES_MAX]; /* changes; odd: during one (2) */
	pgoff_t unsure;		      /* being truncated from here on */
};

struct world {
	struct mm *mm;
	bool faulty; /* anything may fail */
	unsigned int nr_files, nr_ops, pages_max;
	struct writeback_group groups[NR_GROUPS];
	struct mutex lock; /* of files[], and of their users and holds */
	struct file *files[FILES_MAX];
	unsigned int nr_alive; /* files not yet freed */
	struct page *hogs[HOGS_MAX];
	unsigned int nr_hogs;
	unsigned int nr_squeezers; /* in op_squeeze() */
	bool quiet;		   /* it is the end: no more outages */
};

/* One thread. */
struct actor {
	struct world *w;
	struct os_thread thread;
	struct readahead ra;
};

/* Seen over all seeds: each has to have happened. */
#define SEEN(X)            \
	X(reads)           \
	X(writes_here)     \
	X(read_errors)     \
	X(writes)          \
	X(write_errors)    \
	X(refusals)        \
	X(oom_waits)       \
	X(truncates)       \
	X(truncate_errors) \
	X(syncs)           \
	X(sync_errors)     \
	X(deletes)         \
	X(outages)         \
	X(squeezes)        \
	X(invalidated)     \
	X(drops)

extern struct cache_seen {
#define X(name) unsigned long name;
	SEEN(X)
#undef X
} seen;

/* --- cache_file_sim.c: files, their owner's side, and checks --------------- */

/* What files are written to, as many devices. */
void groups_start(struct world *w);
void groups_stop(struct world *w);
struct file *file_new(struct world *w);
/* One of the world's, at random. */
struct file *file_get(struct world *w);
/* The last one drops what is cached, and lets go. */
void file_put(struct world *w, struct file *f);

unsigned char *file_model(struct file *f, pgoff_t index);
void fill_random(unsigned char *p, size_t len);

/* The page is f's, and its contents are there. */
bool file_is_current(struct file *f, struct page *page);
/* (1) for one such page; one step. */
void file_check_page(struct file *f, struct page *page);
/* (1), and tags and counts, for all pages; io_lock is held. */
void file_check(struct file *f);

/* All from "first" on is changed, or about to be. */
void file_bump(struct file *f, pgoff_t first);
/* Model, and what is cached of the last page. */
void file_set_size(struct file *f, uint64_t size);

/* What a file was when a sync began. */
struct snapshot {
	struct file *file;
	uint32_t seq[FILE_PAGES_MAX];
};

void snapshot_take(struct snapshot *s, struct file *f);
/* (2) for [first, last]; one step. */
void snapshot_check(const struct snapshot *s, pgoff_t first, pgoff_t last,
		    bool durable);

/* --- cache_ops_sim.c: what a thread does to a file, at random --------------- */

void op_read(struct actor *a, struct file *f);
void op_find_run(struct actor *a, struct file *f);
void op_write(struct actor *a, struct file *f);
void op_truncate(struct actor *a, struct file *f);
void op_sync(struct actor *a, struct file *f);
/* With nobody else writing: all of it, and the size. */
void op_sync_alone(struct actor *a, struct file *f);
void op_sync_all(struct actor *a);

/* --- cache_trouble_sim.c: memory is short, I/O fails ------------------------- */

/* Take frames away until the zones have few. */
void world_hog(struct world *w);
/* For a while there is no frame at all. */
void world_squeeze(struct world *w);
/* No write succeeds for up to max_ms. False: it was not the time for that. */
bool world_outage(struct world *w, uint64_t max_ms);
/* Allocations fail from now on, or not. */
void world_memory_faults(struct world *w);
/* I/O does, in any way but to say it has written what it has not. */
void world_io_faults(struct world *w, struct fault_attr *attr);
/* None of it any more; and no outages. */
void world_well_again(struct world *w);

#endif
