/*
 * file_blocks.h - blocks of a file, before its data.
 *
 * Where counting on room will not do (fs/space.h) a page that is about to be
 * written gets its block first, and the write(2) gets the error. The file stays
 * as long as it is: what lies behind its end is nobody's to see, until write-back
 * lets it grow over that.
 *
 * Never more than what is about to be written: what would be left over in the
 * end could only be given back by cutting the file, and others, who write to it
 * in SOURCE, would be cut as well.
 */
#ifndef FS_FILE_BLOCKS_H
#define FS_FILE_BLOCKS_H

#include "mm/types.h"

struct file_inode;

/* (S) guarded by inode.time_lock. Nothing, while nobody uses the file. */
struct file_blocks {
	uint64_t from, to; /* there are blocks for what is between (S) */
	bool behind;	   /* perhaps some behind the end, of ours (S) */
};

/* Are there known to be blocks for [start, end)? Does not block. */
bool file_blocks_there(struct file_inode *fi, uint64_t start, uint64_t end);

/*
 * Is where the writing ends, and not the page, what counts? Where blocks are
 * smaller than pages the last ones of a file's last page would stay allocated for
 * nothing. Then a page that is dirty may lack some.
 */
bool file_blocks_precise(struct file_inode *fi);

/*
 * Allocate blocks for [start, end), and what comes before in its first page. 0;
 * -ENOSPC, -EDQUOT or another -errno; -EOPNOTSUPP: cannot be done to this file,
 * and its no_fallocate is set. The file is in use and io_lock is held. Takes
 * attr_lock.
 */
int file_blocks_allocate(struct file_inode *fi, uint64_t start, uint64_t end);
/* The same of one who can do with less: it is no refusal. */
int file_blocks_try(struct file_inode *fi, uint64_t start, uint64_t end);

/* fallocate(2) said err. Can it not be done to this file? Sets no_fallocate then. */
bool file_blocks_unsupported(struct file_inode *fi, int err);

/*
 * fallocate(2) of that range said err. Are the blocks there all the same? xfs wants
 * room for what it may need, also if it needs nothing. May block.
 */
bool file_blocks_found(struct file_inode *fi, int err, uint64_t start,
		       uint64_t end);

/*
 * The file is about to end at "size" or later, without the rest of its last page
 * being written: it will be, as zeroes. 0, -ENOSPC or -EDQUOT. As above.
 */
int file_blocks_fill_tail(struct file_inode *fi, uint64_t size);

/* Are there perhaps blocks behind the backing file's end that a cut would free? */
bool file_blocks_behind(struct file_inode *fi);
/* The backing file was cut to size: "shrunk", or made longer. */
void file_blocks_cut(struct file_inode *fi, uint64_t size, bool shrunk);
/* Blocks were moved, or freed; or it is closed. */
void file_blocks_forget(struct file_inode *fi);

#endif
