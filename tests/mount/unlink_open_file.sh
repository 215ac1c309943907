#!/bin/bash
#
# A file that is open lives on after its last name is gone, dirty or not, and
# its space comes back at the last close; so for directories.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mount_plimsoll "$src" "$mnt"
noise 3000000 open >"$work/model"

# Removed while dirty, cached, and after its pages were dropped.
cp "$work/model" "$mnt/f"
exec 3<>"$mnt/f"
rm "$mnt/f" || fail "rm of an open file"
if [ -e "$mnt/f" ] || [ -e "$src/f" ]; then
	fail "the name is still there"
fi
cmp "$work/model" /dev/fd/3 || fail "cannot be read after rm" # by a new open
equal "links" "$(stat -Lc %h /dev/fd/3)" 0
cat "$work/model" "$work/model" >&3 || fail "cannot be written after rm"
drop_caches "$mnt"
equal "size" "$(stat -Lc %s /dev/fd/3)" 6000000
cat "$work/model" "$work/model" | cmp - /dev/fd/3 || fail "wrong after drop_caches"
sync /dev/fd/3 || fail "fsync of an unlinked file"
exec 3>&-

# A new file of that name is another file.
echo new >"$mnt/f"
exec 3<"$mnt/f"
rm "$mnt/f"
echo newer >"$mnt/f"
equal "the old one" "$(cat <&3)" new
equal "the new one" "$(cat "$mnt/f")" newer
exec 3>&-

# One of two names is gone.
echo two >"$mnt/n1" && ln "$mnt/n1" "$mnt/n2"
exec 3>>"$mnt/n1"
rm "$mnt/n1"
echo names >&3
exec 3>&-
equal "by the other name" "$(tr '\n' ' ' <"$mnt/n2")" "two names "

# A working directory that is removed.
mkdir "$mnt/d"
(cd "$mnt/d" && rmdir "$mnt/d" && ! touch file 2>/dev/null) ||
	fail "removed working directory"

# Dirty data of what nobody can read any more need not be written; a lot of it
# gives its memory back.
for i in 1 2 3 4 5 6; do
	{ head -c 40m /dev/zero >"$mnt/big$i" && rm "$mnt/big$i"; } ||
		fail "write and remove $i"
done
equal "names left" "$(cd "$mnt" && printf '%s ' *)" "f n2 "
compare_after_unmount "$mnt" "$src" f n2
