/*
 * page_alloc.h - frames for everybody: zonelist, watermarks, reclaim.
 *
 * The mechanism is buddy.c and pcp.c; this is the policy of who gets a frame.
 */
#ifndef MM_PAGE_ALLOC_H
#define MM_PAGE_ALLOC_H

#include "mm/gfp.h"
#include "mm/page.h"

struct mm;

/*
 * A folio of 2^order frames with one reference and no owner, or NULL if there
 * is none within the rules of gfp (see gfp.h). Blocks only with GFP_RECLAIM;
 * then the caller holds no lock below PG_locked in mm/lock.h.
 */
struct page *page_alloc(struct mm *mm, gfp_t gfp, unsigned int order);

/* Drop a reference; the last one takes the page off its list and frees it. */
void page_put(struct mm *mm, struct page *page);

/* Free a page whose references were frozen at 0 and that is on no list. */
void page_free(struct mm *mm, struct page *page, bool cold);

/* Everything in per-CPU lists back to the buddy allocators. */
void page_alloc_drain(struct mm *mm);

/* Frames that are free, in the buddy allocators or the per-CPU lists. */
unsigned long page_alloc_nr_free(struct mm *mm);

#endif
