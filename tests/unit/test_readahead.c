/*
 * test_readahead.c - windows, seen from the reader.
 *
 *	reader: p ──► p + nr ──► ...     asks for what is not cached
 *	cached[]  1 1 1 1 1 1 0 0 0      grows by what is planned
 *	                ▲ marker
 *
 * What a sequential reader may expect: every page is read once, a window
 * starts where the last one ended, never shrinks, doubles until it is as large
 * as allowed, and ends at the end of the file. What a random one may expect:
 * what it asked for.
 */
#include "mm/readahead.h"
#include "tests/unit/unit.h"

enum { FILE_MAX = 4000, NR_ROUNDS = 2000 };

static bool cached[FILE_MAX];

/* What the cache does with a read, and what was planned for it. */
struct reader {
	struct readahead ra;
	pgoff_t nr_file;
	pgoff_t pos;
	pgoff_t marker;
	unsigned int max;
	unsigned int last_size; /* of the last window; 0: none yet */
	pgoff_t last_end;
	unsigned int nr_misses;
};

static void check_bounds(const struct reader *r,
			 const struct readahead_plan *plan)
{
	assert_true(plan->first + plan->nr <= r->nr_file || plan->nr == 0);
}

static void fill(const struct readahead_plan *plan)
{
	for (pgoff_t i = plan->first; i < plan->first + plan->nr; i++) {
		assert_false(cached[i]); /* once is enough */
		cached[i] = true;
	}
}

/* The stream whose window was planned last, and begins here. */
static struct readahead_stream *stream_at(struct readahead *ra, pgoff_t start)
{
	for (int i = 0; i < READAHEAD_STREAMS; i++)
		if (ra->streams[i].size > 0 && ra->streams[i].start == start)
			return &ra->streams[i];
	fail_msg("no window begins at %lu", start);
	return NULL;
}

static void check_window(struct reader *r, const struct readahead_plan *plan,
			 unsigned int nr)
{
	unsigned int size = stream_at(&r->ra, plan->first)->size;
	unsigned int limit = max_of(r->max, nr);

	assert_true(size >= 1 && size <= limit);
	if (r->last_size) {
		assert_int_equal(plan->first, r->last_end);
		assert_true(size >= min_of(2 * r->last_size, limit));
		assert_true(size <= max_of(4 * r->last_size, nr) ||
			    size <= limit / 2);
	}
	assert_int_equal(plan->nr,
			 min_of((pgoff_t)size, r->nr_file - plan->first));
	r->last_size = size;
	r->last_end = plan->first + size;
}

static struct readahead_plan ask(struct reader *r, enum readahead_cause cause,
				 pgoff_t index, unsigned int nr)
{
	struct readahead_request req = {
		.cause = cause,
		.index = index,
		.nr = nr,
		.nr_file = r->nr_file,
		.max = r->max,
	};
	struct readahead_plan plan = readahead_next(&r->ra, &req);

	check_bounds(r, &plan);
	if (plan.marker != UINT64_MAX && plan.nr > 0) {
		assert_true(plan.marker >= plan.first);
		r->marker = plan.marker;
	}
	return plan;
}

/* The next nr pages, as a read(2) would have them. */
static void read_next(struct reader *r, unsigned int nr)
{
	pgoff_t end = min_of(r->pos + nr, r->nr_file);

	for (pgoff_t i = r->pos; i < end; i++) {
		struct readahead_plan plan = { .nr = 0 };
		unsigned int left = (unsigned int)(end - i);

		if (!cached[i]) {
			plan = ask(r, RA_MISS, i, left);
			assert_true(plan.nr > 0 && plan.first == i);
			r->nr_misses++;
		} else if (i == r->marker) {
			plan = ask(r, RA_MARKER, i, left);
		}
		if (plan.nr > 0) {
			if (!cached[i] && plan.nr == left &&
			    r->last_size == 0 && plan.marker == UINT64_MAX &&
			    r->pos > 0)
				; /* not known as a stream yet */
			else
				check_window(r, &plan, left);
			fill(&plan);
		}
		assert_true(cached[i]);
	}
	readahead_note(&r->ra, r->pos, (unsigned int)(end - r->pos));
	r->pos = end;
}

