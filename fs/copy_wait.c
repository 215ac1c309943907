/*
 * copy_wait.c - waiting until the kernel's copies fit.
 *
 * The pages are there already, and locked: who waits for one of them may be the
 * taker. So nobody is held back for longer than BALANCE_PAUSE_MAX, unless copies
 * are being taken back meanwhile.
 */
#include "fs/copy_wait.h"

#include "fs/fs.h"

#define WAIT_STEP_NS (500 * 1000)

bool copy_charge(struct inode *inode, uint64_t offset, size_t size)
{
	uint64_t first = offset >> PAGE_SHIFT;

	return kernel_copies_charge(
		&inode->vol->fs->copies, inode, first,
		(unsigned int)(pages_of(offset + size) - first));
}

static void wait_more(struct request *rq)
{
	struct fs *fs = rq->fs;
	bool fits = kernel_copies_fit(&fs->copies);
	uint64_t first = rq->offset >> PAGE_SHIFT;
	bool held = !fits &&
		    kernel_copies_taking(
			    &fs->copies, rq->inode, first,
			    (unsigned int)(pages_of(rq->offset + rq->size) -
					   first));

	/* As long as others' copies go there is hope. */
	if (atomic_load(&fs->copies.nr_taken) != rq->nr_taken) {
		rq->nr_taken = atomic_load(&fs->copies.nr_taken);
		rq->patience_ns = os_now_ns() + BALANCE_PAUSE_MAX;
	}
	if (!fits && !held && os_now_ns() < rq->patience_ns &&
	    request_try_park(&fs->requests, rq, WAIT_STEP_NS, wait_more))
		return;
	if (!fits)
		vmstat_inc(fs->mm, COPY_OVER);
	rq->after(rq);
}

void copy_wait(struct request *rq, void (*after)(struct request *rq))
{
	vmstat_inc(rq->fs->mm, COPY_WAIT);
	rq->after = after;
	rq->nr_taken = atomic_load(&rq->fs->copies.nr_taken);
	rq->patience_ns = os_now_ns() + BALANCE_PAUSE_MAX;
	wait_more(rq);
}
