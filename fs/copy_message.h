/*
 * copy_message.h - what plimsoll and the process that takes copies back say to
 * each other: a header, and a path or orders behind it. Each message is answered
 * by one, so that nothing is ever queued.
 */
#ifndef FS_COPY_MESSAGE_H
#define FS_COPY_MESSAGE_H

#include "fs/copy_taker.h"

#include <limits.h>

enum message_type {
	TAKER_HELLO,
	TAKER_MOUNTED,
	TAKER_UNMOUNTING,
	TAKER_TAKE,
	TAKER_LOOK,
	TAKER_PUSH,
};

/* Where the process finds its end of the conversation. */
enum { TAKER_FD = 3 };

struct message {
	enum message_type type;
	uint32_t mount;	 /* MOUNTED, UNMOUNTING */
	uint32_t nr;	 /* TAKE: orders */
	int32_t err;	 /* of an answer */
	uint32_t locked; /* HELLO */
	uint32_t token;	 /* HELLO; of its answer: the one it has */
	uint64_t chunk;	 /* HELLO */
	uint64_t device; /* MOUNTED: what is mounted there, and nothing else */
	union {
		char path[PATH_MAX];
		struct copy_order
			orders[COPY_ORDERS]; /* TAKE; LOOK, PUSH: one */
	};
	struct kernel_view view; /* of an answer to LOOK */
};

#endif
