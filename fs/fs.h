/*
 * fs.h - the process: one memory, its volumes, and who works for them.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "fs/kernel_copy.h"
#include "fs/request.h"
#include "fs/space.h"
#include "fs/volume.h"
#include "mm/mm.h"

#define VOLUMES_MAX 16

struct fs {
	struct mm *mm;
	struct request_engine requests;
	struct kmem_cache open_files; /* struct open_file */
	struct kernel_copies copies;
	struct space_table spaces; /* of file systems below file volumes */
	size_t request_max;	   /* bytes of one read or write */
	size_t overhead;	   /* bytes outside the arena, at most */
	bool io_flusher;	   /* of fs/host.h */
	bool locked;		   /* its memory stays in memory */
	/*
	 * One reader at a time for whom there is no frame reads through this:
	 * request_max bytes and a page, outside the arena.
	 */
	struct mutex emergency_lock;
	char *emergency;
};

struct fs_config {
	size_t mem;	     /* the budget */
	size_t buffer_bytes; /* what the transport takes, for fs->overhead */
	size_t request_max;  /* bytes of the largest read or write */
	bool swap;	     /* there will be anon volumes */
	unsigned int nr_file_volumes;
	bool claim;		  /* have all of the memory from the start */
	struct copy_taker *taker; /* or NULL; of kernel_copies_start() */
};

/* What a budget of "mem" bytes allows a single request: bytes. */
size_t fs_request_max(size_t mem);

/* Build the memory and the workers. 0 or -errno. */
int fs_init(struct fs *fs, const struct fs_config *c);
/* Every volume is closed. */
void fs_destroy(struct fs *fs);

#endif
