/*
 * fuzz_options.c - command lines: words that the input has a line each of. What is
 * accepted is within its limits; what is refused is refused, and no more.
 */
#include "fs/options.h"
#include "tests/fuzz/fuzz.h"

enum { NR_WORDS = 64 };

static bool is_ended(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

static void check(const struct options *o, unsigned int nr_words)
{
	must(is_ended(o->fuse, sizeof(o->fuse)));
	must(o->nr_swaps <= SWAP_AREAS_MAX);
	for (unsigned int i = 0; i < o->nr_swaps; i++)
		must(is_ended(o->swaps[i].path, PATH_MAX) &&
		     o->swaps[i].path[0]);
	if (o->help || o->version)
		return;
	must(o->nr_pairs > 0 && o->nr_pairs <= VOLUMES_MAX);
	must(2 * o->nr_pairs <= nr_words);
	for (unsigned int i = 0; i < o->nr_pairs; i++)
		must(o->sources[i] && o->mountpoints[i]);
	must(o->mem >= MM_SIZE_MIN && o->mem <= MM_SIZE_MAX);
	must(o->mem % PAGE_SIZE == 0);
	must(o->mmap_dirty >= 1 << 20 && o->mmap_dirty <= o->mem / 2);
	must(o->swappiness >= -1 && o->swappiness <= 200);
	must((unsigned int)o->cache < NR_CACHE_MODES);
	must((unsigned int)o->transport <= TRANSPORT_DEV);
	must(o->anon.mode <= 07777);
	must(o->anon.size <= UINT64_MAX - PAGE_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct options o;
	char *text = fuzz_string(data, size), *next = text;
	char *argv[NR_WORDS + 2] = { (char *)"plimsoll" };
	int argc = 1;

	while (next && argc <= NR_WORDS) {
		argv[argc++] = next;
		next = strchr(next, '\n');
		if (next)
			*next++ = '\0';
	}
	argv[argc] = NULL;
	if (options_parse(&o, argc, argv))
		check(&o, (unsigned int)argc);
	free(text);
	return 0;
}
