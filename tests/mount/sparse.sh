#!/bin/bash
#
# Holes: read as zeroes, take no blocks, are found by SEEK_HOLE, written into.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mount_plimsoll "$src" "$mnt"
truncate -s 10G "$mnt/big" || fail "truncate -s 10G"
equal "size" "$(stat -c %s "$mnt/big")" $((10 << 30))
equal "blocks" "$(stat -c %b "$mnt/big")" 0
for at in 0 4097 1073741823 5368709120 10737418230; do
	printf 'here' | dd of="$mnt/big" bs=1 seek=$at conv=notrunc status=none ||
		fail "write at $at"
done
equal "size" "$(stat -c %s "$mnt/big")" $((10 << 30))
sync "$mnt/big"
[ "$(stat -c %b "$mnt/big")" -le 128 ] ||
	fail "$(stat -c %b "$mnt/big") blocks for four pages"
for at in 0 4097 1073741823 5368709120 10737418230; do
	equal "at $at" "$(dd if="$mnt/big" bs=1 skip=$at count=4 status=none)" here
done
equal "around" "$(dd if="$mnt/big" bs=4096 skip=1 count=3 status=none | tr -d '\0')" here

# Before it is written back, size and blocks of a file made by one far write.
printf x | dd of="$mnt/far" bs=1 seek=100000000 status=none
equal "size of far" "$(stat -c %s "$mnt/far")" 100000001
equal "hole of far" "$(head -c 100000000 "$mnt/far" | tr -d '\0' | wc -c)" 0

file=$mnt/seek python3 - <<'END' || fail "SEEK_HOLE, SEEK_DATA"
import os
fd = os.open(os.environ["file"], os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 1 << 20)
os.pwrite(fd, b"x" * 4096, 256 << 10)
assert os.lseek(fd, 0, os.SEEK_DATA) == 256 << 10
assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
assert os.lseek(fd, 256 << 10, os.SEEK_HOLE) == (256 << 10) + 4096
assert os.lseek(fd, 512 << 10, os.SEEK_HOLE) == 512 << 10
try:
    os.lseek(fd, 512 << 10, os.SEEK_DATA)
    raise AssertionError("data behind the last data")
except OSError as e:
    assert e.errno == 6, e
END

# Copied, holes stay.
cp --sparse=always "$mnt/far" "$mnt/copy" || fail "cp of a sparse file"
[ "$(stat -c %b "$mnt/copy")" -le 64 ] || fail "the copy is not sparse"
compare_after_unmount "$mnt" "$src" far copy seek
[ "$(stat -c %b "$src/big")" -le 128 ] || fail "big has got blocks"
equal "last" "$(tail -c 10 "$src/big" | tr -d '\0')" here
