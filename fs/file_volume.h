/*
 * file_volume.h - a volume whose pages live in the files of a backing
 * directory.
 */
#ifndef FS_FILE_VOLUME_H
#define FS_FILE_VOLUME_H

#include "fs/disk_watch.h"
#include "fs/file_inode.h"
#include "fs/other_fs.h"
#include "fs/space.h"
#include "fs/volume.h"
#include "fs/watch.h"
#include "mm/shrinker.h"

/* (C) constant once the volume is open. */
struct file_volume {
	struct volume vol;
	int root_fd;	   /* the backing directory, opened for reading;
			   * file handles are opened through it (C) */
	uint64_t mnt_id;   /* of the backing mount (C) */
	uint64_t dev;	   /* of the backing directory (C) */
	bool handles_last; /* there, see fs/backing.h (C) */
	bool has_handles;  /* inodes are found again by file handle (C) */
	bool has_direct;   /* files can be opened with O_DIRECT (C) */
	_Atomic uint64_t time_floor_ns; /* the latest fine time of a change */
	struct other_fs_list others;
	struct watches watches;
	struct disk_watch watch;
	struct crash crash;
	struct file_inode_hash hash;
	struct kmem_cache inode_cache;	/* struct file_inode */
	struct kmem_cache dir_streams;	/* struct file_dir_stream */
	_Atomic unsigned long nr_reads; /* runs being read */
	struct mutex left_lock;
	struct list_head left;	  /* file_inode.left_link (left_lock) */
	struct shrinker shrinker; /* of idle inodes */
};

static inline struct file_volume *file_volume(struct volume *vol)
{
	return container_of(vol, struct file_volume, vol);
}

static inline struct file_volume *file_volume_of(const struct file_inode *fi)
{
	return file_volume(fi->inode.vol);
}

/*
 * Open the backing directory, for O_RDONLY or O_RDWR, and find out what it can
 * do. NULL and *err = -errno. root_fd is taken over.
 */
struct volume *file_volume_open(struct fs *fs, int root_fd, int access,
				int *err);

#endif
