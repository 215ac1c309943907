#!/bin/bash
#
# SOURCE on another FUSE file system, which forgets its files: what is held here is
# still to be had after that.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "not root"
need bindfs

mkdir -p back/dir/below
for n in 1 2 3; do
	echo $n >back/dir/below/$n
done
timeout 10 bindfs back "$src" || fail "bindfs"
mount_plimsoll "$src" "$mnt" mem=16M
cd "$mnt/dir/below" || fail "cd"
ls >/dev/null
sleep 1.2 # so old may names be
echo 2 >/proc/sys/vm/drop_caches
equal "files" "$(timeout 20 cat 1 2)" $'1\n2'
equal "names" "$(timeout 20 ls)" $'1\n2\n3'
echo more >>./2 || fail "not writable"
cd "$work" || exit 1
unmount "$mnt"
equal "in the end" "$(cat back/dir/below/2)" $'2\nmore'
