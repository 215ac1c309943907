/*
 * alloc.c - what one allocation and its free cost, beside general allocators.
 *
 *	alloc [ROUNDS]
 *
 * Prints a line for each pattern: its name, nanoseconds of ours, of mimalloc
 * and of malloc for one allocation and one free, and mimalloc's by ours (above
 * 1: ours is faster). The three take turns within a round, so that whatever
 * else the machine does hits all of them; the median round counts. Without
 * libmimalloc its column is 0.
 *
 *	page	order 0: page_alloc() and page_put() | 4096 bytes
 *	slab	kmem_cache_alloc() and _free()	     | 192 bytes
 *	loop	one at a time
 *	lifo	64, then freed, the last one first
 *	fifo	64, then freed, the first one first
 *	1, 2	so many threads, each on a CPU of its own
 *
 * What was allocated is not touched. mimalloc is loaded and not linked, as its
 * library would replace malloc as well.
 */
#include "mm/mm.h"
#include "mm/page_alloc.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, BATCHES = 1500, ROUNDS = 31, ROUNDS_MAX = 1000 };
enum { OBJECT_SIZE = 192, THREADS_MAX = 2 };
enum who { OURS, MIMALLOC, MALLOC, NR_WHO };
enum pattern { LOOP, LIFO, FIFO, NR_PATTERNS };

static const char *const pattern_names[] = { "loop", "lifo", "fifo" };

static struct mm *mm;
static struct kmem_cache cache;
static void *(*mi_malloc)(size_t);
static void (*mi_free)(void *);

/* The inner loop, once for each allocator: nothing is to stand in between. */
#define DEFINE_RUN(name, ALLOC, FREE)                          \
	static void run_##name(enum pattern p)                 \
	{                                                      \
		void *objects[BATCH];                          \
                                                               \
		for (int n = 0; n < BATCHES; n++) {            \
			for (int i = 0; i < BATCH; i++) {      \
				objects[i] = ALLOC;            \
				if (!objects[i])               \
					abort();               \
				if (p == LOOP)                 \
					FREE(objects[i]);      \
			}                                      \
			for (int i = BATCH; p == LIFO && i--;) \
				FREE(objects[i]);              \
			for (int i = 0; i < BATCH; i++)        \
				if (p == FIFO)                 \
					FREE(objects[i]);      \
		}                                              \
	}

#define PAGE_PUT(page) page_put(mm, page)
#define OBJECT_FREE(o) kmem_cache_free(&cache, o)
#define GFP_PAGE       (GFP_NOWAIT | GFP_MOVABLE)
DEFINE_RUN(page, page_alloc(mm, GFP_PAGE, 0), PAGE_PUT)
DEFINE_RUN(slab, kmem_cache_alloc(&cache, GFP_NOWAIT), OBJECT_FREE)
DEFINE_RUN(mi_page, mi_malloc(PAGE_SIZE), mi_free)
DEFINE_RUN(mi_slab, mi_malloc(OBJECT_SIZE), mi_free)
DEFINE_RUN(malloc_page, malloc(PAGE_SIZE), free)
DEFINE_RUN(malloc_slab, malloc(OBJECT_SIZE), free)

static void (*const runs[2][NR_WHO])(enum pattern) = {
	{ run_page, run_mi_page, run_malloc_page },
	{ run_slab, run_mi_slab, run_malloc_slab },
};

/* --- rounds ---------------------------------------------------------------- */

static struct {
	pthread_barrier_t barrier;
	int kind;
	enum pattern pattern;
	unsigned int rounds;
	double ns[THREADS_MAX][NR_WHO][ROUNDS_MAX];
} job;

static void pin(unsigned int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

static void *thread_main(void *arg)
{
	unsigned int self = (unsigned int)(uintptr_t)arg;

	pin(self);
	for (int w = 0; w < NR_WHO; w++) /* warm up */
		if (w != MIMALLOC || mi_malloc)
			runs[job.kind][w](job.pattern);
	for (unsigned int r = 0; r < job.rounds; r++)
		for (int w = 0; w < NR_WHO; w++) {
			uint64_t start;

			pthread_barrier_wait(&job.barrier);
			start = os_now_ns();
			if (w != MIMALLOC || mi_malloc)
				runs[job.kind][w](job.pattern);
			job.ns[self][w][r] =
				(double)(os_now_ns() - start) / BATCH / BATCHES;
		}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Of all threads' rounds. */
static double median(enum who w, unsigned int threads)
{
	static double all[THREADS_MAX * ROUNDS_MAX];
	unsigned int n = 0;

	for (unsigned int t = 0; t < threads; t++)
		for (unsigned int r = 0; r < job.rounds; r++)
			all[n++] = job.ns[t][w][r];
	qsort(all, n, sizeof(all[0]), compare);
	return all[n / 2];
}

static void measure(unsigned int threads)
{
	pthread_t ids[THREADS_MAX];
	double ours, mi;

	pthread_barrier_init(&job.barrier, NULL, threads);
	for (uintptr_t t = 0; t < threads; t++)
		if (pthread_create(&ids[t], NULL, thread_main, (void *)t))
			abort();
	for (unsigned int t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
	pthread_barrier_destroy(&job.barrier);
	ours = median(OURS, threads);
	mi = mi_malloc ? median(MIMALLOC, threads) : 0;
	printf("%s-%s-%u %.2f %.2f %.2f %.2f\n", job.kind ? "slab" : "page",
	       pattern_names[job.pattern], threads, ours, mi,
	       median(MALLOC, threads), mi / ours);
	fflush(stdout);
}

static void load_mimalloc(void)
{
	void *lib = dlopen("libmimalloc.so.2", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		lib = dlopen("libmimalloc.so", RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		fprintf(stderr, "alloc: no mimalloc: %s\n", dlerror());
		return;
	}
	mi_malloc = (void *(*)(size_t))dlsym(lib, "mi_malloc");
	mi_free = (void (*)(void *))dlsym(lib, "mi_free");
}

int main(int argc, char **argv)
{
	struct mm_config config = { .size = 1ul << 30, .io_depth = 16 };
	unsigned int cpus = min_of(os_nr_cpus(), (unsigned int)THREADS_MAX);
	int err;

	job.rounds = ROUNDS;
	if (argc > 1)
		job.rounds = (unsigned int)atoi(argv[1]);
	if (job.rounds < 1 || job.rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: alloc [ROUNDS]\n");
		return 2;
	}
	load_mimalloc();
	mm = mm_create(&config, &err);
	if (!mm || kmem_cache_init(mm, &cache, "bench", OBJECT_SIZE, false)) {
		fprintf(stderr, "alloc: no memory\n");
		return 1;
	}
	printf("# pattern ours-ns mimalloc-ns malloc-ns ratio\n");
	for (job.kind = 0; job.kind < 2; job.kind++)
		for (int p = 0; p < NR_PATTERNS; p++)
			for (unsigned int t = 1; t <= cpus; t++) {
				job.pattern = (enum pattern)p;
				measure(t);
			}
	kmem_cache_destroy(&cache);
	mm_destroy(mm);
	return 0;
}
