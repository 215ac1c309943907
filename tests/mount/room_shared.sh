#!/bin/bash
# timeout: 180
#
# Others write to the disk of SOURCE, too. With plenty of room it is counted; as
# soon as there is not, what was counted gets its blocks at once, and what comes has
# its blocks before write(2) returns: whatever others take from then on, all that
# was acknowledged is in SOURCE in the end. SEED=n again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/mount/fillers.sh
. "$top/tests/mount/fillers.sh"
need python3 fallocate

seed=${SEED:-$RANDOM}
echo "SEED=$seed"

# left DIRECTORY: MiB anybody may have.
left() {
	stat -f -c '%a %S' "$1" | awk '{ print int($1 * $2 / 1048576) }'
}

is_written() {
	[ "$(volume "$mnt" reserved_bytes)" = 0 ]
}

# --- counted, and then not ---------------------------------------------------------

make_default_fs 14G "$work/disk" ext4 "-N 4000 -E lazy_itable_init=1"
mkdir "$work/disk/src"
mount_plimsoll "$work/disk/src" "$mnt" mem=64M
# Nothing goes out by its age, or because there is much of it.
for setting in dirty_expire_centisecs=360000 dirty_writeback_centisecs=360000 \
	dirty_ratio=80 dirty_background_ratio=70; do
	echo "${setting#*=}" >"$mnt/.plimsoll/sys/vm/${setting%=*}"
done
exec 5>"$mnt/counted"
noise 10000000 "$seed" | tee "$work/counted" >&5
equal "the room" "$(volume "$mnt" room)" counted
[ "$(volume "$mnt" reserved_bytes)" -ge 9000000 ] || fail "nothing is counted"
fallocate -l $(($(left "$work/disk") - 1000))M "$work/disk/others" || fail "fallocate"
eventually 10 is_written || fail "what was counted is not written at once"
equal "the room" "$(volume "$mnt" room)" allocated
noise 5000000 "$seed.2" | tee -a "$work/counted" >&5
# The rest, to the last block.
dd if=/dev/zero of="$work/disk/rest" bs=1M status=none 2>/dev/null
fallocate -l 4K "$work/disk/one.more" 2>/dev/null && sync -f "$work/disk"
! timeout 20 dd if=/dev/zero of="$mnt/new" bs=1M count=20 conv=fsync 2>"$work/dd" ||
	[ "$(left "$work/disk")" -gt 0 ] || fail "20 MiB are on a disk that is full"
exec 5>&-
ctl sync "$mnt" || fail "what was acknowledged cannot be written"
unmount "$mnt"
cmp "$work/counted" "$work/disk/src/counted" || fail "lost what was acknowledged"
umount "$work/disk" || fail "the backing file system is busy"
rm -f "$work/disk.img"

# --- side by side --------------------------------------------------------------------

make_default_fs 160M "$work/disk" ext4
mkdir "$work/disk/src"
mount_plimsoll "$work/disk/src" "$mnt" mem=64M
while dd if=/dev/zero bs=1M count=2 status=none 2>/dev/null >>"$work/disk/others"; do
	sleep 0.05
done &
others=$!
fill_all "side by side" 100 "$mnt" one append random small
wait $others
ctl sync "$mnt" || fail "not all could be written"
unmount "$mnt"
check_filled "side by side" "$work/disk/src"
umount "$work/disk" || fail "the backing file system is busy"
