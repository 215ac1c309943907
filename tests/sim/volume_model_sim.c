/* volume_model_sim.c - what a file should contain, whoever changes it. */
#include "tests/sim/volume_world.h"

#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* --- patterns ------------------------------------------------------------------ */

/* Low bits: 0: one byte all over, else noise. */
uint64_t pattern_new(unsigned int noise_percent)
{
	return (sim_random() & ~1ull) | sim_chance(noise_percent) | 1ull << 60;
}

static uint64_t word_at(uint64_t pattern, uint64_t index)
{
	uint64_t h = pattern;

	if (pattern == 0)
		return 0;
	if (pattern & 1)
		h = (pattern ^ index) * 0x9e3779b97f4a7c15u;
	h ^= h >> 29;
	return pattern & 1 ? h * 0xbf58476d1ce4e5b9u
			   : (h & 0xff) * 0x0101010101010101u;
}

unsigned char pattern_at(uint64_t pattern, uint64_t offset)
{
	return (unsigned char)(word_at(pattern, offset / 8) >> offset % 8 * 8);
}

void pattern_fill(uint64_t pattern, uint64_t offset, void *to, size_t len)
{
	unsigned char *p = to;

	while (len > 0) {
		uint64_t word = word_at(pattern, offset / 8) >> offset % 8 * 8;
		size_t n = min_of(len, 8 - (size_t)(offset % 8));

		memcpy(p, &word, n);
		p += n;
		offset += n;
		len -= n;
	}
}

/* --- changes --------------------------------------------------------------------- */

void model_init(struct model *m)
{
	*m = (struct model){ .size = 0 };
	mutex_init(&m->lock);
	cond_init(&m->ended);
	m->a = calloc(6, VFILE_BYTES_MAX);
	ASSERT(m->a);
	m->b = m->a + VFILE_BYTES_MAX;
	m->any = (bool *)(m->b + VFILE_BYTES_MAX);
	m->sure = m->any + VFILE_BYTES_MAX;
	m->home = m->a + 4 * VFILE_BYTES_MAX;
	m->home_unknown = m->sure + 2 * VFILE_BYTES_MAX;
}

void model_destroy(struct model *m)
{
	free(m->a);
}

static bool overlap(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	return a < b_end && b < a_end;
}

bool model_is_changing(const struct model *m, uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < CHANGES_MAX; i++)
		if (m->changes[i].used &&
		    overlap(start, end, m->changes[i].start, m->changes[i].end))
			return true;
	return false;
}

static void watch_add(struct watch *w, const struct change *c)
{
	w->size_least = min_of(w->size_least, c->size_least);
	w->size_most = max_of(w->size_most, c->size_most);
	if (c->pattern == MODEL_KEEP ||
	    !overlap(w->start, w->end, c->start, c->end))
		return;
	if (w->nr_alts == ALTS_MAX) {
		w->crowded = true;
		return;
	}
	w->alts[w->nr_alts].start = c->start;
	w->alts[w->nr_alts].end = c->end;
	w->alts[w->nr_alts++].pattern = c->pattern;
}

struct change *model_change(struct model *m, uint64_t start, uint64_t end,
			    uint64_t pattern, uint64_t new_size)
{
	struct change *c = NULL;
	bool resize = start == MODEL_RESIZE;

	mutex_lock(&m->lock);
	for (;;) {
		if (resize)
			start = min_of(m->size, new_size);
		if (!model_is_changing(m, start, end))
			break;
		cond_wait(&m->ended, &m->lock);
	}
	for (unsigned int i = 0; i < CHANGES_MAX; i++)
		if (!m->changes[i].used)
			c = &m->changes[i];
	ASSERT(c);
	*c = (struct change){
		.used = true,
		.start = start,
		.end = end,
		.pattern = pattern,
		.size_least = resize ? min_of(m->size, new_size) : m->size,
		.size_most = max_of(m->size, new_size),
	};
	m->sure_size = min_of(m->sure_size, c->size_least);
	for (unsigned int i = 0; i < WATCHES_MAX; i++)
		if (m->watches[i])
			watch_add(m->watches[i], c);
	end = min_of(end, VFILE_BYTES_MAX);
	if (start < end && pattern != MODEL_KEEP)
		memset(m->sure + start, 0, end - start);
	mutex_unlock(&m->lock);
	return c;
}

static void set_bytes(struct model *m, const struct change *c, uint64_t start,
		      uint64_t end)
{
	pattern_fill(c->pattern, start, m->a + start, end - start);
	memcpy(m->b + start, m->a + start, end - start);
	memset(m->any + start, 0, end - start);
}

static void doubt_bytes(struct model *m, const struct change *c, uint64_t start,
			uint64_t end)
{
	for (uint64_t i = start; i < end; i++) {
		unsigned char byte = pattern_at(c->pattern, i);

		if (byte == m->a[i] || byte == m->b[i])
			continue;
		if (m->a[i] == m->b[i])
			m->b[i] = byte;
		else
			m->any[i] = true;
	}
}

