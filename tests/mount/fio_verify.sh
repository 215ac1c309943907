#!/bin/bash
#
# fio's jobs, each of which verifies what it wrote: four times as much as the
# budget holds, by several ways and jobs at once. What is read again at the end,
# and the backing files, are what the jobs left.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need fio

for job in "$top"/tests/fio/*.fio; do
	rm -rf "$src" && mkdir "$src"
	mount_plimsoll "$src" "$mnt" mem=64M
	start=$EPOCHREALTIME
	DIRECTORY=$mnt timeout 60 fio --minimal --output="$work/out" \
		--aux-path="$work" "$job" 2>&1 ||
		fail "${job##*/}: $(tail -n 20 "$work/out")"
	files=$(find "$mnt" -type f -printf '%f\n')
	read -r nr bytes < <(stat -c %s "$mnt"/* |
		awk '{ n += $1 } END { print NR, n }')
	echo "${job##*/}: $nr files, $((bytes >> 20)) MiB, $(bc <<<"$EPOCHREALTIME - $start") s"
	[ "$bytes" -ge 260000000 ] || fail "${job##*/}: only $bytes bytes"
	# shellcheck disable=SC2086 # names without blanks
	compare_after_unmount "$mnt" "$src" $files
done
