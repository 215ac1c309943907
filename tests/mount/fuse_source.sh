#!/bin/bash
#
# SOURCE on another FUSE file system, which forgets its files: what is held here is
# still to be had after that, and two names of one file are one.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "not root"
need bindfs python3

mkdir -p back/dir/below
for n in 1 2 3; do
	echo $n >back/dir/below/$n
done
timeout 10 bindfs back "$src" || fail "bindfs"
mount_plimsoll "$src" "$mnt" mem=16M
cd "$mnt/dir/below" || fail "cd"
ls >/dev/null
sleep 1.2 # so old may names be
echo 2 >/proc/sys/vm/drop_caches
equal "files" "$(timeout 20 cat 1 2)" $'1\n2'
equal "names" "$(timeout 20 ls)" $'1\n2\n3'
echo more >>./2 || fail "not writable"
cd "$work" || exit 1

# Two names of one file, for which the other file system has a node each.
head -c 30 /dev/zero | tr '\0' . >back/one && ln back/one back/two
python3 - "$mnt" <<'PY' || fail "two names"
import os, sys
one, two = (os.open(f"{sys.argv[1]}/{n}", os.O_RDWR) for n in ("one", "two"))
assert os.pread(one, 99, 0) == os.pread(two, 99, 0) == b"." * 30
os.pwrite(one, b"A" * 10, 0)
os.fsync(one)
os.pwrite(two, b"B" * 10, 20)
os.fsync(two)
PY
equal "two names of one file" "$(cat back/one)" AAAAAAAAAA..........BBBBBBBBBB
unmount "$mnt"
equal "in the end" "$(cat back/dir/below/2)" $'2\nmore'
