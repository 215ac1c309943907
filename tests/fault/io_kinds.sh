#!/bin/bash
#
# Each kind of failure of a backing file, through plimsollctl: what was accepted
# is readable meanwhile, the only errors are those that were asked for, and all of
# it is in the backing file when the disk is well again. SEED=n runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >"$work/kinds.py" <<'PY'
import errno, os, random, re, subprocess, sys, time

mnt, src, ctl, seed = *sys.argv[1:4], int(sys.argv[4])
rnd = random.Random(seed)

def fault(*args):
    return subprocess.run([ctl, "fault", mnt, *args], check=True, timeout=60,
                          capture_output=True, text=True).stdout

def injected(name):
    return int(re.search(r"injected=(\d+)", fault(name))[1])

def attempt(allowed, f, *args):
    """The result, or None if it failed as it may."""
    try:
        return f(*args) or True
    except OSError as e:
        assert e.errno in allowed, (f.__name__, e)
        seen[errno.errorcode[e.errno]] = seen.get(errno.errorcode[e.errno], 0) + 1
        return None

def drop():
    open(f"{mnt}/.plimsoll/sys/vm/drop_caches", "w").write("3")

def one(name, kind, allowed, *settings):
    global seen
    seen = {}
    before = injected(name)
    path = f"f-{name}-{kind}"
    fd = os.open(f"{mnt}/{path}", os.O_RDWR | os.O_CREAT)
    data = bytearray(rnd.randbytes(3_000_000))
    assert os.pwrite(fd, data, 0) == len(data)
    os.fsync(fd)
    fault(name, f"seed={rnd.randrange(1 << 40)}", "times=-1", f"error={kind}",
          "probability=30", *settings)
    for _ in range(60):
        at = rnd.randrange(len(data))
        new = rnd.randbytes(rnd.choice((1, 700, 4096, 60000)))[:len(data) - at]
        n = attempt(allowed, os.pwrite, fd, new, at)
        if n is not None:
            data[at:at + n] = new[:n]
        if rnd.randrange(3) == 0:
            attempt(allowed, os.fsync, fd)
        if rnd.randrange(8) == 0:
            drop()
        at = rnd.randrange(len(data))
        got = attempt(allowed, os.pread, fd, 20000, at)
        assert got is None or got == data[at:at + len(got)], (name, kind, "reads wrong")
    fault(name, "off")
    attempt(allowed, os.fsync, fd)      # hears of what failed before, once
    os.fsync(fd)
    nr = injected(name) - before
    print(name, kind, *settings, "injected", nr, seen)
    assert nr > 0, "nothing was injected"
    assert os.pread(fd, len(data) + 1, 0) == data
    with open(f"{src}/{path}", "rb") as f:
        assert f.read() == data, (name, kind, "backing file is different")
    drop()
    assert os.pread(fd, len(data) + 1, 0) == data
    os.close(fd)

EIO, ENOSPC, EDQUOT = errno.EIO, errno.ENOSPC, errno.EDQUOT
one("fail_io", "EIO", {EIO})
one("fail_io", "EIO", {EIO}, "op=read")
one("fail_io", "EIO", {EIO}, "op=write")
one("fail_io", "ENOSPC", {ENOSPC}, "op=all")
one("fail_io", "EDQUOT", {EDQUOT}, "op=all")
one("fail_io", "short", {EIO, ENOSPC})  # a short write is a full disk
one("fail_io", "torn", {EIO})
one("fail_io", "delay", set(), "delay_ms=5")
one("fail_fsync", "EIO", {EIO})
one("fail_fsync", "ENOSPC", {ENOSPC})
one("fail_fsync", "EDQUOT", {EDQUOT})
one("fail_fsync", "delay", set(), "delay_ms=5")

# Both who have it open hear of a sync that failed, once.
fd, other = (os.open(f"{mnt}/two", os.O_RDWR | os.O_CREAT) for _ in range(2))
def sync_error(fd):
    try:
        os.fsync(fd)
        return 0
    except OSError as e:
        return e.errno
for _ in range(3):
    os.pwrite(fd, b"x", 0)
    fault("fail_fsync", "error=EIO", "times=1", "probability=100")
    heard = [sync_error(f) for f in (fd, other, fd, other)]
    fault("fail_fsync", "off")
    assert heard == [EIO, EIO, 0, 0], heard

