/*
 * swap.h - compressed pages in swap areas: one for each struct mm.
 *
 *	pageout ──► compress ──► cluster buffer ──► swap area
 *	             (zstd)       (128 KiB, in      (a file, cluster
 *	                           memory)           by cluster)
 *
 * An object is a page, compressed, behind a header that says whose it is and
 * has a checksum. Objects are packed into the buffer of a cluster; a full buffer
 * is written in one go. From the moment it is in the buffer a page needs no
 * frame: until the buffer is on the disk it is read from there. A buffer that
 * cannot be written is kept, read from and tried again, so that a failing disk
 * loses nothing that was pushed out to it.
 */
#ifndef SWAP_SWAP_H
#define SWAP_SWAP_H

#include "mm/list.h"
#include "mm/lock.h"
#include "mm/page_io.h"
#include "swap/compress.h"
#include "swap/swap_entry.h"
#include "swap/swap_map.h"

#include <stdatomic.h>

struct mm;
struct page_run;

#define SWAP_BUFFERS_MAX   24
#define SWAP_READS_MAX	   16
#define SWAP_UNPACKERS_MAX 4
#define SWAP_READ_ORDER	   3 /* 32 KiB: a run of compressed pages */
#define SWAP_READ_SIZE	   (PAGE_SIZE << SWAP_READ_ORDER)

/* In front of each object; the rest of the cluster's layout is its order. */
struct swap_object_header {
	uint32_t check; /* of all that follows, and the cluster's seq */
	uint16_t len;	/* of what follows the header; PAGE_SIZE: as it was */
	uint16_t magic;
	uint64_t mapping; /* the owner, */
	uint64_t index;	  /* and which page of it */
};
_Static_assert(sizeof(struct swap_object_header) == 24, "swap format");

#define SWAP_OBJECT_MAX (sizeof(struct swap_object_header) + PAGE_SIZE)
/* Pages a cluster has room for if none can be compressed. */
#define SWAP_CLUSTER_PAGES (SWAP_CLUSTER_SIZE / SWAP_OBJECT_MAX)

/* One swap file; (L) guarded by swap->lock. */
struct swap_area {
	int fd;		     /* (C) */
	uint32_t align;	     /* of offsets and sizes of direct I/O (C) */
	bool direct;	     /* else the host's page cache is in between (C) */
	char *name;	     /* of the file, for people; or NULL (C) */
	struct swap_map map; /* (L) */
	bool failing;	     /* its last write was in vain (L) */
	uint64_t written_ns; /* when a cluster of it was last written (L) */
};

/* A cluster in memory; (L) likewise. */
struct swap_buffer {
	char *mem;		/* (C) */
	struct page *page;	/* (C) */
	bool used, writing;	/* (L) */
	bool pending;		/* counted in NR_SWAP_PENDING (L) */
	unsigned int area;	/* (L) */
	uint32_t cluster;	/* (L) */
	uint32_t fill;		/* bytes of objects in it (L) */
	unsigned int nr_failed; /* attempts to write it (L) */
	unsigned int nr_alone;	/* of them, while others were written (L) */
	uint64_t failed_ns;	/* when the last one was (L) */
	struct swap *swap;	/* (C) */
	struct iovec iov;	/* while writing */
	struct page_io io;	/* while writing */
};

/* Objects next to each other on their way in. */
struct swap_read {
	char *mem;	       /* (C) */
	struct page *page;     /* (C) */
	struct swap *swap;     /* (C) */
	struct list_head link; /* in reads_free or to_unpack (read_lock) */
	struct page_run *run;  /* whose pages [first, first + nr) */
	unsigned int first, nr;
	struct swap_place from; /* offset: of mem[0] in the cluster */
	uint32_t seq;		/* of the cluster */
	struct iovec iov;
	struct page_io io;
};

/* Pushed out by reclaim, or moved by the compactor: kept apart. */
enum swap_stream { SWAP_OUT, SWAP_MOVE, NR_SWAP_STREAMS };

struct swap {
	struct mm *mm;			   /* (C) */
	struct compressor *compressor;	   /* (C) */
	unsigned int nr_buffers, nr_reads; /* (C) */

