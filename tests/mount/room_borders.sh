#!/bin/bash
# timeout: 150
#
# What is acknowledged has its blocks also where these are hard to know: beside a
# file that cannot be given any ahead, in a file of several pieces, in a hole that
# blocks for attributes make up for, where rewriting takes new ones, and where two
# volumes share a disk. Others fill the disk to the last block meanwhile.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3 chattr setfattr
disk=$work/disk mnt2=$work/mnt2
mkdir "$mnt2"

# put FILE BYTES [OFFSET]: write(2), which must take all; try_put: random bytes.
put() {
	try_put "$@" || fail "$1: $2 at ${3:-0} are refused"
}

try_put() {
	dd if=/dev/urandom of="$1" bs="$2" count=1 iflag=fullblock conv=notrunc \
		oflag=seek_bytes seek="${3:-0}" status=none 2>/dev/null
}

# Nothing is left for anybody, root's reserve included.
fill_disk() {
	dd if=/dev/zero of="$disk/filler" bs=1M status=none oflag=append conv=notrunc
	dd if=/dev/zero of="$disk/filler" bs=4k status=none oflag=append conv=notrunc
	sync -f "$disk"
} 2>/dev/null

# durable WHAT: all that was taken can be written.
durable() {
	ctl sync "$mnt" || fail "$1: acknowledged, and there is no room for it"
}

end_disk() {
	unmount "$mnt"
	umount "$disk" || fail "$disk is busy"
	rm -f "$disk.img"
}

# --- ext4: one file without extents ----------------------------------------------------

make_default_fs 200M "$disk" ext4 "-b 4096"
mkdir "$disk/src" && touch "$disk/src/old"
chattr -e "$disk/src/old" || fail "no file without extents"
mount_plimsoll "$disk/src" "$mnt" mem=64M
put "$mnt/before" 2M
put "$mnt/old" 8k
put "$mnt/after" 2M
durable "the first of all"
put "$mnt/after" 2M 4M
fill_disk
durable "beside a file without extents"

# A hole of a page, and an attribute in a block of its own.
rm -f "$disk/filler"
sync -f "$disk"
python3 - "$disk/src/hole" <<'PY' || fail "no hole"
import os, sys
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
for n in range(16):
    if n != 7:
        os.pwrite(fd, b"x" * 4096, n * 4096)
os.fsync(fd)
PY
setfattr -n user.x -v "$(printf '%1500s' x)" "$disk/src/hole" || fail "setfattr"
sync -f "$disk"
ctl drop "$mnt"
fill_disk
try_put "$mnt/hole" 4k 28k && fail "a hole was written, and the disk is full"
durable "a hole"
end_disk

# --- xfs: several pieces -----------------------------------------------------------------

make_default_fs 330M "$disk" xfs
mkdir "$disk/src"
mount_plimsoll "$disk/src" "$mnt" mem=64M
for at in 0 10M 1M; do
	put "$mnt/pieces" 1M $at
done
put "$mnt/kept" 1M
put "$mnt/kept" 1M 100M
ctl sync "$mnt" || fail "sync"
put "$mnt/pieces" 1M 20M
put "$mnt/pieces" 1M 2M
fill_disk
durable "a file of several pieces"
put "$mnt/kept" 64k
durable "what was there"
end_disk

# --- btrfs: rewriting, and nothing else ------------------------------------------------------

make_default_fs 300M "$disk" btrfs
mkdir "$disk/src"
put "$disk/src/there" 20M
sync -f "$disk"
fill_disk
mount_plimsoll "$disk/src" "$mnt" mem=64M
try_put "$mnt/there" 20M && fail "20 MiB were rewritten, and the disk is full"
ctl sync "$mnt" >unwritten || true
[ "$(awk '{ n += $1 } END { print n + 0 }' unwritten)" -lt $((2 << 20)) ] ||
	fail "too much was acknowledged: $(cat unwritten)"
rm -f "$disk/filler" && sync -f "$disk"
eventually 20 ctl sync "$mnt" || fail "there is room again, and it is not used"
end_disk

# --- two volumes, and nothing can be allocated ahead ----------------------------------------

make_default_fs 64M "$disk" ext4 "-O ^extents,^64bit -m 0"
mkdir "$disk/a" "$disk/b"
mount_volumes mem=128M "$disk/a" "$mnt" "$disk/b" "$mnt2"
try_put "$mnt/f" 40M
try_put "$mnt2/f" 40M && fail "80 MB were taken, of a disk of 64"
durable "two volumes"
ctl sync "$mnt2" || fail "the second of two volumes"
umount "$mnt2"
end_disk
