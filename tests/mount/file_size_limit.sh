#!/bin/bash
#
# Mounted by one whose files may only be so large (ulimit -f): what can be lifted is;
# what cannot is where files end, EFBIG, and all that was acknowledged is there.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need setpriv
[ "$(id -u)" = 0 ] || skip "not root"

# limited S|SH: mount at 20000 KiB; sets $pid.
limited() {
	# Root may lift what is hard, if it is all that root can be.
	# shellcheck disable=SC2016 # for the shell called
	setpriv --bounding-set -sys_resource --inh-caps -sys_resource bash -c '
		ulimit "-$1" -f 20000
		exec timeout 60 "$2" -o mem=16M "$3" "$4"' - "$1" "$plimsoll" "$src" "$mnt" \
		>"$work/mount.out" 2>&1 || fail "no mount: $(cat "$work/mount.out")"
	pid=$(volume "$mnt" pid)
}
noise 30000000 1 >"$work/noise"

limited S
cp "$work/noise" "$mnt/f" || fail "a soft limit"
sync "$mnt/f" || fail "fsync"
unmount "$mnt"
cmp "$work/noise" "$src/f" || fail "f is different"
rm "$src/f"

limited SH
fails_with 'File too large' cp "$work/noise" "$mnt/f"
equal "size" "$(stat -c %s "$mnt/f")" 20480000
fails_with 'File too large' truncate -s 20480001 "$mnt/g"
sync "$mnt/f" || fail "fsync"
is_running "$pid" || fail "it has ended"
unmount "$mnt"
cmp -n 20480000 "$work/noise" "$src/f" || fail "f is different"
equal "size in the end" "$(stat -c %s "$src/f")" 20480000
