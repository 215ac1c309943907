/*
 * number.h - inode numbers as a file volume shows them.
 *
 * A mount has one st_dev, so all its files need numbers that differ: programs
 * take two names with one number for links of one file. Files of SOURCE's own
 * file system keep theirs. Those of others get one made of their device and
 * number, the same each time:
 *
 *	bits 63..61	000: SOURCE's own	001: made here
 *			010: the control directory (fs/control.c)
 */
#ifndef FS_NUMBER_H
#define FS_NUMBER_H

#include "mm/types.h"

struct file_volume;

uint64_t number_of(const struct file_volume *fv, uint64_t dev, uint64_t ino);
/* For a file of a number that another shows already. */
uint64_t number_apart(uint64_t dev, uint64_t ino, int watch);

#endif
