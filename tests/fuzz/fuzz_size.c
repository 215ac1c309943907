/* fuzz_size.c - sizes, against arithmetic with 128 bits. */
#include "mm/size.h"
#include "tests/fuzz/fuzz.h"

/* What size_parse() is to say, character by character. */
static bool model(const char *s, uint64_t *bytes)
{
	static const char lower[] = "kmgt", upper[] = "KMGT";
	unsigned __int128 n = 0;

	if (*s < '0' || *s > '9')
		return false;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (unsigned int)(*s - '0');
		if (n > UINT64_MAX)
			return false;
	}
	for (int i = 0; *s && i < 4; i++)
		if (*s == lower[i] || *s == upper[i]) {
			n <<= 10 * (i + 1);
			s++;
			s += *s == 'i' || *s == 'I';
			s += *s == 'b' || *s == 'B';
			break;
		}
	*bytes = (uint64_t)n;
	return !*s && n <= UINT64_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s = fuzz_string(data, size);
	uint64_t want = 0, bytes = 7;
	bool ok = size_parse(s, &bytes);

	must(ok == model(s, &want));
	must(bytes == (ok ? want : 7));
	free(s);
	return 0;
}
