/* zone.c - the buddy allocator of a range, behind its per-CPU lists. */
#include "mm/zone.h"

#include "mm/bug.h"

const char *zone_name(enum zone_type type)
{
	static const char *const names[NR_ZONES] = {
		[ZONE_DMA] = "DMA",
		[ZONE_NORMAL] = "Normal",
		[ZONE_MOVABLE] = "Movable",
	};

	ASSERT(type < NR_ZONES);
	return names[type];
}

const enum zone_type *gfp_zonelist(gfp_t gfp)
{
	static const enum zone_type dma[] = { ZONE_DMA, ZONE_NORMAL, NR_ZONES };
	static const enum zone_type normal[] = { ZONE_NORMAL, ZONE_DMA,
						 NR_ZONES };
	static const enum zone_type movable[] = { ZONE_MOVABLE, ZONE_NORMAL,
						  ZONE_DMA, NR_ZONES };

	if (gfp & GFP_DMA)
		return dma;
	return gfp & GFP_MOVABLE ? movable : normal;
}

void zone_init(struct zone *z, enum zone_type type, struct page *pages,
	       pfn_t start_pfn, pfn_t nr_pages, struct pcp *pcps,
	       unsigned int nr_pcps, int32_t rseq)
{
	*z = (struct zone){
		.type = type,
		.start_pfn = start_pfn,
		.nr_pages = nr_pages,
		.pcps = pcps,
		.nr_pcps = nr_pcps,
		.rseq = rseq,
	};
	buddy_init(&z->buddy, pages, start_pfn, nr_pages);
	mutex_lock(&z->buddy.lock);
	buddy_donate(&z->buddy, start_pfn, nr_pages);
	mutex_unlock(&z->buddy.lock);
	for (unsigned int i = 0; i < nr_pcps; i++)
		pcp_init(&pcps[i], nr_pages, nr_pcps, i, rseq);
}

unsigned long zone_nr_pcp(struct zone *z)
{
	unsigned long nr = 0;

	for (unsigned int i = 0; i < z->nr_pcps; i++)
		nr += pcp_count(&z->pcps[i]);
	return nr;
}

struct page *zone_alloc(struct zone *z, unsigned int order, unsigned int slot)
{
	struct page *page;

	if (order == 0)
		return pcp_alloc(&z->pcps[slot], &z->buddy, slot, z->rseq);
	mutex_lock(&z->buddy.lock);
	page = buddy_alloc(&z->buddy, order);
	mutex_unlock(&z->buddy.lock);
	return page;
}

void zone_free(struct zone *z, struct page *page, unsigned int order,
	       unsigned int slot, bool cold)
{
	if (order == 0) {
		pcp_free(&z->pcps[slot], &z->buddy, page, cold, slot, z->rseq);
		return;
	}
	mutex_lock(&z->buddy.lock);
	buddy_free(&z->buddy, page, order);
	mutex_unlock(&z->buddy.lock);
}

void zone_drain(struct zone *z)
{
	pcp_drain(z->pcps, z->nr_pcps, &z->buddy);
}
