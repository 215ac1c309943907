/*
 * space.c - reserved + what was spent since it was asked <= avail, or ask again.
 */
#include "fs/space.h"

#include "fs/cred.h"
#include "fs/file_volume.h"

#include <errno.h>

/* Others use the file system too: what it said holds for so long. */
#define ASK_AGAIN_NS (1 * NSEC_PER_SEC)

/*
 * Not given to data: extent blocks, directories, the journal of a file system
 * that is nearly full. 1 MiB, a guess.
 */
#define MARGIN_BYTES (1ull << 20)

void space_init(struct space *s)
{
	*s = (struct space){ .reserved = 0 };
	mutex_init(&s->lock);
}

/* Bytes that data may have, or UINT64_MAX if it does not say. May block. */
static uint64_t ask(const struct file_volume *fv)
{
	struct statvfs st;
	uint64_t bytes;

	if (backing_statfs(fv->root_fd, &st) < 0)
		return UINT64_MAX;
	bytes = (uint64_t)st.f_frsize *
		(cred_is_root() ? st.f_bfree : st.f_bavail);
	return bytes > MARGIN_BYTES ? bytes - MARGIN_BYTES : 0;
}

/* Those who only count wait for the lock, so it is not held meanwhile. */
static void ask_again(struct space *s, const struct file_volume *fv)
	must_hold(s->lock)
{
	uint64_t spent = s->spent, began = os_now_ns(), avail;

	s->nr_asking++;
	mutex_unlock(&s->lock);
	avail = ask(fv);
	mutex_lock(&s->lock);
	s->nr_asking--;
	/* Who began later may have the newer answer already. */
	if (avail == UINT64_MAX || began < s->asked_ns)
		return;
	s->avail = avail;
	s->spent_then = spent; /* it may not know of what came after */
	s->asked_ns = began;
}

static bool fits(const struct space *s, uint64_t bytes)
{
	return s->reserved + (s->spent - s->spent_then) + bytes <= s->avail;
}

/* Is what it said last good enough? */
static bool is_known(const struct space *s, uint64_t bytes) must_hold(s->lock)
{
	return fits(s, bytes) &&
	       (s->nr_asking > 0 || os_now_ns() - s->asked_ns <= ASK_AGAIN_NS);
}

int space_reserve(struct file_volume *fv, uint64_t bytes, gfp_t gfp)
{
	struct space *s = &fv->space;
	int err = 0;

	if (should_fail(&fv->vol.mm->fail_reserve, bytes)) {
		vmstat_inc(fv->vol.mm, RESERVE_FAIL_INJECTED);
		return -ENOSPC;
	}
	mutex_lock(&s->lock);
	if (!is_known(s, bytes)) {
		if (!(gfp & GFP_RECLAIM)) {
			mutex_unlock(&s->lock);
			return -EAGAIN;
		}
		ask_again(s, fv);
	}
	if (fits(s, bytes)) {
		s->reserved += bytes;
	} else {
		err = -ENOSPC;
		vmstat_inc(fv->vol.mm, ENOSPC_BACKING);
	}
	mutex_unlock(&s->lock);
	return err;
}

void space_release(struct file_volume *fv, uint64_t bytes, bool written)
{
	struct space *s = &fv->space;

	mutex_lock(&s->lock);
	s->reserved -= min_of(s->reserved, bytes);
	if (written)
		s->spent += bytes;
	mutex_unlock(&s->lock);
}

uint64_t space_reserved(struct space *s)
{
	uint64_t bytes;

	mutex_lock(&s->lock);
	bytes = s->reserved;
	mutex_unlock(&s->lock);
	return bytes;
}
