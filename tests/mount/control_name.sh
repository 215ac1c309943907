#!/bin/bash
#
# A SOURCE that has a .plimsoll of its own, a directory or a link to one, with files
# named like ours: it is not listed, and does not take the place of ours because it
# was. plimsollctl talks to ours alone, whatever lies on its way, and says that
# there is none where there is none: sync says 0 when the data are in SOURCE, and
# never otherwise. MOUNT may be written in any way.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "not root"
need python3

# A .plimsoll in $src, as $1 says, whose files nobody shall write to.
lay() {
	local dir=$src/.plimsoll

	rm -rf "$src/.plimsoll" "$work/elsewhere"
	if [ "$1" = link ]; then
		dir=$work/elsewhere
		ln -s "$dir" "$src/.plimsoll"
	fi
	mkdir -p "$dir/sys/vm"
	for name in sync vmstat volume sys/vm/drop_caches; do
		echo foreign >"$dir/$name"
	done
	[ "$1" != fifo ] || { rm "$dir/sync" && mkfifo "$dir/sync"; }
	cp -a "$src/.plimsoll" "$work/before"
}

untouched() {
	diff -r "$work/before" "$src/.plimsoll" 2>&1 | grep -v 'is a fifo' &&
		fail "$1: SOURCE's own was changed"
	rm -rf "$work/before"
}

# As they would be found; for a second, at most, the kernel remembers.
list_it() {
	timeout 20 ls -la "$mnt" >list.out
	timeout 20 find "$mnt" -ls >/dev/null
	timeout 20 python3 -c 'import os, sys; [e.stat() for e in os.scandir(sys.argv[1])]' "$mnt"
	timeout 20 stat "$mnt/.plimsoll" >/dev/null
}

# is_dirty MOUNT
is_dirty() {
	[ "$(timeout 20 "$plimsollctl" show "$1" volume | sed -n 's/^dirty_bytes //p')" != 0 ]
}

# dirty N: what will not be written back by itself so soon, as it is open still.
dirty() {
	ctl set "$mnt" dirty_expire_centisecs 30000 || fail "set"
	exec 7<>"$mnt/data"
	noise 1000000 "$1" >&7 || fail "$1: write"
	[ "$(timeout 20 "$plimsollctl" show "$mnt" volume | sed -n 's/^dirty_bytes //p')" != 0 ] ||
		fail "$1: nothing is dirty"
}

# is_in_source N: of which sync says so.
is_in_source() {
	noise 1000000 "$1" | cmp -s - "$src/data"
}

for kind in directory link fifo; do
	lay $kind
	echo other >"$src/other"
	mount_plimsoll "$src" "$mnt" mem=64M
	for n in 1 2 3; do
		list_it
		grep -q ' \.plimsoll' list.out && fail "$kind: is listed: $(cat list.out)"
		grep -q other list.out || fail "$kind: not all is listed"
		dirty "$kind.$n"
		list_it
		ctl sync "$mnt" || fail "$kind: sync"
		is_in_source "$kind.$n" || fail "$kind: sync said 0, and data are not in SOURCE"
		exec 7<&-
	done
	rm "$mnt/other"
	equal "$kind: the rest" "$(timeout 20 ls -A "$mnt")" data
	ctl show "$mnt" vmstat | grep -q '^nr_free_pages ' || fail "$kind: vmstat"
	unmount "$mnt"
	untouched "$kind"

	# Without control files: what is there is SOURCE's, and is shown.
	cp -a "$src/.plimsoll" "$work/before"
	timeout 20 "$plimsoll" -o mem=64M,control=off "$src" "$mnt" 2>mount.out ||
		fail "$(cat mount.out)"
	timeout 20 ls -A "$mnt" | grep -qx .plimsoll || fail "$kind: hidden without need"
	noise 1000000 off | dd of="$mnt/data" bs=100k iflag=fullblock \
		conv=notrunc status=none
	said=$(timeout 20 "$plimsollctl" sync "$mnt" 2>&1) && fail "$kind: control=off, and sync says 0"
	equal "$kind: lines" "$(wc -l <<<"$said")" 1
	grep -q 'control=off' <<<"$said" || fail "$kind: $said"
	for command in "show $mnt vmstat" "drop $mnt" "stat $mnt" "fault $mnt" "show $mnt"; do
		# shellcheck disable=SC2086 # words
		fails_with control=off timeout 20 "$plimsollctl" $command
	done
	ctl umount "$mnt" || fail "$kind: umount"
	is_in_source off || fail "$kind: umount said 0, and data are not in SOURCE"
	untouched "$kind, control=off"
done
rm -rf "$src/.plimsoll"

# However it is named.
mkdir -p "$work/d/e" "$work/bound" "$work/part"
mount_plimsoll "$src" "$mnt" mem=64M
mkdir "$mnt/sub"
ln -s "$mnt" "$work/d/link"
ln -s d/link "$work/chain"
mount --bind "$mnt" "$work/bound"
mount --bind "$mnt/sub" "$work/part"
n=0
for name in "$mnt/" "$mnt///" "$work/d/../mnt/." "$work/d/link" "$work/chain" \
	"$work/chain/" "$mnt/sub/.." "$work/bound" "mnt" "./d/e/../../mnt"; do
	dirty $((++n))
	ctl sync "$name" || fail "sync $name"
	is_in_source $n || fail "$name: sync said 0, and data are not in SOURCE"
	exec 7<&-
done
fails_with "is inside the mount $mnt" "$plimsollctl" sync "$mnt/sub"
fails_with "is inside the mount $work/bound" "$plimsollctl" sync "$work/bound/sub"
fails_with "name the mount's own" "$plimsollctl" sync "$work/part"
fails_with "is not the mount point" "$plimsollctl" sync "$work/d"
fails_with "is inside the mount" "$plimsollctl" sync "$mnt/.plimsoll"
umount "$work/part"

# Read-only here, and not where it is written.
mount -o remount,bind,ro "$work/bound"
dirty ro
if ctl sync "$work/bound" 2>/dev/null; then
	is_in_source ro || fail "read-only: sync said 0, and data are not in SOURCE"
fi
ctl sync "$mnt" || fail "sync"
exec 7<&-
ctl sync "$work/bound" || fail "read-only, and nothing is dirty"
umount "$work/bound"
ctl umount "$work/chain" || fail "umount by a link"
wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
