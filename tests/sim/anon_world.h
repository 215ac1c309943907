/*
 * anon_world.h - anonymous mappings over a swap on the fake disk, each with a
 * model of what it should contain; for test_swap_sim.c. Files of cache_world.h
 * share the memory with them.
 *
 *   (1) What is in the cache and up to date equals the model, at every moment:
 *       a writer changes page and model in one step. While "seq" is odd the
 *       page is being dropped: it may read as zeroes already.
 *   (2) A read that sees the same even seq before and after returns the model.
 *   (3) -EIO is an answer while reads fail, or for a page that is "damaged":
 *       a byte of its object was changed on the disk.
 *   (4) What is reserved has the tag, and the other way round.
 *   (5) At a quiet point, when no client is in an operation (quiet is held
 *       alone), every count can be computed again from the trees.
 */
#ifndef TESTS_SIM_ANON_WORLD_H
#define TESTS_SIM_ANON_WORLD_H

#include "swap/anon.h"
#include "swap/swap.h"
#include "tests/sim/cache_world.h"

enum {
	ANON_FILES_MAX = 4,
	ANON_PAGES_MAX = 700, /* of a file */
	ANON_GROUPS = 2,
	AREAS_MAX = 2,
};

/* What is known of one page. */
struct anon_slot {
	uint32_t seq;  /* changes; odd: being dropped (1) */
	bool stored;   /* written since it was a hole */
	bool reserved; /* (4) */
	bool damaged;  /* (3) */
};

struct anon_file {
	struct address_space mapping;
	struct anon_group *group;
	struct rwlock io_lock; /* writers shared, who drops pages alone */
	pgoff_t base;	       /* index of the first page */
	unsigned int users;
	unsigned char *model; /* ANON_PAGES_MAX pages */
	struct anon_slot slots[ANON_PAGES_MAX];
};

struct anon_world {
	struct world files; /* of the file kind; faulty, quiet, squeezers */
	struct mm *mm;
	struct swap *swap;
	unsigned int nr_areas;
	int area_fd[AREAS_MAX];
	unsigned int nr_anon, pages_max, noise_percent;
	struct mutex lock; /* of anon[], and of their users */
	struct anon_file *anon[ANON_FILES_MAX];
	unsigned int nr_alive;
	struct anon_group groups[ANON_GROUPS];
	struct rwlock quiet; /* shared: a client is in an operation (5) */
	bool reads_fail;     /* now and then (3) */
	bool corrupts;	     /* the disk does, now and then (3) */
	bool fixed_files;    /* none is replaced */
};

/* One thread. */
struct client {
	struct actor actor; /* for the files */
	struct anon_world *aw;
	unsigned long nr_written, nr_refused; /* pages */
	uint64_t refusal_ns;	/* longest time from asking to a refusal */
	unsigned int waits_max; /* and most waits of at most 20 ms */
};

/* Seen over all seeds: each has to have happened. */
#define ANON_SEEN(X)     \
	X(reads)         \
	X(read_zero)     \
	X(read_around)   \
	X(read_eio)      \
	X(writes)        \
	X(write_eio)     \
	X(refusals)      \
	X(limits)        \
	X(oom_waits)     \
	X(truncates)     \
	X(punches)       \
	X(reserves)      \
	X(reserves_full) \
	X(seeks)         \
	X(deletes)       \
	X(corruptions)   \
	X(outages)       \
	X(squeezes)      \
	X(checks)

extern struct anon_seen {
#define X(name) unsigned long name;
	ANON_SEEN(X)
#undef X
} anon_seen;

/* --- anon_file_sim.c ------------------------------------------------------- */

struct anon_file *anon_file_new(struct anon_world *w, struct anon_group *g);
struct anon_file *anon_file_get(struct anon_world *w);
/* The last one drops everything. */
void anon_file_put(struct anon_world *w, struct anon_file *f);

unsigned char *anon_model(struct anon_file *f, pgoff_t i);
/* Zeroes, one word, compressible, half noise or noise. */
void anon_pattern(struct anon_world *w, unsigned char *p, size_t len);
void anon_noise(unsigned char *p, size_t len);

/* (1) for a page that was found; one step. */
void anon_check_page(struct anon_file *f, pgoff_t i, struct page *page);
/* (1), (4), tree and states of one file; io_lock is held. */
void anon_check_file(struct anon_file *f);

/* --- anon_ops_sim.c: what a client does ------------------------------------- */

/* One page, as fs/ will. 0 or -errno. */
int anon_read(struct client *c, struct anon_file *f, pgoff_t i);
/*
 * [from, to) of a page becomes data; model too. 0, -ENOSPC, -EIO or -EAGAIN
 * (it cannot be had, for faults).
 */
int anon_write(struct client *c, struct anon_file *f, pgoff_t i, size_t from,
	       size_t to, const void *data);
void anon_drop(struct anon_file *f, pgoff_t first, pgoff_t last, bool punch);
/* 0 or -ENOSPC. */
int anon_try_reserve(struct anon_file *f, pgoff_t first, pgoff_t last);

void op_anon_read(struct client *c, struct anon_file *f);
void op_anon_write(struct client *c, struct anon_file *f);
void op_anon_drop(struct client *c, struct anon_file *f);
void op_anon_reserve(struct client *c, struct anon_file *f);
void op_anon_seek(struct client *c, struct anon_file *f);
/* A byte of the object of a page of f, on the disk (3). */
void op_anon_corrupt(struct client *c, struct anon_file *f);

/* --- swap_check_sim.c ------------------------------------------------------- */

/* (5): quiet is held alone by the caller; what is on its way is waited for. */
void anon_check_counts(struct anon_world *w);
/* No object is left: each cluster is free, bad, or has an empty buffer. */
void anon_check_empty(struct anon_world *w);

#endif
