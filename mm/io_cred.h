/*
 * io_cred.h - as whom blocks of backing files are allocated.
 *
 * A file system that keeps blocks for root (ext4: 5 % of it) gives them to whom
 * it takes for root: by the file system uid, or by CAP_SYS_RESOURCE, which also
 * lifts quotas. We write for others, and none of that is theirs. So whatever may
 * allocate a block for data has a uid that is nobody's meanwhile; all else that a
 * writer may, such as leaving set-id bits alone, stays as it is. The capability
 * is given up once, by the process (fs/host.h).
 *
 * Swap files are our own, and have all their blocks.
 */
#ifndef MM_IO_CRED_H
#define MM_IO_CRED_H

/*
 * Of the calling thread, until io_cred_end(). Nothing changes for one who is not
 * root, or may not change its uids: to him nobody gives such blocks.
 */
void io_cred_begin(void);
void io_cred_end(void);

#endif
