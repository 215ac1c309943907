/* procfile.c - the kernel's formats, line by line. */
#include "fs/procfile.h"

#include "fs/fs.h"
#include "mm/page_alloc.h"
#include "swap/anon.h"
#include "swap/swap.h"

#include <string.h>
#include <unistd.h>

static unsigned long kib(unsigned long pages)
{
	return pages << (PAGE_SHIFT - 10);
}

static void mem_line(struct text *t, const char *name, unsigned long pages)
{
	text_printf(t, "%-15s %8lu kB\n", name, kib(pages));
}

void procfile_meminfo(struct volume *vol, struct text *t)
{
	struct mm *mm = vol->mm;
	unsigned long nr_free = page_alloc_nr_free(mm);
	unsigned long file = vmstat_read(mm, NR_ACTIVE_FILE) +
			     vmstat_read(mm, NR_INACTIVE_FILE);
	unsigned long anon = vmstat_read(mm, NR_ACTIVE_ANON) +
			     vmstat_read(mm, NR_INACTIVE_ANON);
	unsigned long reclaimable = vmstat_read(mm, NR_SLAB_RECLAIMABLE);
	unsigned long unreclaimable = vmstat_read(mm, NR_SLAB_UNRECLAIMABLE);
	unsigned long dirty = vmstat_read(mm, NR_FILE_DIRTY);
	unsigned long low = 0, available;
	uint64_t swap_total = 0, swap_used = 0;

	if (mm->swap)
		swap_usage(mm->swap, &swap_total, &swap_used);

	for (int z = 0; z < NR_ZONES; z++)
		low += atomic_load(&mm->zones[z].wmark[WMARK_LOW]);
	/* As si_mem_available() does: what can be had without harm. */
	available = nr_free + vmstat_read(mm, NR_SLAB_EMPTY) + file -
		    min_of(file / 2, low);
	available = available > low ? available - low : 0;
	mem_line(t, "MemTotal:", mm->arena.nr_pages);
	mem_line(t, "MemFree:", nr_free);
	mem_line(t, "MemAvailable:", available);
	mem_line(t, "Buffers:", 0);
	mem_line(t, "Cached:", vmstat_read(mm, NR_FILE_PAGES));
	mem_line(t, "SwapCached:", vmstat_read(mm, NR_SWAPCACHE));
	mem_line(t, "Active:",
		 vmstat_read(mm, NR_ACTIVE_FILE) +
			 vmstat_read(mm, NR_ACTIVE_ANON));
	mem_line(t, "Inactive:",
		 vmstat_read(mm, NR_INACTIVE_FILE) +
			 vmstat_read(mm, NR_INACTIVE_ANON));
	mem_line(t, "Active(anon):", vmstat_read(mm, NR_ACTIVE_ANON));
	mem_line(t, "Inactive(anon):", vmstat_read(mm, NR_INACTIVE_ANON));
	mem_line(t, "Active(file):", vmstat_read(mm, NR_ACTIVE_FILE));
	mem_line(t, "Inactive(file):", vmstat_read(mm, NR_INACTIVE_FILE));
	mem_line(t, "Unevictable:", vmstat_read(mm, NR_UNEVICTABLE));
	mem_line(t, "SwapTotal:", swap_total >> PAGE_SHIFT);
	mem_line(t, "SwapFree:", (swap_total - swap_used) >> PAGE_SHIFT);
	/* As zswap says it: what is compressed, and what it was before. */
	mem_line(t, "Zswap:", vmstat_read(mm, NR_SWAP_STORED) >> PAGE_SHIFT);
	mem_line(t, "Zswapped:", vmstat_read(mm, NR_SWAPPED));
	mem_line(t, "Dirty:", dirty);
	mem_line(t, "Writeback:", vmstat_read(mm, NR_WRITEBACK));
	mem_line(t, "AnonPages:", anon);
	mem_line(t, "Slab:", reclaimable + unreclaimable);
	mem_line(t, "SReclaimable:", reclaimable);
	mem_line(t, "SUnreclaim:", unreclaimable);
	mem_line(t, "PageTables:", mm->arena.first_pfn);
	if (mm->swap) {
		mem_line(t, "CommitLimit:", anon_pages_total(mm));
		mem_line(t,
			 "Committed_AS:", vmstat_read(mm, NR_ANON_COMMITTED));
	}
}

