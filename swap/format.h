/*
 * format.h - a swap area as a file: its header, making one, opening one.
 *
 *	cluster 0     the header, in the first 4096 bytes
 *	cluster 1 …   objects; void whenever nobody has the area open
 *
 * plimsoll opens areas, plimsollctl mkswap makes them. All numbers are
 * little-endian.
 */
#ifndef SWAP_FORMAT_H
#define SWAP_FORMAT_H

#include "mm/types.h"
#include "swap/swap_entry.h"

#define SWAP_MAGIC	  "PLIMSOLL-SWAP\n"
#define SWAP_VERSION	  1
#define SWAP_LABEL_MAX	  16
#define SWAP_BAD_MAX	  900
#define SWAP_CLUSTERS_MIN 16 /* 2 MiB: less is of no use */

struct swap_header {
	char magic[16];
	uint32_t version;
	uint32_t page_size;
	uint32_t cluster_size;
	uint32_t nr_bad;
	uint64_t nr_clusters; /* the first one included */
	uint8_t uuid[16];
	char label[SWAP_LABEL_MAX]; /* padded with zeroes */
	uint32_t bad[SWAP_BAD_MAX]; /* clusters not to be used */
	uint8_t unused[4096 - 16 - 16 - 8 - 16 - SWAP_LABEL_MAX -
		       4 * SWAP_BAD_MAX - 8];
	uint64_t check; /* XXH3 of all before */
};
_Static_assert(sizeof(struct swap_header) == 4096, "one page");

/* Why an area cannot be made or used, in one line. */
struct swap_problem {
	char text[512];
};

/* An area that is open, and ours alone. */
struct swap_file {
	int fd;		/* locked */
	uint32_t align; /* of direct I/O; bytes */
	bool direct;
	bool created;  /* by us, just now */
	bool was_open; /* its mode let others read it; now it is 0600 */
	struct swap_header header;
};

/*
 * Make the file "path" an area of size bytes, rounded down to clusters: mode
 * 0600, all of it allocated. It is created, or is there and is an area already,
 * or empty; with force, whatever it is. 0, or -errno and nothing has changed
 * (what was created is gone again).
 */
int swap_file_make(const char *path, uint64_t size, const char *label,
		   bool force, struct swap_problem *why);

/*
 * Open and lock an area. size: make it if it is missing or empty, and make it
 * anew if it is of another size; 0: it must be there. 0 or -errno.
 */
int swap_file_open(struct swap_file *f, const char *path, uint64_t size,
		   struct swap_problem *why);
void swap_file_close(struct swap_file *f);
/* The same when it will not be used after all: what was created goes again. */
void swap_file_discard(struct swap_file *f, const char *path);

#endif
