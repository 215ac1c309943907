/*
 * kswapd.h - reclaim in the background, so that others need not wait for it.
 *
 * Wakes when an allocation has found its zones below low, and now and then by
 * itself; works until a zone the request can use is above high; sleeps. When
 * nothing can be freed it waits for something to change instead of spinning.
 */
#ifndef MM_KSWAPD_H
#define MM_KSWAPD_H

#include "mm/lock.h"
#include "mm/zone.h"

struct kswapd {
	struct mutex lock;
	struct cond wake;
	struct os_thread thread;
	_Atomic bool awake;  /* asked for and not asleep yet */
	_Atomic int highest; /* zone it was asked for (lock) */
	bool running;	     /* (lock) */
	_Atomic bool stop;
};

void kswapd_init(struct kswapd *k);
/* 0 or -errno. */
int kswapd_start(struct mm *mm);
void kswapd_stop(struct mm *mm);

/* Ask for free frames in the zones up to highest. Never blocks for long. */
void kswapd_wake(struct mm *mm, enum zone_type highest);

#endif
