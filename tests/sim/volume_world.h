/*
 * volume_world.h - volumes of both kinds, whole but for the front end that
 * speaks FUSE, and clients that use them; each file with a model of what it
 * should contain. For test_volume_sim.c.
 *
 *   (1) Of every byte a read returns, the model knows what it may be: what was
 *       there when the read began, or what a change wrote that was under way
 *       meanwhile. Changes of the same bytes do not overlap: the model has them
 *       wait for one another. A change that failed may have been made in part.
 *   (2) A read returns as many bytes as a size would allow that the file had
 *       meanwhile.
 *   (3) What has not changed since an fsync began that returned 0 is "sure": at
 *       every moment from then on the backing file has it, and so it would after
 *       a power cut.
 *   (4) At every moment the backing file is no longer than what was
 *       acknowledged, or may be soon.
 *   (5) At every moment a page that is clean, and not being changed, is as the
 *       backing file.
 *  (5a) The mtime shown is that of the last change by a client, whenever that is
 *       written back.
 *   (6) Names are those of the model. A call that fails has changed none.
 *   (7) At a quiet point, when no client is in an operation (quiet is held
 *       alone), and what is on its way has arrived:
 *         - frames: free ones and those that somebody is known to have are all;
 *         - nr_dirty, nr_writeback, nr_file_pages, nr_anon_pages, nr_swapcached
 *           and nr_swapped are what the trees have;
 *         - no page is locked, no request is in use, queued or parked;
 *         - a mapping is on the dirty list if it has dirty pages;
 *         - an inode's refs are its open files, and one if it is on that list,
 *           and one if a crash would undo that it has grown;
 *           the same of a file's users of descriptors, of which as many are
 *           open as nr_backing_fds says;
 *         - as much is reserved on the disk as pages have it reserved.
 *   (8) At the end, without faults, everything can be synced, is in the backing
 *       files, can be read again, and all memory is free.
 */
#ifndef TESTS_SIM_VOLUME_WORLD_H
#define TESTS_SIM_VOLUME_WORLD_H

#include "fs/control.h"
#include "fs/copy_taker.h"
#include "fs/file_inode.h"
#include "fs/fs.h"
#include "mm/page_cache.h"

enum {
	VFILE_PAGES_MAX = 192,
	WORLD_VOLUMES = 3,
	WORLD_NAMES = 5, /* of a volume */
	WORLD_CLIENTS = 6,
	WORLD_HOGS = 2048,
	WORLD_INJECTORS = 3,
	CLIENT_OPENS = 3,
	CHANGES_MAX = WORLD_CLIENTS,
	WATCHES_MAX = 2 * WORLD_CLIENTS,
	ALTS_MAX = 24,
	IO_MAX = 1 << 20, /* bytes of one read(2) or write(2) */
};

#define VFILE_BYTES_MAX ((uint64_t)VFILE_PAGES_MAX << PAGE_SHIFT)

/* --- volume_model_sim.c: what a file should contain ------------------------- */

/* Bytes that a pattern makes; 0: zeroes. */
unsigned char pattern_at(uint64_t pattern, uint64_t offset);
void pattern_fill(uint64_t pattern, uint64_t offset, void *to, size_t len);
uint64_t pattern_new(unsigned int noise_percent);

/* A change under way: [start, end) become the pattern. */
struct change {
	bool used;
	uint64_t start, end, pattern;
	uint64_t size_least, size_most; /* while it is under way */
	uint64_t lost_from, lost_to;	/* of what was lost meanwhile */
};

/* Who reads, or syncs: what may be found in [start, end). */
struct watch {
	bool used, crowded; /* crowded: too many changes to check */
	uint64_t start, end;
	uint64_t size_least, size_most;
	unsigned char *a, *b; /* as of its beginning */
	bool *any;
	unsigned int nr_alts;
	struct {
		uint64_t start, end, pattern;
	} alts[ALTS_MAX];
};

