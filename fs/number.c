/* number.c - a hash: of a million files two are equal in one of four million cases. */
#include "fs/number.h"

#include "fs/file_volume.h"

#include <xxhash.h>

#define NUMBER_MADE (1ull << 61)

static uint64_t made(uint64_t dev, uint64_t ino, uint64_t watch)
{
	uint64_t key[] = { dev, ino, watch };

	return NUMBER_MADE | (XXH3_64bits(key, sizeof(key)) % NUMBER_MADE);
}

uint64_t number_of(const struct file_volume *fv, uint64_t dev, uint64_t ino)
{
	return dev == fv->dev && ino < NUMBER_MADE ? ino : made(dev, ino, 0);
}

uint64_t number_apart(uint64_t dev, uint64_t ino, int watch)
{
	return made(dev, ino, (uint64_t)watch);
}
