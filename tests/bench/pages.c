/*
 * pages.c - what the bench does with pages, in C where a script would be what
 * is measured.
 *
 *	pages zstd FILE			compress and decompress each page of FILE
 *	pages write FROM FILE BLOCK	write FROM to FILE, BLOCK bytes at a time
 *	pages read FILE BLOCK		read FILE once, BLOCK bytes at a time
 *	pages map FROM FILE|- MIB SECONDS
 *					map so much of FILE (-: of nothing, as
 *					malloc() does), fill it with FROM, then
 *					use random pages, 80 % of the time one
 *					of a fifth of them, and write to every
 *					second
 *
 * Printed are numbers of MiB a second, or for "map" of uses a second. "zstd"
 * prints three: out, in, and the bytes that are left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

enum { PAGE = 4096, LEVEL = 1 };
/* As swap/swap_out.c has it: what saves less is left as it is. */
enum { COMPRESSED_MAX = PAGE - PAGE / 16 };

static void die(const char *what)
{
	fprintf(stderr, "pages: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double mib(size_t bytes)
{
	return (double)bytes / (1 << 20);
}

static uint64_t next_random(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		die(path);
	return fd;
}

/* All of a file, in memory; not as a mapping of it. */
static char *load(const char *path, size_t *size)
{
	int fd = open_file(path, O_RDONLY);
	struct stat st;
	char *mem;

	if (fstat(fd, &st) < 0)
		die(path);
	*size = (size_t)st.st_size & ~(size_t)(PAGE - 1);
	mem = malloc(*size);
	if (!mem)
		die("memory");
	for (size_t at = 0; at < *size;) {
		ssize_t n = read(fd, mem + at, *size - at);

		if (n <= 0)
			die(path);
		at += (size_t)n;
	}
	close(fd);
	return mem;
}

static int is_same_filled(const char *page)
{
	return memcmp(page, page + 4, PAGE - 4) == 0;
}

static void measure_zstd(const char *path)
{
	size_t size, left = 0;
	char *from = load(path, &size), *out = malloc(size), page[PAGE];
	uint16_t *len = malloc(size / PAGE * sizeof(*len));
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	double begin, out_s, in_s;

	if (!out || !len || !cctx || !dctx)
		die("memory");
	memset(out, 1, size);
	memset(len, 1, size / PAGE * sizeof(*len));
	begin = now();
	for (size_t at = 0; at < size; at += PAGE) {
		size_t n = 0;

		if (!is_same_filled(from + at)) {
			n = ZSTD_compressCCtx(cctx, out + at, COMPRESSED_MAX,
					      from + at, PAGE, LEVEL);
			if (ZSTD_isError(n))
				n = PAGE;
		}
		len[at / PAGE] = (uint16_t)n;
		left += n;
	}
	out_s = now() - begin;
	begin = now();
	for (size_t at = 0; at < size; at += PAGE) {
		size_t n = len[at / PAGE];

		if (n == 0)
			memset(page, from[at], PAGE);
		else if (n == PAGE)
			memcpy(page, from + at, PAGE);
		else if (ZSTD_decompressDCtx(dctx, page, PAGE, out + at, n) !=
				 PAGE ||
			 memcmp(page, from + at, PAGE) != 0)
			die("zstd");
	}
	in_s = now() - begin;
	printf("%.1f %.1f %zu\n", mib(size) / out_s, mib(size) / in_s, left);
}

static void measure_write(const char *from, const char *path, size_t block)
{
	size_t size;
	char *mem = load(from, &size);
	double begin = now();
	int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);

	for (size_t at = 0; at < size;) {
		size_t want = size - at < block ? size - at : block;
		ssize_t n = write(fd, mem + at, want);

		if (n <= 0)
			die(path);
		at += (size_t)n;
	}
	printf("%.1f\n", mib(size) / (now() - begin));
}

static void measure_read(const char *path, size_t block)
{
	char *mem = calloc(1, block);
	int fd = open_file(path, O_RDONLY);
	double begin = now();
	size_t size = 0;
	ssize_t n;

	if (!mem)
		die("memory");
	while ((n = read(fd, mem, block)) > 0)
		size += (size_t)n;
	if (n < 0)
		die(path);
	printf("%.1f\n", mib(size) / (now() - begin));
}

/* A page says which it is, and how often it was written to. */
struct stamp {
	uint64_t page, written;
};

static char *map_file(const char *path, size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS, fd = -1;
	char *mem;

	if (strcmp(path, "-") != 0) {
		flags = MAP_SHARED;
		fd = open_file(path, O_RDWR | O_CREAT | O_TRUNC);
		if (fallocate(fd, 0, 0, (off_t)size) < 0)
			die(path);
	}
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	return mem;
}

static void fill(char *mem, size_t size, const char *from)
{
	int fd = open_file(from, O_RDONLY);

	for (size_t i = 0; i < size / PAGE; i++) {
		struct stamp stamp = { i, 0 };

		if (read(fd, mem + i * PAGE, PAGE) != PAGE)
			die(from);
		memcpy(mem + i * PAGE, &stamp, sizeof(stamp));
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void measure_map(const char *from, const char *path, size_t size,
			double seconds)
{
	size_t nr = size / PAGE, uses = 0, writes = 0, written = 0;
	char *mem = map_file(path, size);
	double begin, took = 0;

	fill(mem, size, from);
	begin = now();
	while (took < seconds) {
		uint64_t r = next_random();
		/* The fifth that is hot lies all over the mapping. */
		uint64_t page =
			r % 100 < 80 ? r / 100 % (nr / 5) * 5 : r / 100 % nr;
		struct stamp *stamp = (struct stamp *)(mem + page * PAGE);

		if (stamp->page != page)
			die("a page is not what was written");
		if (uses++ & 1) {
			stamp->written++;
			writes++;
		}
		if (uses % 64 == 0)
			took = now() - begin;
	}
	printf("%.0f\n", (double)uses / took);
	fflush(stdout);
	for (size_t i = 0; i < nr; i++) {
		struct stamp *stamp = (struct stamp *)(mem + i * PAGE);

		if (stamp->page != i)
			die("a page is not what was written");
		written += stamp->written;
	}
	if (written != writes)
		die("writes were lost");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "zstd") == 0)
		measure_zstd(argv[2]);
	else if (strcmp(what, "write") == 0 && argc == 5)
		measure_write(argv[2], argv[3], (size_t)atol(argv[4]));
	else if (strcmp(what, "read") == 0 && argc == 4)
		measure_read(argv[2], (size_t)atol(argv[3]));
	else if (strcmp(what, "map") == 0 && argc == 6)
		measure_map(argv[2], argv[3], (size_t)atoi(argv[4]) << 20,
			    atof(argv[5]));
	else
		return 2;
	return 0;
}
