#!/bin/bash
#
# A source has one plimsoll: another mount of it is refused while it is served,
# and waits while the last one still writes back.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$work/mnt2"
mount_plimsoll "$src" "$mnt"
first=$pid
fails_with 'already' timeout 20 "$plimsoll" -o mem=16M "$src" "$work/mnt2"
is_mounted "$work/mnt2" && fail "mounted twice"
ln -s "$src" "$work/link"
fails_with 'already' timeout 20 "$plimsoll" -o mem=16M "$work/link" "$work/mnt2"
echo x >"$mnt/f" || fail "the first mount suffered"

# Unmounted while much is dirty, and mounted again at once: it waits.
for i in 1 2 3; do
	noise 40000000 "$i" >"$mnt/f$i"
	umount "$mnt" || fail "umount"
	mount_plimsoll "$src" "$mnt"
	noise 40000000 "$i" | cmp - "$mnt/f$i" || fail "f$i is different"
	is_running "$first" && fail "two serve one source"
	first=$pid
done

# The holder of the lock is slow: it cannot write back.
if [ "$(id -u)" = 0 ]; then
	noise 1000000 slow >"$mnt/slow"
	kill -STOP "$pid"
	# It may wait until requests that were handed over are given back.
	umount -l "$mnt" &
	lazy=$!
	"$plimsoll" -o mem=16M "$src" "$work/mnt2" >"$work/out" 2>&1 &
	second=$!
	sleep 1.5
	kill -CONT "$pid"
	wait $lazy || fail "umount -l"
	if wait "$second"; then
		wait_gone "$pid" 1 || fail "two serve one source"
		pid=$(volume "$work/mnt2" pid)
		noise 1000000 slow | cmp - "$work/mnt2/slow" || fail "slow"
		unmount "$work/mnt2"
	else
		grep -q already "$work/out" || fail "$(cat "$work/out")"
		wait_gone "$pid" 20 || fail "the first does not end"
	fi
else
	unmount "$mnt"
fi

# After a kill -9 nothing is locked.
mount_plimsoll "$src" "$mnt"
kill -KILL "$pid"
wait_gone "$pid" 10
umount -l "$mnt"
mount_plimsoll "$src" "$mnt"
unmount "$mnt"
