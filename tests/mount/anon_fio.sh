#!/bin/bash
#
# fio verifies what it wrote to an anon volume: four times as much as memory, in
# several ways at once, compressible; so do the jobs for directories.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need fio

# run JOB
run() {
	local start=$EPOCHREALTIME

	mount_anon "$mnt" "mem=64M,swap=$work/swap:512M"
	DIRECTORY=$mnt timeout 60 fio --minimal --output="$work/out" \
		--aux-path="$work" "$top/tests/fio/$1.fio" 2>&1 ||
		fail "$1: $(tail -n 20 "$work/out")"
	echo "$1: $(du -sm --apparent-size "$mnt" | cut -f 1) MiB, $(bc <<<"$EPOCHREALTIME - $start") s," \
		"$(vmstat "$mnt" pswpout) pages out, $(vmstat "$mnt" pswpin) in," \
		"$(vmstat "$mnt" swpout_compressed) compressed to" \
		"$(vmstat "$mnt" swpout_bytes) bytes"
	[ "$(vmstat "$mnt" pswpout)" -gt 40000 ] || fail "hardly swapped"
	[ "$(vmstat "$mnt" pswpin)" -gt 10000 ] || fail "hardly swapped in"
	equal "damaged" "$(vmstat "$mnt" swpin_damaged)" 0
	[ -z "${2:-}" ] || [ "$(vmstat "$mnt" "$2")" -gt 20000 ] || fail "$2"
	overhead_kept "$mnt" || fail "more than the budget"
	unmount "$mnt"
}
run swap swpout_compressed
run mixed
