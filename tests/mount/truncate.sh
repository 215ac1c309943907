#!/bin/bash
#
# Cut and lengthened: in the middle of a page, of a file that is dirty, cached,
# neither; what comes back when it grows again is zero.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mount_plimsoll "$src" "$mnt"
noise 1000000 truncate >"$work/noise"

# both COMMAND...: on the model and on the mount, %s being the file.
both() {
	for f in "$work/model" "$mnt/f"; do
		"${@//%s/$f}" || fail "$*"
	done
	cmp "$work/model" "$mnt/f" || fail "different after $*"
}

for state in dirty clean dropped; do
	for size in 999999 800001 700416 4097 4096 4095 1 0 10 5000 2000000; do
		rm -f "$mnt/f" "$work/model"
		both cp "$work/noise" %s
		[ $state = dirty ] || sync "$mnt/f"
		[ $state = dropped ] && drop_caches "$mnt"
		both truncate -s $size %s
		both truncate -s 1000000 %s
		both dd if=/dev/zero of=%s bs=1 count=7 seek=600000 \
			conv=notrunc status=none
	done
done

# Over the end by a write: the gap is zero.
both truncate -s 10 %s
both dd if="$work/noise" of=%s bs=1000 count=3 seek=100 conv=notrunc status=none
drop_caches "$mnt"
cmp "$work/model" "$mnt/f" || fail "gap after drop_caches"

# Through a descriptor, while others write.
for i in 1 2 3 4; do
	(for n in $(seq 50); do
		cp "$work/noise" "$mnt/g"
		truncate -s $((n * 1000 + i)) "$mnt/g"
	done) &
done
wait
truncate -s 5000 "$mnt/g"
equal "size" "$(stat -c %s "$mnt/g")" 5000
cmp -n 5000 "$work/noise" "$mnt/g" || fail "g is different"

fails_with 'too large' truncate -s 8E "$mnt/f"
compare_after_unmount "$mnt" "$src" f g
cmp "$work/model" "$src/f" || fail "f in the backing directory"
