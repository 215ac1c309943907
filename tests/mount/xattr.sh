#!/bin/bash
#
# Extended attributes: set, listed, replaced, removed; limits; on directories;
# those of ACLs change the mode that is seen. What a backing file system keeps
# under names of its own is none.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need setfattr getfattr

touch "$src/probe"
setfattr -n user.a -v b "$src/probe" 2>/dev/null ||
	skip "no user.* attributes in $src"
mount_plimsoll "$src" "$mnt"
touch "$mnt/f" && mkdir "$mnt/d"
value() {
	getfattr --only-values -n "$1" "$2" 2>/dev/null
}

for f in f d; do
	setfattr -n user.one -v 1 "$mnt/$f" || fail "setfattr"
	setfattr -n user.two -v "$(printf '%01000d' 0)" "$mnt/$f" || fail "1000 bytes"
	equal "one" "$(value user.one "$mnt/$f")" 1
	equal "two" "$(value user.two "$mnt/$f")" "$(printf '%01000d' 0)"
	equal "list" "$(getfattr --absolute-names "$mnt/$f" | grep -c ^user)" 2
	setfattr -n user.one -v changed "$mnt/$f"
	equal "changed" "$(value user.one "$mnt/$f")" changed
	equal "backing" "$(value user.one "$src/$f")" changed
	setfattr -x user.two "$mnt/$f" || fail "setfattr -x"
	fails_with 'No such attribute' getfattr -n user.two "$mnt/$f"
	fails_with 'No such attribute' setfattr -x user.none "$mnt/$f"
	setfattr -n user.empty -v '' "$mnt/$f" || fail "an empty value"
	equal "empty" "$(value user.empty "$mnt/$f")" ''
	getfattr --absolute-names -n user.empty "$mnt/$f" >/dev/null || fail "user.empty is not there"
done
fails_with '' setfattr -n user.large -v "$(printf '%070000d' 0)" "$mnt/f"
for name in nonsense.name system.nfs4_acl system.posix_acl btrfs.compression; do
	fails_with 'not supported' setfattr -n $name -v 1 "$mnt/f"
	fails_with 'not supported' setfattr -x $name "$mnt/f"
	fails_with 'not supported' getfattr -n $name "$mnt/f"
done

if [ "$(id -u)" = 0 ]; then
	setfattr -n trusted.t -v secret "$mnt/f" || fail "trusted.*"
	equal "trusted" "$(value trusted.t "$mnt/f")" secret
fi

# cp -p copies modes, by an ACL's attribute if it can; the mode seen is right at
# once, and what ACLs say, if they are taken, is done.
echo x >"$work/p" && chmod 642 "$work/p" && cp -p "$work/p" "$mnt/p"
equal "mode after cp -p" "$(stat -c %a "$mnt/p")" 642
equal "mode in the backing directory" "$(stat -c %a "$src/p")" 642
if [ "$(id -u)" = 0 ] && command -v setfacl >/dev/null &&
	setfacl -m u:1000:rw "$mnt/p" 2>/dev/null; then
	equal "mode is the mask's" "$(stat -c %a "$mnt/p")" 662
fi
unmount "$mnt"
equal "after the unmount" "$(value user.one "$src/f")" changed

# btrfs has some, which it lists when they are set.
if [ "${KIND:-}" != anon ] && [ "$(id -u)" = 0 ] && command -v mkfs.btrfs >/dev/null &&
	grep -qw btrfs /proc/filesystems; then
	truncate -s 128M "$work/btrfs.img" && mkdir "$work/btrfs"
	mkfs.btrfs -q "$work/btrfs.img" || fail "mkfs.btrfs"
	mount -o loop "$work/btrfs.img" "$work/btrfs" || fail "no loop device"
	echo x >"$work/btrfs/f"
	setfattr -n btrfs.compression -v zstd "$work/btrfs/f" || fail "btrfs.compression"
	setfattr -n user.one -v 1 "$work/btrfs/f"
	equal "btrfs lists" "$(getfattr --absolute-names -m - "$work/btrfs/f" | sed 1d | grep -c .)" 2
	mount_plimsoll "$work/btrfs" "$mnt"
	equal "the mount lists" "$(getfattr --absolute-names -m - "$mnt/f" | sed 1d | grep .)" user.one
	fails_with 'not supported' setfattr -n btrfs.compression -v lzo "$mnt/f"
	fails_with 'not supported' getfattr -n btrfs.compression "$mnt/f"
	unmount "$mnt"
	equal "as it was" "$(value btrfs.compression "$work/btrfs/f")" zstd
fi