/* What others may have made it already. */
static uint64_t size_soon(const struct model *m)
{
	uint64_t size = m->size;

	for (unsigned int i = 0; i < CHANGES_MAX; i++)
		if (m->changes[i].used)
			size = max_of(size, m->changes[i].size_most);
	return min_of(size, VFILE_BYTES_MAX);
}

void model_changed(struct model *m, struct change *c, uint64_t done, bool maybe)
{
	uint64_t end = min_of(c->end, VFILE_BYTES_MAX);
	uint64_t to = min_of(c->start + done, end);

	mutex_lock(&m->lock);
	set_bytes(m, c, c->start, to);
	c->used = false;
	if (c->lost_from < min_of(c->lost_to, to))
		memset(m->any + c->lost_from, 1,
		       min_of(c->lost_to, to) - c->lost_from);
	if (maybe) /* behind the size there are zeroes whatever happened */
		doubt_bytes(m, c, to, min_of(end, size_soon(m)));
	cond_broadcast(&m->ended);
	mutex_unlock(&m->lock);
}

/* --- what a crash leaves ------------------------------------------------------------- */

void model_set_home(struct model *m, const unsigned char *data, uint64_t size)
{
	memcpy(m->home, data, VFILE_BYTES_MAX);
	memset(m->home_unknown, 0, VFILE_BYTES_MAX);
	m->home_size = size;
	m->home_size_unknown = false;
	m->has_home = true;
}

void model_leave_home(struct model *m)
{
	bool changing = false;

	for (unsigned int n = 0; n < CHANGES_MAX; n++)
		changing |= m->changes[n].used;
	for (uint64_t i = 0; m->has_home && i < VFILE_BYTES_MAX; i++)
		if (changing || m->any[i] || m->a[i] != m->home[i] ||
		    m->b[i] != m->home[i])
			m->home_unknown[i] = true;
	m->home_size_unknown |= changing || m->size != m->home_size;
}

/* All of it was synced, but for what was changed meanwhile. */
static void come_home(struct model *m, const struct watch *w)
{
	for (uint64_t i = 0; i < VFILE_BYTES_MAX; i++) {
		m->home[i] = m->a[i];
		m->home_unknown[i] = m->any[i] || m->a[i] != m->b[i];
	}
	for (unsigned int n = 0; n < w->nr_alts; n++)
		for (uint64_t i = w->alts[n].start;
		     i < min_of(w->alts[n].end, VFILE_BYTES_MAX); i++)
			m->home_unknown[i] = true;
	m->home_size = m->size;
	m->home_size_unknown = w->size_least != w->size_most;
}

static void cut_home(struct model *m, uint64_t size)
{
	if (!m->has_home)
		return;
	memset(m->home + size, 0, VFILE_BYTES_MAX - size);
	memset(m->home_unknown + size, 0, VFILE_BYTES_MAX - size);
	m->home_size = min_of(m->home_size, size);
}

void model_reset(struct model *m, const unsigned char *data, uint64_t size)
{
	ASSERT(size >= m->sure_size);
	/* Of what may be either, the one is there, and the other durable. */
	for (uint64_t i = 0; i < VFILE_BYTES_MAX; i++)
		m->sure[i] &= !m->any[i] && m->a[i] == m->b[i];
	memcpy(m->a, data, VFILE_BYTES_MAX);
	memcpy(m->b, data, VFILE_BYTES_MAX);
	memset(m->any, 0, VFILE_BYTES_MAX);
	m->size = size;
	model_set_home(m, data, size);
}

static bool watch_allows(const struct watch *w, uint64_t at, unsigned char byte)
{
	uint64_t i = at - w->start;

	if (w->crowded || w->any[i] || byte == w->a[i] || byte == w->b[i])
		return true;
	for (unsigned int n = 0; n < w->nr_alts; n++)
		if (at >= w->alts[n].start && at < w->alts[n].end &&
		    byte == pattern_at(w->alts[n].pattern, at))
			return true;
	return false;
}

/* Those who look know less: what they began with, and what has changed since. */
static void watch_lost(struct watch *w, uint64_t start, uint64_t end,
		       const unsigned char *data)
{
	start = max_of(start, w->start);
	end = min_of(end, w->end);
	for (uint64_t i = start; i < end; i++)
		if (!watch_allows(w, i, data[i]))
			w->any[i - w->start] = true;
}

static void lost_byte(struct model *m, uint64_t at, unsigned char byte)
{
	if (m->a[at] == m->b[at])
		m->b[at] = byte;
	else
		m->any[at] = true;
}