# A write that the disk says it has done, and has not: what is cached is right,
# what is read again is a mixture of sectors, each old or new.
path, size = f"{mnt}/lost", 64 * 4096
fd = os.open(path, os.O_RDWR | os.O_CREAT)
old, new = rnd.randbytes(size), rnd.randbytes(size)
os.pwrite(fd, old, 0)
os.fsync(fd)
fault("fail_io", "error=lost", "op=write", f"seed={rnd.randrange(1 << 40)}", "times=-1",
      "probability=100")
os.pwrite(fd, new, 0)
os.fsync(fd)
fault("fail_io", "off")
assert os.pread(fd, size, 0) == new
drop()
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)      # and the kernel's copy
got = os.pread(fd, size, 0)
kinds = [got[i:i + 512] == new[i:i + 512] for i in range(0, size, 512)]
for i, is_new in enumerate(kinds):
    assert is_new or got[i * 512:(i + 1) * 512] == old[i * 512:(i + 1) * 512], i
assert not all(kinds), "all of it was written"
print("lost:", kinds.count(False), "of", len(kinds), "sectors")
os.close(fd)

# No room is left, says the reservation: the write is refused, nothing else.
fd = os.open(f"{mnt}/reserve", os.O_RDWR | os.O_CREAT)
fault("fail_reserve", "times=3", "probability=100")
refused = 0
data = rnd.randbytes(100000)
at = 0
while at < len(data):
    try:
        at += os.pwrite(fd, data[at:at + 20000], at)
    except OSError as e:
        assert e.errno == ENOSPC, e
        refused += 1
        assert refused < 10
fault("fail_reserve", "off")
assert injected("fail_reserve") == 3 and refused > 0, (injected("fail_reserve"), refused)
os.fsync(fd)
assert open(f"{src}/reserve", "rb").read() == data

# Without a frame a write goes around the cache. If it fails, and so does cutting
# off what it has left behind the end, that is done later: the file is never longer
# than what was accepted, and reads as zeroes when it grows.
def put(name, value):
    with open(f"{mnt}/.plimsoll/fault/{name}", "w") as f:
        f.write(str(value))
left = 0
fault("fail_io", "op=write", "error=EIO", "times=-1")
for n in range(120):
    name = f"around{n}"
    g = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT)
    os.write(g, b"a" * 5000)
    os.fsync(g)
    put("fail_page_alloc/times", -1)
    put("fail_page_alloc/probability", 100)
    put("fail_io/seed", rnd.randrange(1 << 40))
    put("fail_io/probability", 50)
    try:
        os.pwrite(g, b"b" * 9000, 5000)
    except OSError as e:
        assert e.errno == EIO, e
    put("fail_page_alloc/probability", 0)
    put("fail_io/probability", 0)
    size = os.fstat(g).st_size
    left += os.stat(f"{src}/{name}").st_size > size
    if n % 2:
        sync_error(g)           # hears of what failed
        os.fsync(g)
        assert os.stat(f"{src}/{name}").st_size == size, (n, os.stat(f"{src}/{name}").st_size, size, os.fstat(g).st_size)
        os.ftruncate(g, 20000)
        got = os.pread(g, 30000, 0)
        assert got == (b"a" * 5000 + b"b" * (size - 5000)).ljust(20000, b"\0")
    os.close(g)
    if n % 2 == 0:
        for _ in range(500):
            if os.stat(f"{src}/{name}").st_size == size:
                break
            time.sleep(0.01)
        assert os.stat(f"{src}/{name}").st_size == size == os.stat(f"{mnt}/{name}").st_size
fault("fail_io", "off")
print("left too long:", left)
assert left > 0

# The same seed, the same failures.
def failures(seed):
    fault("fail_fsync", "error=EIO", f"seed={seed}", "times=-1", "probability=40")
    result = []
    for _ in range(40):
        try:
            os.fsync(fd)
            result.append(0)
        except OSError:
            result.append(1)
    fault("fail_fsync", "off")
    return result
a, b, c = failures(seed), failures(seed), failures(seed + 1)
assert a == b != c and 0 < sum(a) < 40, (a, b, c)
PY
# The kernel keeps nothing: what is read again is read from the file.
mount_plimsoll "$src" "$mnt" mem=32M,cache=user
timeout 100 python3 "$work/kinds.py" "$mnt" "$src" "$plimsollctl" "$seed" || fail "see above"
unmount "$mnt"
