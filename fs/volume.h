/*
 * volume.h - one SOURCE mounted at one MOUNTPOINT.
 *
 * Two kinds: a file volume's pages live in the files of a backing directory
 * (fs/file_*.c), an anon volume's nowhere but here (fs/anon_*.c). What they do
 * differently is in one table, struct volume_ops; everything else (requests,
 * reading and writing through cached pages, inodes' lives) asks no kind. All
 * volumes of a process share one struct mm, and one set of workers.
 */
#ifndef FS_VOLUME_H
#define FS_VOLUME_H

#include "fs/attr.h"
#include "fs/crash.h"
#include "fs/dir.h"
#include "fs/inode.h"
#include "fs/open_file.h"
#include "fs/privs.h"
#include "mm/mm.h"

#include <limits.h>
#include <sys/statvfs.h>

struct fs;
struct control;
struct request_front;
struct text;

/*
 * No room now: whoever asks is judged (mm/oom.h), and if it is worth waiting
 * parked and run again, without a worker. It never leaves fs/.
 */
#define ENOROOM 4096

/*
 * Functions may block (they are called by workers) unless it says otherwise,
 * and return 0 or -errno unless it says otherwise. Those that make something
 * may return -ENOROOM, and have done nothing then.
 */
struct volume_ops {
	const char *kind; /* "file" or "anon" */

	/* names; see fs/dir.h ------------------------------------------- */
	int (*lookup)(struct inode *dir, const char *name,
		      struct dir_entry *entry);
	int (*make)(struct inode *dir, const struct dir_make *make,
		    struct dir_entry *entry);
	/*
	 * A regular file that has no name, and is gone at its last close, unless
	 * link() gives it one. NULL: there are none.
	 */
	int (*make_unnamed)(struct inode *dir, const struct dir_make *make,
			    struct dir_entry *entry);
	int (*link)(struct inode *inode, struct inode *dir, const char *name,
		    struct dir_entry *entry);
	int (*unlink)(struct inode *dir, const char *name, bool is_dir);
	int (*rename)(struct inode *from, const char *name, struct inode *to,
		      const char *new_name, unsigned int flags);
	/* The target, at most size - 1 bytes and a NUL, into buf. */
	int (*readlink)(struct inode *inode, char *buf, size_t size);

	/* open directories; see fs/dir.h -------------------------------- */
	struct dir_stream *(*dir_open)(struct inode *inode, int *err);
	void (*dir_close)(struct dir_stream *s);
	int (*dir_read)(struct dir_stream *s, uint64_t offset,
			bool (*emit)(void *arg, const struct dir_name *name),
			void *arg);
	int (*dir_sync)(struct dir_stream *s, bool data_only);

	/* attributes ----------------------------------------------------- */
	int (*getattr)(struct inode *inode, struct stat *st);
	/* Size included; in the order: size, privileges, owner, mode, times. */
	int (*setattr)(struct inode *inode, const struct attr_change *change);
	/*
	 * Which privileges (enum priv) may it have? Must not block. And take
	 * those of "which", as a write does that is about to happen. Nothing
	 * else takes any, but setattr with ATTR_KILL_SUID the set-id bits.
	 */
	unsigned int (*privs)(struct inode *inode);
	int (*drop_privs)(struct inode *inode, unsigned int which);
	/*
	 * Contents were read: the access time may change; returns whether it has.
	 * Must not block. NULL: it does not.
	 */
	bool (*accessed)(struct inode *inode);
	/* Bytes of the value (size 0: what it would take), or -errno. */
	ssize_t (*getxattr)(struct inode *inode, const char *name, void *value,
			    size_t size);
	/* Names, each with its NUL. */
	ssize_t (*listxattr)(struct inode *inode, char *list, size_t size);
	int (*setxattr)(struct inode *inode, const char *name,
			const void *value, size_t size, int flags);
	int (*removexattr)(struct inode *inode, const char *name);

