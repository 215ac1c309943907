#!/bin/bash
#
# The same operations on a mount and in a bare directory (for an anon volume: a
# tmpfs): the same results, errors and modes. Set-id bits, sticky and set-group-id directories, other users; sizes
# and offsets near the ends of their types. What differs is printed, with why.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

# Of its own, as some of it needs all the room there is.
make_loop_fs 256M "$work/disk" "-b 4096"

# same ids|limits|reading CACHE: of a file volume; of an anon volume if that is the word.
same() {
	local bare=$work/disk/bare.$1.$2

	mkdir "$bare"
	if [ "$2" = anon ]; then
		mount -t tmpfs -o size=64M none "$bare" || fail "no tmpfs"
		mount_anon "$mnt" "mem=32M,allow_other,swap=$work/swap:64M"
	else
		mkdir -p "$work/disk/src.$1.$2"
		mount_volumes "mem=32M,allow_other,cache=$2" "$work/disk/src.$1.$2" "$mnt"
	fi
	chmod 755 "$mnt" "$bare"
	timeout 100 python3 "$top/tests/mount/same_as_bare.py" "$bare" "$mnt" \
		"$([ "$2" = anon ] && echo - || echo "$work/disk/src.$1.$2")" "$1" ||
		fail "$1, cache=$2: see above"
	unmount "$mnt"
	[ "$2" != anon ] || umount "$bare"
	rm -rf "$bare" "$work/disk/src.$1.$2"
}
for kind in auto anon; do
	same ids "$kind"
	same limits "$kind"
	same reading "$kind"
done
same limits user
umount "$work/disk" || fail "still in use"