static struct reader new_reader(void)
{
	memset(cached, 0, sizeof(cached));
	return (struct reader){
		.nr_file = 1 + rnd(FILE_MAX),
		.max = 1 + (unsigned int)rnd(1u << rnd(10)),
		.marker = UINT64_MAX,
	};
}

static void sequential_windows_grow(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct reader r = new_reader();
		unsigned int nr = 1 + (unsigned int)rnd(r.max);

		while (r.pos < r.nr_file)
			read_next(&r, nr);
		for (pgoff_t i = 0; i < r.nr_file; i++)
			assert_true(cached[i]);
		/* Long enough: the window is as large as it may be. */
		if (r.nr_file > 8ul * r.max)
			assert_int_equal(r.last_size, r.max);
	}
}

/* Small reads of a long file: one miss, then the markers do it. */
static void a_stream_misses_once(void **state)
{
	(void)state;
	for (int n = 0; n < 100; n++) {
		struct reader r = new_reader();

		r.nr_file = FILE_MAX;
		r.max = 32 + (unsigned int)rnd(300);
		while (r.pos < r.nr_file)
			read_next(&r, 1);
		assert_int_equal(r.nr_misses, 1);
	}
}

/* Neither the first, nor where any read ended, nor behind a window. */
static bool is_random(const struct readahead *ra, pgoff_t index)
{
	bool random = index != 0 || ra->clock > 0;

	for (int i = 0; i < READAHEAD_STREAMS; i++) {
		const struct readahead_stream *s = &ra->streams[i];

		if (s->size > 0)
			random &= index != s->next && index + 1 != s->next &&
				  index != s->start + s->size;
	}
	for (int i = 0; i < READAHEAD_RECENT; i++)
		random &= ra->recent[i] == 0 || (index != ra->recent[i] &&
						 index + 1 != ra->recent[i]);
	return random;
}

static void random_reads_get_what_they_ask(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct reader r = new_reader();

		for (int i = 0; i < 40; i++) {
			pgoff_t index = rnd(2 * r.nr_file), left;
			unsigned int nr = 1 + (unsigned int)rnd(100);
			struct readahead before = r.ra;
			struct readahead_plan plan;

			if (!is_random(&r.ra, index))
				continue;
			plan = ask(&r, RA_MISS, index, nr);
			assert_int_equal(plan.marker, UINT64_MAX);
			assert_memory_equal(&r.ra, &before, sizeof(before));
			left = index < r.nr_file ? r.nr_file - index : 0;
			assert_int_equal(plan.nr, min_of((pgoff_t)nr, left));
			assert_int_equal(plan.nr_asked, plan.nr);
			if (plan.nr > 0) {
				assert_int_equal(plan.first, index);
				readahead_note(&r.ra, index, plan.nr);
			}
		}
	}
}

/* A page at a time, by "step": how many pages are read nobody asks for? */
static unsigned int wasted_by_steps(int64_t step)
{
	struct reader r = new_reader();
	int64_t at = step < 0 ? FILE_MAX - 1 : (int64_t)rnd(FILE_MAX);
	unsigned int wasted = 0;

	r.nr_file = FILE_MAX;
	for (; at >= 0 && at < FILE_MAX; at += step) {
		struct readahead_plan plan;

		if (cached[at])
			continue;
		plan = ask(&r, RA_MISS, (pgoff_t)at, 1);
		fill(&plan);
		assert_true(cached[at]);
		wasted += plan.nr - 1;
		readahead_note(&r.ra, (pgoff_t)at, 1);
	}
	return wasted;
}

static void backward_and_strided_reads_waste_nothing(void **state)
{
	(void)state;
	for (int n = 0; n < 200; n++) {
		assert_int_equal(wasted_by_steps(-1 - (int64_t)rnd(9)), 0);
		/* One from the beginning of the file looks like a stream. */
		assert_in_range(wasted_by_steps(2 + (int64_t)rnd(50)), 0, 4);
	}
}

