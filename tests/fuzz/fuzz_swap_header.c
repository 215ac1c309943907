/*
 * fuzz_swap_header.c - a swap file with any header.
 *
 *	byte 0: its size; whether a size is asked for; whether the checksum is right
 *	the rest: over a header that was good
 *
 * What is accepted makes sense and fits the file; what is refused has a reason, and
 * is as it was.
 */
#include "swap/format.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { SIZE = 16 << SWAP_CLUSTER_SHIFT };

static char path[64];
static struct swap_header good;

static int file_of(void)
{
	static int fd = -1;
	struct swap_problem why;

	if (fd >= 0)
		return fd;
	fd = memfd_create("swap", 0);
	must(fd >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(swap_file_make(path, SIZE, "fuzz", true, &why) == 0);
	must(pread(fd, &good, sizeof(good), 0) == sizeof(good));
	return fd;
}

static void check(const struct swap_header *h, uint64_t size)
{
	must(memcmp(h->magic, SWAP_MAGIC, sizeof(SWAP_MAGIC)) == 0);
	must(h->version == SWAP_VERSION && h->page_size == PAGE_SIZE);
	must(h->cluster_size == SWAP_CLUSTER_SIZE);
	must(h->nr_clusters >= SWAP_CLUSTERS_MIN);
	must(h->nr_clusters <= size >> SWAP_CLUSTER_SHIFT);
	must(h->nr_bad <= SWAP_BAD_MAX);
	must(h->check == XXH3_64bits(h, offsetof(struct swap_header, check)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = file_of();
	struct swap_header h = good, after;
	struct swap_problem why = { "" };
	struct swap_file f;
	struct stat st;
	off_t bytes = SIZE;
	uint64_t asked = 0;
	int err;

	if (size > 0) {
		memcpy(&h, data + 1,
		       size - 1 < sizeof(h) ? size - 1 : sizeof(h));
		if (data[0] & 1)
			h.check = XXH3_64bits(
				&h, offsetof(struct swap_header, check));
		bytes = data[0] & 2 ? (off_t)(data[0] >> 4) * 300 : bytes;
		asked = data[0] & 4 ? SIZE : 0;
	}
	must(ftruncate(fd, bytes) == 0);
	must(pwrite(fd, &h,
		    bytes < (off_t)sizeof(h) ? (size_t)bytes : sizeof(h),
		    0) >= 0);
	err = swap_file_open(&f, path, asked, &why);
	must(fstat(fd, &st) == 0);
	must(err || st.st_size >= SIZE);
	if (!err) {
		check(&f.header, (uint64_t)st.st_size);
		swap_file_close(&f);
	} else {
		must(why.text[0] && memchr(why.text, 0, sizeof(why.text)));
		must(st.st_size == bytes);
		must(bytes < (off_t)sizeof(h) ||
		     (pread(fd, &after, sizeof(after), 0) == sizeof(after) &&
		      memcmp(&h, &after, sizeof(h)) == 0));
	}
	return 0;
}
