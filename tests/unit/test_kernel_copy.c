/*
 * test_kernel_copy.c - the ledger of the kernel's copies against the kernel.
 *
 *	held[file][page]    the "kernel" has a copy; pinned[][]: and will not let
 *	                    go of it (mapped, or locked) however it is asked
 *
 *	read: held, then kernel_copies_charge()
 *	take: what is held and not pinned goes; what is left is the answer
 *
 * The ledger may say more than there is, never less. Its thread runs, and takes
 * copies back while the test charges and forgets.
 */
#include "fs/copy_taker.h"
#include "fs/fs.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

enum {
	NR_FILES = 40,
	FILE_PAGES = 6 * COPY_EXTENT_PAGES,
	NR_STEPS = 6000,
	MEM = 16 << 20,
	READ_MAX = 64, /* pages of one request */
};

struct file {
	struct inode inode;
	bool exists;
	uint64_t open;
	uint64_t nodeid;
};

static struct {
	struct fs fs;
	struct volume vol;
	struct copy_taker taker; /* nothing of it is used */
	struct file files[NR_FILES];
	/* (lock) */
	struct mutex lock;
	bool held[NR_FILES][FILE_PAGES];
	bool pinned[NR_FILES][FILE_PAGES];
	_Atomic unsigned long nr_takes, nr_unmaps;
	int percent; /* of the pages that take() lets pass it by */
	int error;   /* take() fails with it */
	bool slow;
	uint64_t state;
} w;

static const struct address_space_ops no_ops;

static struct kernel_copies *copies(void)
{
	return &w.fs.copies;
}

/* The taker, in the thread of the ledger. */
static int take(struct copy_taker *t, struct copy_order *orders,
		unsigned int nr)
{
	assert_ptr_equal(t, &w.taker);
	assert_true(nr > 0 && nr <= COPY_ORDERS);
	mutex_lock(&w.lock);
	w.nr_takes++;
	for (unsigned int i = 0; i < nr && !w.error; i++) {
		struct copy_order *o = &orders[i];
		uint64_t first = o->offset >> PAGE_SHIFT;
		uint64_t end =
			o->len ? first + (o->len >> PAGE_SHIFT) : FILE_PAGES;
		int f = 0;

		w.nr_unmaps += o->how != COPY_TAKE_IDLE;
		while (f < NR_FILES && w.files[f].nodeid != o->nodeid)
			f++;
		assert_true(f < NR_FILES);
		o->nr_left = 0; /* what has been forgotten is not there */
		for (uint64_t p = first; p < end && p < FILE_PAGES; p++) {
			if (!w.pinned[f][p] &&
			    rnd_of(&w.state) % 100 >= (uint64_t)w.percent)
				w.held[f][p] = false;
			o->nr_left += w.held[f][p];
		}
		if (w.slow && rnd_of(&w.state) % 4 == 0) {
			mutex_unlock(&w.lock);
			os_sleep_ns(rnd_of(&w.state) % 100000);
			mutex_lock(&w.lock);
		}
	}
	mutex_unlock(&w.lock);
	return w.error;
}

/* --- files ------------------------------------------------------------------ */

static void make_file(int n)
{
	struct file *f = &w.files[n];

	assert_false(f->exists);
	inode_init(&f->inode, &w.vol, S_IFREG, 0, &no_ops, &w.vol);
	mutex_lock(&w.lock);
	f->nodeid = inode_nodeid(&f->inode);
	mutex_unlock(&w.lock);
	f->exists = true;
	f->open = 0;
}

static void open_file(int n)
{
	kernel_copies_opened(&w.files[n].inode, O_RDONLY);
	w.files[n].open++;
}

static void close_file(int n)
{
	kernel_copies_closed(copies(), &w.files[n].inode, O_RDONLY);
	w.files[n].open--;
}

/* The kernel drops what it has of it, and says so. */
static void forget(int n)
{
	struct file *f = &w.files[n];

	mutex_lock(&w.lock);
	memset(w.held[n], 0, sizeof(w.held[n]));
	memset(w.pinned[n], 0, sizeof(w.pinned[n]));
	mutex_unlock(&w.lock);
	kernel_copies_forget(copies(), &f->inode);
}

static void remove_file(int n)
{
	while (w.files[n].open > 0)
		close_file(n);
	forget(n);
	address_space_destroy(&w.files[n].inode.mapping);
	w.files[n].exists = false;
}

/* As the kernel does: the pages are there, and locked, when the request comes. */
static bool read_pages(int n, uint64_t first, unsigned int nr, bool pin)
{
	mutex_lock(&w.lock);
	for (unsigned int i = 0; i < nr; i++) {
		w.held[n][first + i] = true;
		if (pin)
			w.pinned[n][first + i] = true;
	}
	mutex_unlock(&w.lock);
	return kernel_copies_charge(copies(), &w.files[n].inode, first, nr);
}

/* --- the invariants --------------------------------------------------------- */

static unsigned long held_of(int n, uint64_t first, uint64_t end)
{
	unsigned long nr = 0;

	for (uint64_t p = first; p < end; p++)
		nr += w.held[n][p];
	return nr;
}

