/*
 * fuzz.h - what the fuzz targets share. Each is a function that libFuzzer calls
 * with whatever bytes it likes, many times; a broken promise is an abort.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It holds, or the input is kept and the target has failed. */
#define must(cond)                                                    \
	do {                                                          \
		if (!(cond)) {                                        \
			fprintf(stderr, "%s:%d: not: %s\n", __FILE__, \
				__LINE__, #cond);                     \
			abort();                                      \
		}                                                     \
	} while (0)

/* The input as a string; the caller frees it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *s = malloc(size + 1);

	must(s);
	if (size > 0)
		memcpy(s, data, size);
	s[size] = '\0';
	return s;
}

#endif
