#!/bin/bash
#
# Mounts and subvolumes below SOURCE have files with equal numbers: the volume
# shows different ones, everywhere the same, and what copies trees copies them
# right. A sync of the volume reaches them all.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "not root"
need mkfs.btrfs mkfs.xfs rsync

# Two links of one file, of contents of their own, in a new file system.
fill() {
	{ mkdir "$1/dir" && noise 3000 "$1" >"$1/dir/x" && ln "$1/dir/x" "$1/dir/y"; } ||
		fail "cannot fill $1"
}

make_loop_fs 16M "$work/one"
make_loop_fs 16M "$work/two"
truncate -s 320M xfs.img
truncate -s 128M btrfs.img
mkfs.xfs -q xfs.img || fail "mkfs.xfs"
mkfs.btrfs -q btrfs.img || fail "mkfs.btrfs"
mkdir xfs
mount -o loop xfs.img xfs || fail "xfs"

# The volume's own file system is a btrfs with subvolumes, which are no mounts.
mount -o loop btrfs.img "$src" || fail "btrfs"
for at in sub other; do
	btrfs -q subvolume create "$src/$at" || fail "subvolume"
done
mkdir "$src/many" # more than come with their attributes
(cd "$src/many" && seq 600 | xargs touch)
btrfs -q subvolume create "$src/many/sub" || fail "subvolume"
mkdir "$src"/{one,two,xfs,tmp1,tmp2}
mount --move one "$src/one" || fail "move"
mount --move two "$src/two" || fail "move"
mount --move xfs "$src/xfs" || fail "move"
mount -t tmpfs none "$src/tmp1" || fail "tmpfs"
mount -t tmpfs none "$src/tmp2" || fail "tmpfs"
fill "$src"
for at in "$src"/{sub,other,one,two,xfs,tmp1,tmp2}; do
	fill "$at"
done
for pair in one/two tmp1/tmp2 sub/other; do
	equal "numbers of $pair" "$(stat -c %i "$src/${pair%/*}/dir/x")" \
		"$(stat -c %i "$src/${pair#*/}/dir/x")"
done
sums() {
	(cd "$1" && find . -type f -exec md5sum {} + | sort -k 2)
}
# Names of one file, on a line.
links() {
	(cd "$1" && find . -type f -links 2 -printf '%D:%i %p\n' | sort -k 2 |
		awk '{ names[$1] = names[$1] " " $2 } END { for (i in names) print names[i] }' |
		sort)
}
sums "$src" >right
links "$src" >right.links
mount_plimsoll "$src" "$mnt" mem=16M

# same_numbers: in stat(2), readdir(3) with attributes and without; all differ.
same_numbers() {
	python3 - "$mnt" <<-'PY' || fail "numbers"
		import os, sys
		seen = {}
		for top, dirs, files in os.walk(sys.argv[1]):
		    for turn in range(3):
		        names = [os.stat(os.path.join(top, d)) for d in dirs]
		        for e in list(os.scandir(top)):
		            st = e.stat(follow_symlinks=False)
		            if e.inode() != st.st_ino:
		                sys.exit(f"{e.path}: {e.inode()}, stat {st.st_ino}, turn {turn}")
		            other = seen.setdefault(st.st_ino, e.path)
		            if os.path.dirname(other) != top or (other != e.path and st.st_nlink != 2):
		                sys.exit(f"{e.path} has the number of {other}")
	PY
}
same_numbers
stat -c '%i %n' "$mnt"/*/dir/* >numbers
drop_caches "$mnt"
same_numbers
stat -c '%i %n' "$mnt"/*/dir/* | cmp - numbers || fail "other numbers"

# copied BY WHAT: it is as SOURCE is.
copied() {
	sums "$2" | diff right - || fail "$1 copied other contents"
	links "$2" | diff right.links - || fail "$1 made other links"
}
links "$mnt" | diff right.links - || fail "find -links"
timeout 60 cp -a "$mnt" cp || fail "cp -a"
copied "cp -a" cp
mkdir tar rsync
timeout 60 tar -C "$mnt" -cf - . | tar -C tar -xf - || fail "tar"
copied tar tar
timeout 60 rsync -aH "$mnt/" rsync || fail "rsync"
copied rsync rsync
equal "du" "$(timeout 60 du -s --apparent-size --block-size=1 "$mnt"/*/dir | cut -f 1)" \
	"$(du -s --apparent-size --block-size=1 "$src"/*/dir | cut -f 1)"
equal "getcwd" "$(cd "$mnt/one/dir" && /bin/pwd)" "$mnt/one/dir"

# look_at NAME: what a file system would be after a crash of the machine.
look_at() {
	dd if="$work/$1.img" of=copy.img bs=1M conv=sparse status=none
	mkdir -p look
	mount -o loop copy.img look || fail "copy of $1"
}
noise 300000 later >contents
for at in one two; do
	cp contents "$mnt/$at/late"
done
ctl sync "$mnt" || fail "sync"
for at in one two; do
	look_at $at
	cmp look/late contents || fail "$at has not got what was synced"
	umount look
done
# Also where the kernel has forgotten all of it.
cp contents "$mnt/two/later" && rm "$mnt/two/late" && mkdir "$mnt/two/made"
drop_caches "$mnt"
echo 2 >/proc/sys/vm/drop_caches
ctl sync "$mnt" || fail "sync"
look_at two
cmp look/later contents || fail "what was synced is not there"
[ -d look/made ] || fail "a directory is not there"
[ ! -e look/late ] || fail "a name is still there"
umount look

timeout 60 rm -r "$mnt"/{tmp1,xfs}/dir || fail "rm -r"
unmount "$mnt"
[ ! -e "$src/xfs/dir" ] || fail "still there"
for at in one two xfs tmp1 tmp2; do
	umount "$src/$at" || fail "$at is busy"
done
