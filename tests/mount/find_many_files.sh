#!/bin/bash
#
# A hundred thousand files are looked up by find, in a small budget: it finds
# them all, more than once; the process stays within the budget and has few
# descriptors open.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

nr=${NR_FILES:-100000}
for ((d = 0; d < nr / 1000; d++)); do
	mkdir "$src/d$d" || fail "mkdir"
	cd "$src/d$d" || exit 1
	seq -f 'file%g' 1000 | xargs touch || fail "touch"
	echo "not empty" >"file$((d + 1))"
done
cd "$work" || exit 1
mount_plimsoll "$src" "$mnt" mem=16M
budget=$(($(volume "$mnt" mem) + $(volume "$mnt" overhead)))

# What the process had at most, and has open now.
check_process() {
	local rss fds

	rss=$(awk '/^VmHWM:/ { print $2 * 1024 }' "/proc/$pid/status")
	fds=$(find "/proc/$pid/fd" -type l | wc -l)
	echo "$1: resident $rss of $budget, descriptors $fds, inodes $(vmstat "$mnt" nr_inodes)"
	[ "$rss" -le "$budget" ] || [ -n "$sanitized" ] || fail "resident $rss, more than $budget"
	[ "$fds" -le 256 ] || [ "$(volume "$mnt" handles)" = no ] ||
		fail "$fds descriptors are open"
}

# look WHAT SHOULD_BE FIND_TEST...: find has to ask for each file's attributes.
look() {
	local what=$1 should_be=$2

	shift 2
	equal "$what" "$(timeout 60 find "$mnt" -type f "$@" -printf x 2>"$work/err" | wc -c)" \
		"$should_be"
	equal "errors of find" "$(head -n 3 "$work/err")" ""
	check_process "$what"
}
look "empty files" $((nr - nr / 1000)) -size 0
look "others" $((nr / 1000)) -size -2 -not -size 0
# By two at once, and the caches dropped under them.
look "all files" "$nr" -mtime -1 &
one=$!
for _ in 1 2 3; do
	sleep 1
	drop_caches "$mnt"
done
look "all but empty" $((nr / 1000)) -size +0
wait "$one" || fail "see above"

# There is room for other things, and names come back.
noise 20000000 room >"$mnt/room" || fail "no room for a file"
equal "contents" "$(cat "$mnt/d7/file8" "$mnt/d99/file1000" "$mnt/d99/file100")" \
	$'not empty\nnot empty'
timeout 60 rm -r "$mnt/d1" || fail "rm -r"
compare_after_unmount "$mnt" "$src" room d7/file8
[ ! -e "$src/d1" ] || fail "d1 is still there"
