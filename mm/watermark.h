/*
 * watermark.h - how empty a zone may get, and for whom.
 *
 *	high	kswapd stops reclaiming
 *	low	kswapd starts; growth (new pages, inodes) stops here
 *	min	readers and everything that frees memory stop here
 *	0	only those who reclaim go on
 *
 * On top, a zone keeps a lowmem reserve from requests that could have used a
 * higher zone, so that pages, which can go anywhere, do not fill the zones
 * that slabs need.
 */
#ifndef MM_WATERMARK_H
#define MM_WATERMARK_H

#include "mm/zone.h"

struct mm;

/*
 * Set the marks of all zones from min_free_kbytes and watermark_scale_factor
 * (of mm->vm). The caller serialises changes of the settings.
 */
void watermark_setup(struct mm *mm);

/* The kernel's default for a machine of that many KiB: 4 * sqrt(KiB). */
unsigned long watermark_default_min_free_kbytes(unsigned long kib);

/*
 * May a request made for zone "highest" take 2^order frames of z and leave it
 * at or above mark? (Linux: zone_watermark_ok)
 */
static inline bool watermark_ok(struct zone *z, unsigned int order,
				enum watermark mark, enum zone_type highest)
{
	unsigned long need =
		atomic_load_explicit(&z->wmark[mark], memory_order_relaxed) +
		(1ul << order);

	if (highest > z->type)
		need += atomic_load_explicit(&z->lowmem_reserve[highest],
					     memory_order_relaxed);
	return zone_nr_free(z) >= need;
}

#endif
