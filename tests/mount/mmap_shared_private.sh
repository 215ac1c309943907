#!/bin/bash
#
# Mappings: shared ones are seen by read(2) and the other way round, reach the
# file by msync, munmap and unmount; private ones never do; programs run.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mount_plimsoll "$src" "$mnt"
cat >"$work/map.py" <<'END'
import mmap, os, sys

os.chdir(sys.argv[1])
src = sys.argv[2]
P = 4096
fd = os.open("shared", os.O_RDWR | os.O_CREAT)
os.write(fd, bytes(range(256)) * 16 * 64)          # 64 pages
m = mmap.mmap(fd, 64 * P, mmap.MAP_SHARED)
assert m[:64 * P] == bytes(range(256)) * 16 * 64

# Stored, then read(2) after msync; written, then loaded.
m[10 * P + 5:10 * P + 15] = b"0123456789"
m.flush()
assert os.pread(fd, 10, 10 * P + 5) == b"0123456789"
os.pwrite(fd, b"by write", 20 * P + 100)
assert m[20 * P + 100:20 * P + 108] == b"by write", m[20 * P + 100:20 * P + 108]
os.pwrite(fd, b"again", 20 * P + 100)
assert m[20 * P + 100:20 * P + 105] == b"again"

# Two mappings of one file are one memory.
fd2 = os.open("shared", os.O_RDWR)
m2 = mmap.mmap(fd2, 64 * P, mmap.MAP_SHARED)
m2[30 * P] = 77
assert m[30 * P] == 77
# fsync takes what was stored along.
m[31 * P:31 * P + 6] = b"fsync!"
os.fsync(fd)
assert os.pread(fd, 6, 31 * P) == b"fsync!"
assert open(src + "/shared", "rb").read()[31 * P:31 * P + 6] == b"fsync!"

# Private: from the file, never to it.
p = mmap.mmap(fd, 64 * P, mmap.MAP_PRIVATE)
p[40 * P:40 * P + 7] = b"private"
assert os.pread(fd, 7, 40 * P) != b"private"
p.close()

# The last, partial page: zero behind the end, and stays out of the file.
fd3 = os.open("partial", os.O_RDWR | os.O_CREAT)
os.write(fd3, b"z" * 5000)
q = mmap.mmap(fd3, 5000, mmap.MAP_SHARED)
q[4999] = ord("!")
q.flush()
os.ftruncate(fd3, 6000)
assert os.pread(fd3, 2000, 4999) == b"!" + bytes(1000)
q.close()

# Stored and left to munmap, close and unmount.
m[50 * P:50 * P + 4] = b"last"
m.close()
m2.close()
os.close(fd)
os.close(fd2)
assert open("shared", "rb").read()[50 * P:50 * P + 4] == b"last"

# A file larger than the budget, through a mapping.
fd = os.open("large", os.O_RDWR | os.O_CREAT)
n = 96 << 20
os.ftruncate(fd, n)
m = mmap.mmap(fd, n, mmap.MAP_SHARED)
for i in range(0, n, 4 * P):
    m[i:i + 8] = i.to_bytes(8, "little")
m.flush()
for i in range(0, n, 4 * P):
    assert m[i:i + 8] == i.to_bytes(8, "little"), i
m.close()
END
timeout 60 python3 "$work/map.py" "$mnt" "$src" || fail "see above"

# A program is run from it, and is not to be written then.
cp "$(command -v sleep)" "$mnt/sleep" && chmod +x "$mnt/sleep"
"$mnt/sleep" 0.01 || fail "cannot run a program"
"$mnt/sleep" 20 &
runs() {
	[ "$(readlink "/proc/$!/exe")" = "$mnt/sleep" ]
}
eventually 10 runs || fail "a program does not start"
fails_with 'Text file busy' bash -c 'echo >>"$1"' - "$mnt/sleep"
kill $!
wait 2>/dev/null
compare_after_unmount "$mnt" "$src" shared partial large sleep
