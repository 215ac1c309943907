/* fault.c - which call fails is decided by the settings and the seed alone. */
#include "mm/fault.h"

#include "mm/bug.h"

#include <errno.h>

static const char *const field_names[NR_FAULT_FIELDS] = {
	[FAULT_PROBABILITY] = "probability",
	[FAULT_INTERVAL] = "interval",
	[FAULT_TIMES] = "times",
	[FAULT_SPACE] = "space",
	[FAULT_SEED] = "seed",
	[FAULT_INJECTED] = "injected",
};

void fault_attr_init(struct fault_attr *attr, const char *name)
{
	*attr = (struct fault_attr){
		.name = name, .interval = 1, .times = 1, .seed = 1, .state = 1
	};
	mutex_init(&attr->lock);
}

const char *fault_field_name(enum fault_field field)
{
	ASSERT(field < NR_FAULT_FIELDS);
	return field_names[field];
}

int64_t fault_get(struct fault_attr *attr, enum fault_field field)
{
	int64_t value = 0;

	mutex_lock(&attr->lock);
	switch (field) {
	case FAULT_PROBABILITY:
		value = (int64_t)attr->probability;
		break;
	case FAULT_INTERVAL:
		value = (int64_t)attr->interval;
		break;
	case FAULT_TIMES:
		value = attr->times;
		break;
	case FAULT_SPACE:
		value = attr->space;
		break;
	case FAULT_SEED:
		value = (int64_t)attr->seed;
		break;
	case FAULT_INJECTED:
		value = (int64_t)attr->injected;
		break;
	case NR_FAULT_FIELDS:
		break;
	}
	mutex_unlock(&attr->lock);
	return value;
}

int fault_set(struct fault_attr *attr, enum fault_field field, int64_t value)
{
	int err = 0;

	mutex_lock(&attr->lock);
	if (field == FAULT_PROBABILITY && value >= 0 && value <= 100) {
		attr->probability = (uint64_t)value;
		atomic_store(&attr->armed, value > 0);
	} else if (field == FAULT_INTERVAL && value >= 1) {
		attr->interval = (uint64_t)value;
	} else if (field == FAULT_TIMES && value >= -1) {
		attr->times = value;
	} else if (field == FAULT_SPACE && value >= 0) {
		attr->space = value;
	} else if (field == FAULT_SEED && value >= 0) {
		attr->seed = attr->state = (uint64_t)value;
		attr->calls = 0;
	} else {
		err = -EINVAL;
	}
	mutex_unlock(&attr->lock);
	return err;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

bool fault_decide(struct fault_attr *attr, size_t size)
{
	bool fail = false;

	mutex_lock(&attr->lock);
	if (attr->times == 0 || attr->probability == 0)
		goto out;
	if (attr->space > (int64_t)size) {
		attr->space -= (int64_t)size;
		goto out;
	}
	if (++attr->calls % attr->interval != 0)
		goto out;
	if (next_random(&attr->state) % 100 >= attr->probability)
		goto out;
	if (attr->times > 0)
		attr->times--;
	attr->injected++;
	fail = true;
out:
	mutex_unlock(&attr->lock);
	return fail;
}
