#!/bin/bash
# timeout: 240
#
# A file system as mkfs makes it, with its reserve for root, is filled by root: the
# write(2) that does not fit is refused, all that was acknowledged is in SOURCE,
# nearly all that anybody may have is used, and nothing of the reserve. By one
# writer, by several, with small files, with writes here and there. SEED=n again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/mount/fillers.sh
. "$top/tests/mount/fillers.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"

# room DIRECTORY: bytes anybody may have, and what is root's.
room() {
	stat -f -c '%a %f %S' "$1" | awk '{ print $1 * $3, ($2 - $1) * $3 }'
}

# Whose the reserve is; nothing: root's.
owner=

# filled SIZE LEAST WAY...: at least LEAST percent are used by who writes so.
filled() {
	SECONDS=0
	local size=$1 least=$2 before reserve after used
	shift 2

	make_default_fs "$size" "$work/disk" ext4
	[ -z "$owner" ] || mount -o "remount,resuid=$owner" "$work/disk" ||
		fail "the reserve cannot be $owner's"
	mkdir "$work/disk/src"
	mount_plimsoll "$work/disk/src" "$mnt" mem=32M
	read -r before reserve < <(room "$work/disk")
	[ "$reserve" -gt $((before / 100)) ] || fail "nothing is kept for root"
	fill_all "$size $*" 150 "$mnt" "$@"
	ctl sync "$mnt" || fail "$size $*: cannot be synced"
	[ ! -s "$mnt/.plimsoll/unwritten" ] || fail "unwritten: $(cat "$mnt/.plimsoll/unwritten")"
	unmount "$mnt"
	sync -f "$work/disk"
	check_filled "$size $*" "$work/disk/src"
	read -r after used < <(room "$work/disk")
	echo "$SECONDS s, $size $*: $before bytes were free, $after are"
	# The kernel's own threads may take a block for an extent.
	[ "$used" -ge $((reserve - (64 << 10))) ] ||
		fail "$size $*: $((reserve - used)) bytes of root's reserve were used"
	[ $((after * 100)) -le $((before * (100 - least))) ] ||
		fail "$size $*: refused when $after of $before bytes were free"
	umount "$work/disk" || fail "the backing file system is busy"
	rm -rf fill.* model.* "$work/disk.img"
}

filled 1G 98 one
filled 64M 98 append
filled 96M 98 one one append random
filled 48M 97 small
filled 40M 97 random append
owner=65534
filled 64M 98 one
