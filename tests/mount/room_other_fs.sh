#!/bin/bash
# timeout: 180
#
# Room is that of the file system a file is on, whatever that is: xfs as SOURCE, a
# btrfs with a quota for less than it has, overlayfs, a small tmpfs below SOURCE.
# Each is filled, write(2) says when it is, and all that was acknowledged is there.
# SEED=n again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/mount/fillers.sh
. "$top/tests/mount/fillers.sh"
need python3 btrfs

seed=${SEED:-$RANDOM}
echo "SEED=$seed"

# refused ERROR MOUNT BACKING WAY...: side by side; each is, in the end, with that.
refused() {
	local error=$1 mount=$2 backing=$3
	shift 3

	fill_all "$*" 100 "$mount" "$@"
	equal "those that end in $error" "$(cat fill.* | grep -c "$error")" $#
	ctl sync "$mnt" || fail "not all could be written"
	check_filled "$*" "$backing"
	rm -f fill.* model.*
}

# --- xfs ------------------------------------------------------------------------------

make_default_fs 300M "$work/disk" xfs
mkdir "$work/disk/src"
mount_plimsoll "$work/disk/src" "$mnt" mem=64M
before=$(stat -f -c '%a' "$work/disk")
refused ENOSPC "$mnt" "$work/disk/src" one
after=$(stat -f -c '%a' "$work/disk")
echo "xfs: $before blocks were free, $after are"
[ $((after * 50)) -le "$before" ] || fail "xfs: refused too early"
rm -f "$mnt"/*
refused ENOSPC "$mnt" "$work/disk/src" append random small
unmount "$mnt"
umount "$work/disk" || fail "xfs is busy"
rm -f "$work/disk.img"

# --- a quota of btrfs ------------------------------------------------------------------

make_default_fs 400M "$work/disk" btrfs
btrfs -q quota enable "$work/disk" || fail "no quotas"
btrfs -q subvolume create "$work/disk/src" || fail "no subvolume"
btrfs -q qgroup limit 40M "$work/disk/src" || fail "no limit"
mount_plimsoll "$work/disk/src" "$mnt" mem=64M
refused EDQUOT "$mnt" "$work/disk/src" one
size=$(stat -c %s "$mnt/one.0")
echo "btrfs: $size bytes of 40 MiB"
[ "$size" -gt $((36 << 20)) ] || fail "btrfs: refused at $size bytes"
unmount "$mnt"
umount "$work/disk" || fail "btrfs is busy"
rm -f "$work/disk.img"

# --- overlayfs, which writes as who mounted it: root ------------------------------------

make_default_fs 60M "$work/disk" ext4
mkdir "$work/disk/lower" "$work/disk/upper" "$work/disk/work" "$work/over"
mount -t overlay none "$work/over" -o \
	"lowerdir=$work/disk/lower,upperdir=$work/disk/upper,workdir=$work/disk/work" ||
	fail "no overlayfs"
mount_plimsoll "$work/over" "$mnt" mem=64M
kept=$(stat -f -c '%f %a %S' "$work/disk" | awk '{ print ($1 - $2) * $3 }')
refused ENOSPC "$mnt" "$work/over" one random
free=$(stat -f -c '%f %S' "$work/disk" | awk '{ print $1 * $2 }')
[ "$free" -ge $((kept - (256 << 10))) ] ||
	fail "overlayfs: $((kept - free)) bytes of root's reserve were used"
unmount "$mnt"
umount "$work/over" "$work/disk" || fail "overlayfs is busy"
rm -f "$work/disk.img"

# --- a tmpfs below SOURCE ---------------------------------------------------------------

mkdir "$src/small"
mount -t tmpfs -o size=12M none "$src/small" || fail "no tmpfs"
mount_plimsoll "$src" "$mnt" mem=64M
refused ENOSPC "$mnt/small" "$src/small" one
size=$(stat -c %s "$src/small/one.0")
[ "$size" -ge $((11900 << 10)) ] || fail "tmpfs: refused at $size bytes"
noise 20000000 x >"$mnt/beside" || fail "what is beside it has room of its own"
equal "the size" "$(stat -c %s "$mnt/beside")" 20000000
rm -f "$mnt/small/one.0"
refused ENOSPC "$mnt/small" "$src/small" random append
unmount "$mnt"
umount "$src/small" || fail "tmpfs is busy"
