/*
 * procfile.h - what the files of the control directory say, in the formats of
 * the kernel's files of the same names (proc(5)), so that the tools people
 * have read them unchanged.
 */
#ifndef FS_PROCFILE_H
#define FS_PROCFILE_H

#include "fs/text.h"

struct volume;

void procfile_meminfo(struct volume *vol, struct text *t);
void procfile_vmstat(struct volume *vol, struct text *t);
void procfile_swaps(struct volume *vol, struct text *t);
void procfile_zoneinfo(struct volume *vol, struct text *t);
void procfile_buddyinfo(struct volume *vol, struct text *t);
void procfile_slabinfo(struct volume *vol, struct text *t);
/* Ours: what this mount is, as "key value" lines. */
void procfile_volume(struct volume *vol, struct text *t);
void procfile_unwritten(struct volume *vol, struct text *t);

#endif
