#!/bin/bash
#
# The file system that the swap file is on fills up: that does not matter, its
# room is its own from the beginning.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

make_loop_fs 96M "$work/disk"
mount_anon "$mnt" "mem=16M,swap=$work/disk/swap:64M"
head -c 200M /dev/zero >"$work/disk/others" 2>/dev/null
[ "$(stat -fc %a "$work/disk")" -lt 16 ] || fail "the disk is not full"
timeout 100 python3 - "$mnt" "$top/tests/mount" <<'PY' || fail "see above"
import os, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]
for round in range(2):
    size, took = fill(f"{mnt}/f")
    say(f"{size >> 20} MiB, {percent_used(mnt):.1f} % in use, refused after {took * 1000:.0f} ms")
    assert percent_used(mnt) >= 90
    check(f"{mnt}/f", size)
    v = vmstat(mnt)
    assert v["swap_write_error"] == 0 == v["swap_read_error"], v
    os.unlink(f"{mnt}/f")
PY
unmount "$mnt"
umount "$work/disk" || fail "the disk is busy"