	struct mutex lock;
	unsigned int nr_areas;			/* (L) */
	struct swap_area areas[SWAP_AREAS_MAX]; /* first come, first filled */
	struct swap_buffer buffers[SWAP_BUFFERS_MAX];
	struct swap_buffer *open[NR_SWAP_STREAMS]; /* being filled (L) */
	_Atomic unsigned int nr_closed;		   /* buffers to be sent off */
	uint32_t seq;	       /* of the last cluster begun (L) */
	uint64_t garbage;      /* void bytes of full clusters (L) */
	uint64_t barren;       /* garbage when none was worth moving (L) */
	uint32_t nr_barren;    /* clusters looked at since one was (L) */
	bool moving;	       /* one is being moved: soon there is room (L) */
	uint32_t barren_worth; /* ... by this measure (L) */
	bool blocked;	      /* the compactor finds no buffer to move to (L) */
	bool waits_for_write; /* the compactor does (L) */
	uint64_t unstuck_ns; /* when it last began to take STUCK for FULL (L) */
	uint32_t unstick_area, unstick; /* ... and how far it has come (L) */
	uint32_t nr_stuck;		/* clusters in state STUCK (L) */
	uint32_t nr_clusters, nr_free;	/* in all areas (L) */

	struct mutex read_lock;
	struct cond read_returned;
	unsigned int nr_sleepers;    /* who wait for a read (read_lock) */
	struct list_head reads_free; /* (read_lock) */
	struct list_head waiting;    /* runs, for a read (read_lock) */
	struct list_head to_unpack;  /* reads that are in (read_lock) */
	struct cond unpack_more;     /* to unpackers */
	bool unpack_stop;	     /* (read_lock) */
	struct swap_read reads[SWAP_READS_MAX];
	struct os_thread unpackers[SWAP_UNPACKERS_MAX];
	unsigned int nr_unpackers; /* (C) */

	/* Bytes that reserved pages may need more than they have. */
	_Atomic int64_t reserved_demand;
	_Atomic uint64_t nr_reserved; /* pages */
	struct mutex reserve_lock;    /* one reserves at a time */

	struct os_thread compactor;
	struct cond compact_wake; /* (L) */
	bool running, stop;	  /* (L) */
	unsigned int hand_area;	  /* where the search goes on (L) */
	uint32_t hand;		  /* (L) */
	struct page *victim_page; /* the compactor's own */
	char *victim;
};

/*
 * Give mm a swap without areas, and start its thread. Sets mm->swap. 0 or
 * -ENOMEM.
 */
int swap_start(struct mm *mm);
/* Nothing may be stored any more. Descriptors are not closed. */
void swap_stop(struct mm *mm);

/* What swap_start() takes outside the arena, at most; bytes. */
size_t swap_overhead(void);

/*
 * Use an area of nr_clusters clusters, the first of which is left alone, and
 * which are not among the nr_bad bad ones. 0, or -ENOMEM. The name is copied.
 */
int swap_add_area(struct swap *s, int fd, uint32_t align, uint32_t nr_clusters,
		  const char *name, const uint32_t *bad, unsigned int nr_bad);
/* The same for a file that is open; the swap does not close it. */
struct swap_file;
int swap_add_file(struct swap *s, const struct swap_file *f, const char *name);

/* --- out: swap_out.c ------------------------------------------------------- */

/*
 * Store a page. 0; -EBUSY: all buffers are on their way; -ENOSPC: no room.
 * Never blocks for I/O, never allocates.
 */
int swap_out_page(struct swap *s, uint64_t mapping, pgoff_t index,
		  const void *page, swap_entry_t *entry);

/*
 * Store an object as it is (its header is made anew). Same results. May be
 * called with the mapping's lock held; swap_submit() then sends off the buffer
 * that this has filled, without.
 */
int swap_store(struct swap *s, enum swap_stream stream,
	       const struct swap_object_header *object, const void *data,
	       swap_entry_t *entry);
void swap_submit(struct swap *s);

