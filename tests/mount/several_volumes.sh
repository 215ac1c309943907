#!/bin/bash
#
# Several volumes of one process: one budget, one after another unmounted, the
# process ends with the last.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$work"/{a,b,c} "$work"/m{a,b,c}
mount_volumes mem=32M a ma b mb c mc
for v in b c; do
	equal "pid of $v" "$(volume "m$v" pid)" "$pid"
done
equal "source" "$(volume mb source)" "$work/b"
equal "mountpoint" "$(volume mc mountpoint)" "$work/mc"
for v in a b c; do
	noise 30000000 "$v" >"m$v/f" || fail "write to $v"
done
for v in a b c; do
	noise 30000000 "$v" | cmp - "m$v/f" || fail "$v is different"
done
fails_with 'cross-device' ln ma/f mb/g
mv ma/f mb/moved || fail "mv from one to another"
noise 30000000 a | cmp - mb/moved || fail "moved is different"

umount mb || fail "umount b"
eventually 30 cmp -s mc/f c/f || fail "c is not written back"
is_running "$pid" || fail "the process ended with the first volume"
noise 30000000 b | eventually 20 test -s b/f
echo still >ma/g && equal "a goes on" "$(cat ma/g)" still

# b is free again, for another process.
first=$pid
mount_volumes mem=16M b mb
[ "$pid" != "$first" ] || fail "same process"
noise 30000000 b | cmp - mb/f || fail "b in another process"
unmount mb

pid=$first
umount ma || fail "umount a"
sleep 0.3
is_running "$pid" || fail "the process ended before the last volume"
unmount mc
noise 30000000 a | cmp - b/moved || fail "moved, in the backing directory"
noise 30000000 c | cmp - c/f || fail "f, in the backing directory"
equal "g" "$(cat a/g)" still