struct model {
	struct mutex lock;
	struct cond ended;
	uint64_t size;
	uint64_t sure_size;   /* (3) */
	unsigned char *a, *b; /* a byte is one of them; behind the size: 0 */
	bool *any;	      /* ... or anything */
	bool *sure;	      /* (3) */
	/* What is in the backing file, while a volume is armed; fs/crash.h. */
	bool has_home, home_size_unknown;
	uint64_t home_size;
	unsigned char *home;
	bool *home_unknown;
	struct change changes[CHANGES_MAX];
	struct watch *watches[WATCHES_MAX];
};

void model_init(struct model *m);
void model_destroy(struct model *m);

/*
 * Wait until nobody changes [start, end), and begin. new_size: what the file
 * will have at least. MODEL_RESIZE: from where it is cut, or grows, and it will
 * have just that.
 */
#define MODEL_RESIZE UINT64_MAX
/* As a pattern: the bytes stay as they are. */
#define MODEL_KEEP 2
struct change *model_change(struct model *m, uint64_t start, uint64_t end,
			    uint64_t pattern, uint64_t new_size);
/*
 * It has ended: "done" bytes of it were made, of the rest nobody knows if
 * "maybe".
 */
void model_changed(struct model *m, struct change *c, uint64_t done,
		   bool maybe);
/* A size that is set, or grown to, as the change's last step. */
void model_set_size(struct model *m, uint64_t size);

void model_watch(struct model *m, struct watch *w, uint64_t start,
		 uint64_t end);
/* (1), (2): n bytes from w->start on were read, of "asked". Ends the watch. */
void model_check_read(struct model *m, struct watch *w, const void *data,
		      size_t n, size_t asked);
/* (3): it was synced, or not. Ends the watch. */
void model_synced(struct model *m, struct watch *w, bool ok);
/* Home: it is that; a sync may write any of it, from now on. */
void model_set_home(struct model *m, const unsigned char *data, uint64_t size);
void model_leave_home(struct model *m);
/* A crash has made that of it; nothing else is under way. */
void model_reset(struct model *m, const unsigned char *data, uint64_t size);
/* A write of [start, end) was lost; what is in the file instead. */
void model_lost(struct model *m, uint64_t start, uint64_t end,
		const unsigned char *data);
/* Is the byte one of those that the model has? */
bool model_allows(const struct model *m, uint64_t at, unsigned char byte);
/* Is a change under way in [start, end)? */
bool model_is_changing(const struct model *m, uint64_t start, uint64_t end);

/* --- volume_front_sim.c: what stands for the kernel and fs/fuse_*.c ----------- */

struct world;
struct client;

/* A file as the clients know it: an inode of the kernel, as it were. */
struct vfile {
	struct wvolume *wv;
	struct inode *inode; /* NULL: forgotten; found again by name */
	uint64_t nlookup;    /* kernel refs (wv->lock) */
	unsigned int users;  /* open files, operations, ... (wv->lock) */
	unsigned int nr_names, nr_opens;
	uint64_t ino; /* of the backing inode; file volumes */
	/* When it was changed last: not before, and not after. */
	uint64_t touch_least_ns, touch_most_ns;
	struct model model;
};

struct wvolume {
	struct world *w;
	struct volume *vol;
	bool is_file;
	struct mutex lock;
	struct rwlock names_lock; /* the kernel's lock of the directory */
	struct vfile *names[WORLD_NAMES];
	struct vfile *files[WORLD_CLIENTS * CLIENT_OPENS + 2 * WORLD_NAMES];
	unsigned int nr_files;
	/* fs/fuse_notify.c's part */
	struct mutex prune_lock;
	struct cond prune_more;
	unsigned long prune_wanted;
	bool prune_called, stop;
	struct os_thread pruner;
};

struct wopen {
	struct vfile *f;
	struct open_file *file;
	bool writable, kept;
	/* Errors up to when it has surely, or may have, been told. */
	uint64_t told_least_ns, told_most_ns;
	uint64_t sync_began_ns;
	int must_hear; /* of this error, with the next fsync; 0: of none */
	bool syncing, told_err, excess_seen;
};

