/*
 * watermark.c - min is the zone's share of min_free_kbytes.
 *
 * low and high are min plus once and twice a distance, the larger of min / 4
 * and the zone's size * watermark_scale_factor / 10000 (Linux:
 * __setup_per_zone_wmarks).
 */
#include "mm/watermark.h"

#include "mm/bug.h"
#include "mm/mm.h"

/*
 * A zone keeps 1/RESERVE_RATIO of what lies above it. The kernel's 256 and 32
 * are made for zones of very different size; ours are alike, and slabs must
 * find room in NORMAL while MOVABLE is full of pages.
 */
enum { RESERVE_RATIO_DMA = 32, RESERVE_RATIO_NORMAL = 8 };

static unsigned long int_sqrt(unsigned long x)
{
	unsigned long lo = 0, hi = 1ul << 32;

	while (hi - lo > 1) {
		unsigned long mid = lo + (hi - lo) / 2;

		if (mid <= x / mid)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

unsigned long watermark_default_min_free_kbytes(unsigned long kib)
{
	return max_of(int_sqrt(kib * 16), 128ul);
}

static void zone_setup(struct mm *mm, struct zone *z, unsigned long total)
{
	unsigned long min_pages =
		vm_get(mm, VM_MIN_FREE_KBYTES) >> (PAGE_SHIFT - 10);
	unsigned long min = min_pages * z->nr_pages / max_of(total, 1ul);
	unsigned long step = (unsigned long)z->nr_pages *
			     vm_get(mm, VM_WATERMARK_SCALE_FACTOR) / 10000;

	min = min_of(min, (unsigned long)z->nr_pages / 4);
	step = min_of(max_of(step, min / 4), (unsigned long)z->nr_pages / 8);
	atomic_store(&z->wmark[WMARK_MIN], min);
	atomic_store(&z->wmark[WMARK_LOW], min + step);
	atomic_store(&z->wmark[WMARK_HIGH], min + 2 * step);
}

void watermark_setup(struct mm *mm)
{
	unsigned long total = 0;
	static const unsigned int ratio[NR_ZONES] = {
		[ZONE_DMA] = RESERVE_RATIO_DMA,
		[ZONE_NORMAL] = RESERVE_RATIO_NORMAL,
		[ZONE_MOVABLE] = 1,
	};

	for (int t = 0; t < NR_ZONES; t++)
		total += mm->zones[t].nr_pages;
	for (int t = 0; t < NR_ZONES; t++) {
		struct zone *z = &mm->zones[t];
		unsigned long above = 0;

		zone_setup(mm, z, total);
		for (int high = t + 1; high < NR_ZONES; high++) {
			above += mm->zones[high].nr_pages;
			atomic_store(&z->lowmem_reserve[high],
				     min_of(above / ratio[t],
					    (unsigned long)z->nr_pages / 2));
		}
	}
}
