#!/bin/bash
#
# Modes, owners and times; mtime is that of the write(2), not of writeback, and
# still after the unmount; statfs.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mount_plimsoll "$src" "$mnt"
f=$mnt/f b=$src/f

times() {
	stat -c '%y' "$1"
}

echo x >"$f"
written=$(times "$f")
sleep 0.2
sync "$f"
equal "mtime after fsync" "$(times "$f")" "$written"
equal "mtime in the backing directory" "$(times "$b")" "$written"

# Written back by the flusher, later.
echo y >>"$f"
written=$(times "$f")
eventually 20 grep -q y "$b" || fail "not written back within 20 s"
sleep 0.3
equal "mtime after the flusher" "$(times "$f")" "$written"
equal "the same in the backing directory" "$(times "$b")" "$written"

# A reader does not change mtime, a writer does, ctime follows.
cat "$f" >/dev/null
equal "mtime after reading" "$(times "$f")" "$written"
sleep 0.02
echo z >>"$f"
[ "$(times "$f")" \> "$written" ] || fail "mtime did not move"
changed=$(stat -c %z "$f")
sleep 0.02
chmod 640 "$f"
[ "$(stat -c %z "$f")" \> "$changed" ] || fail "ctime did not move"

# Set by utimensat: stays, though the file is dirty.
echo dirty >>"$f"
touch -m -d '2001-02-03 04:05:06.789' "$f" || fail "touch -d"
touch -a -d '2002-03-04 05:06:07.123' "$f"
want='2001-02-03 04:05:06.789000000 +0000'
export TZ=UTC
equal "mtime set" "$(times "$f")" "$want"
sync "$f"
equal "mtime set, after fsync" "$(times "$f")" "$want"
equal "mtime set, in the backing directory" "$(times "$b")" "$want"
equal "atime set" "$(stat -c %x "$f")" '2002-03-04 05:06:07.123000000 +0000'

# cp -p of something dirty, as tar and rsync do it.
touch -d '1999-12-31 23:59:59' "$work/old"
head -c 300000 /dev/zero >>"$work/old"
touch -d '1999-12-31 23:59:59' "$work/old"
cp -p "$work/old" "$mnt/old"
equal "mtime of cp -p" "$(times "$mnt/old")" "$(times "$work/old")"

chmod 4751 "$f"
equal "mode" "$(stat -c %a "$f")" 4751
equal "mode in the backing directory" "$(stat -c %a "$b")" 4751
(umask 027 && touch "$mnt/masked" && mkdir "$mnt/maskeddir")
equal "umask" "$(stat -c %a "$mnt/masked" "$mnt/maskeddir" | tr '\n' ' ')" "640 750 "
if [ "$(id -u)" = 0 ]; then
	chown 12:34 "$f" || fail "chown"
	equal "owner" "$(stat -c %u:%g "$f")" 12:34
	equal "owner in the backing directory" "$(stat -c %u:%g "$b")" 12:34
	equal "set-id bits go with chown" "$(stat -c %a "$f")" 751
fi

# Times have the order of the changes, within a tick too; a cut to the length that
# a file has is one.
cat >"$work/order.py" <<'PY'
import os, sys, time
mnt = sys.argv[1]
for i in range(60):
    for name, nr in (("a", 1), ("b", 2)):
        fd = os.open(f"{mnt}/{name}{i}", os.O_CREAT | os.O_WRONLY)
        for _ in range(nr):
            os.write(fd, b"x" * 100)
        os.close(fd)
    a, b = (os.stat(f"{mnt}/{name}{i}").st_mtime_ns for name in "ab")
    assert b >= a, (i, a - b)
    os.unlink(f"{mnt}/a{i}")
    os.unlink(f"{mnt}/b{i}")
    time.sleep(0.0013)
fd = os.open(f"{mnt}/cut", os.O_CREAT | os.O_WRONLY)
time.sleep(0.5)
before = time.time() - 0.1
os.write(fd, b"x" * 10)
os.ftruncate(fd, 0)
assert os.fstat(fd).st_mtime > before, "a cut sets mtime"
os.close(fd)
os.unlink(f"{mnt}/cut")
PY
timeout 30 python3 "$work/order.py" "$mnt" || fail "see above"

# size and mtime of a directory change with its names.
before=$(times "$mnt/maskeddir")
sleep 0.02
touch "$mnt/maskeddir/f"
[ "$(times "$mnt/maskeddir")" \> "$before" ] || fail "mtime of a directory"

# statfs is that of the backing file system.
equal "statfs" "$(stat -fc '%s %S %b %c %l' "$mnt")" "$(stat -fc '%s %S %b %c %l' "$src")"

last=$(cd "$mnt" && echo last >late && stat -c '%n %s %y %a %u %g' f old masked late)
unmount "$mnt"
equal "after the unmount" "$(cd "$src" && stat -c '%n %s %y %a %u %g' f old masked late)" "$last"
