/* fault.c - which call fails is decided by the settings and the seed alone. */
#include "mm/fault.h"

#include "mm/bug.h"

#include <errno.h>
#include <string.h>

static const char *const field_names[NR_FAULT_FIELDS] = {
	[FAULT_PROBABILITY] = "probability",
	[FAULT_INTERVAL] = "interval",
	[FAULT_TIMES] = "times",
	[FAULT_SPACE] = "space",
	[FAULT_SEED] = "seed",
	[FAULT_MIN_ORDER] = "min-order",
	[FAULT_IGNORE_GFP_WAIT] = "ignore-gfp-wait",
	[FAULT_IGNORE_GFP_HIGHMEM] = "ignore-gfp-highmem",
	[FAULT_ERROR] = "error",
	[FAULT_OP] = "op",
	[FAULT_DELAY_MS] = "delay-ms",
	[FAULT_INJECTED] = "injected",
};

static const char *const kind_names[NR_FAULT_KINDS] = {
	[FAULT_EIO] = "EIO",	   [FAULT_ENOSPC] = "ENOSPC",
	[FAULT_EDQUOT] = "EDQUOT", [FAULT_SHORT] = "short",
	[FAULT_TORN] = "torn",	   [FAULT_LOST] = "lost",
	[FAULT_DELAY] = "delay",   [FAULT_HANG] = "hang",
};

static const char *const op_names[NR_FAULT_OPS] = {
	[FAULT_ALL] = "all",
	[FAULT_READS] = "read",
	[FAULT_WRITES] = "write",
};

/* From, to. What waits for longer is cut off by the kernel, after 600 s. */
static const struct {
	int64_t least, most;
} bounds[NR_FAULT_FIELDS] = {
	[FAULT_PROBABILITY] = { 0, 100 },
	[FAULT_INTERVAL] = { 1, INT64_MAX },
	[FAULT_TIMES] = { -1, INT64_MAX },
	[FAULT_SPACE] = { 0, INT64_MAX },
	[FAULT_SEED] = { 0, INT64_MAX },
	[FAULT_MIN_ORDER] = { 0, 10 },
	[FAULT_IGNORE_GFP_WAIT] = { 0, 1 },
	[FAULT_IGNORE_GFP_HIGHMEM] = { 0, 1 },
	[FAULT_ERROR] = { 0, NR_FAULT_KINDS - 1 },
	[FAULT_OP] = { 0, NR_FAULT_OPS - 1 },
	[FAULT_DELAY_MS] = { 0, 300000 },
	[FAULT_INJECTED] = { 0, -1 }, /* to be read only */
};

void fault_attr_init(struct fault_attr *attr, const char *name,
		     enum fault_class class)
{
	*attr = (struct fault_attr){
		.name = name,
		.class = class,
		.value = { [FAULT_INTERVAL] = 1,
			   [FAULT_TIMES] = 1,
			   [FAULT_SEED] = 1,
			   [FAULT_DELAY_MS] = 100 },
		.state = 1,
	};
	mutex_init(&attr->lock);
}

const char *fault_field_name(enum fault_field field)
{
	ASSERT(field < NR_FAULT_FIELDS);
	return field_names[field];
}

bool fault_has(const struct fault_attr *attr, enum fault_field field)
{
	switch (field) {
	case FAULT_MIN_ORDER:
		return attr->class == FAULT_CLASS_PAGE;
	case FAULT_IGNORE_GFP_WAIT:
	case FAULT_IGNORE_GFP_HIGHMEM:
		return attr->class == FAULT_CLASS_PAGE ||
		       attr->class == FAULT_CLASS_ALLOC;
	case FAULT_OP:
		return attr->class == FAULT_CLASS_IO;
	case FAULT_ERROR:
	case FAULT_DELAY_MS:
		return attr->class == FAULT_CLASS_IO ||
		       attr->class == FAULT_CLASS_SYNC;
	default:
		return true;
	}
}

int64_t fault_get(struct fault_attr *attr, enum fault_field field)
{
	int64_t value;

	ASSERT(field < NR_FAULT_FIELDS);
	mutex_lock(&attr->lock);
	value = attr->value[field];
	mutex_unlock(&attr->lock);
	return value;
}

static bool is_part(int64_t kind)
{
	return kind == FAULT_SHORT || kind == FAULT_TORN || kind == FAULT_LOST;
}

