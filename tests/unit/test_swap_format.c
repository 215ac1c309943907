/*
 * test_swap_format.c - headers of swap files, damaged before they are opened.
 *
 *	one bit, each of them ──► refused, whatever it says
 *	a field, with the right checksum ──► refused if it makes no sense
 *	a file, shorter than it says ──► refused
 *
 * A file that was refused is as it was.
 */
#include "swap/format.h"
#include "swap/swap.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

enum { SIZE = 16 << SWAP_CLUSTER_SHIFT };

static char path[4096];
static struct swap_header good;

static void write_header(const struct swap_header *h)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, h, sizeof(*h), 0), sizeof(*h));
	close(fd);
}

static void expect_header(const struct swap_header *want)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct swap_header h;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &h, sizeof(h), 0), sizeof(h));
	assert_memory_equal(&h, want, sizeof(h));
	close(fd);
}

/* What opening it says; open ones are closed again. */
static int try_open(uint64_t size)
{
	struct swap_problem why = { "" };
	struct swap_file f;
	int err = swap_file_open(&f, path, size, &why);

	if (!err)
		swap_file_close(&f);
	else
		assert_non_null(strstr(why.text, path));
	return err;
}

static int set_up(void **state)
{
	const char *dir = getenv("TMPDIR");
	struct swap_problem why;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/swap_format.XXXXXX",
		 dir ? dir : "/tmp");
	fd = mkstemp(path);
	if (fd < 0 || swap_file_make(path, SIZE, "label", true, &why) < 0 ||
	    pread(fd, &good, sizeof(good), 0) != sizeof(good))
		return -1;
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void each_bit_is_found(void **state)
{
	unsigned int nr = 0, magic = 0;

	(void)state;
	assert_int_equal(try_open(0), 0);
	for (size_t bit = 0; bit < 8 * sizeof(good); bit++) {
		struct swap_header h = good;
		int err;

		((unsigned char *)&h)[bit / 8] ^= (unsigned char)(1 << bit % 8);
		write_header(&h);
		err = try_open(0);
		assert_true(err == -EBADMSG || err == -EINVAL);
		/* No magic, no area: it may be anything. */
		if (bit / 8 < sizeof(SWAP_MAGIC))
			assert_int_equal(err, -EINVAL);
		else
			assert_int_equal(err, -EBADMSG);
		magic += err == -EINVAL;
		nr++;
		/* With a size it may be made anew, but only if it is ours. */
		if (bit % 997 == 0 && err == -EINVAL)
			assert_int_equal(try_open(SIZE), -EINVAL);
		if (bit % 97 == 0)
			expect_header(&h);
	}
	write_header(&good);
	assert_int_equal(try_open(0), 0);
	print_message("%u bits flipped, %u found (%u as no swap area)\n", nr,
		      nr, magic);
}

static void many_bits_are_found(void **state)
{
	(void)state;
	for (int n = 0; n < 2000; n++) {
		struct swap_header h = good;
		uint64_t nr = 1 + rnd(64);

		for (uint64_t i = 0; i < nr; i++)
			((unsigned char *)&h)[rnd(sizeof(h))] ^=
				(unsigned char)(1 + rnd(255));
		if (memcmp(&h, &good, sizeof(h)) == 0)
			continue;
		write_header(&h);
		assert_true(try_open(0) < 0);
	}
	write_header(&good);
}

/* As somebody who knows the checksum would write it. */
static int open_sealed(struct swap_header *h)
{
	int err;

	h->check = XXH3_64bits(h, offsetof(struct swap_header, check));
	write_header(h);
	err = try_open(0);
	write_header(&good);
	return err;
}

#define expect_field(want, field, value)                 \
	do {                                             \
		struct swap_header h = good;             \
		h.field = (value);                       \
		assert_int_equal(open_sealed(&h), want); \
	} while (0)

static void fields_make_sense(void **state)
{
	(void)state;
	expect_field(0, label[3], 'x');
	expect_field(0, uuid[0], good.uuid[0] + 1);
	expect_field(-EINVAL, version, 0);
	expect_field(-EINVAL, version, SWAP_VERSION + 1);
	expect_field(-EINVAL, version, UINT32_MAX);
	expect_field(-EINVAL, page_size, 0);
	expect_field(-EINVAL, page_size, 8192);
	expect_field(-EINVAL, cluster_size, 0);
	expect_field(-EINVAL, cluster_size, 2 * SWAP_CLUSTER_SIZE);
	expect_field(-EINVAL, nr_clusters, 0);
	expect_field(-EINVAL, nr_clusters, 1);
	expect_field(-EINVAL, nr_clusters, SWAP_CLUSTERS_MIN - 1);
	expect_field(-EINVAL, nr_clusters, good.nr_clusters + 1);
	expect_field(-EINVAL, nr_clusters, SWAP_CLUSTERS_MAX);
	expect_field(-EINVAL, nr_clusters, SWAP_CLUSTERS_MAX + 1ull);
	/* Shifted to bytes it would be a small one. */
	expect_field(-EINVAL, nr_clusters, 1ull << 47 | 16);
	expect_field(-EINVAL, nr_clusters, UINT64_MAX);
	expect_field(-EINVAL, nr_bad, SWAP_BAD_MAX + 1);
	expect_field(-EINVAL, nr_bad, UINT32_MAX);
}

/* Bad clusters that are none, twice the same, and all of them. */
static void lists_of_bad_clusters(void **state)
{
	struct mm *mm = unit_mm(16 << 20);
	uint32_t sets[][4] = { { 0, 0, 0, 0 },
			       { 3, 3, 3, 3 },
			       { 16, 17, UINT32_MAX, 1u << 30 },
			       { 1, 15, 2, 14 } };
	uint64_t clusters[] = { 15, 14, 15, 11 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sets) + 1; i++) {
		bool all = i == ARRAY_SIZE(sets);
		struct swap_header h = good;
		struct swap_problem why;
		uint64_t total, used;
		struct swap_file f;

		h.nr_bad = all ? SWAP_BAD_MAX : 4;
		for (uint32_t n = 0; n < h.nr_bad; n++)
			h.bad[n] = all ? n : sets[i][n];
		h.check = XXH3_64bits(&h, offsetof(struct swap_header, check));
		write_header(&h);
		assert_int_equal(swap_file_open(&f, path, 0, &why), 0);
		assert_int_equal(swap_start(mm), 0);
		assert_int_equal(swap_add_file(mm->swap, &f, path), 0);
		swap_usage(mm->swap, &total, &used);
		swap_area_usage(mm->swap, 0, &total, &used);
		assert_int_equal(total >> SWAP_CLUSTER_SHIFT,
				 all ? 0 : clusters[i]);
		assert_int_equal(used, 0);
		swap_stop(mm);
		swap_file_close(&f);
		write_header(&good);
	}
	mm_destroy(mm);
}

static void files_cut_short(void **state)
{
	(void)state;
	for (off_t size = 0; size < SIZE; size += size < 8192 ? 511 : 99991) {
		struct stat st;
		int err;

		assert_int_equal(truncate(path, size), 0);
		err = try_open(0);
		assert_true(err == -EINVAL);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, size);
	}
	/* All but the header is void: it need not be what it was. */
	assert_int_equal(truncate(path, SIZE), 0);
	write_header(&good);
	assert_int_equal(try_open(0), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bit_is_found),
		cmocka_unit_test(many_bits_are_found),
		cmocka_unit_test(fields_make_sense),
		cmocka_unit_test(lists_of_bad_clusters),
		cmocka_unit_test(files_cut_short),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
