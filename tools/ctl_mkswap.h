/* ctl_mkswap.h - plimsollctl mkswap: a file for plimsoll's swap. */
#ifndef TOOLS_CTL_MKSWAP_H
#define TOOLS_CTL_MKSWAP_H

#define CTL_MKSWAP_OPERANDS "[--force] [--label TEXT] FILE SIZE"

/* The operands behind "mkswap". Returns an exit status. */
int ctl_mkswap(int argc, char **argv);

#endif
