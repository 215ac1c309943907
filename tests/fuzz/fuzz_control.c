/*
 * fuzz_control.c - writes to control files, any bytes to any of them.
 *
 *	byte 0: which file; the rest: what is written
 *
 * A number or a word that is taken is what is read afterwards; what is refused
 * changes nothing; and every file can still be shown.
 */
#include "fs/control.h"

#include "fs/anon_volume.h"
#include "fs/fs.h"
#include "swap/swap.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <sys/stat.h>

static struct fs fs;
static struct control *control;
static uint64_t nr_nodes;

static void start(void)
{
	struct mm_config config = { .size = MM_SIZE_MIN, .io_depth = 16 };
	struct anon_limits limits = { .mode = ANON_ROOT_MODE };
	struct volume *vol;
	struct stat st;
	int err;

	fs.mm = mm_create(&config, &err);
	must(fs.mm && swap_start(fs.mm) == 0);
	vol = anon_volume_open(&fs, &limits, &err);
	must(vol);
	control = control_create(vol);
	must(control);
	while (control_getattr(control, CONTROL_FIRST + nr_nodes, &st) == 0)
		nr_nodes++;
	must(nr_nodes > 20);
}

/* What the file says; false if it says nothing. */
static bool show(uint64_t node, char *text, size_t size)
{
	const char *data;
	struct stat st;
	size_t n;
	int h;

	must(control_getattr(control, node, &st) == 0);
	h = control_open(control, node, false);
	if (h < 0) {
		must(S_ISDIR(st.st_mode) && h == -EISDIR);
		return false;
	}
	n = control_read(control, h, 0, size - 1, &data);
	if (n > 0)
		memcpy(text, data, n);
	text[n] = '\0';
	/* Behind the end there is nothing. */
	must(control_read(control, h, UINT64_MAX, 1, &data) == 0);
	control_release(control, h);
	return n > 0;
}

static long long number_of(const uint8_t *data, size_t size)
{
	char *s = fuzz_string(data, size);
	long long n = strtoll(s, NULL, 10);

	free(s);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char before[1 << 16], after[1 << 16];
	uint64_t node;
	struct stat st;
	bool shown;
	int err;

	if (!control)
		start();
	if (size == 0)
		return 0;
	node = CONTROL_FIRST + data[0] % (nr_nodes + 1);
	if (node == CONTROL_FIRST + nr_nodes) {
		must(control_write(control, node, (const char *)data + 1,
				   size - 1) == -EACCES);
		return 0;
	}
	shown = show(node, before, sizeof(before));
	must(control_getattr(control, node, &st) == 0);
	err = control_write(control, node, (const char *)data + 1, size - 1);
	must(err == 0 || err == -EINVAL || err == -EACCES);
	must((err == -EACCES) == !(st.st_mode & 0200));
	if (!shown || !(st.st_mode & 0200))
		return 0;
	must(show(node, after, sizeof(after)));
	if (err)
		must(strcmp(before, after) == 0);
	else if (after[0] >= 'A')
		must(size > strlen(after) - 1 &&
		     memcmp(after, data + 1, strlen(after) - 1) == 0);
	else
		must(strtoll(after, NULL, 10) == number_of(data + 1, size - 1));
	return 0;
}