struct client {
	struct world *w;
	struct os_thread thread;
	struct request_lane lane;
	bool has_lane, few, fills;
	uint64_t since_ns; /* its operation began */
	struct wopen opens[CLIENT_OPENS];
	char *buf; /* IO_MAX */
};

struct world {
	struct fs fs;
	struct mm *mm;
	struct copy_taker taker;
	bool has_taker, faulty, quiet_end, crash;
	struct wvolume volumes[WORLD_VOLUMES];
	unsigned int nr_volumes, nr_ops, pages_max, noise_percent;
	unsigned int few_pages;	 /* clients use those alone; 0: no */
	struct rwlock quiet;	 /* shared: a client is in an operation (7) */
	bool squeezed;		 /* there was no frame for a while */
	bool has_swap, swapping; /* swapping: mostly anon files are used */
	int swap_fd;
	unsigned long swap_losses;
	uint64_t room;	   /* blocks of the disk; UINT64_MAX: enough */
	bool no_fallocate; /* nothing can be allocated ahead: room is counted */
	struct page *hogs[WORLD_HOGS];
	unsigned int nr_hogs;
	struct client *clients;
	unsigned int nr_clients;
	struct client injectors[WORLD_INJECTORS];
	unsigned int nr_injectors;
	bool has_tree;
	struct client tree;
	bool has_crasher;
	struct client crasher;
	bool armed;		    /* volume 0; fs/crash.h */
	unsigned long early_before; /* crash_early, then */
};

/* All return what the reply says: 0 (a count) or -errno. */
int front_lookup(struct client *c, struct wvolume *wv, const char *name,
		 struct inode **inode, uint64_t *ino);
int front_create(struct client *c, struct wvolume *wv, const char *name,
		 int flags, struct inode **inode, uint64_t *ino,
		 struct open_file **file);
int front_link(struct client *c, struct wvolume *wv, struct inode *inode,
	       const char *name);
int front_unlink(struct client *c, struct wvolume *wv, const char *name);
int front_rename(struct client *c, struct wvolume *wv, const char *name,
		 const char *new_name, unsigned int flags);
/* The names, in the mask of the model's; -errno. */
int front_list(struct client *c, struct wvolume *wv, unsigned int *mask);
int front_open(struct client *c, struct inode *inode, int flags,
	       struct open_file **file);
int front_release(struct client *c, struct inode *inode,
		  struct open_file *file);
int64_t front_read(struct client *c, const struct wopen *o, uint64_t offset,
		   size_t size, void *to);
int64_t front_write(struct client *c, const struct wopen *o, uint64_t offset,
		    const void *from, size_t size, int flags);
/* The same, but as what. */
struct front_write {
	int flags;
	bool keeps_setid, mapped;
};
int64_t front_write_as(struct client *c, const struct wopen *o, uint64_t offset,
		       const void *from, size_t size,
		       const struct front_write *as);
int front_fsync(struct client *c, const struct wopen *o, bool data_only);
int front_truncate(struct client *c, struct inode *inode, uint64_t size);
int front_fallocate(struct client *c, struct inode *inode, int mode,
		    uint64_t offset, uint64_t len);
int64_t front_seek(struct client *c, struct inode *inode, uint64_t offset,
		   int whence);
int front_getattr(struct client *c, struct inode *inode, struct stat *st);
/* "number" to a file below .plimsoll, by its path. */
int front_control(struct client *c, struct wvolume *wv, const char *path,
		  long number);
int front_control_text(struct client *c, struct wvolume *wv, const char *path,
		       const char *text);

/* vol->prune, and the thread behind it. */
void front_start(struct wvolume *wv);
void front_stop(struct wvolume *wv);

/* --- volume_ops_sim.c: what a client does, at random --------------------------- */

