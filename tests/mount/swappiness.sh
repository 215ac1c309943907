#!/bin/bash
#
# Pages of an anon and of a file volume compete for one budget: swappiness says
# which go. The same use of both, files larger than the memory there is and read
# again and again beside anon pages that are left alone: with 0 none of these are
# swapped; the higher it is, the more of them are, and the less of the file is read
# from the disk again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mkdir "$work/fsrc" "$work/fmnt"
noise 44000000 file >"$work/fsrc/file"
cat >"$work/use.py" <<'PY'
import os, sys
sys.path.insert(0, sys.argv[3])
from anon_data import *
anon, file = sys.argv[1:3]
with open(f"{anon}/left", "wb") as f:
    f.write(pages(text, 0, 6144))               # 24 MiB
fd = os.open(f"{file}/file", os.O_RDONLY)
for n in range(6):
    for at in range(0, 44000000, 1 << 17):
        assert os.pread(fd, 1 << 17, at)
v = vmstat(anon)
print(v["pswpout"], v["pgpgin"])
check(f"{anon}/left", 6144 * PAGE, text)
PY
# use SWAPPINESS: sets out, pages swapped, and in, KiB read of the disk.
use() {
	mount_volumes "mem=64M,cache=user,swappiness=$1,swap=$work/swap:128M" \
		anon "$mnt" "$work/fsrc" "$work/fmnt"
	equal "swappiness" "$(cat "$mnt/.plimsoll/sys/vm/swappiness")" "$1"
	timeout 60 python3 "$work/use.py" "$mnt" "$work/fmnt" "$top/tests/mount" \
		>"$work/used" || fail "swappiness=$1: $(cat "$work/used")"
	read -r out in <"$work/used"
	echo "swappiness=$1: $out pages swapped, $in read"
	umount "$work/fmnt" || fail "umount"
	unmount "$mnt"
}
use 0
out0=$out in0=$in
use 200
[ "$out0" -lt 50 ] || fail "swappiness=0, and pages are swapped"
[ "$out" -gt 2000 ] || fail "swappiness=200, and pages of files go"
[ $((in * 2)) -lt "$in0" ] || fail "what was swapped did not help the file"
