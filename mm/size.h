/*
 * size.h - how people write sizes: "64M", "512K", "2GiB". Powers of 1024; K, M,
 * G or T.
 */
#ifndef MM_SIZE_H
#define MM_SIZE_H

#include "mm/types.h"

/* Text → bytes. False: it is no size, or too large; *bytes is untouched. */
bool size_parse(const char *text, uint64_t *bytes);

#endif