	/* files ----------------------------------------------------------- */
	/* First and last of one open(2); fs/open_file.c does the rest. */
	int (*open)(struct inode *inode, int flags);
	void (*release)(struct inode *inode);
	int (*truncate)(struct inode *inode, uint64_t size);
	int (*fallocate)(struct inode *inode, int mode, uint64_t offset,
			 uint64_t len);
	/* lseek(2) with SEEK_DATA or SEEK_HOLE: the offset. */
	int64_t (*seek)(struct inode *inode, uint64_t offset, int whence);
	/* Durable, but without looking for earlier errors. */
	int (*fsync)(struct inode *inode, bool data_only);

	/* pages; see fs/read_write.c --------------------------------------- */
	/* One page, around the cache, to where it is wanted. */
	int (*read_page)(struct inode *inode, pgoff_t index, void *to);
	/*
	 * Fill a locked page that is not up to date and is to be written in
	 * part, and mark it so. -EAGAIN if that would block and gfp does not
	 * have GFP_RECLAIM.
	 */
	int (*fill_page)(struct inode *inode, struct page *page, gfp_t gfp);
	/*
	 * Is there room for the page whatever else has taken: writing it is no
	 * growth? NULL: never.
	 */
	bool (*is_reserved)(struct inode *inode, pgoff_t index);
	/*
	 * Is room for bytes [at, at + len) to be reserved before they are
	 * written? Must not block; io_lock is held. NULL: never. And do so, with
	 * io_lock held alone: -ENOMEM: no room now, the writer is judged.
	 */
	bool (*must_reserve)(struct inode *inode, uint64_t at, size_t len);
	int (*reserve_write)(struct inode *inode, uint64_t at, size_t len);
	/*
	 * Bytes [at, at + len) are about to be written, by one who may block:
	 * get in one go what their pages would have to get one by one. What fails
	 * prepare_page() will say. io_lock is held. May be NULL.
	 */
	void (*make_room)(struct inode *inode, uint64_t at, size_t len);
	/*
	 * A locked page is about to be written, to "end": reserve what that needs. -EAGAIN
	 * as above; -ENOMEM: no room now, the writer is judged (mm/oom.h).
	 */
	int (*prepare_page)(struct inode *inode, struct page *page,
			    uint64_t end, gfp_t gfp);
	/*
	 * Bytes [start, end) of the file, all in this page, were written: up to
	 * date, dirty, the size grown, the times touched.
	 */
	void (*page_written)(struct inode *inode, struct page *page,
			     uint64_t start, uint64_t end);
	/*
	 * [at, at + len), of no page that is cached, straight to where it will
	 * be read from; io_lock is held alone. NULL: there is no such place, and
	 * who gets no frame is refused.
	 */
	int (*write_around)(struct inode *inode, uint64_t at, const void *from,
			    size_t len);
	/*
	 * The file has just been opened for writing with O_APPEND: is that all
	 * that may be done to it? NULL: never. Then what is written goes to its
	 * end by this, around the cache, wherever that is: bytes, or -errno.
	 */
	bool (*is_append_only)(struct inode *inode);
	ssize_t (*append)(struct inode *inode, const void *from, size_t len);
	/* After a write of nr pages: how long to pause, in ns; must not block. */
	uint64_t (*balance)(struct volume *vol, unsigned long nr);
	/* ... and again after the pause: still? */
	bool (*must_wait)(struct volume *vol);

	/* inodes ------------------------------------------------------------ */
	/*
	 * Neither kernel refs nor ours are left; table lock held. True: it goes
	 * (and cannot be found any more); false: it stays, idle or named.
	 */
	bool (*inode_unused)(struct inode *inode);
	/* The rest: pages dropped, memory freed. */
	void (*inode_destroy)(struct inode *inode);
	/*
	 * What was left to a thread that may block, after a call of
	 * volume.prune. May be NULL.
	 */
	void (*tidy)(struct volume *vol);

