/*
 * lock.h - locks the compiler can reason about, and the one lock order.
 *
 * must_hold(), acquires() and releases() state a function's locking contract
 * in its prototype; "make analyze" has clang prove every call site.
 *
 * Order: a thread that holds a lock takes only locks further down this list.
 * Those on one line are never held together.
 *
 *	fs->emergency_lock	     fs: one reader without a frame
 *	file_dir_stream->lock	     fs: position of an open directory
 *	inode->io_lock		     fs: writers shared, who cuts the file alone
 *	swap->reserve_lock	     swap: one reserves at a time
 *	PG_locked of a page	     ascending index within one mapping
 *	file_inode->attr_lock	     fs: attributes, descriptors
 *	anon_volume->names_lock	     fs: names and links of one anon volume
 *	shrinker_list->lock	     mm: caches being asked (trylock)
 *	watches->lock		     fs: files without handles
 *	inode_table->lock	     fs: inodes by identity; their lists
 *	kernel_copies->lock	     fs: what the kernel has copies of
 *	address_space->lock	     the tree of one mapping
 *	swap->lock		     swap: areas, clusters, buffers
 *	dirty_list->lock	     the mappings that have dirty pages
 *	mapping_table bucket	     from id to mapping
 *	lru batch slot		     pages on their way to a list
 *	lruvec->lock		     the five lists
 *	mm->caches_lock		     all slab caches (trylock)
 *	object slot		     free objects of one CPU
 *	kmem_cache->lock	     slabs of one cache
 *	page slot (pcp)		     free pages of one CPU
 *	buddy->lock		     free blocks of a zone
 *	leaves: page wait bucket, mempool->lock, kswapd->lock, space->lock,
 *	space_table->lock, disk_watch->lock, open_file->lock, opens_lock,
 *	sync_group->lock, inode->time_lock, request_engine->lock,
 *	other_fs_list->lock, buffer pool, notifier, balloon->lock,
 *	copy_taker->lock, its pid_lock, writeback->lock, flusher->lock,
 *	fault_attr->lock, swap->read_lock, crash->lock, page_io_engine->lock,
 *	scan batch, scan_crew->lock, compressor workspace, page_io ring
 *
 * Slots (lru batch, object, pcp) are struct cpu_lock: their CPU's threads only
 * try; drains wait for them, in ascending order of the CPU.
 */
#ifndef MM_LOCK_H
#define MM_LOCK_H

#include "mm/os.h"

#ifdef __clang__
#define lock_attr(x) __attribute__((x))
#else
#define lock_attr(x)
#endif
#define must_hold(...)	      lock_attr(requires_capability(__VA_ARGS__))
#define must_hold_shared(...) lock_attr(requires_shared_capability(__VA_ARGS__))
#define acquires(...)	      lock_attr(acquire_capability(__VA_ARGS__))
#define acquires_shared(...)  lock_attr(acquire_shared_capability(__VA_ARGS__))
#define try_acquires(...)     lock_attr(try_acquire_capability(__VA_ARGS__))
#define try_acquires_shared(...) \
	lock_attr(try_acquire_shared_capability(__VA_ARGS__))
#define releases(...)	     lock_attr(release_capability(__VA_ARGS__))
#define releases_shared(...) lock_attr(release_shared_capability(__VA_ARGS__))
#define unchecked	     lock_attr(no_thread_safety_analysis)

struct mutex {
	struct os_mutex impl;
} lock_attr(capability("mutex"));

struct rwlock {
	struct os_rwlock impl;
} lock_attr(capability("rwlock"));

struct cond {
	struct os_cond impl;
};

/* Of what one CPU has for itself; see mm/os_cpu_lock.h. */
struct cpu_lock {
	struct os_cpu_lock impl;
} lock_attr(capability("mutex"));

static inline void mutex_init(struct mutex *m)
{
	os_mutex_init(&m->impl);
}

