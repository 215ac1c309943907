/*
 * volume_ops.h - operations of clients, with what they may be answered: between
 * those who know files (volume_file_sim.c), names (volume_names_sim.c), contents
 * (volume_io_sim.c) and the rest (volume_ops_sim.c).
 */
#ifndef TESTS_SIM_VOLUME_OPS_H
#define TESTS_SIM_VOLUME_OPS_H

#include "tests/sim/volume_world.h"

/* Before an answer is given up that says what an error has left. */
enum { TRIES = 400 };

/* Fail unless that is an answer that may come. */
void check_answer(const struct client *c, const struct wvolume *wv,
		  enum world_op op, const char *what, int64_t err);

/* A file that was made: one user, no name. */
struct vfile *vfile_new(struct wvolume *wv, uint64_t ino);
void vfile_hold(struct vfile *f);
/* The reply had an inode with a kernel ref. */
void vfile_found(struct vfile *f, struct inode *inode, uint64_t ino);

/* Names: n is one of WORLD_NAMES; o is set if the file is open then. */
void file_op_create(struct client *c, struct wvolume *wv, unsigned int n,
		    struct wopen *o);
void file_op_open(struct client *c, struct wvolume *wv, unsigned int n,
		  struct wopen *o);
void file_op_close(struct client *c, struct wopen *o);
void file_op_unlink(struct client *c, struct wvolume *wv, unsigned int n);
void file_op_rename(struct client *c, struct wvolume *wv, unsigned int from);
void file_op_link(struct client *c, struct wvolume *wv, unsigned int n);
void file_op_list(struct client *c, struct wvolume *wv);

/* Contents of an open file; the first: anything. */
void file_op_on_open(struct client *c, struct wopen *o);
void file_op_read(struct client *c, struct wopen *o);
void file_op_write(struct client *c, struct wopen *o);
void file_op_sync(struct client *c, struct wopen *o);

#endif
