/* fs.c - what the process has once, whatever it mounts. */
#include "fs/fs.h"

#include "swap/swap.h"

#include <errno.h>
#include <sys/mman.h>

enum {
	/* A small budget gets small requests, as their pages all are needed
	 * at once. */
	REQUEST_MAX_SMALL = 256 << 10,
	REQUEST_MAX_LARGE = 1 << 20,
	NR_REQUESTS = 512,
	IO_DEPTH = 256,
};
#define SMALL_MEM (256ul << 20)

/*
 * What lies outside the arena, at most. The program itself, libraries, stacks
 * and what libfuse allocates were measured at 7 MiB under load.
 */
#define PROGRAM_BYTES (10ul << 20)

/* The process of fs/copy_taker.h, as measured. */
#define TAKER_BYTES (2ul << 20)

size_t fs_request_max(size_t mem)
{
	return mem < SMALL_MEM ? REQUEST_MAX_SMALL : REQUEST_MAX_LARGE;
}

int fs_init(struct fs *fs, const struct fs_config *c)
{
	struct mm_config config = {
		.size = c->mem,
		/* Half of it: other mounts of the same user need some too. */
		.dma_max = max_of(os_lockable_bytes() / 2, (size_t)1 << 20),
		.io_depth = IO_DEPTH,
		.nr_flushers = c->nr_file_volumes,
	};
	int err;

	*fs = (struct fs){ .request_max = c->request_max };
	mutex_init(&fs->emergency_lock);
	fs->emergency =
		mmap(NULL, fs->request_max + PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fs->emergency == MAP_FAILED)
		return -ENOMEM;
	fs->overhead = PROGRAM_BYTES + c->buffer_bytes + fs->request_max +
		       NR_REQUESTS * sizeof(struct request) +
		       os_nr_cpus() * (512ul << 10);
	if (c->swap)
		fs->overhead += swap_overhead();
	if (c->taker)
		fs->overhead += TAKER_BYTES;
	fs->mm = mm_create(&config, &err);
	if (!fs->mm)
		return err;
	/* Before there is a balloon, whose frames shall have none. */
	if (c->claim)
		err = os_arena_populate(fs->mm->arena.base, c->mem);
	fs->mm->balloon.populate = c->claim;
	if (!err && c->swap)
		err = swap_start(fs->mm);
	if (err)
		return err;
	err = kmem_cache_init(fs->mm, &fs->open_files, "open_file",
			      sizeof(struct open_file), false);
	if (!err)
		err = space_table_init(&fs->spaces, fs->mm);
	if (!err)
		err = kernel_copies_start(&fs->copies, fs->mm, c->taker);
	if (!err)
		err = request_engine_start(&fs->requests, fs->mm, NR_REQUESTS,
					   NR_REQUESTS / 2);
	return err;
}

void fs_destroy(struct fs *fs)
{
	request_engine_stop(&fs->requests);
	kernel_copies_stop(&fs->copies);
	space_table_destroy(&fs->spaces);
	kmem_cache_destroy(&fs->open_files);
	if (fs->mm->swap)
		swap_stop(fs->mm);
	mm_destroy(fs->mm);
	munmap(fs->emergency, fs->request_max + PAGE_SIZE);
}