static inline void mutex_lock(struct mutex *m) acquires(*m) unchecked;
static inline void mutex_lock(struct mutex *m)
{
	os_mutex_lock(&m->impl);
}

static inline bool mutex_trylock(struct mutex *m)
	try_acquires(true, *m) unchecked;
static inline bool mutex_trylock(struct mutex *m)
{
	return os_mutex_trylock(&m->impl);
}

static inline void mutex_unlock(struct mutex *m) releases(*m) unchecked;
static inline void mutex_unlock(struct mutex *m)
{
	os_mutex_unlock(&m->impl);
}

static inline void rwlock_init(struct rwlock *l)
{
	os_rwlock_init(&l->impl);
}

static inline void rwlock_lock(struct rwlock *l) acquires(*l) unchecked;
static inline void rwlock_lock(struct rwlock *l)
{
	os_rwlock_lock(&l->impl);
}

static inline bool rwlock_trylock(struct rwlock *l)
	try_acquires(true, *l) unchecked;
static inline bool rwlock_trylock(struct rwlock *l)
{
	return os_rwlock_trylock(&l->impl);
}

static inline void rwlock_unlock(struct rwlock *l) releases(*l) unchecked;
static inline void rwlock_unlock(struct rwlock *l)
{
	os_rwlock_unlock(&l->impl);
}

static inline void rwlock_lock_shared(struct rwlock *l)
	acquires_shared(*l) unchecked;
static inline void rwlock_lock_shared(struct rwlock *l)
{
	os_rwlock_lock_shared(&l->impl);
}

static inline bool rwlock_trylock_shared(struct rwlock *l)
	try_acquires_shared(true, *l) unchecked;
static inline bool rwlock_trylock_shared(struct rwlock *l)
{
	return os_rwlock_trylock_shared(&l->impl);
}

static inline void rwlock_unlock_shared(struct rwlock *l)
	releases_shared(*l) unchecked;
static inline void rwlock_unlock_shared(struct rwlock *l)
{
	os_rwlock_unlock(&l->impl);
}

static inline void cond_init(struct cond *c)
{
	os_cond_init(&c->impl);
}

static inline void cond_wait(struct cond *c, struct mutex *m)
	must_hold(*m) unchecked;
static inline void cond_wait(struct cond *c, struct mutex *m)
{
	os_cond_wait(&c->impl, &m->impl);
}

/* Returns false if timeout_ns ran out. */
static inline bool cond_timedwait(struct cond *c, struct mutex *m,
				  uint64_t timeout_ns) must_hold(*m) unchecked;
static inline bool cond_timedwait(struct cond *c, struct mutex *m,
				  uint64_t timeout_ns)
{
	return os_cond_timedwait(&c->impl, &m->impl, timeout_ns);
}

static inline void cond_signal(struct cond *c)
{
	os_cond_signal(&c->impl);
}

static inline void cond_broadcast(struct cond *c)
{
	os_cond_broadcast(&c->impl);
}

/* rseq: os_rseq_start()'s, or 0 if other CPUs use it as well. */
static inline void cpu_lock_init(struct cpu_lock *l, unsigned int cpu,
				 int32_t rseq)
{
	os_cpu_lock_init(&l->impl, cpu, rseq);
}

/* False: somebody has it, or this thread is on another CPU now. */
static inline bool cpu_trylock(struct cpu_lock *l)
	try_acquires(true, *l) unchecked;
static inline bool cpu_trylock(struct cpu_lock *l)
{
	return os_cpu_lock_try(&l->impl);
}

static inline void cpu_unlock(struct cpu_lock *l) releases(*l) unchecked;
static inline void cpu_unlock(struct cpu_lock *l)
{
	os_cpu_lock_release(&l->impl);
}

/* From any CPU, waiting for it. */
static inline void cpu_seize(struct cpu_lock *l) acquires(*l) unchecked;
static inline void cpu_seize(struct cpu_lock *l)
{
	struct os_cpu_lock *locks[] = { &l->impl };

	os_cpu_lock_seize(locks, 1);
}

#endif