void client_main(void *arg);
/* The same for one who fills an anon volume, or uses few pages of one file. */
void client_fill_main(void *arg);
void client_few_main(void *arg);
void client_close_all(struct client *c);
struct vfile *vfile_get(struct wvolume *wv, struct inode *inode, uint64_t ino);
void vfile_put(struct vfile *f);
/* The kernel forgets it, if nobody uses it. */
bool vfile_forget(struct vfile *f);

/* --- volume_fault_sim.c: failures on purpose, and what they excuse ------------ */

enum world_op {
	WORLD_NAMES_ONLY, /* does nothing to what is in files */
	WORLD_READ,
	WORLD_WRITE, /* and truncate, fallocate, ... */
	WORLD_SYNC,
	WORLD_WRITE_SYNC, /* O_SYNC */
};

/* Threads that turn them on and off, until crash is set. */
void faults_start(struct world *w);
void faults_stop(struct world *w);
/* May the operation that began at c->since_ns be answered like that? */
bool faults_excuse(const struct client *c, const struct wvolume *wv,
		   enum world_op op, int err);
/* Was anything on since then that a sync may tell of? */
bool faults_of_sync_since(uint64_t since_ns);
/* Was any of these bytes of an anon file lost on its way to the swap file? */
bool faults_lost(struct vfile *f, uint64_t start, uint64_t end);
/* Or what was cut in the middle, and has to be read before the file grows? */
bool faults_lost_tail(struct vfile *f);
/* How many of each kind; each has to have happened. */
void faults_print(void);
/* One that was never injected, or NULL. */
const char *faults_unseen(void);

/* --- volume_tree_sim.c: directories, links and attributes ------------------------ */

/* Who uses them, beside the others' names, for some steps or until crash is set. */
void tree_start(struct world *w);
void tree_stop(struct world *w);

/* --- volume_crash_sim.c: power cuts on purpose ---------------------------------- */

/* Who arms the file volume, has it crash, and looks, until crash is set. */
void crash_start(struct world *w);
void crash_stop(struct world *w);

/* --- volume_check_sim.c --------------------------------------------------------- */

/* (3), (4), (5): one step. */
void check_moment(struct world *w);
/* (7): quiet is held alone by the caller. */
void check_quiet(struct world *w);
/* (8), of all files. */
void check_end(struct client *c);

/* Seen over all seeds: each has to have happened. */
#define VOLUME_SEEN(X)       \
	X(reads)             \
	X(read_errors)       \
	X(writes)            \
	X(write_errors)      \
	X(short_writes)      \
	X(refusals)          \
	X(read_while_around) \
	X(appends)           \
	X(truncates)         \
	X(truncate_errors)   \
	X(punches)           \
	X(allocates)         \
	X(allocate_errors)   \
	X(syncs)             \
	X(sync_errors)       \
	X(seeks)             \
	X(creates)           \
	X(unlinks)           \
	X(unlinks_open)      \
	X(renames)           \
	X(renames_over)      \
	X(links)             \
	X(lists)             \
	X(name_errors)       \
	X(opens)             \
	X(open_errors)       \
	X(forgets)           \
	X(drops)             \
	X(volume_syncs)      \
	X(outages)           \
	X(full_disks)        \
	X(squeezes)          \
	X(losses)            \
	X(lost_pages)        \
	X(heard)             \
	X(modes_changed)     \
	X(mtimes)            \
	X(tree_makes)        \
	X(tree_removes)      \
	X(tree_renames)      \
	X(tree_moves)        \
	X(tree_links)        \
	X(tree_lists)        \
	X(tree_setattrs)     \
	X(tree_xattrs)       \
	X(tree_writes)       \
	X(tree_privs)        \
	X(tree_errors)       \
	X(crashes)           \
	X(crashes_torn)      \
	X(crashes_early)     \
	X(crashed_unsynced)  \
	X(heard_once)        \
	X(moments)           \
	X(moments_sure)      \
	X(quiets)

extern struct volume_seen {
#define X(name) unsigned long name;
	VOLUME_SEEN(X)
#undef X
} vseen;

#endif
