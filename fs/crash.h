/*
 * crash.h - a power cut, made up: what was not synced is gone.
 *
 *	write ──► dirty pages ──fsync, sync──► backing file
 *	               │                           │
 *	             crash: dropped              crash: cut to the size
 *	             (torn: parts are written)   it had when it was synced
 *
 * While a file volume is armed, no dirty page reaches its backing file but by a
 * sync, as long as there is room for what is dirty: else a sync that a program
 * forgets would go unnoticed, as write-back comes soon enough. What grows the
 * backing file by itself (truncate, fallocate, pages that had to be written
 * early) is remembered, and undone by the crash. Names, and what cuts a file,
 * go straight to the backing directory and are not undone.
 */
#ifndef FS_CRASH_H
#define FS_CRASH_H

#include "mm/list.h"
#include "mm/lock.h"

struct file_inode;
struct file_volume;
struct volume;

/* The files of fault/crash. */
enum crash_field {
	CRASH_FIELD_ARMED,
	CRASH_FIELD_TORN,    /* parts of what is dropped are written */
	CRASH_FIELD_SEED,    /* which */
	CRASH_FIELD_NOW,     /* do it */
	CRASH_FIELD_DROPPED, /* pages of the last one */
	CRASH_FIELD_PARTS,   /* of them, those of which a part was written */
	CRASH_FIELD_EARLY,   /* pages written without a sync since armed */
	NR_CRASH_FIELDS
};

/* Of a file volume. (L) guarded by lock. */
struct crash {
	struct mutex lock;
	struct list_head grown; /* file_inode.grown_link (L) */
	bool running;		/* (L) */
	uint64_t pass;		/* that is running (L) */
	int64_t torn, seed;	/* (L) */
	_Atomic unsigned long nr_dropped, nr_parts, nr_early;
	_Atomic unsigned int nr_syncs; /* of the volume, under way */
};

void crash_init(struct crash *c);
const char *crash_field_name(enum crash_field field);

/*
 * As volume_ops. crash_set() may wait; 0, or -EINVAL, -EBUSY (one is running),
 * -EOPNOTSUPP (the kernel keeps what is written: cache=writeback), -errno.
 */
int64_t crash_get(struct volume *vol, enum crash_field field);
int crash_set(struct volume *vol, enum crash_field field, int64_t value);

/* --- for fs/file*.c -------------------------------------------------------- */

/* The backing file is about to grow without a sync. */
void crash_note_growth(struct file_inode *fi);
/* It was cut to size. */
void crash_note_cut(struct file_inode *fi, uint64_t size);
/* Pages are about to be written to it. */
void crash_note_write(struct file_inode *fi, unsigned int nr);
/* All of it, or of the volume, is written, and about to be synced: */
void crash_sync_begins(struct file_inode *fi);
void crash_sync_all_begins(struct file_volume *fv);
/* what it had then is synced. */
void crash_synced(struct file_inode *fi);
void crash_all_synced(struct file_volume *fv);
/* Nothing is held for a crash any more. */
void crash_forget_all(struct file_volume *fv);

#endif