static void check_queued(const struct copy_extent *e)
{
	if (e->nr > 0)
		assert_true(e->taking || !list_empty(&e->queue)); /* (1) */
	if (e->taking)
		assert_true(list_empty(&e->queue));
}

static unsigned long check_file(int n)
{
	struct inode_copies *ic = &w.files[n].inode.copies;
	struct copy_extent *e;
	unsigned long sum = ic->first.nr;

	check_queued(&ic->first);
	list_for_each_entry(e, &ic->extents, struct copy_extent, of_inode) {
		assert_true(e->nr <= COPY_EXTENT_PAGES);
		check_queued(e);
		sum += e->nr;
		if (!ic->all)
			assert_true(
				e->nr >=
				held_of(n, e->index * COPY_EXTENT_PAGES,
					(e->index + 1) * COPY_EXTENT_PAGES));
	}
	if (!ic->all)
		assert_true(ic->first.nr <= COPY_EXTENT_PAGES);
	assert_true(sum >= held_of(n, 0, FILE_PAGES));
	return sum;
}

/* Nothing is under way from this thread. */
static unsigned long check(void)
{
	struct kernel_copies *k = copies();
	unsigned long sum = 0;

	mutex_lock(&k->lock);
	mutex_lock(&w.lock);
	for (int n = 0; n < NR_FILES; n++)
		if (w.files[n].exists)
			sum += check_file(n);
	assert_int_equal(sum, atomic_load(&k->nr)); /* (1) */
	assert_int_equal(sum, vmstat_read(k->mm, NR_KERNEL_COPIES));
	mutex_unlock(&w.lock);
	mutex_unlock(&k->lock);
	return sum;
}

/* --- set-up ----------------------------------------------------------------- */

static int start(void **state)
{
	struct mm *mm = unit_mm_quiet(MEM);

	memset(&w, 0, sizeof(w));
	mutex_init(&w.lock);
	w.fs.mm = w.vol.mm = mm;
	w.vol.fs = &w.fs;
	w.state = rnd(UINT64_MAX);
	assert_int_equal(kernel_copies_start(copies(), mm, &w.taker), 0);
	copies()->take = take; /* before there is anything to take */
	for (int n = 0; n < NR_FILES; n++)
		make_file(n);
	*state = mm;
	return 0;
}

static int stop(void **state)
{
	for (int n = 0; n < NR_FILES; n++)
		if (w.files[n].exists)
			remove_file(n);
	assert_int_equal(vmstat_read(*state, NR_KERNEL_COPIES), 0);
	kernel_copies_stop(copies());
	assert_int_equal(vmstat_read(*state, NR_BALLOON_PAGES), 0);
	mm_check_all_free(*state);
	mm_destroy(*state);
	return 0;
}

/* --- tests ------------------------------------------------------------------ */

static void everything_at_random(void **state)
{
	struct mm *mm = *state;
	unsigned long refused = 0;

	w.slow = true;
	for (int i = 0; i < NR_STEPS; i++) {
		int n = (int)rnd(NR_FILES);
		uint64_t first = rnd(FILE_PAGES - READ_MAX);
		unsigned int nr = 1 + (unsigned int)rnd(READ_MAX);

		if (!w.files[n].exists)
			make_file(n);
		switch (rnd(32)) {
		case 0:
			remove_file(n);
			break;
		case 1:
			forget(n); /* and may be asked for it again */
			break;
		case 2:
			open_file(n);
			break;
		case 3:
			if (w.files[n].open > 0)
				close_file(n);
			break;
		case 4:
			mutex_lock(&w.lock);
			memset(w.pinned[n], 0, sizeof(w.pinned[n]));
			mutex_unlock(&w.lock);
			break;
		case 5: /* frames are wanted elsewhere */
			copies()->shrinker.scan(&copies()->shrinker, rnd(256));
			break;
		case 6:
			mutex_lock(&w.lock);
			w.percent = rnd(2) ? (int)rnd(100) : 0;
			mutex_unlock(&w.lock);
			break;
		case 7:
			unit_fault(&mm->failslab, rnd(2) ? 50 : 0, -1);
			break;
		default:
			if (!read_pages(n, first, nr, rnd(50) == 0)) {
				refused++;
				unit_nap();
			}
		}
		check();
	}
	unit_fault(&mm->failslab, 0, 0);
	printf("%lu takes, %lu of mapped pages, %lu charges held back\n",
	       w.nr_takes, w.nr_unmaps, refused);
	assert_true(w.nr_takes > 0);
	assert_true(vmstat_read(mm, COPY_TAKEN) > 0);
}

