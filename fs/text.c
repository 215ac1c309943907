/* text.c - vsnprintf(3) that remembers where it was. */
#include "fs/text.h"

#include <stdarg.h>
#include <stdio.h>

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(t->buf + t->len, t->size - t->len, format, args);
	va_end(args);
	if (n > 0)
		t->len = min_of(t->len + (size_t)n, t->size - 1);
}