void procfile_vmstat(struct volume *vol, struct text *t)
{
	struct mm *mm = vol->mm;

	text_printf(t, "nr_free_pages %lu\n", page_alloc_nr_free(mm));
	for (int i = 0; i < NR_VMSTAT_ITEMS; i++)
		text_printf(t, "%s %lu\n", vmstat_name((enum vmstat_item)i),
			    vmstat_read(mm, (enum vmstat_item)i));
}

/* As the kernel writes names with blanks in them. */
static void print_escaped(struct text *t, const char *name)
{
	for (; *name; name++)
		if (strchr(" \t\n\\", *name))
			text_printf(t, "\\%03o", (unsigned char)*name);
		else
			text_printf(t, "%c", *name);
}

void procfile_swaps(struct volume *vol, struct text *t)
{
	struct swap *s = vol->mm->swap;
	unsigned int nr = s ? swap_nr_areas(s) : 0;

	text_printf(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\t"
		       "Priority\n");
	for (unsigned int i = 0; i < nr; i++) {
		uint64_t total, used;
		size_t start;

		swap_area_usage(s, i, &total, &used);
		start = t->len;
		print_escaped(t, swap_area_name(s, i));
		text_printf(t, "%*s file\t\t%lu\t\t%lu\t\t%d\n",
			    (int)(39 - min_of(t->len - start, (size_t)39)), "",
			    (unsigned long)(total >> 10),
			    (unsigned long)(used >> 10), -2 - (int)i);
	}
}

static void zone_pagesets(struct zone *z, struct text *t)
{
	text_printf(t, "  pagesets\n");
	for (unsigned int i = 0; i < z->nr_pcps; i++)
		text_printf(t,
			    "    cpu: %u\n"
			    "              count: %u\n"
			    "              high:  %u\n"
			    "              batch: %u\n",
			    i, pcp_count(&z->pcps[i]), z->pcps[i].high,
			    z->pcps[i].batch);
}

void procfile_zoneinfo(struct volume *vol, struct text *t)
{
	for (int i = 0; i < NR_ZONES; i++) {
		struct zone *z = &vol->mm->zones[i];

		text_printf(t, "Node 0, zone %8s\n", zone_name(z->type));
		text_printf(t,
			    "  pages free     %lu\n"
			    "        boost    0\n"
			    "        min      %lu\n"
			    "        low      %lu\n"
			    "        high     %lu\n"
			    "        spanned  %u\n"
			    "        present  %u\n"
			    "        managed  %u\n",
			    zone_nr_free(z), atomic_load(&z->wmark[WMARK_MIN]),
			    atomic_load(&z->wmark[WMARK_LOW]),
			    atomic_load(&z->wmark[WMARK_HIGH]), z->nr_pages,
			    z->nr_pages, z->nr_pages);
		text_printf(t, "        protection: (%lu, %lu, %lu)\n",
			    atomic_load(&z->lowmem_reserve[ZONE_DMA]),
			    atomic_load(&z->lowmem_reserve[ZONE_NORMAL]),
			    atomic_load(&z->lowmem_reserve[ZONE_MOVABLE]));
		zone_pagesets(z, t);
		text_printf(t, "  start_pfn:           %u\n", z->start_pfn);
	}
}

void procfile_buddyinfo(struct volume *vol, struct text *t)
{
	for (int i = 0; i < NR_ZONES; i++) {
		struct zone *z = &vol->mm->zones[i];

		text_printf(t, "Node 0, zone %8s ", zone_name(z->type));
		mutex_lock(&z->buddy.lock);
		for (int order = 0; order < BUDDY_NR_ORDERS; order++)
			text_printf(t, "%6lu ",
				    buddy_nr_blocks(&z->buddy,
						    (unsigned int)order));
		mutex_unlock(&z->buddy.lock);
		text_printf(t, "\n");
	}
}