/* What charge() did not complain of has its frames (4). */
static void there_is_a_frame_for_each(void **state)
{
	struct mm *mm = *state;
	struct kernel_copies *k = copies();
	unsigned long held_back = 0;

	for (int i = 0; i < NR_STEPS; i++) {
		bool fits = read_pages((int)rnd(NR_FILES),
				       rnd(FILE_PAGES - READ_MAX),
				       1 + (unsigned int)rnd(READ_MAX), false);

		/* As its caller does. */
		while (!fits) {
			held_back++;
			unit_nap();
			fits = kernel_copies_fit(k);
		}
		mutex_lock(&k->lock);
		assert_true(atomic_load(&k->nr) + k->transit <=
			    balloon_size(&mm->balloon));
		mutex_unlock(&k->lock);
		assert_true(balloon_size(&mm->balloon) <= k->max);
	}
	check();
	printf("%lu times held back, %lu takes\n", held_back, w.nr_takes);
	assert_true(w.nr_takes > 0);
}

/* Without memory for extents, one stands for all of the file. */
static void without_memory_for_extents(void **state)
{
	struct mm *mm = *state;

	unit_fault(&mm->failslab, 100, -1);
	for (int i = 0; i < NR_STEPS / 4; i++) {
		if (!read_pages((int)rnd(4), rnd(FILE_PAGES - READ_MAX),
				1 + (unsigned int)rnd(READ_MAX), false))
			unit_nap();
		check();
	}
	for (int n = 0; n < 4; n++)
		assert_true(list_empty(&w.files[n].inode.copies.extents));
	unit_fault(&mm->failslab, 0, 0);
	assert_true(w.nr_takes > 0);
}

/* More than once the same page: an extent has no more than it has pages. */
static void read_again_is_not_charged_for_ever(void **state)
{
	unsigned long most = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		read_pages(3, COPY_EXTENT_PAGES + rnd(COPY_EXTENT_PAGES - 8), 8,
			   false);
		most = max_of(most, check());
	}
	assert_true(most <= COPY_EXTENT_PAGES);
}

static bool eventually_fits(void)
{
	for (int i = 0; i < 100000 && !kernel_copies_fit(copies()); i++)
		unit_nap();
	return kernel_copies_fit(copies());
}

/* Mapped pages stay until they are asked for in the other way; then they go. */
static void what_stays_is_asked_for_as_mapped(void **state)
{
	struct mm *mm = *state;

	w.percent = 100;
	/* More than there can ever be frames for. */
	while (check() <= copies()->max)
		for (int n = 0; n < 4; n++)
			read_pages(n, rnd(FILE_PAGES - READ_MAX), READ_MAX,
				   false);
	open_file(0);
	/* What is there is found to be less than was charged: go on. */
	for (int i = 0; i < 20000 && !vmstat_read(mm, COPY_TAKE_UNMAP); i++) {
		read_pages(i % 4, rnd(FILE_PAGES - READ_MAX), READ_MAX, false);
		unit_nap();
	}
	assert_true(vmstat_read(mm, COPY_TAKE_UNMAP) > 0);
	assert_true(vmstat_read(mm, COPY_TAKE_FAILED) > 0);
	check();
	mutex_lock(&w.lock);
	w.percent = 0;
	mutex_unlock(&w.lock);
	assert_true(eventually_fits());
	check();
	/* Closed for the last time: nobody has it mapped. */
	close_file(0);
	assert_false(w.files[0].inode.copies.mapped);
}

/* The taker is gone: nothing is thought to have gone, and nobody hangs. */
static void without_a_taker_nothing_is_taken(void **state)
{
	unsigned long nr;

	(void)state;
	/* Not -EIO: another process would be started, of this program. */
	w.error = -ENOMEM;
	for (int i = 0; i < NR_STEPS / 8; i++)
		if (!read_pages((int)rnd(NR_FILES), rnd(FILE_PAGES - READ_MAX),
				READ_MAX, false) &&
		    i % 16 == 0)
			unit_nap();
	nr = check();
	for (int i = 0; i < 50; i++)
		unit_nap();
	assert_int_equal(check(), nr);
}

/* Frames wanted elsewhere: copies go, and their frames with them. */
static void frames_are_given_back(void **state)
{
	struct mm *mm = *state;
	struct kernel_copies *k = copies();
	unsigned long least = k->min, size;

	assert_int_equal(least, k->transit + k->slack);
	assert_int_equal(balloon_size(&mm->balloon), least);
	for (int n = 0; n < 10; n++)
		for (uint64_t p = 0; p < 128; p += READ_MAX)
			read_pages(n, p, READ_MAX, false);
	assert_true(eventually_fits());
	size = balloon_size(&mm->balloon);
	assert_true(size > least);
	for (int i = 0; i < 500; i++) {
		k->shrinker.scan(&k->shrinker, 64);
		unit_nap();
		check();
		assert_true(balloon_size(&mm->balloon) >= least);
	}
	assert_int_equal(check(), 0);
	assert_true(balloon_size(&mm->balloon) < size);
	assert_int_equal(k->shrinker.count(&k->shrinker),
			 balloon_size(&mm->balloon) - least);
}

#define test_copies(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		test_copies(everything_at_random),
		test_copies(there_is_a_frame_for_each),
		test_copies(without_memory_for_extents),
		test_copies(read_again_is_not_charged_for_ever),
		test_copies(what_stays_is_asked_for_as_mapped),
		test_copies(without_a_taker_nothing_is_taken),
		test_copies(frames_are_given_back),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
