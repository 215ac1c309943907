#!/bin/bash
#
# A source that is its own mount point: hidden by the mount, refused a second
# time, there again with all that was written.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

echo before >"$src/before"
chmod 700 "$src/before"
# The backing directory, which the mount will hide.
behind=
if [ "$(id -u)" = 0 ]; then
	behind=$work/behind
	mkdir "$behind"
	mount --bind "$src" "$behind" || fail "mount --bind"
fi

for round in 1 2; do
	mount_volumes mem=16M "$src" "$src"
	is_mounted "$src" || fail "not mounted"
	equal "source" "$(volume "$src" source)" "$src"
	equal "mountpoint" "$(volume "$src" mountpoint)" "$src"
	equal "mode" "$(stat -c %a "$src/before")" 700
	equal "content" "$(cat "$src/before")" before
	noise 40000000 $round >"$src/f$round" || fail "write"
	mkdir -p "$src/d/e" || fail "mkdir"
	mv "$src/f$round" "$src/d/e" || fail "mv"

	# Again in place, elsewhere, by another name, as a part.
	for pair in "$src $src" "$src $mnt" "$work/./src $mnt" "$work/link $mnt" \
		"$src/d $mnt"; do
		ln -sfn "$src" "$work/link"
		# shellcheck disable=SC2086 # two words
		fails_with plimsoll: timeout 20 "$plimsoll" -o mem=16M $pair
		is_mounted "$mnt" && fail "$pair: mounted"
	done
	equal "mounts" "$(grep -c " $src [^-]* - fuse" /proc/self/mountinfo)" 1
	equal "still" "$(cat "$src/before")" before

	noise 40000000 $round | cmp - "$src/d/e/f$round" || fail "read"
	sync "$src/d/e/f$round" || fail "sync"
	if [ -n "$behind" ]; then
		noise 40000000 $round | cmp - "$behind/d/e/f$round" ||
			fail "not in the backing directory"
	fi
	echo "dirty $round" >"$src/dirty"
	if [ $round = 1 ]; then
		unmount "$src"
	else
		ctl umount "$src" || fail "plimsollctl umount"
	fi
	is_mounted "$src" && fail "still mounted"
	equal "dirty" "$(cat "$src/dirty")" "dirty $round"
	noise 40000000 $round | cmp - "$src/d/e/f$round" || fail "not there"
done

# Ended by a signal, and not alone.
mkdir "$work/other" "$work/mother"
mount_volumes mem=16M "$src" "$src" "$work/other" "$work/mother"
echo signal >"$src/dirty"
echo other >"$work/mother/f"
kill -TERM "$pid"
wait_gone "$pid" 30 || fail "does not end"
equal "dirty" "$(cat "$src/dirty")" signal
equal "other" "$(cat "$work/other/f")" other
if [ -n "$behind" ]; then
	umount "$behind" || fail "the backing directory is busy"
fi