/*
 *	one open file   0 ──►     m ──►     n ──►
 *
 * In turns, or in bursts: each stream has a window of its own.
 */
static void interleaved_streams_are_told_apart(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct reader r = new_reader(), s[READAHEAD_STREAMS];
		unsigned int nr_streams =
			2 + (unsigned int)rnd(READAHEAD_STREAMS - 1);
		pgoff_t part = FILE_MAX / nr_streams;
		bool more = true;

		r.max = 16 + (unsigned int)rnd(100);
		for (unsigned int i = 0; i < nr_streams; i++) {
			s[i] = r;
			s[i].pos = i * part;
			s[i].nr_file = (i + 1) * part;
		}
		while (more) {
			more = false;
			for (unsigned int i = 0; i < nr_streams; i++) {
				s[i].ra = r.ra;
				if (s[i].pos < s[i].nr_file)
					read_next(&s[i],
						  1 + (unsigned int)rnd(4));
				more |= s[i].pos < s[i].nr_file;
				r.ra = s[i].ra;
			}
		}
		/* The first read of one in the middle looks random. */
		for (unsigned int i = 0; i < nr_streams; i++)
			assert_in_range(s[i].nr_misses, 1, 2);
	}
}

/* Whatever it is asked in whatever state, never past the end. */
static void never_past_the_end(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct reader r = new_reader();

		for (int i = 0; i < 50; i++) {
			pgoff_t index = rnd(2 * r.nr_file);

			ask(&r, rnd(2) ? RA_MISS : RA_MARKER, index,
			    1 + (unsigned int)rnd(40));
			readahead_note(&r.ra, index, 1);
			if (rnd(10) == 0) /* truncated */
				r.nr_file = 1 + rnd(r.nr_file);
		}
	}
}

/*
 *	stream A   0 ───────────►           has the window, as if it were alone
 *	random B          x    x  x         in between, through the same file
 */
static void a_stream_survives_random_reads(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct reader r = new_reader();
		unsigned int nr = 1 + (unsigned int)rnd(r.max);

		while (r.pos < r.nr_file) {
			pgoff_t index = rnd(r.nr_file), marker;

			read_next(&r, nr);
			marker = r.marker;
			if (!is_random(&r.ra, index) || rnd(2))
				continue;
			assert_int_equal(ask(&r, RA_MISS, index, 1).nr, 1);
			readahead_note(&r.ra, index, 1);
			r.marker = marker;
		}
		for (pgoff_t i = 0; i < r.nr_file; i++)
			assert_true(cached[i]);
	}
}

/* Two descriptors, two windows: each is what it would be alone. */
static void streams_of_their_own_do_not_disturb(void **state)
{
	(void)state;
	for (int n = 0; n < NR_ROUNDS; n++) {
		struct reader a = new_reader(), b = a;
		pgoff_t middle = a.nr_file / 2;

		if (middle == 0) /* of one page: there is no second half */
			continue;
		b.pos = middle;
		b.ra.next = middle; /* it has read up to here */
		b.ra.clock = 1;
		b.ra.recent[0] = middle;
		a.nr_file = middle;
		while (a.pos < a.nr_file || b.pos < b.nr_file) {
			if (a.pos < a.nr_file && rnd(2))
				read_next(&a, 1 + (unsigned int)rnd(8));
			else if (b.pos < b.nr_file)
				read_next(&b, 1 + (unsigned int)rnd(8));
		}
		for (pgoff_t i = 0; i < b.nr_file; i++)
			assert_true(cached[i]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequential_windows_grow),
		cmocka_unit_test(a_stream_misses_once),
		cmocka_unit_test(random_reads_get_what_they_ask),
		cmocka_unit_test(backward_and_strided_reads_waste_nothing),
		cmocka_unit_test(interleaved_streams_are_told_apart),
		cmocka_unit_test(never_past_the_end),
		cmocka_unit_test(a_stream_survives_random_reads),
		cmocka_unit_test(streams_of_their_own_do_not_disturb),
	};

	unit_seed(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