	/* the volume --------------------------------------------------------- */
	int (*statfs)(struct volume *vol, struct statvfs *st);
	int (*sync)(struct volume *vol);
	/* Lines "name value" for .plimsoll/volume. */
	void (*describe)(struct volume *vol, struct text *t);
	/* See fs/crash.h; NULL in a kind that has no home for its pages. */
	int64_t (*crash_get)(struct volume *vol, enum crash_field field);
	int (*crash_set)(struct volume *vol, enum crash_field field,
			 int64_t value);
	/* The end of the line that is said at mount. May be NULL: nothing. */
	void (*introduce)(struct volume *vol, struct text *t);
	/*
	 * What people know it by, for the list of what was lost. Must not
	 * block. May be NULL in a kind without writeback.
	 */
	void (*name_of)(struct inode *inode, char *path, size_t size);
	/*
	 * Why its last write-back failed, as -errno; 0: it did not, or all is
	 * written since. Must not block. NULL, likewise.
	 */
	int (*write_error)(struct inode *inode);
	/*
	 * Before the inodes are dropped: nothing of the kind's own (a shrinker)
	 * touches them any more. May be NULL.
	 */
	void (*stop)(struct volume *vol);
	/* After the last inode is gone: free it all, vol too. */
	void (*destroy)(struct volume *vol);
};

/* Whose cache a file's pages are found in; see fs/fuse_copy.c. */
enum cache_mode {
	CACHE_AUTO,
	CACHE_USER,
	CACHE_KERNEL,
	CACHE_WRITEBACK,
	NR_CACHE_MODES
};
const char *cache_mode_name(enum cache_mode mode);

/* (C) constant once the volume is open. */
struct volume {
	const struct volume_ops *ops; /* (C) */
	struct fs *fs;		      /* (C) */
	struct mm *mm;		      /* (C) */
	char source[PATH_MAX];	      /* as resolved, or "anon" (C) */
	char mountpoint[PATH_MAX];    /* as resolved (C) */
	uid_t owner;		      /* who mounted (C) */
	gid_t owner_gid;	      /* (C) */
	bool read_only;		      /* (C) */
	bool sync;		      /* every write is O_SYNC (C) */
	bool noatime;		      /* reading changes no times (C) */
	bool nodiratime;	      /* the same for directories (C) */
	bool acl;		      /* keeps POSIX ACLs (C) */
	enum cache_mode cache;	      /* (C) */
	/* Nothing is written back but by a sync; see fs/crash.h. */
	_Atomic bool hold_back;
	_Atomic bool crashing; /* what the kernel hands over is dropped */
	unsigned int number;   /* among those of the process (C) */
	const char *_Atomic transport; /* "uring" or "dev", as found out */
	uint64_t max_file_size;	       /* (C) */
	/* Of a file volume; an anon one has nothing to write back. */
	struct writeback_group writeback;
	struct inode_table inodes;
	struct inode *root;
	struct mutex opens_lock;
	struct list_head open_files, open_dirs; /* (opens_lock) */
	struct control *control;		/* NULL with control=off (C) */
	/*
	 * Ask the kernel to let go of so many inodes, and call inode_tidy(), on
	 * a thread of its own (fs/fuse_notify.c). Never blocks.
	 */
	void (*prune)(struct volume *vol, unsigned long nr);
	/*
	 * Make the kernel forget what it has of a file, contents and size; waits
	 * for reads of it that are under way (fs/fuse_notify.c). May be NULL.
	 */
	void (*forget_copies)(struct inode *inode);
	const struct request_front *front; /* the transport's; fs/io_path.h */
	void *session;			   /* fs/fuse_session.c's */
};

/* The common part, before the kind's own. */
void volume_init(struct volume *vol, const struct volume_ops *ops,
		 struct fs *fs);

/* What volume_ops.write_error() says. */
int volume_write_error(struct inode *inode);

/*
 * At the end: write back all that is dirty and wait, calling progress with the
 * bytes left now and then. Gives up when nothing was written for patience_s
 * seconds, and returns -EIO after naming the files that are lost.
 */
int volume_drain(struct volume *vol, unsigned int patience_s,
		 void (*progress)(struct volume *vol, uint64_t left));

/* Release what is open, drop all inodes, free the volume. */
void volume_close(struct volume *vol);

#endif
