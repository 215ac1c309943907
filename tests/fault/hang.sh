#!/bin/bash
# timeout: 240
#
# Operations that never end: whoever waits for them waits, all others go on, the
# mount can be told to let them end, and does end when it is unmounted: what could
# not be written is named, after the patience of thirty seconds, and nothing stays
# behind.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"

# injected NAME
injected() {
	cat "$mnt/.plimsoll/fault/$1/injected"
}

at_least() {
	[ "$(injected "$1")" -ge "$2" ]
}

# fsync: more of them than there are workers for it.
for transport in dev auto; do
	mount_plimsoll "$src" "$mnt" mem=32M,transport=$transport
	ctl fault "$mnt" fail_fsync error=hang times=-1 probability=100 ||
		fail "fail_fsync"
	children=()
	for i in {1..10}; do
		timeout 100 dd if=/dev/zero of="$mnt/f$i" bs=5000 count=1 conv=fsync \
			2>/dev/null &
		children+=($!)
	done
	eventually 10 at_least fail_fsync 4 || fail "no fsync hangs"
	for i in {1..4}; do
		kill -0 "${children[$i]}" 2>/dev/null && still=yes
	done
	[ "${still:-}" = yes ] || fail "all fsyncs have ended"
	echo "others go on" >"$mnt/other" || fail "write beside it"
	equal other "$(cat "$mnt/other")" "others go on"
	ctl fault "$mnt" off || fail "off, while fsyncs hang"
	for child in "${children[@]}"; do
		wait "$child" || fail "an fsync failed"
	done
	# Late, and more of them than can hang: all workers wait.
	ctl fault "$mnt" fail_fsync error=delay delay-ms=300000 times=-1 \
		probability=100 || fail "delay"
	children=()
	was=$(injected fail_fsync)
	for i in {1..10}; do
		timeout 100 dd if=/dev/zero of="$mnt/f$i" bs=5000 count=1 conv=fsync \
			2>/dev/null &
		children+=($!)
	done
	eventually 10 at_least fail_fsync $((was + ${WAITING:-8})) ||
		fail "not all workers wait"
	ctl fault "$mnt" off || fail "off, while fsyncs are delayed"
	for child in "${children[@]}"; do
		wait "$child" || fail "an fsync failed"
	done
	unmount "$mnt"
done

# Reads, told to end.
noise 5000000 r >"$src/r"
mount_plimsoll "$src" "$mnt" mem=32M
ctl fault "$mnt" fail_io error=hang op=read times=2 probability=100 || fail "fail_io"
timeout 100 cmp "$mnt/r" "$src/r" &
child=$!
eventually 10 at_least fail_io 1 || fail "no read hangs"
echo "others go on" >"$mnt/other2"
equal other2 "$(cat "$mnt/other2")" "others go on"
kill -0 $child || fail "the read has ended"
ctl fault "$mnt" fail_io off || fail "off, while reads hang"
wait $child || fail "the read was wrong"

# A write-back that hangs: what is dirty is readable, and arrives when told.
ctl fault "$mnt" fail_io error=hang op=write times=-1 probability=100 || fail "fail_io"
noise 5000000 w >"$mnt/w"
timeout 100 sync "$mnt/w" &
child=$!
eventually 10 at_least fail_io 3 || fail "no write hangs"
noise 5000000 w | cmp - "$mnt/w" || fail "w, while its write-back hangs"
ctl fault "$mnt" fail_io error=EIO times=0 || fail "another error ends it, too"
wait $child || fail "sync"
noise 5000000 w | cmp - "$src/w" || fail "w, in the backing directory"
unmount "$mnt"

# Three that are told to end at once, as each of them needs its patience:
# unmounted while a write hangs that nobody waits for any more; told to end while
# somebody waits for a read that hangs; a swap file that hangs, with nothing that
# must be written.
ending=()
mount_plimsoll "$src" "$mnt" mem=32M
ctl fault "$mnt" fail_io error=hang op=write times=-1 probability=100 || fail "fail_io"
echo "never written" >"$mnt/never"
eventually 10 at_least fail_io 1 || fail "no write hangs"
umount -l "$mnt" || fail "umount"
ending+=("$pid")

mkdir "$work/other"
cp "$src/r" "$work/other/r"
mnt=$work/reads
mount_plimsoll "$work/other" "$mnt" mem=32M
ctl fault "$mnt" fail_io error=hang op=read times=-1 probability=100 || fail "fail_io"
timeout 200 cat "$mnt/r" >/dev/null 2>&1 &
child=$!
eventually 10 at_least fail_io 1 || fail "no read hangs"
kill -TERM "$pid"
ending+=("$pid")

mnt=$work/swaps
mount_anon "$mnt" "mem=16M,swap=$work/swap:64M"
ctl fault "$mnt" fail_swap_io error=hang times=-1 probability=100 || fail "fail_swap_io"
noise 20000000 s >"$mnt/s" 2>/dev/null
eventually 10 at_least fail_swap_io 1 || fail "no swap write hangs"
umount -l "$mnt" || fail "umount"
ending+=("$pid")

for pid in "${ending[@]}"; do
	wait_gone "$pid" 120 || fail "plimsoll $pid does not end"
done
if wait "$child"; then
	fail "the read did not fail"
fi
