/*
 * copy_wait.h - requests that leave copies of pages in the kernel: charged when
 * they arrive, and held back while there is no room for what they leave.
 */
#ifndef FS_COPY_WAIT_H
#define FS_COPY_WAIT_H

#include "fs/kernel_copy.h"
#include "fs/request.h"

/* Charge the bytes; see kernel_copies_charge(). False: there is no room. */
bool copy_charge(struct inode *inode, uint64_t offset, size_t size);

/*
 * There is no room for what was charged: hold the request back, without a
 * thread, until there is, or for a while; then "after" goes on with it.
 */
void copy_wait(struct request *rq, void (*after)(struct request *rq));

#endif
