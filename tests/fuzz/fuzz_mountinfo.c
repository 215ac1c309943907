/* fuzz_mountinfo.c - a line of the mount table: what is taken of it fits. */
#include "fs/mountinfo.h"
#include "tests/fuzz/fuzz.h"

static bool is_ended(const char *s, size_t size)
{
	return memchr(s, '\0', size) != NULL;
}

/* No name is longer than what it was made of, nor made of nothing. */
static void check(const struct mount_line *m, size_t size)
{
	must(is_ended(m->where, sizeof(m->where)));
	must(is_ended(m->type, sizeof(m->type)));
	must(is_ended(m->source, sizeof(m->source)));
	must(strlen(m->where) + strlen(m->type) + strlen(m->source) <= size);
	must(!strchr(m->type, ' ') || size >= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mount_line m;
	char *line = fuzz_string(data, size);
	FILE *f;

	memset(&m, 'x', sizeof(m));
	if (mountinfo_parse(line, &m))
		check(&m, size);
	free(line);
	f = size > 0 ? fmemopen((void *)data, size, "r") : NULL;
	while (f && mountinfo_next(f, &m))
		check(&m, size);
	return 0;
}
