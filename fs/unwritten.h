/*
 * unwritten.h - files whose write-back fails: counted, named, and said when it
 * has gone through after all. Their pages are kept, and tried again.
 */
#ifndef FS_UNWRITTEN_H
#define FS_UNWRITTEN_H

#include "mm/types.h"

struct file_inode;
struct file_volume;
struct inode;

/* (D) guarded by dirty_list.lock, or of who has taken it off the list. */
struct unwritten {
	_Atomic int err;  /* of the last failure since it was clean, or 0 */
	bool said;	  /* that it fails (D) */
	uint64_t said_ns; /* when, last (D) */
};

/* A write of it has failed. Does not block. */
void unwritten_note(struct file_inode *fi, int err);
/* It is clean, and off the dirty list. */
void unwritten_clear(struct file_inode *fi);
/* Name in the log those that have not been for a while. May block. */
void unwritten_say(struct file_volume *fv);

/* As volume_ops. */
int unwritten_error(struct inode *inode);

#endif
