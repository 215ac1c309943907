#!/bin/bash
#
# A volume is in use, by a read that hangs on the disk, when it is to end: no thread
# waits in the kernel for that read, so that who gives it up and kills it is rid of
# it at once, and of the mount.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

noise 4M hung >"$src/f"
for mode in auto user; do
	mount_plimsoll "$src" "$mnt" "mem=32M,cache=$mode"
	fault "$mnt" fail_io error=hang op=read times=1 probability=100
	python3 - "$mnt" <<'PY' &
import mmap, os, sys
fd = os.open(f"{sys.argv[1]}/f", os.O_RDWR)
m = mmap.mmap(fd, 1 << 20)
os.pread(fd, 4096, 0)
PY
	reader=$!
	eventually 10 grep -q '^[1-9]' "$mnt/.plimsoll/fault/fail_io/injected" ||
		fail "nothing hangs"
	kill -TERM "$pid"
	sleep 1
	kill -KILL "$pid"
	wait_gone "$pid" 10 || fail "cache=$mode: there is a thread that nobody can kill: \
$(cat "/proc/$pid/task"/*/stat | awk '$3 == "D" { print $2 }')"
	kill -KILL $reader 2>/dev/null
	wait $reader
	timeout 10 umount -l "$mnt" || fail "umount"
done 2>/dev/null
