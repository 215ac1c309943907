#!/bin/bash
#
# With allow_other: other users' files are theirs, and each may do what modes,
# set-group-id and sticky directories allow, no more.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need setpriv
[ "$(id -u)" = 0 ] || skip "not root"

mount_plimsoll "$src" "$mnt" mem=64M,allow_other,default_permissions
chmod 1777 "$mnt"
as 1000 sh -c 'umask 022; cd "$1" && echo mine >f && mkdir d && ln -s f l &&
	mkfifo p' - "$mnt" || fail "another user cannot make files"
equal "owners" "$(cd "$mnt" && stat -c %u:%g f d l p | uniq)" 1000:1000
equal "owners in the backing directory" \
	"$(cd "$src" && stat -c %u:%g f d l p | uniq)" 1000:1000

# Modes, for owner, group and others.
chmod 640 "$mnt/f"
equal "owner reads" "$(as 1000 cat "$mnt/f")" mine
fails_with 'Permission denied' as 65534 cat "$mnt/f"
fails_with 'Permission denied' as 65534 sh -c 'echo x >"$1"' - "$mnt/f"
equal "group reads" "$(setpriv --reuid 2000 --regid 1000 --clear-groups cat "$mnt/f")" mine
equal "supplementary group reads" \
	"$(setpriv --reuid 2000 --regid 2000 --groups 1000 cat "$mnt/f")" mine
fails_with 'Permission denied' as 65534 touch "$mnt/d/x"
fails_with 'not permitted' as 65534 chmod 666 "$mnt/f"
fails_with 'not permitted' as 1000 chown 65534 "$mnt/f"
as 1000 mkdir -m 700 "$mnt/secret" && as 1000 touch "$mnt/secret/f"
fails_with 'Permission denied' as 65534 stat "$mnt/secret/f"
fails_with 'Permission denied' as 65534 ls "$mnt/secret"

# What was allowed and cached for one is not for another.
as 1000 cat "$mnt/f" >/dev/null
fails_with 'Permission denied' as 65534 head -c 1 "$mnt/f"

# Sticky: only the owner removes and renames.
fails_with 'not permitted' as 65534 rm -f "$mnt/f"
fails_with 'not permitted' as 65534 mv "$mnt/f" "$mnt/g"
{ as 65534 touch "$mnt/nobodys" && as 65534 rm "$mnt/nobodys"; } ||
	fail "the owner cannot remove"

# A directory with the set-group-id bit passes group and bit on.
mkdir "$mnt/shared" && chgrp 3000 "$mnt/shared" && chmod 2777 "$mnt/shared"
as 1000 sh -c 'cd "$1" && touch f && mkdir d' - "$mnt/shared" || fail "in shared"
equal "group of a file" "$(stat -c %u:%g "$mnt/shared/f")" 1000:3000
equal "group of a directory" "$(stat -c %u:%g:%a "$mnt/shared/d")" 1000:3000:2755

# A write by another takes the set-user-id bit; one by root does not matter.
as 1000 sh -c 'umask 0; echo prog >"$1"; chmod 4777 "$1"' - "$mnt/prog"
equal "mode" "$(stat -c %a "$mnt/prog")" 4777
as 65534 sh -c 'echo x >>"$1"' - "$mnt/prog" || fail "append by another"
sleep 1.1 # as long as the kernel may believe it
equal "mode after a write" "$(stat -c %a "$mnt/prog")" 777
chmod 6777 "$mnt/prog"
as 65534 truncate -s 1 "$mnt/prog" || fail "truncate by another"
equal "mode after a truncate" "$(stat -c %a "$mnt/prog")" 777

# Access that depends on the caller's groups at creation.
mkdir "$mnt/grp" && chgrp 3000 "$mnt/grp" && chmod 770 "$mnt/grp"
setpriv --reuid 1000 --regid 1000 --groups 3000 touch "$mnt/grp/f" ||
	fail "creation by right of a supplementary group"
equal "its owner" "$(stat -c %u:%g "$mnt/grp/f")" 1000:1000
fails_with 'Permission denied' as 65534 touch "$mnt/grp/g"

# A file of mode 0 that its maker has open for writing.
as 1000 sh -c 'umask 777; cd "$1" && echo kept >zero' - "$mnt" ||
	fail "a new file of mode 0"
as 1000 sh -c 'cd "$1" && cp -p f copy && chmod 400 copy' - "$mnt" || fail "cp -p"

# Control: the mount's owner writes; nobody else, nor do others read.
fails_with 'Permission denied' as 1000 sh -c \
	'echo 1 >"$1/.plimsoll/sys/vm/drop_caches"' - "$mnt"
fails_with 'Permission denied' as 1000 cat "$mnt/.plimsoll/meminfo"

unmount "$mnt"
equal "content" "$(cat "$src/zero")" kept
equal "owners at the end" "$(cd "$src" && stat -c %u:%g f zero copy | uniq)" 1000:1000

# Without allow_other others do not even see the root.
mount_plimsoll "$src" "$mnt" mem=64M
fails_with 'Permission denied' as 1000 ls "$mnt"
unmount "$mnt"

# Mounted by another user, where /dev/fuse and fusermount3 let him.
if mount_as_user; then
	as 1000 sh -c 'cd "$1" && echo his >f && cat f' - "$work/his/mnt" \
		>"$work/out" || fail "as himself"
	equal "his" "$(cat "$work/out" "$work/his/src/f" 2>/dev/null | head -n 1)" his
	unmount_as_user
	equal "his file" "$(cat "$work/his/src/f")" his
fi
