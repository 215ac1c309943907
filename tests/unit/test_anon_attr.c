/*
 * test_anon_attr.c - access times of anon inodes, and files made without names.
 *
 * When a read is to change the access time is what mount(8) says of relatime.
 */
#include "fs/anon_attr.h"

#include "fs/anon_dir.h"
#include "fs/anon_inode.h"
#include "fs/anon_volume.h"
#include "fs/fs.h"
#include "swap/swap.h"
#include "tests/unit/unit.h"

#include <errno.h>

enum { NR_STEPS = 2000, DAY_S = 24 * 60 * 60 };

static struct fs fs;
static struct volume *vol;

static void open_volume(struct mm *mm)
{
	struct anon_limits limits = { .mode = ANON_ROOT_MODE };
	int err;

	fs.mm = mm;
	assert_int_equal(swap_start(mm), 0);
	vol = anon_volume_open(&fs, &limits, &err);
	assert_non_null(vol);
}

static uint64_t nr_inodes(void)
{
	return atomic_load(&anon_volume_of(vol)->nr_inodes);
}

static void close_volume(struct mm *mm)
{
	volume_close(vol);
	swap_stop(mm);
	mm_check_all_free(mm);
}

/* Held: with a kernel ref and one of ours. */
static struct inode *make_file(const char *name)
{
	struct dir_make m = { .name = name, .mode = S_IFREG | 0600 };
	struct dir_entry e;

	assert_int_equal(
		(name ? anon_make : anon_make_unnamed)(vol->root, &m, &e), 0);
	assert_int_equal(e.attr.st_nlink, name ? 1 : 0);
	return e.inode;
}

static void drop(struct inode *inode)
{
	inode_forget(inode, 1);
	inode_put(inode);
}

/* --- access times ------------------------------------------------------------ */

static void set_times(struct inode *inode, time_t atime, time_t mtime)
{
	struct attr_change c = { .valid = ATTR_ATIME | ATTR_MTIME,
				 .atime = { atime, 0 },
				 .mtime = { mtime, 0 } };

	assert_int_equal(anon_setattr(inode, &c), 0);
}

static time_t atime_of(struct inode *inode)
{
	struct stat st;

	assert_int_equal(anon_getattr(inode, &st), 0);
	return st.st_atim.tv_sec;
}

/* atime, mtime and ctime as they come; then opened and read, or read alone. */
static void atime_follows_relatime(void **state)
{
	struct inode *file;

	open_volume(*state);
	file = make_file("f");
	for (int n = 0; n < NR_STEPS; n++) {
		time_t now = os_realtime().tv_sec, atime, mtime, ctime, is;
		bool due;

		/* Not where the clock goes on while it is looked at. */
		atime = now - DAY_S + 1000 - (time_t)rnd(2000) / 20 * 20 + 10;
		mtime = atime + (time_t)rnd(3) - 1;
		ctime = atime + (time_t)rnd(3) - 1;
		set_times(file, atime, mtime);
		mutex_lock(&file->time_lock);
		anon_changed(file, (struct timespec){ ctime, 0 });
		mutex_unlock(&file->time_lock);
		if (rnd(2))
			anon_opened(file);
		due = atime <= mtime || atime <= ctime || now - atime >= DAY_S;
		anon_accessed(file);
		is = atime_of(file);
		assert_true(due ? is >= now : is == atime);
		/* It has been read since: only the days count now. */
		anon_opened(file);
		anon_accessed(file);
		assert_int_equal(atime_of(file), is);
	}
	drop(file);
	close_volume(*state);
}

static void a_day_is_seen_when_it_is_opened(void **state)
{
	struct inode *file;
	time_t now = os_realtime().tv_sec;

	open_volume(*state);
	file = make_file("f");
	anon_accessed(file);
	mutex_lock(&file->time_lock);
	anon_inode_of(file)->atime.tv_sec = now - DAY_S - 10;
	anon_inode_of(file)->mtime.tv_sec = 1;
	anon_inode_of(file)->ctime.tv_sec = 1;
	mutex_unlock(&file->time_lock);
	anon_opened(file);
	anon_accessed(file);
	assert_true(atime_of(file) >= now);
	drop(file);
	close_volume(*state);
}

static void noatime_is_for_all_or_for_directories(void **state)
{
	struct inode *file;
	time_t now = os_realtime().tv_sec;

	open_volume(*state);
	file = make_file("f");
	for (int n = 0; n < 4; n++) {
		vol->noatime = n & 1;
		vol->nodiratime = n & 2;
		set_times(file, 1, 2);
		set_times(vol->root, 1, 2);
		anon_accessed(file);
		anon_accessed(vol->root);
		assert_int_equal(atime_of(file) >= now, n == 0 || n == 2);
		assert_int_equal(atime_of(vol->root) >= now, n == 0);
	}
	drop(file);
	close_volume(*state);
}

/* What the manual says of files a MiB: one field more may cost a sixth of them. */
static void six_inodes_fit_a_frame(void **state)
{
	open_volume(*state);
	assert_true(anon_volume_of(vol)->inode_cache.per_slab >=
		    6u << anon_volume_of(vol)->inode_cache.order);
	close_volume(*state);
}

/* --- files without names ------------------------------------------------------ */

static void unnamed_files_go_with_who_has_them(void **state)
{
	struct inode *file;

	open_volume(*state);
	file = make_file(NULL);
	assert_int_equal(nr_inodes(), 2);
	inode_put(file);
	assert_int_equal(nr_inodes(), 2);
	inode_forget(file, 1);
	assert_int_equal(nr_inodes(), 1);
	make_file(NULL); /* left to volume_close() */
	close_volume(*state);
}

/* One name, and it is as if made with it. */
static void unnamed_files_can_be_named_once(void **state)
{
	struct dir_entry e;
	struct inode *file;

	open_volume(*state);
	file = make_file(NULL);
	assert_int_equal(anon_link(file, vol->root, "a", &e), 0);
	assert_int_equal(e.attr.st_nlink, 1);
	drop(file);
	drop(file);
	assert_int_equal(nr_inodes(), 2);
	assert_int_equal(anon_lookup(vol->root, "a", &e), 0);
	assert_int_equal(anon_unlink(vol->root, "a", false), 0);
	assert_int_equal(anon_link(e.inode, vol->root, "b", &e), -ENOENT);
	drop(e.inode);
	assert_int_equal(nr_inodes(), 1);
	close_volume(*state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		unit_test_mm(atime_follows_relatime),
		unit_test_mm(a_day_is_seen_when_it_is_opened),
		unit_test_mm(noatime_is_for_all_or_for_directories),
		unit_test_mm(six_inodes_fit_a_frame),
		unit_test_mm(unnamed_files_go_with_who_has_them),
		unit_test_mm(unnamed_files_can_be_named_once),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
