#!/bin/bash
#
# fallocate promises: every page of the range can be written, with noise, through
# a mapping, when everything else is full; a hole that is punched keeps it; what
# cannot be promised is ENOSPC at once, and changes nothing.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mount_anon "$mnt" "mem=32M,swap=$work/swap:64M"
timeout 100 python3 - "$mnt" "$top/tests/mount" <<'PY' || fail "see above"
import ctypes, errno, mmap, os, random, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH, ZERO = 1, 2, 0x10
NR = 8192                       # 32 MiB: as much as memory

def fallocate(fd, mode, at, n):
    if libc.fallocate(fd, mode, ctypes.c_long(at * PAGE), ctypes.c_long(n * PAGE)):
        return ctypes.get_errno()
    return 0

def free():
    return os.statvfs(mnt).f_bfree

for name in "more", "again":         # there may be no room for a name later
    open(f"{mnt}/{name}", "x").close()
start = free()
fd = os.open(f"{mnt}/kept", os.O_RDWR | os.O_CREAT)
# Some of it is there before: compressible, same-filled, noise.
for n in range(0, 1024, 32):
    os.pwrite(fd, pages(text, n, 32), n * PAGE)
os.pwrite(fd, bytes(256 * PAGE), 1024 * PAGE)
assert fallocate(fd, 0, 0, NR) == 0
assert os.fstat(fd).st_size == NR * PAGE
assert os.fstat(fd).st_blocks == NR * 8
assert NR * 0.95 <= start - free() <= NR * 1.2, (start, free())
for n in range(0, 1024, 100):
    same(os.pread(fd, PAGE, n * PAGE), text, n, 0, "after fallocate")
assert os.pread(fd, PAGE, 5000 * PAGE) == bytes(PAGE)

# Too much, more than there could ever be, and more than is left.
for much in (1 << 18, free() + 2000):
    other = os.open(f"{mnt}/much", os.O_RDWR | os.O_CREAT)
    os.write(other, b"as it was")
    before, stored = free(), os.fstat(other).st_blocks
    assert fallocate(other, 0, 0, much) == errno.ENOSPC, much
    assert os.fstat(other).st_size == 9 and os.fstat(other).st_blocks == stored
    assert os.pread(other, 100, 0) == b"as it was"
    assert abs(free() - before) < 64, (free(), before)
    assert fallocate(fd, 0, NR, much) == errno.ENOSPC
    assert os.fstat(fd).st_size == NR * PAGE
    os.close(other)
    os.unlink(f"{mnt}/much")

size, _ = fill(f"{mnt}/noise")
v = vmstat(mnt)
say(f"{NR} pages promised, {size >> 20} MiB of others until refused "
    f"(f_bfree {free()}), enospc_reserved {v['enospc_reserved']}")
assert size > 20 << 20, "others were refused too early"
assert v["enospc_reserved"] > 0 or v["oom_refuse"] > 0

def write_all(version):
    """Noise over all of it through a mapping, and back."""
    m = mmap.mmap(fd, NR * PAGE)
    order = list(range(0, NR, 16))
    random.Random(version).shuffle(order)
    for n in order:
        m[n * PAGE:(n + 16) * PAGE] = pages(noise, n, 16, version)
    m.flush()                   # raises what msync says
    os.fsync(fd)
    m.close()
    check(f"{mnt}/kept", NR * PAGE, noise, version)

write_all(1)
check(f"{mnt}/noise", size)

# By write(2), all of it again; then holes, which others do not get.
for n in range(0, NR, 32):
    assert os.pwrite(fd, pages(noise, n, 32, 2), n * PAGE) == 32 * PAGE
check(f"{mnt}/kept", NR * PAGE, noise, 2)
assert fallocate(fd, KEEP_SIZE | PUNCH, 100, 4000) == 0
assert fallocate(fd, ZERO, 5000, 1000) == 0
assert os.pread(fd, PAGE, 100 * PAGE) == bytes(PAGE) == os.pread(fd, PAGE, 5999 * PAGE)
same(os.pread(fd, PAGE, 4100 * PAGE), noise, 4100, 2, "behind the hole")
# From memory and swap as they are without the holes some crumbs may be left.
more, _ = fill(f"{mnt}/more")
assert more < 2 << 20, f"others took {more} bytes of what is promised"
write_all(3)
check(f"{mnt}/noise", size)
check(f"{mnt}/more", more)

# Cut: given back; to everybody.
os.ftruncate(fd, NR // 2 * PAGE)
again, _ = fill(f"{mnt}/again")
say(f"half of it cut: {again >> 20} MiB taken by others")
assert again >= NR // 2 * PAGE * 0.8, again
check(f"{mnt}/again", again)
check(f"{mnt}/kept", NR // 2 * PAGE, noise, 3)
os.close(fd)
for name in os.listdir(mnt):
    os.unlink(f"{mnt}/{name}")
assert eventually(30, lambda: free() >= start * 0.97), (free(), start)
assert vmstat(mnt)["nr_anon_reserved"] == 0
PY
unmount "$mnt"

# Without swap it is memory alone.
mount_anon "$mnt" mem=32M
fallocate -l 12M "$mnt/kept" || fail "fallocate without swap"
fails_with 'No space' fallocate -l 30M "$mnt/more"
noise 40000000 x >"$work/noise"
fails_with 'No space' cp "$work/noise" "$mnt/noise"
dd if="$work/noise" of="$mnt/kept" bs=1M count=12 conv=notrunc status=none ||
	fail "what was promised without swap"
head -c 12M "$work/noise" | cmp - "$mnt/kept" || fail "kept"
unmount "$mnt"
