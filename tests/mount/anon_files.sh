#!/bin/bash
#
# Files, directories and their attributes on an anon volume: the scripts that are
# written for a directory, on such a volume instead (see KIND in lib.sh).
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

# What they ask of the directory behind a mount: there is none.
mkdir "$work/scripts"
echo ". '$top/tests/mount/lib.sh'" >"$work/scripts/lib.sh"
sed '/made in the source/d' "$top/tests/mount/directories_and_links.sh" \
	>"$work/scripts/directories_and_links.sh"

nr_bad=0
run() {
	local start=$EPOCHREALTIME status

	KIND=anon TMPDIR=$work timeout 100 bash "$1" >"$work/out" 2>&1
	status=$?
	echo "${1##*/}: $(bc <<<"$EPOCHREALTIME - $start") s"
	[ $status = 0 ] && return
	echo "${1##*/} says $status:"
	cat "$work/out"
	nr_bad=$((nr_bad + 1))
}
for name in basic_files append truncate sparse fallocate_punch rename_semantics \
	attributes_and_times unlink_open_file xattr mmap_shared_private \
	permissions_of_other_users; do
	run "$top/tests/mount/$name.sh"
done
run "$work/scripts/directories_and_links.sh"
[ "$nr_bad" = 0 ] || fail "$nr_bad of them"
