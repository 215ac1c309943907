/* anon_file.h - contents of an anon file: see struct volume_ops. */
#ifndef FS_ANON_FILE_H
#define FS_ANON_FILE_H

#include "fs/inode.h"
#include "mm/gfp.h"

int anon_file_open(struct inode *inode, int flags);
void anon_file_release(struct inode *inode);
int anon_file_truncate(struct inode *inode, uint64_t size);
int anon_file_fallocate(struct inode *inode, int mode, uint64_t offset,
			uint64_t len);
int64_t anon_file_seek(struct inode *inode, uint64_t offset, int whence);
bool anon_file_is_reserved(struct inode *inode, pgoff_t index);
bool anon_file_must_reserve(struct inode *inode, uint64_t at, size_t len);
int anon_file_reserve_write(struct inode *inode, uint64_t at, size_t len)
	must_hold(inode->io_lock);
int anon_file_fsync(struct inode *inode, bool data_only);

int anon_file_read_page(struct inode *inode, pgoff_t index, void *to);
int anon_file_fill_page(struct inode *inode, struct page *page, gfp_t gfp);
int anon_file_prepare_page(struct inode *inode, struct page *page, uint64_t end,
			   gfp_t gfp);
void anon_file_page_written(struct inode *inode, struct page *page,
			    uint64_t start, uint64_t end);

#endif
