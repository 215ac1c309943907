/*
 * mm.c - boot: a ladder that is climbed down again in reverse.
 *
 *	arena      map the memory
 *	memblock   carve page array, counters, batches, id table, pcp lists
 *	zones      the rest, to the buddy allocators
 *	caches     tree nodes, runs, and the reserves
 *	daemons    I/O engine, flusher, kswapd
 */
#include "mm/mm.h"

#include "mm/page_alloc.h"
#include "mm/watermark.h"

#include <errno.h>
#include <stdlib.h>

/*
 * Runs kept back for reading when memory is out; 3.3 KiB each. With fewer than a
 * handful a disk is not kept busy.
 */
enum { RESERVED_RUNS = 8, RESERVED_RUNS_SMALL = 4, RESERVED_BOUNCE = 32 };

static const size_t small_arena = 32ul << 20;

static int boot_memory(struct mm *mm, struct pcp *pcps[NR_ZONES])
{
	struct memblock *mb = &mm->memblock;
	unsigned int n = mm->nr_slots;

	memblock_init(mb, mm->arena.base, mm->arena.size);
	mm->arena.pages = memblock_alloc(
		mb, "page array", mm->arena.nr_pages * sizeof(struct page),
		CACHE_LINE);
	mm->vmstat = memblock_alloc(mb, "counters",
				    (n + 1) * sizeof(*mm->vmstat), CACHE_LINE);
	mm->lru_batches = memblock_alloc(
		mb, "lru batches", n * sizeof(*mm->lru_batches), CACHE_LINE);
	mm->mappings = memblock_alloc(mb, "mapping ids", sizeof(*mm->mappings),
				      CACHE_LINE);
	for (int t = 0; t < NR_ZONES; t++) {
		pcps[t] = memblock_alloc(mb, "per-CPU pages",
					 n * sizeof(struct pcp), CACHE_LINE);
		if (!pcps[t])
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < n; i++)
		lru_batch_init(&mm->lru_batches[i], i, mm->rseq);
	mapping_table_init(mm->mappings);
	return 0;
}

/* DMA as allowed, at most 1/8; what is left, half and half. */
static void boot_zones(struct mm *mm, const struct mm_config *config,
		       struct pcp *pcps[NR_ZONES])
{
	size_t dma =
		min_of(config->dma_max, min_of(mm->arena.size / 8, 16ul << 20));
	pfn_t first = memblock_end_boot(&mm->memblock);
	pfn_t size[NR_ZONES];
	pfn_t left;

	mm->arena.first_pfn = first;
	/* A zone that nothing is registered from is still there for bounces. */
	size[ZONE_DMA] = (pfn_t)(max_of(dma, 64 * PAGE_SIZE) >> PAGE_SHIFT);
	left = mm->arena.nr_pages - first - size[ZONE_DMA];
	size[ZONE_NORMAL] = left / 2;
	size[ZONE_MOVABLE] = left - size[ZONE_NORMAL];
	for (int t = 0; t < NR_ZONES; t++) {
		zone_init(&mm->zones[t], (enum zone_type)t, mm->arena.pages,
			  first, size[t], pcps[t], mm->nr_slots, mm->rseq);
		first += size[t];
	}
}

static int boot_caches(struct mm *mm)
{
	bool small = mm->arena.size < small_arena;
	int err;

	mutex_init(&mm->caches_lock);
	list_init(&mm->caches);
	err = kmem_cache_init(mm, &mm->xa_nodes, "xa_node", xa_node_size(),
			      true);
	if (err)
		return err;
	err = kmalloc_init(mm);
	if (err)
		return err;
	err = kmem_cache_init(mm, &mm->run_cache, "page_run",
			      sizeof(struct page_run), false);
	if (err)
		return err;
	err = mempool_init_slab(&mm->runs, &mm->run_cache,
				small ? RESERVED_RUNS_SMALL : RESERVED_RUNS);
	if (err)
		return err;
	mm->zero_page = page_alloc(mm, GFP_KERNEL | GFP_ZERO, 0);
	if (!mm->zero_page)
		return -ENOMEM;
	page_set(mm->zero_page, PG_uptodate | PG_unevictable);
	return mempool_init_pages(mm, &mm->bounce, GFP_DMA, RESERVED_BOUNCE);
}

static int start_daemons(struct mm *mm, const struct mm_config *config)
{
	struct zone *dma = &mm->zones[ZONE_DMA];
	int err;

	mm->io = page_io_start(mm, config->io_depth, &err);
	if (!mm->io)
		return err;
	if (config->dma_max >= (size_t)dma->nr_pages << PAGE_SHIFT)
		mm->io_fixed =
			page_io_register(
				mm->io,
				mm->arena.base +
					((size_t)dma->start_pfn << PAGE_SHIFT),
				(size_t)dma->nr_pages << PAGE_SHIFT) == 0;
	err = flusher_start(mm, max_of(config->nr_flushers, 1u));
	if (!err)
		err = kswapd_start(mm);
	return err;
}