int fault_set(struct fault_attr *attr, enum fault_field field, int64_t value)
{
	if (!fault_has(attr, field) || value < bounds[field].least ||
	    value > bounds[field].most)
		return -EINVAL;
	if (field == FAULT_ERROR && attr->class == FAULT_CLASS_SYNC &&
	    is_part(value))
		return -EINVAL;
	mutex_lock(&attr->lock);
	attr->value[field] = value;
	if (field == FAULT_PROBABILITY)
		atomic_store(&attr->armed, value > 0);
	if (field == FAULT_SEED) {
		attr->state = (uint64_t)value;
		attr->calls = 0;
	}
	if (field == FAULT_PROBABILITY || field == FAULT_ERROR)
		atomic_fetch_add(&attr->told, 1);
	mutex_unlock(&attr->lock);
	return 0;
}

static const char *const *words_of(enum fault_field field, int64_t *nr)
{
	*nr = field == FAULT_ERROR ? NR_FAULT_KINDS
	      : field == FAULT_OP  ? NR_FAULT_OPS
				   : 0;
	return field == FAULT_ERROR ? kind_names : op_names;
}

const char *fault_word(enum fault_field field, int64_t value)
{
	int64_t nr;
	const char *const *words = words_of(field, &nr);

	return value >= 0 && value < nr ? words[value] : NULL;
}

int64_t fault_word_value(enum fault_field field, const char *word)
{
	int64_t nr;
	const char *const *words = words_of(field, &nr);

	for (int64_t i = 0; i < nr; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -EINVAL;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
uint64_t fault_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static bool decide(struct fault_attr *attr, uint64_t size) must_hold(attr->lock)
{
	int64_t *value = attr->value;

	if (value[FAULT_TIMES] == 0 || value[FAULT_PROBABILITY] == 0)
		return false;
	if (value[FAULT_SPACE] > (int64_t)size) {
		value[FAULT_SPACE] -= (int64_t)size;
		return false;
	}
	if (++attr->calls % (uint64_t)value[FAULT_INTERVAL] != 0)
		return false;
	if (fault_random(&attr->state) % 100 >=
	    (uint64_t)value[FAULT_PROBABILITY])
		return false;
	if (value[FAULT_TIMES] > 0)
		value[FAULT_TIMES]--;
	value[FAULT_INJECTED]++;
	return true;
}

bool fault_decide(struct fault_attr *attr, size_t size)
{
	bool fail;

	mutex_lock(&attr->lock);
	fail = decide(attr, size);
	mutex_unlock(&attr->lock);
	return fail;
}

bool fault_decide_alloc(struct fault_attr *attr, size_t size, gfp_t gfp,
			unsigned int order)
{
	const int64_t *value = attr->value;
	bool fail = false;

	if (gfp & GFP_RESERVE)
		return false;
	mutex_lock(&attr->lock);
	if ((int64_t)order >= value[FAULT_MIN_ORDER] &&
	    !(value[FAULT_IGNORE_GFP_WAIT] && (gfp & GFP_RECLAIM)) &&
	    !(value[FAULT_IGNORE_GFP_HIGHMEM] && (gfp & GFP_MOVABLE)))
		fail = decide(attr, size);
	mutex_unlock(&attr->lock);
	return fail;
}

/* Can an operation like that fail like that? */
static bool fits(enum fault_kind kind, enum fault_op op, bool parts)
{
	switch (kind) {
	case FAULT_ENOSPC:
	case FAULT_EDQUOT:
		return op == FAULT_WRITES;
	case FAULT_SHORT:
		return parts;
	case FAULT_TORN:
	case FAULT_LOST:
		return parts && op == FAULT_WRITES;
	default:
		return true;
	}
}

int fault_errno(enum fault_kind kind)
{
	switch (kind) {
	case FAULT_ENOSPC:
		return -ENOSPC;
	case FAULT_EDQUOT:
		return -EDQUOT;
	default:
		return -EIO;
	}
}

bool fault_decide_io(struct fault_attr *attr, enum fault_op op, bool parts,
		     uint64_t bytes, struct fault_shot *shot)
{
	const int64_t *value = attr->value;
	bool fail = false;

	mutex_lock(&attr->lock);
	*shot = (struct fault_shot){
		.kind = (enum fault_kind)value[FAULT_ERROR],
		.delay_ns = (uint64_t)value[FAULT_DELAY_MS] * NSEC_PER_MSEC,
		.told = atomic_load(&attr->told),
	};
	if ((value[FAULT_OP] == FAULT_ALL || value[FAULT_OP] == (int64_t)op) &&
	    fits(shot->kind, op, parts))
		fail = decide(attr, bytes);
	if (fail && is_part(shot->kind))
		shot->random = fault_random(&attr->state);
	mutex_unlock(&attr->lock);
	return fail;
}

void fault_take_back(struct fault_attr *attr)
{
	mutex_lock(&attr->lock);
	attr->value[FAULT_INJECTED]--;
	if (attr->value[FAULT_TIMES] >= 0)
		attr->value[FAULT_TIMES]++;
	mutex_unlock(&attr->lock);
}
