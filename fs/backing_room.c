/* backing_room.c - statfs(2), what it does not say, and what a file has (FIEMAP). */
#include "fs/backing.h"

#include <errno.h>
#include <linux/btrfs.h>
#include <linux/dqblk_xfs.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/quota.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in every <linux/magic.h>. */
#define MAGIC_BCACHEFS 0xca451a4e
#define MAGIC_UBIFS    0x24051905
#define MAGIC_ZFS      0x2fc12fc1

enum { QUOTA_TYPES = 3 }; /* of users, groups, projects */

#define QUOTA_CALL(cmd, type) ((unsigned int)(cmd) << 8 | (type))

/* quotactl_fd(2), which has no function yet. */
static bool has_quotas(int fd)
{
	struct fs_quota_statv xfs = { .qs_version = FS_QSTATV_VERSION1 };
	uint32_t format;

	for (unsigned int type = 0; type < QUOTA_TYPES; type++)
		if (syscall(SYS_quotactl_fd, fd, QUOTA_CALL(Q_GETFMT, type), 0,
			    &format) == 0)
			return true;
	return syscall(SYS_quotactl_fd, fd, QUOTA_CALL(Q_XGETQSTATV, 0), 0,
		       &xfs) == 0 &&
	       xfs.qs_flags != 0;
}

/*
 * btrfs has quotas of its own, which have a directory in sysfs while they are
 * on. If that cannot be told they are.
 */
static bool has_qgroups(int fd)
{
	static const char dir[] = "/sys/fs/btrfs/";
	struct btrfs_ioctl_fs_info_args info = { .flags = 0 };
	char path[sizeof(dir) + 2 * BTRFS_FSID_SIZE + 4 + sizeof("/qgroups")];
	int n = snprintf(path, sizeof(path), "%s", dir);

	if (ioctl(fd, BTRFS_IOC_FS_INFO, &info) < 0)
		return true;
	for (int i = 0; i < BTRFS_FSID_SIZE; i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "%s%02x",
			      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      info.fsid[i]);
	if (access(path, F_OK) < 0)
		return true;
	snprintf(path + n, sizeof(path) - (size_t)n, "/qgroups");
	return access(path, F_OK) == 0;
}

int backing_room(int fd, struct backing_room *room)
{
	struct statfs st;
	uint32_t type;

	if (fstatfs(fd, &st) < 0)
		return -errno;
	type = (uint32_t)st.f_type;
	*room = (struct backing_room){
		.bytes = (uint64_t)st.f_frsize * st.f_bavail,
		.total = (uint64_t)st.f_frsize * st.f_blocks,
		.block = (uint32_t)st.f_frsize,
		.copies = type == BTRFS_SUPER_MAGIC ||
			  type == F2FS_SUPER_MAGIC || type == MAGIC_BCACHEFS ||
			  type == MAGIC_ZFS || type == MAGIC_UBIFS ||
			  type == NILFS_SUPER_MAGIC,
		.as_other = type == OVERLAYFS_SUPER_MAGIC,
		.limited = type == BTRFS_SUPER_MAGIC ? has_qgroups(fd)
						     : has_quotas(fd),
	};
	return 0;
}

/* Such as are not there yet, are others' as well, or cannot be written to. */
#define NO_BLOCKS                                           \
	(FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |   \
	 FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_DATA_INLINE | \
	 FIEMAP_EXTENT_ENCODED)

bool backing_has_blocks(int fd, uint64_t start, uint64_t end)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} u;
	const struct fiemap_extent *e = u.map.fm_extents;

	while (start < end) {
		u.map = (struct fiemap){ .fm_start = start,
					 .fm_length = end - start,
					 .fm_extent_count = 1 };
		if (ioctl(fd, FS_IOC_FIEMAP, &u.map) < 0 ||
		    u.map.fm_mapped_extents != 1 || e->fe_logical > start ||
		    e->fe_logical + e->fe_length <= start ||
		    (e->fe_flags & NO_BLOCKS))
			return false;
		start = e->fe_logical + e->fe_length;
	}
	return true;
}
