#!/bin/bash
#
# plimsollctl umount returns when everything is in the backing directory, and
# the next mount works at once; if something cannot be written back it says so
# and the mount stays.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

noise 120000000 0 >"$work/noise"
# As dirty as it can be.
stay_dirty() {
	local setting

	for setting in dirty_ratio=90 dirty_background_ratio=90 dirty_expire_centisecs=360000 \
		dirty_writeback_centisecs=360000; do
		ctl set "$1" "${setting%=*}" "${setting#*=}" || fail "$setting"
	done
}
for round in 1 2 3; do
	mount_plimsoll "$src" "$mnt" mem=256M,cache=user
	stay_dirty "$mnt"
	# Written and not closed: nothing has begun. Nothing is kept elsewhere.
	exec 3>"$mnt/open"
	cat "$work/noise" >&3
	dirty=$(volume "$mnt" dirty_bytes)
	# Slowed down by a sanitizer, what is older than the limit goes first.
	[ "$dirty" -gt 60000000 ] || [ -n "$sanitized" ] ||
		fail "only $dirty bytes are dirty"
	# A copy of the descriptor would make the mount busy.
	exec 3>&-
	for i in 1 2 3 4 5 6 7 8 9; do
		echo "$round $i" >"$mnt/small$i"
	done
	ctl umount "$mnt" || fail "plimsollctl umount"
	# Without a pause, in the backing directory and through the next mount.
	cmp "$work/noise" "$src/open" || fail "returned before the end"
	equal "small" "$(cat "$src"/small*)" "$(printf "$round %d\n" {1..9})"
	is_mounted "$mnt" && fail "still mounted"
	first=$pid
	mount_plimsoll "$src" "$mnt" mem=16M
	cmp "$work/noise" "$mnt/open" || fail "different in the next mount"
	rm "$mnt/open"
	ctl umount "$mnt" || fail "plimsollctl umount of the next"
	wait_gone "$first" 10 || fail "the process stays"
	wait_gone "$pid" 10 || fail "the second process stays"
done

# One of two volumes: it does not wait for the other, which goes on.
mkdir "$work"/{a,b} "$work"/m{a,b}
mount_volumes mem=64M "$work/a" "$work/ma" "$work/b" "$work/mb"
stay_dirty "$work/mb"
noise 20000000 a >"$work/ma/f"
noise 20000000 b >"$work/mb/f"
ctl umount "$work/ma" || fail "plimsollctl umount a"
noise 20000000 a | cmp - "$work/a/f" || fail "a"
noise 20000000 b | cmp - "$work/mb/f" || fail "b suffered"
ctl umount "$work/mb" || fail "plimsollctl umount b"
noise 20000000 b | cmp - "$work/b/f" || fail "b"
wait_gone "$pid" 10 || fail "does not end"

# In use: refused, and it goes on. Cannot be written: refused, nothing lost.
mount_plimsoll "$src" "$mnt" mem=64M
(cd "$mnt" && exec sleep 30) &
sleeper=$!
is_there() {
	[ "$(readlink -f "/proc/$sleeper/cwd")" = "$mnt" ]
}
eventually 10 is_there || fail "the sleeper does not go there"
fails_with busy ctl umount "$mnt"
kill "$sleeper"
wait "$sleeper" 2>/dev/null
echo goes on >"$mnt/small1" || fail "after a refusal"
fault "$mnt" fail_io times=-1 probability=100
noise 3000000 fault >"$mnt/fault"
fails_with 'stays mounted' ctl umount "$mnt"
is_mounted "$mnt" || fail "not mounted any more"
noise 3000000 fault | cmp - "$mnt/fault" || fail "fault"
fault "$mnt" fail_io probability=0
ctl umount "$mnt" || fail "plimsollctl umount, when it is well again"
noise 3000000 fault | cmp - "$src/fault" || fail "fault, in the backing directory"
equal "small1" "$(cat "$src/small1")" "goes on"
