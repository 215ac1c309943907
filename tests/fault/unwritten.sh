#!/bin/bash
# timeout: 180
#
# What cannot be written back because of somebody's quota, or of a full disk: it is
# kept, tried again, counted, listed in .plimsoll/unwritten, named in the log and by
# plimsollctl sync and umount, which fail; others' files are none of it. When there
# is room all of it is written, and that is said. At the end, without room, it is
# named and lost, and the exit status says so.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

# In the front, so that the log is ours.
serve() {
	"$plimsoll" -f -o mem=64M "$src" "$mnt" >"$work/log" 2>&1 &
	pid=$!
	eventually 20 is_mounted "$mnt" || fail "no mount: $(cat "$work/log")"
}

# never WORDS...: such failures from now on.
always() {
	ctl fault "$mnt" fail_io "error=$1" op=write times=-1 probability=100 ||
		fail "fail_io cannot be set"
}

listed() {
	[ "$(cat "$mnt/.plimsoll/unwritten")" = "$1" ]
}

serve
noise 300000 one >"$work/one"
printf 'a\nb' >"$work/name"
cp "$work/one" "$mnt/before"
ctl sync "$mnt" >"$work/out" || fail "sync"
[ ! -s "$work/out" ] || fail "sync prints $(cat "$work/out")"
equal "unwritten" "$(cat "$mnt/.plimsoll/unwritten")" ""

always EDQUOT
cp "$work/one" "$mnt/$(printf 'a\nb')"
ctl sync "$mnt" >"$work/out" 2>"$work/err" && fail "sync does not say it"
grep -q 'not everything.*quota' "$work/err" || fail "sync says $(cat "$work/err")"
line="303104 EDQUOT $src/a\\012b"
equal "what sync prints" "$(cat "$work/out")" "$line"
listed "$line" || fail "listed: $(cat "$mnt/.plimsoll/unwritten")"
ctl umount "$mnt" >"$work/out" 2>"$work/err" && fail "umount does not say it"
equal "what umount prints" "$(cat "$work/out")" "$line"
is_mounted "$mnt" || fail "unmounted, and not all is written"
[ "$(vmstat "$mnt" nr_unwritten)" = 1 ] || fail "nr_unwritten"
[ "$(vmstat "$mnt" write_io_error)" -gt 0 ] || fail "write_io_error"
eventually 10 grep -q 'cannot be written back: Disk quota exceeded' "$work/log" ||
	fail "the log does not name it: $(cat "$work/log")"
cmp "$work/one" "$mnt/$(printf 'a\nb')" || fail "not kept"
# What is clean is nothing to fail.
timeout 20 sync "$mnt/before" || fail "fsync of another file"
equal "times it was named" "$(grep -c 'cannot be written' "$work/log")" 1
ctl fault "$mnt" fail_io probability=0
eventually 20 listed "" || fail "not tried again"
ctl sync "$mnt" || fail "sync, with room"
grep -q 'is all written back now' "$work/log" || fail "the log: $(cat "$work/log")"
cmp "$work/one" "$src/$(printf 'a\nb')" || fail "not in SOURCE"
equal "nr_unwritten" "$(vmstat "$mnt" nr_unwritten)" 0

# At the end, and on a disk that stays as it is.
exec 5>"$mnt/lost"
cat "$work/one" >&5
always ENOSPC
exec 5>&-
umount "$mnt"
wait "$pid" && fail "it says that all is well"
grep -q "not written back: $src/lost (296 KiB, No space left on device)" "$work/log" ||
	fail "the log does not name what is lost: $(cat "$work/log")"