static void boot_faults(struct mm *mm)
{
	fault_attr_init(&mm->fail_page_alloc, "fail_page_alloc",
			FAULT_CLASS_PAGE);
	fault_attr_init(&mm->failslab, "failslab", FAULT_CLASS_ALLOC);
	fault_attr_init(&mm->fail_xarray_node, "fail_xarray_node",
			FAULT_CLASS_ALLOC);
	fault_attr_init(&mm->fail_io, "fail_io", FAULT_CLASS_IO);
	fault_attr_init(&mm->fail_fsync, "fail_fsync", FAULT_CLASS_SYNC);
	fault_attr_init(&mm->fail_swap_io, "fail_swap_io", FAULT_CLASS_IO);
	fault_attr_init(&mm->fail_compress, "fail_compress", FAULT_CLASS_PLAIN);
	fault_attr_init(&mm->fail_decompress, "fail_decompress",
			FAULT_CLASS_PLAIN);
	fault_attr_init(&mm->fail_reserve, "fail_reserve", FAULT_CLASS_PLAIN);
}

struct mm *mm_create(const struct mm_config *config, int *err)
{
	struct mm *mm = calloc(1, sizeof(*mm));
	struct pcp *pcps[NR_ZONES];

	ASSERT(config->size >= MM_SIZE_MIN && config->size % PAGE_SIZE == 0);
	*err = -ENOMEM;
	if (!mm)
		return NULL;
	/* A small arena is not spread over the lists of many CPUs. */
	mm->nr_slots = min_of(
		min_of(os_nr_cpus(), (unsigned int)MM_SLOTS_MAX),
		(unsigned int)min_of(config->size >> 22, (size_t)MM_SLOTS_MAX));
	if (mm->nr_slots == os_nr_cpus())
		mm->rseq = os_rseq_start();
	mm->policy = &reclaim_policy_twolist;
	boot_faults(mm);
	*err = arena_init(&mm->arena, config->size);
	if (*err)
		goto out_free;
	*err = boot_memory(mm, pcps);
	if (*err)
		goto out_arena;
	boot_zones(mm, config, pcps);
	mutex_init(&mm->vm_lock);
	vm_settings_init(mm);
	watermark_setup(mm);
	page_wait_init(&mm->page_waits);
	lruvec_init(&mm->lru);
	shrinker_list_init(&mm->shrinkers);
	writeback_init(&mm->writeback);
	dirty_list_init(&mm->dirty_list);
	dirty_rate_init(&mm->dirty_rate);
	flusher_init(&mm->flusher);
	kswapd_init(&mm->kswapd);
	balloon_init(&mm->balloon);
	scan_crew_init(&mm->scan_crew);
	*err = boot_caches(mm);
	if (*err)
		goto out_arena;
	*err = start_daemons(mm, config);
	if (*err)
		goto out_daemons;
	return mm;

out_daemons:
	kswapd_stop(mm);
	flusher_stop(mm);
	if (mm->io)
		page_io_stop(mm->io);
out_arena:
	arena_destroy(&mm->arena);
out_free:
	free(mm);
	return NULL;
}

void mm_destroy(struct mm *mm)
{
	/* What hangs on purpose must not keep the flusher. */
	page_io_limit_hangs(mm->io, 0);
	kswapd_stop(mm);
	flusher_stop(mm);
	page_io_stop(mm->io);
	lru_drain(mm);
	ASSERT(page_refs(mm->zero_page) == 1);
	mempool_destroy(&mm->bounce);
	mempool_destroy(&mm->runs);
	kmem_cache_destroy(&mm->run_cache);
	kmalloc_destroy(mm);
	kmem_cache_destroy(&mm->xa_nodes);
	mm_check_all_free(mm);
	page_put(mm, mm->zero_page);
	arena_destroy(&mm->arena);
	free(mm);
}

void mm_check_all_free(struct mm *mm)
{
	unsigned long used, slabs;

	lru_drain(mm);
	slab_reap(mm);
	page_alloc_drain(mm);
	for (int t = 0; t < NR_ZONES; t++) {
		mutex_lock(&mm->zones[t].buddy.lock);
		buddy_check(&mm->zones[t].buddy);
		mutex_unlock(&mm->zones[t].buddy.lock);
	}
	used = mm->arena.nr_pages - mm->arena.first_pfn -
	       page_alloc_nr_free(mm);
	ASSERT(vmstat_read(mm, NR_SLAB_EMPTY) == 0);
	/* What is left belongs to caches, the reserve of bounces, and swap. */
	slabs = vmstat_read(mm, NR_SLAB_RECLAIMABLE) +
		vmstat_read(mm, NR_SLAB_UNRECLAIMABLE);
	ASSERT(used == slabs + mm->bounce.nr + 1 /* of zeroes */ +
			       vmstat_read(mm, NR_SWAP_BUFFERS) +
			       balloon_size(&mm->balloon));
}
