/* open_file.c - what one open(2) has, whatever the kind of its file. */
#include "fs/open_file.h"

#include "fs/fs.h"

#include <errno.h>
#include <fcntl.h>

struct open_file *open_file_alloc(struct volume *vol)
{
	return kmem_cache_zalloc(&vol->fs->open_files, GFP_KERNEL);
}

void open_file_free(struct volume *vol, struct open_file *file)
{
	kmem_cache_free(&vol->fs->open_files, file);
}

int open_file_begin(struct open_file *file, struct inode *inode, int flags)
{
	struct volume *vol = inode->vol;
	int err = vol->ops->open(inode, flags);

	if (err)
		return err;
	mutex_init(&file->lock);
	file->inode = inode;
	file->mode = (uint8_t)(flags & O_ACCMODE);
	file->noatime = flags & O_NOATIME;
	file->append_only = file->mode != O_RDONLY && (flags & O_APPEND) &&
			    vol->ops->is_append_only &&
			    vol->ops->is_append_only(inode);
	kernel_copies_opened(inode, file->mode);
	mutex_lock(&vol->opens_lock);
	list_add(&vol->open_files, &file->link);
	mutex_unlock(&vol->opens_lock);
	file->wb_err_since = errseq_sample(&inode->mapping.wb_err);
	return 0;
}

void open_file_release(struct open_file *file)
{
	struct inode *inode = file->inode;
	struct volume *vol = inode->vol;

	mutex_lock(&vol->opens_lock);
	list_del(&file->link);
	mutex_unlock(&vol->opens_lock);
	kernel_copies_closed(&vol->fs->copies, inode, file->mode);
	open_file_free(vol, file);
	vol->ops->release(inode);
	inode_put(inode);
}

/* O_TRUNC, which the kernel leaves to us with all that it takes. */
static int cut(struct inode *inode, bool keeps_setid)
{
	const struct volume_ops *ops = inode->vol->ops;
	int err = ops->drop_privs(inode, privs_of_write(keeps_setid));

	return err ? err : ops->truncate(inode, 0);
}

int open_file_open(struct inode *inode, int flags, bool keeps_setid,
		   struct open_file **file)
{
	struct volume *vol = inode->vol;
	int err;

	*file = open_file_alloc(vol);
	if (!*file)
		return -ENOMEM;
	inode_ref(inode);
	err = open_file_begin(*file, inode, flags);
	if (err) {
		open_file_free(vol, *file);
		inode_put(inode);
		return err;
	}
	if (flags & O_TRUNC)
		err = cut(inode, keeps_setid);
	if (err)
		open_file_release(*file);
	return err;
}

bool open_file_note_access(struct open_file *file, int flags)
{
	struct inode *inode = file->inode;
	const struct volume *vol = inode->vol;

	return vol->ops->accessed && !file->noatime &&
	       vol->cache != CACHE_USER && file->mode != O_WRONLY &&
	       !(flags & O_NONBLOCK) &&
	       kernel_copies_any(&vol->fs->copies, inode) &&
	       vol->ops->accessed(inode);
}

static int make(struct inode *dir, const struct dir_make *how,
		struct dir_entry *entry)
{
	const struct volume_ops *ops = dir->vol->ops;

	if (how->name)
		return ops->make(dir, how, entry);
	return ops->make_unnamed ? ops->make_unnamed(dir, how, entry)
				 : -EOPNOTSUPP;
}

int open_file_create(struct inode *dir, const struct dir_make *how, int flags,
		     struct dir_entry *entry, struct open_file **file)
{
	int err;

	/* First, so that no name is left if there is none. */
	*file = open_file_alloc(dir->vol);
	err = *file ? make(dir, how, entry) : -ENOROOM;
	if (err) {
		if (*file)
			open_file_free(dir->vol, *file);
		return err;
	}
	if (flags & O_TRUNC && entry->attr.st_size > 0)
		err = cut(entry->inode, false);
	if (!err)
		err = open_file_begin(*file, entry->inode, flags);
	if (err) {
		open_file_free(dir->vol, *file);
		inode_forget(entry->inode, 1);
		inode_put(entry->inode);
	}
	return err;
}

/* An error since the last report to this open file, or 0. */
static int check_error(struct open_file *file)
{
	int err;

	mutex_lock(&file->lock);
	err = errseq_check_and_advance(&file->inode->mapping.wb_err,
				       &file->wb_err_since);
	mutex_unlock(&file->lock);
	return err;
}

int open_file_sync(struct open_file *file, bool data_only)
{
	struct inode *inode = file->inode;
	int err = inode->vol->ops->fsync(inode, data_only);
	int seen = check_error(file);

	return seen ? seen : err;
}
