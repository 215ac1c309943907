/*
 * mm.h - one memory: the arena and everything that manages it.
 *
 * There is no global state. All hangs off a struct mm, so that a test can have
 * two of them.
 */
#ifndef MM_MM_H
#define MM_MM_H

#include "mm/address_space.h"
#include "mm/arena.h"
#include "mm/balloon.h"
#include "mm/dirty_limit.h"
#include "mm/dirty_list.h"
#include "mm/fault.h"
#include "mm/flusher.h"
#include "mm/kmalloc.h"
#include "mm/kswapd.h"
#include "mm/lru.h"
#include "mm/memblock.h"
#include "mm/mempool.h"
#include "mm/page_io.h"
#include "mm/page_wait.h"
#include "mm/reclaim.h"
#include "mm/scan_crew.h"
#include "mm/shrinker.h"
#include "mm/slab.h"
#include "mm/sysctl.h"
#include "mm/vmstat.h"
#include "mm/writeback.h"
#include "mm/writeback_group.h"
#include "mm/zone.h"

#define MM_SIZE_MIN  (8ul << 20)
#define MM_SIZE_MAX  (1ul << 40)
#define MM_SLOTS_MAX 64

struct swap;

struct mm_config {
	size_t size;		  /* bytes; a multiple of PAGE_SIZE */
	size_t dma_max;		  /* at most so much is registered for I/O */
	unsigned int io_depth;	  /* operations the engine takes at once */
	unsigned int nr_flushers; /* one a group; 0 counts as 1 */
};

/* Most is set by mm_create() and constant; the rest has locks of its own. */
struct mm {
	struct arena arena;
	struct memblock memblock; /* what was carved at boot */
	struct zone zones[NR_ZONES];
	unsigned int nr_slots;	    /* per-CPU slots */
	int32_t rseq;		    /* os_rseq_start()'s; 0: CPUs share slots */
	struct vmstat_slot *vmstat; /* one more: nr_slots + 1 */
	struct lru_batch *lru_batches;

	struct page_wait_table page_waits;
	struct lruvec lru;
	const struct reclaim_policy *policy;

	struct mutex caches_lock;
	struct list_head caches; /* kmem_cache.link (caches_lock) */
	struct kmem_cache xa_nodes;
	struct kmem_cache kmalloc[KMALLOC_NR_CLASSES];
	struct kmem_cache run_cache;
	struct mempool runs; /* struct page_run */
	/*
	 * Frames for I/O that has no page in the cache: partial blocks, and
	 * readers when there is no frame. Registered, if the zone is.
	 */
	struct mempool bounce;

	struct mapping_table *mappings;
	struct shrinker_list shrinkers;
	struct writeback writeback;
	struct dirty_list dirty_list;
	struct dirty_rate dirty_rate;
	struct flusher flusher;
	struct kswapd kswapd;
	struct balloon balloon;
	struct scan_crew scan_crew; /* of kswapd, while there is swap */
	struct page_io_engine *io;
	bool io_fixed; /* the DMA zone is registered */

	struct page *zero_page; /* what a hole of an anon mapping reads as */

	/*
	 * What mm/ has to know of swap/, which keeps it up to date: how many
	 * pages can be pushed out, at full size, and whether there will be
	 * more room without anybody's doing (a cluster is being compacted).
	 */
	struct swap *swap; /* NULL: no anon mappings */
	_Atomic long nr_swap_free;
	_Atomic bool swap_compacting;

	struct mutex vm_lock; /* serialises vm_set() */
	_Atomic long vm[NR_VM_SETTINGS];

	/* What can be made to fail; the directories of fault/ are these. */
	struct fault_attr fail_page_alloc, failslab, fail_xarray_node;
	struct fault_attr fail_io, fail_fsync, fail_swap_io;
	struct fault_attr fail_compress, fail_decompress, fail_reserve;
};

/* Build one and start its threads. NULL and *err = -errno. */
struct mm *mm_create(const struct mm_config *config, int *err);
/* Stop and take down. No mapping may be left, and nothing allocated. */
void mm_destroy(struct mm *mm);

/* The per-CPU slot of this thread, now. */
static inline unsigned int mm_slot(const struct mm *mm)
{
	unsigned int cpu;

	if (mm->rseq == 0)
		return os_cpu() % mm->nr_slots;
	/* Of no CPU, or a new one: another's slot, which it will not get. */
	cpu = os_rseq_cpu(mm->rseq);
	return cpu < mm->nr_slots ? cpu : 0;
}

static inline unsigned long vm_get(struct mm *mm, enum vm_setting s)
{
	return (unsigned long)atomic_load_explicit(&mm->vm[s],
						   memory_order_relaxed);
}

/*
 * Is every frame free that was free after mm_create()? For tests, after all
 * caches were dropped; aborts with the difference if not.
 */
void mm_check_all_free(struct mm *mm);

#endif
