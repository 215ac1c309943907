/* number.c - a hash: of a million files two are equal in one of four million cases. */
#include "fs/number.h"

#include "fs/file_volume.h"

#include <xxhash.h>

#define NUMBER_MADE (1ull << 61)

uint64_t number_of(const struct file_volume *fv, uint64_t dev, uint64_t ino)
{
	if (dev == fv->dev && ino < NUMBER_MADE)
		return ino;
	return NUMBER_MADE |
	       (XXH3_64bits_withSeed(&ino, sizeof(ino), dev) % NUMBER_MADE);
}
