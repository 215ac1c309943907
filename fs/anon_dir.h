/* anon_dir.h - names of an anon volume: see struct volume_ops. */
#ifndef FS_ANON_DIR_H
#define FS_ANON_DIR_H

#include "fs/dir.h"

struct anon_inode;

/* Offsets in a directory: "." and "..", then the cookies of the names. */
enum { ANON_DIR_DOT = 1, ANON_DIR_DOTDOT = 2, ANON_DIR_FIRST = 3 };

int anon_lookup(struct inode *dir, const char *name, struct dir_entry *entry);
/* -ENOENT if the directory is removed, as all that make a name. */
int anon_make(struct inode *dir, const struct dir_make *make,
	      struct dir_entry *entry);
/* Of a directory that is removed, too. */
int anon_make_unnamed(struct inode *dir, const struct dir_make *make,
		      struct dir_entry *entry);
int anon_link(struct inode *inode, struct inode *dir, const char *name,
	      struct dir_entry *entry);
int anon_unlink(struct inode *dir, const char *name, bool is_dir);
int anon_rename(struct inode *from, const char *name, struct inode *to,
		const char *new_name, unsigned int flags);
int anon_readlink(struct inode *inode, char *buf, size_t size);

struct dir_stream *anon_dir_open(struct inode *inode, int *err);
void anon_dir_close(struct dir_stream *s);
int anon_dir_read(struct dir_stream *s, uint64_t offset,
		  bool (*emit)(void *arg, const struct dir_name *name),
		  void *arg);
int anon_dir_sync(struct dir_stream *s, bool data_only);

/* The directory is being destroyed: free what names it has. */
void anon_dir_drop_names(struct anon_inode *dir);

#endif