/* Buffers that are not used; and those on their way to the disk. */
unsigned int swap_nr_free_buffers(struct swap *s) must_hold(s->lock);
unsigned int swap_nr_writing(struct swap *s) must_hold(s->lock);

/* Send off again what could not be written, if it is time. */
void swap_retry_failed(struct swap *s);
/* Is there any such buffer? Then it is looked at several times a second. */
bool swap_any_failed(struct swap *s) must_hold(s->lock);
/* A buffer that is neither open nor being written: give it up if it can be. */
void swap_drop_if_unused(struct swap *s, struct swap_buffer *b)
	must_hold(s->lock);
/* A cluster that failed so often is bad, if others can be written meanwhile. */
enum { SWAP_ATTEMPTS_MAX = 3, SWAP_ALONE_MAX = 2 };
static inline bool swap_is_bad(const struct swap_buffer *b)
{
	return b->nr_failed >= SWAP_ATTEMPTS_MAX &&
	       b->nr_alone >= SWAP_ALONE_MAX;
}

/* --- users: swap.c --------------------------------------------------------- */

/* One user more of what entry stands for; it has one. */
void swap_get(struct swap *s, swap_entry_t entry);
/* One user less; "object": the object itself is void, not only read. */
void swap_put(struct swap *s, swap_entry_t entry, bool object);

/* Nobody uses the cluster any more, and no buffer is its own: it is free. */
void swap_give_cluster(struct swap *s, unsigned int area, uint32_t cluster)
	must_hold(s->lock);
/* What is in use of it is on the disk, and may be moved from there. */
void swap_cluster_full(struct swap *s, struct swap_cluster *c)
	must_hold(s->lock);

/* Tell mm how much room there is. */
void swap_update_room(struct swap *s) must_hold(s->lock);

/* Bytes of all areas, and of those in use: clusters not free. */
void swap_usage(struct swap *s, uint64_t *total, uint64_t *used);
unsigned int swap_nr_areas(struct swap *s);
/* The same for one area; and what it is called. */
const char *swap_area_name(struct swap *s, unsigned int area);
void swap_area_usage(struct swap *s, unsigned int area, uint64_t *total,
		     uint64_t *used);

/* --- in: swap_in.c --------------------------------------------------------- */

/* Its threads. 0 or -errno, and none is started. */
int swap_in_start(struct swap *s);
void swap_in_stop(struct swap *s);

/*
 * Bring the locked pages of a run in, each with its entry in page->private; ends
 * in swap_page_in_done() for each. Does not block.
 */
void swap_in_run(struct swap *s, struct page_run *run);
/*
 * Contents of one entry that has a user. 0; -EIO: damaged, or not to be read;
 * -EAGAIN: it is on the disk, and may_block is not set.
 */
int swap_in_page(struct swap *s, uint64_t mapping, pgoff_t index,
		 swap_entry_t entry, void *to, bool may_block);

/* By the owner of the pages (swap/anon.c): err 0 or -errno. Unlocks it. */
void swap_page_in_done(struct page *page, struct page_run *run, int err);

/* --- making room: swap_compact.c ------------------------------------------- */

/* The thread. */
void swap_compact_main(void *arg);
/* Is it time, and is there anything to be gained? */
bool swap_compact_wanted(struct swap *s) must_hold(s->lock);
/* Bytes of void objects that it can make room of, more or less. */
uint64_t swap_compactable(struct swap *s);
/* Clusters that only the compactor may take. */
#define SWAP_RESERVED_CLUSTERS 2

/* Bytes of a cluster that an object with "len" bytes of data takes. */
static inline uint32_t swap_object_size(uint32_t len)
{
	return ((uint32_t)sizeof(struct swap_object_header) + len + SWAP_UNIT -
		1) &
	       ~(SWAP_UNIT - 1);
}

/* The checksum of an object, of what follows the header and of that. */
uint64_t swap_data_sum(const void *data, size_t len);
uint32_t swap_check(const struct swap_object_header *h, uint64_t sum,
		    uint32_t seq);
#define SWAP_OBJECT_MAGIC 0x504c /* "PL" */

#endif
