/*
 * gfp.h - how far an allocation may go to get its memory ("get free pages").
 *
 *	             wake kswapd  direct reclaim  start I/O  below min
 *	GFP_NOWAIT        x
 *	GFP_NOIO          x             x
 *	GFP_KERNEL        x             x             x
 *	GFP_MEMALLOC      x                                      x
 *
 * The low bits below are added to one of these.
 */
#ifndef MM_GFP_H
#define MM_GFP_H

#include "mm/types.h"

typedef uint32_t gfp_t;

#define GFP_WAKE    (1u << 0) /* wake kswapd when a zone is below low */
#define GFP_RECLAIM (1u << 1) /* the caller may reclaim, and so block */
#define GFP_IO	    (1u << 2) /* ... and start and wait for I/O */
#define GFP_RESERVE (1u << 3) /* the last frames: only to make others free */

#define GFP_NOWAIT   (GFP_WAKE)
#define GFP_NOIO     (GFP_WAKE | GFP_RECLAIM)
#define GFP_KERNEL   (GFP_WAKE | GFP_RECLAIM | GFP_IO)
#define GFP_MEMALLOC (GFP_WAKE | GFP_RESERVE)

#define GFP_MOVABLE (1u << 8)  /* can be moved or dropped: any zone will do */
#define GFP_DMA	    (1u << 9)  /* a registered I/O buffer: DMA first */
#define GFP_GROWTH  (1u << 10) /* more than there was: stop at low, not min */
#define GFP_ZERO    (1u << 11) /* filled with zeroes */
#define GFP_COLD    (1u << 12) /* will not be touched by this CPU soon */

#endif
