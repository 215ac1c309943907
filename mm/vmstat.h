/*
 * vmstat.h - every count and every refusal, by name.
 *
 * One list makes the enum, the names and the file .plimsoll/vmstat. Names that
 * the kernel's /proc/vmstat has mean here what they mean there. NR_ items are
 * levels (they go down again), the others are events since the mount.
 *
 * Counters are kept in one cache-aligned slot a CPU and summed when read, so
 * counting costs no shared line. A level may be off by what is being counted
 * at that instant, and is never shown below zero.
 */
#ifndef MM_VMSTAT_H
#define MM_VMSTAT_H

#include "mm/os_cpu_lock.h"

#include <stdatomic.h>

#define VMSTAT_LEVELS(X)                                \
	X(NR_INACTIVE_ANON, nr_inactive_anon)           \
	X(NR_ACTIVE_ANON, nr_active_anon)               \
	X(NR_INACTIVE_FILE, nr_inactive_file)           \
	X(NR_ACTIVE_FILE, nr_active_file)               \
	X(NR_UNEVICTABLE, nr_unevictable)               \
	X(NR_SLAB_RECLAIMABLE, nr_slab_reclaimable)     \
	X(NR_SLAB_UNRECLAIMABLE, nr_slab_unreclaimable) \
	X(NR_SLAB_EMPTY, nr_slab_empty)                 \
	X(NR_ANON_PAGES, nr_anon_pages)                 \
	X(NR_SWAPCACHE, nr_swapcached)                  \
	X(NR_SWAPPED, nr_swapped)                       \
	X(NR_SWAPPED_SAME, nr_swapped_same)             \
	X(NR_SWAP_STORED, nr_swap_stored_bytes)         \
	X(NR_SWAP_PENDING, nr_swap_pending)             \
	X(NR_SWAP_BUFFERS, nr_swap_buffers)             \
	X(NR_ANON_RESERVED, nr_anon_reserved)           \
	X(NR_ANON_COMMITTED, nr_anon_committed)         \
	X(NR_INODES_DYING, nr_inodes_dying)             \
	X(NR_FILE_PAGES, nr_file_pages)                 \
	X(NR_FILE_DIRTY, nr_dirty)                      \
	X(NR_WRITEBACK, nr_writeback)                   \
	X(NR_PARKED, nr_parked)                         \
	X(NR_KERNEL_COPIES, nr_kernel_copies)           \
	X(NR_BALLOON_PAGES, nr_balloon_pages)           \
	X(NR_UNWRITTEN, nr_unwritten)                   \
	X(NR_INODES, nr_inodes)                         \
	X(NR_BACKING_FDS, nr_backing_fds)

