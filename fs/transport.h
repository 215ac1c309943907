/*
 * transport.h - which way requests come: FUSE over io_uring, or /dev/fuse.
 *
 * Here is decided what to ask for, before anything is mounted, and how large
 * rings are to be; whether there is a ring then is for a request to say
 * (fs/fuse_session.c).
 *
 *	ring memory = volumes * CPUs * depth * largest request
 */
#ifndef FS_TRANSPORT_H
#define FS_TRANSPORT_H

#include "mm/types.h"

enum transport_wish {
	TRANSPORT_AUTO,	 /* rings where they can be had */
	TRANSPORT_URING, /* or else nothing */
	TRANSPORT_DEV,
};

/* The kernel's switch; a file that is not there: it knows no rings. */
#define TRANSPORT_SWITCH "/sys/module/fuse/parameters/enable_uring"

struct transport {
	enum transport_wish wish;
	bool uring;	       /* to be asked for */
	bool switched_off;     /* for no other reason than the switch */
	unsigned int nr_rings; /* of a volume: CPUs there may ever be */
	unsigned int depth;    /* requests a ring holds */
	size_t request_max;    /* bytes of the largest one */
	size_t bytes;	       /* what all rings take, at most */
	char why[128];	       /* no ring: the reason, or "" */
};

/*
 * Choose for nr_volumes volumes that share a budget of "mem" bytes.
 * request_max: no request shall be larger.
 */
void transport_choose(struct transport *t, enum transport_wish wish, size_t mem,
		      unsigned int nr_volumes, size_t request_max);

#endif
