/* ctl_fault.h - failures on purpose: shown, set, ended; and a power cut. */
#ifndef TOOLS_CTL_FAULT_H
#define TOOLS_CTL_FAULT_H

#include "tools/ctl_mount.h"

#define CTL_FAULT_OPERANDS "[NAME [FIELD=VALUE ...]]"

/*
 * The operands after MOUNT; see plimsollctl(1). Returns an exit status, after a
 * line if it is not CTL_OK.
 */
int ctl_fault(const struct ctl_mount *m, int argc, char **argv);

#endif