#define VMSTAT_EVENTS(X)                                      \
	X(NR_DIRTIED, nr_dirtied)                             \
	X(NR_WRITTEN, nr_written)                             \
	X(NR_VMSCAN_WRITE, nr_vmscan_write)                   \
	X(PGPGIN, pgpgin)                                     \
	X(PGPGOUT, pgpgout)                                   \
	X(PSWPIN, pswpin)                                     \
	X(PSWPOUT, pswpout)                                   \
	X(SWPOUT_SAME, swpout_same)                           \
	X(SWPOUT_COMPRESSED, swpout_compressed)               \
	X(SWPOUT_INCOMPRESSIBLE, swpout_incompressible)       \
	X(SWPOUT_BYTES, swpout_bytes)                         \
	X(SWPOUT_BUSY, swpout_busy)                           \
	X(SWPOUT_FULL, swpout_full)                           \
	X(SWPIN_SAME, swpin_same)                             \
	X(SWPIN_BUFFER, swpin_buffer)                         \
	X(SWPIN_HANDED_ON, swpin_handed_on)                   \
	X(SWPIN_UNCACHED, swpin_uncached)                     \
	X(SWPIN_DAMAGED, swpin_damaged)                       \
	X(SWAP_READ_IO, swap_read_io)                         \
	X(SWAP_READ_ERROR, swap_read_error)                   \
	X(SWAP_WRITE_IO, swap_write_io)                       \
	X(SWAP_WRITE_ERROR, swap_write_error)                 \
	X(SWAP_COMPACT_RUN, swap_compact_run)                 \
	X(SWAP_COMPACT_MOVED, swap_compact_moved)             \
	X(SWAP_COMPACT_FREED, swap_compact_freed)             \
	X(PGALLOC_DMA, pgalloc_dma)                           \
	X(PGALLOC_NORMAL, pgalloc_normal)                     \
	X(PGALLOC_MOVABLE, pgalloc_movable)                   \
	X(ALLOCSTALL, allocstall)                             \
	X(PGALLOC_FAIL, pgalloc_fail)                         \
	X(PGALLOC_FAIL_GROWTH, pgalloc_fail_growth)           \
	X(PGALLOC_FAIL_NOWAIT, pgalloc_fail_nowait)           \
	X(PGALLOC_FAIL_INJECTED, pgalloc_fail_injected)       \
	X(PGALLOC_RESERVE, pgalloc_reserve)                   \
	X(PGFREE, pgfree)                                     \
	X(PGACTIVATE, pgactivate)                             \
	X(PGDEACTIVATE, pgdeactivate)                         \
	X(PGREFILL, pgrefill)                                 \
	X(PGROTATED, pgrotated)                               \
	X(PGSTEAL_KSWAPD, pgsteal_kswapd)                     \
	X(PGSTEAL_DIRECT, pgsteal_direct)                     \
	X(PGSCAN_KSWAPD, pgscan_kswapd)                       \
	X(PGSCAN_DIRECT, pgscan_direct)                       \
	X(SLABS_SCANNED, slabs_scanned)                       \
	X(SLABS_FREED, slabs_freed)                           \
	X(SLAB_FAIL, slab_fail)                               \
	X(SLAB_FAIL_INJECTED, slab_fail_injected)             \
	X(XA_NODE_FAIL_INJECTED, xa_node_fail_injected)       \
	X(KSWAPD_WAKE, kswapd_wake)                           \
	X(PAGEOUTRUN, pageoutrun)                             \
	X(KSWAPD_FAILED, kswapd_failed)                       \
	X(KSWAPD_HELPED, kswapd_helped)                       \
	X(KSWAPD_BALANCED, kswapd_balanced)                   \
	X(DROP_PAGECACHE, drop_pagecache)                     \
	X(DROP_SLAB, drop_slab)                               \
	X(CACHE_HIT, cache_hit)                               \
	X(CACHE_MISS, cache_miss)                             \
	X(CACHE_UNCACHED_READ, cache_uncached_read)           \
	X(CACHE_UNCACHED_WRITE, cache_uncached_write)         \
	X(READAHEAD_PAGES, readahead_pages)                   \
	X(READAHEAD_STOPPED, readahead_stopped)               \
	X(READAHEAD_UNUSED, readahead_unused)                 \
	X(READ_IO, read_io)                                   \
	X(READ_IO_ERROR, read_io_error)                       \
	X(WRITE_IO, write_io)                                 \
	X(WRITE_IO_SHARED_FD, write_io_shared_fd)             \
	X(WRITE_IO_ERROR, write_io_error)                     \
	X(WRITE_IO_TAIL, write_io_tail)                       \
	X(IO_FAIL_INJECTED, io_fail_injected)                 \
	X(FSYNC_FAIL_INJECTED, fsync_fail_injected)           \
	X(SWAP_IO_FAIL_INJECTED, swap_io_fail_injected)       \
	X(COMPRESS_FAIL_INJECTED, compress_fail_injected)     \
	X(DECOMPRESS_FAIL_INJECTED, decompress_fail_injected) \
	X(RESERVE_FAIL_INJECTED, reserve_fail_injected)       \
	X(CRASH_DROPPED, crash_dropped)                       \
	X(CRASH_EARLY, crash_early)                           \
	X(APPENDED_BYTES, appended_bytes)                     \
	X(PRIVS_KEPT, privs_kept)                             \
	X(PRIVS_NOT_KEPT, privs_not_kept)                     \
	X(FLUSHER_WAKE, flusher_wake)                         \
	X(FLUSHER_RUN, flusher_run)                           \
	X(BALANCE_DIRTY_PAUSE, balance_dirty_pause)           \
	X(MEMPOOL_RESERVE, mempool_reserve)                   \
	X(MEMPOOL_WAIT, mempool_wait)                         \
	X(WRITE_PARKED, write_parked)                         \
	X(PARK_CROWDED, park_crowded)                         \
	X(OOM_WAITED, oom_wait)                               \
	X(OOM_REFUSED, oom_refuse)                            \
	X(ENOSPC_SIZE, enospc_size)                           \
	X(ENOSPC_RESERVED, enospc_reserved)                   \
	X(ENOSPC_INODES, enospc_inodes)                       \
	X(ENOSPC_BACKING, enospc_backing)                     \
	X(EDQUOT_BACKING, edquot_backing)                     \
	X(SPACE_SCARCE, space_scarce)                         \
	X(BLOCKS_FIRST, blocks_first)                         \
	X(PATH_HIT, path_hit)                                 \
	X(PATH_MISS, path_miss)                               \
	X(PATH_WORKER, path_worker)                           \
	X(COPY_FILL, copy_fill)                               \
	X(COPY_TAKE_BACK, copy_take_back)                     \
	X(COPY_TAKE_UNMAP, copy_take_unmap)                   \
	X(COPY_TAKEN, copy_taken)                             \
	X(COPY_TAKE_FAILED, copy_take_failed)                 \
	X(COPY_LOOK, copy_look)                               \
	X(COPY_LOOK_FAILED, copy_look_failed)                 \
	X(COPY_WAIT, copy_wait)                               \
	X(COPY_RECEIVE, copy_receive)                         \
	X(COPY_TAKER_DIED, copy_taker_died)                   \
	X(COPY_OVER, copy_over)                               \
	X(SEEK_ALL_DATA, seek_all_data)                       \
	X(REPLY_HANDED_OVER, reply_handed_over)               \
	X(INODE_PRUNE_ASKED, inode_prune_asked)               \
	X(INODE_FORGOTTEN, inode_forgotten)                   \
	X(INODE_EVICTED, inode_evicted)                       \
	X(INODE_UNWATCHED, inode_unwatched)                   \
	X(CONTROL_DENIED, control_denied)

