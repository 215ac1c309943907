/* text.h - a bounded buffer to print into; what does not fit is cut off. */
#ifndef FS_TEXT_H
#define FS_TEXT_H

#include "mm/types.h"

struct text {
	char *buf;
	size_t len, size;
};

__attribute__((format(printf, 2, 3))) void text_printf(struct text *t,
						       const char *format, ...);

#endif
