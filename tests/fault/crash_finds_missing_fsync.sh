#!/bin/bash
#
# What it is for: a program that saves a file by writing a new one and renaming it
# over the old one, and forgets the fsync(2) in between, is found by a crash on
# purpose; the same program with the fsync is found to be right. This is the
# example of plimsollctl(1).
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

cat >"$work/save.py" <<'PY'
import os, sys
path, contents, sync = sys.argv[1], sys.argv[2], sys.argv[3] == "sync"
fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(fd, contents.encode())
if sync:
    os.fsync(fd)
os.close(fd)
os.rename(path + ".new", path)
PY

# save HOW: is the file the old or the new one after a power cut?
survives() {
	ctl fault "$mnt" arm-crash || fail "arm-crash"
	echo "first version" >"$mnt/config" || fail "write"
	ctl sync "$mnt" || fail "sync"
	timeout 20 python3 "$work/save.py" "$mnt/config" "second version" "$1" ||
		fail "save $1"
	sleep 1 # as if nothing held it back, it would be written back by now
	ctl fault "$mnt" crash >"$work/out" || fail "crash"
	grep -q '^0 pages had to be written early' "$work/out" ||
		fail "not held back: $(cat "$work/out")"
	case $(cat "$mnt/config") in
	"first version" | "second version") ;;
	*) return 1 ;;
	esac
}

mount_plimsoll "$src" "$mnt" mem=64M
ctl set "$mnt" dirty_expire_centisecs 1 || fail "set"
ctl set "$mnt" dirty_writeback_centisecs 1 || fail "set"
survives sync || fail "found a bug where there is none: '$(cat "$mnt/config")'"
survives nosync && fail "the missing fsync was not found"
equal "what is left" "$(cat "$mnt/config")" ""
equal "in the backing directory" "$(cat "$src/config")" ""

# Not armed, and without a crash, it looks right.
ctl fault "$mnt" off || fail "off"
timeout 20 python3 "$work/save.py" "$mnt/config" "third version" nosync
unmount "$mnt"
equal "without a crash" "$(cat "$src/config")" "third version"