enum vmstat_item {
#define X(item, name) item,
	VMSTAT_LEVELS(X) VMSTAT_EVENTS(X)
#undef X
		NR_VMSTAT_ITEMS
};

struct mm;

/* The counts of one CPU. */
struct vmstat_slot {
	_Alignas(CACHE_LINE) _Atomic long count[NR_VMSTAT_ITEMS];
};

const char *vmstat_name(enum vmstat_item item);

void vmstat_add(struct mm *mm, enum vmstat_item item, long delta);

static inline void vmstat_inc(struct mm *mm, enum vmstat_item item)
{
	vmstat_add(mm, item, 1);
}

static inline void vmstat_dec(struct mm *mm, enum vmstat_item item)
{
	vmstat_add(mm, item, -1);
}

/*
 * The same for one who knows that he is on "cpu", whose slot this is, and
 * alone there (rseq not 0). False: no longer; nothing was added.
 */
static inline bool vmstat_slot_add(struct vmstat_slot *slot,
				   enum vmstat_item item, long delta,
				   unsigned int cpu, int32_t rseq)
{
	return os_rseq_add(&slot->count[item], delta, cpu, rseq);
}

/* The sum over all CPUs, at least 0. */
unsigned long vmstat_read(struct mm *mm, enum vmstat_item item);

#endif