/* Whatever is written there at this moment may have been in that page. */
static void lost_change(struct change *c, uint64_t start, uint64_t end)
{
	if (!c->used || c->pattern == MODEL_KEEP ||
	    !overlap(start, end, c->start, c->end))
		return;
	start = max_of(start, c->start);
	end = min_of(end, c->end);
	c->lost_from = c->lost_to ? min_of(c->lost_from, start) : start;
	c->lost_to = max_of(c->lost_to, end);
}

/* One step: it is called by the disk, which has other locks. */
void model_lost(struct model *m, uint64_t start, uint64_t end,
		const unsigned char *data)
{
	end = min_of(end, VFILE_BYTES_MAX);
	for (unsigned int i = 0; i < CHANGES_MAX; i++)
		lost_change(&m->changes[i], start, end);
	for (unsigned int n = 0; n < WATCHES_MAX; n++)
		if (m->watches[n])
			watch_lost(m->watches[n], start, end, data);
	for (uint64_t i = start; i < end; i++)
		if (!model_allows(m, i, data[i]))
			lost_byte(m, i, data[i]);
}

void model_set_size(struct model *m, uint64_t size)
{
	uint64_t old = m->size;

	m->size = size;
	if (size >= old)
		return;
	cut_home(m, size);
	memset(m->a + size, 0, old - size);
	memset(m->b + size, 0, old - size);
	memset(m->any + size, 0, old - size);
	memset(m->sure + size, 0, old - size);
}

bool model_allows(const struct model *m, uint64_t at, unsigned char byte)
{
	return m->any[at] || byte == m->a[at] || byte == m->b[at];
}

/* --- those who look ---------------------------------------------------------------- */

void model_watch(struct model *m, struct watch *w, uint64_t start, uint64_t end)
{
	size_t len;
	unsigned int n = 0;

	end = min_of(end, VFILE_BYTES_MAX);
	start = min_of(start, end);
	len = end - start;
	*w = (struct watch){ .used = true, .start = start, .end = end };
	w->a = malloc(3 * len + 1);
	ASSERT(w->a);
	w->b = w->a + len;
	w->any = (bool *)(w->b + len);
	mutex_lock(&m->lock);
	w->size_least = w->size_most = m->size;
	memcpy(w->a, m->a + start, len);
	memcpy(w->b, m->b + start, len);
	memcpy(w->any, m->any + start, len);
	for (unsigned int i = 0; i < CHANGES_MAX; i++)
		if (m->changes[i].used)
			watch_add(w, &m->changes[i]);
	while (m->watches[n])
		ASSERT(++n < WATCHES_MAX);
	m->watches[n] = w;
	mutex_unlock(&m->lock);
}

static void unwatch(struct model *m, struct watch *w) must_hold(m->lock)
{
	for (unsigned int i = 0; i < WATCHES_MAX; i++)
		if (m->watches[i] == w)
			m->watches[i] = NULL;
	free(w->a);
}

/* What of [start, +asked) a file of that size has. */
static uint64_t within(uint64_t size, uint64_t start, uint64_t asked)
{
	return size > start ? min_of(size - start, asked) : 0;
}

void model_check_read(struct model *m, struct watch *w, const void *data,
		      size_t n, size_t asked)
{
	const unsigned char *bytes = data;

	mutex_lock(&m->lock);
	if (n < within(w->size_least, w->start, asked) ||
	    n > within(w->size_most, w->start, asked))
		sim_fail("a read of %zu at %llu returned %zu; size %llu to "
			 "%llu",
			 asked, (unsigned long long)w->start, n,
			 (unsigned long long)w->size_least,
			 (unsigned long long)w->size_most);
	if (memcmp(bytes, w->a, n) != 0)
		for (size_t i = 0; i < n; i++)
			if (!watch_allows(w, w->start + i, bytes[i]))
				sim_fail("byte %llu was read as %02x, model "
					 "%02x %02x; size %llu, %u changes "
					 "meanwhile",
					 (unsigned long long)(w->start + i),
					 bytes[i], w->a[i], w->b[i],
					 (unsigned long long)m->size,
					 w->nr_alts);
	unwatch(m, w);
	mutex_unlock(&m->lock);
}

void model_synced(struct model *m, struct watch *w, bool ok)
{
	mutex_lock(&m->lock);
	if (ok && !w->crowded) {
		uint64_t end = min_of(w->size_least, w->end);

		memset(m->sure, 1, end);
		m->sure_size = max_of(m->sure_size, w->size_least);
		if (m->has_home && w->start == 0 && w->end >= VFILE_BYTES_MAX)
			come_home(m, w);
		for (unsigned int n = 0; n < w->nr_alts; n++)
			if (w->alts[n].start < end)
				memset(m->sure + w->alts[n].start, 0,
				       min_of(w->alts[n].end, end) -
					       w->alts[n].start);
	}
	unwatch(m, w);
	mutex_unlock(&m->lock);
}
