#!/bin/bash
#
# Files are made, written, overwritten in part, read and removed; sizes that
# are, and are not, whole blocks.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mount_plimsoll "$src" "$mnt"
for size in 0 1 4095 4096 4097 65536 131073 3000000; do
	noise "$size" "$size" >"$work/model" || fail "no noise"
	cp "$work/model" "$mnt/f$size" || fail "cp $size"
	cmp "$work/model" "$mnt/f$size" || fail "f$size is different"
	equal "size of f$size" "$(stat -c %s "$mnt/f$size")" "$size"
done

# Overwritten in the middle of pages, across their bounds, and at the end.
cp "$mnt/f3000000" "$work/model"
for offset in 1 4090 8192 1000003 2999990; do
	for file in "$mnt/f3000000" "$work/model"; do
		printf 'twelve bytes' | dd of="$file" bs=1 seek="$offset" \
			conv=notrunc status=none || fail "dd at $offset"
	done
done
cmp "$work/model" "$mnt/f3000000" || fail "wrong after overwriting"
drop_caches "$mnt"
cmp "$work/model" "$mnt/f3000000" || fail "wrong after drop_caches"

# Overwritten again while not in the cache.
for file in "$mnt/f3000000" "$work/model"; do
	printf 'seven b' | dd of="$file" bs=1 seek=500001 conv=notrunc status=none
done
cmp "$work/model" "$mnt/f3000000" || fail "wrong after a partial write"

# Opened with O_TRUNC, and O_EXCL.
echo short >"$mnt/f4097"
equal "after O_TRUNC" "$(cat "$mnt/f4097")" short
fails_with exist bash -c 'set -C; echo >"$1"' - "$mnt/f4097"

# O_DIRECT is taken.
noise 1048576 direct >"$work/direct"
dd if="$work/direct" of="$mnt/direct" bs=64k oflag=direct status=none ||
	fail "O_DIRECT writes"
dd if="$mnt/direct" bs=64k iflag=direct status=none |
	cmp - "$work/direct" || fail "O_DIRECT reads"

rm "$mnt/f1" || fail "rm"
if [ -e "$mnt/f1" ] || [ -e "$src/f1" ]; then
	fail "f1 is still there"
fi
fails_with 'No such file' cat "$mnt/f1"

compare_after_unmount "$mnt" "$src" f0 f4095 f4096 f4097 f65536 f131073 \
	f3000000 direct
cmp "$work/model" "$src/f3000000" || fail "wrong in the backing directory"
