/*
 * fs.h - the process: one memory, its volumes, and who works for them.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "fs/kernel_copy.h"
#include "fs/request.h"
#include "fs/volume.h"
#include "mm/mm.h"

#define VOLUMES_MAX 16

struct fs {
	struct mm *mm;
	struct request_engine requests;
	struct kmem_cache open_files; /* struct open_file */
	struct kernel_copies copies;
	size_t request_max; /* bytes of one read or write */
	size_t overhead;    /* bytes outside the arena, at most */
	/*
	 * One reader at a time for whom there is no frame reads through this:
	 * request_max bytes and a page, outside the arena.
	 */
	struct mutex emergency_lock;
	char *emergency;
};

/*
 * Build the memory and the workers. buffer_bytes: what the transport's buffers
 * take, for the reckoning of fs->overhead. swap: there will be anon volumes.
 * taker: of kernel_copies_start(). 0 or -errno.
 */
int fs_init(struct fs *fs, size_t mem, size_t buffer_bytes, bool swap,
	    struct copy_taker *taker);
/* The largest read or write of a process with that budget, in bytes. */
size_t fs_request_max(size_t mem);
/* Every volume is closed. */
void fs_destroy(struct fs *fs);

#endif