void procfile_slabinfo(struct volume *vol, struct text *t)
{
	struct mm *mm = vol->mm;
	struct kmem_cache *c;

	text_printf(t, "slabinfo - version: 2.1\n"
		       "# name            <active_objs> <num_objs> <objsize> "
		       "<objperslab> <pagesperslab> : tunables <limit> "
		       "<batchcount> <sharedfactor> : slabdata <active_slabs> "
		       "<num_slabs> <sharedavail>\n");
	mutex_lock(&mm->caches_lock);
	list_for_each_entry(c, &mm->caches, struct kmem_cache, link) {
		struct kmem_cache_stat st = kmem_cache_stat(c);

		text_printf(t,
			    "%-17s %6lu %6lu %6zu %4u %4u : tunables %4u %4u "
			    "%4u : slabdata %6lu %6lu %6u\n",
			    c->name, st.nr_active, st.nr_objects, c->size,
			    c->per_slab, 1u << c->order, c->slot_max,
			    (c->slot_max + 1) / 2, 0u, st.nr_active_slabs,
			    st.nr_slabs, 0u);
	}
	mutex_unlock(&mm->caches_lock);
}

void procfile_volume(struct volume *vol, struct text *t)
{
	/* While it is being mounted it is not known yet. */
	const char *transport = atomic_load(&vol->transport);

	text_printf(t, "version %s\n", PLIMSOLL_VERSION);
	text_printf(t, "pid %ld\n", (long)getpid());
	text_printf(t, "source %s\n", vol->source);
	text_printf(t, "mountpoint %s\n", vol->mountpoint);
	text_printf(t, "kind %s\ncache %s\n", vol->ops->kind,
		    cache_mode_name(vol->cache));
	text_printf(t, "transport %s\n", transport ? transport : "dev");
	text_printf(t, "kernel_copies_bytes %lu\n",
		    vmstat_read(vol->mm, NR_KERNEL_COPIES) << PAGE_SHIFT);
	vol->ops->describe(vol, t);
	text_printf(t, "mem %zu\n", vol->mm->arena.size);
	text_printf(t, "overhead %zu\n", vol->fs->overhead);
	text_printf(t, "arena_fd %d\n", vol->mm->arena.fd);
	text_printf(t, "fixed_buffers %s\n", vol->mm->io_fixed ? "yes" : "no");
	text_printf(t, "io_flusher %s\n", vol->fs->io_flusher ? "yes" : "no");
	text_printf(t, "mlock %s\n", vol->fs->locked ? "yes" : "no");
	text_printf(t, "policy %s\n", vol->mm->policy->name);
	text_printf(t, "dirty_bytes %lu\n",
		    (unsigned long)dirty_list_bytes(vol->mm, &vol->writeback));
}

/* The file ends with how many more there are. */
struct unwritten_list {
	struct text *t;
	unsigned int nr_more;
};

/* As in /proc/mounts: one line, whatever the name. */
static void print_path(struct text *t, const char *path)
{
	for (; *path; path++)
		if (*path == '\n' || *path == '\\')
			text_printf(t, "\\%03o", (unsigned int)*path);
		else
			text_printf(t, "%c", *path);
	text_printf(t, "\n");
}

static void list_unwritten(struct address_space *m, void *arg)
{
	struct inode *inode = container_of(m, struct inode, mapping);
	int err = volume_write_error(inode);
	struct unwritten_list *l = arg;
	char path[PATH_MAX];

	if (!err)
		return;
	inode->vol->ops->name_of(inode, path, sizeof(path));
	/* All of it may have to be escaped; and the last line has room. */
	if (l->t->size - l->t->len < 4 * strlen(path) + 96) {
		l->nr_more++;
		return;
	}
	text_printf(l->t, "%lu %s ",
		    (m->nr_dirty + m->nr_writeback) << PAGE_SHIFT,
		    strerrorname_np(-err));
	print_path(l->t, path);
}

void procfile_unwritten(struct volume *vol, struct text *t)
{
	struct unwritten_list l = { .t = t };

	dirty_list_for_each(vol->mm, &vol->writeback, list_unwritten, &l);
	if (l.nr_more > 0)
		text_printf(t, "and %u more\n", l.nr_more);
}
