#!/bin/bash
# timeout: 150
#
# One file, opened in every way at once: read through the kernel's cache, read
# and written, appended to, direct, mapped shared and private. What one writes,
# all others read at once, in each mode of the cache; so with truncation, growth,
# holes, O_TRUNC, and another file renamed over it. What changes in SOURCE while
# nobody has the file open is seen at the next open. cache=writeback: fsync makes
# it durable, appending, parts of pages and times are right. SEED=n runs it again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount
cat >coherence.py <<'PY'
import ctypes, errno, mmap, os, random, sys, time
from kernel_cache import *

mnt, src, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
mode = volume(mnt, "cache")
rnd = random.Random(f"{mode} {seed}")
MOST = 48 * PAGE
libc = ctypes.CDLL(None, use_errno=True)

class Files:
    """The file, in every way, and what is in it."""

    def __init__(self):
        self.name, self.model = f"{mnt}/f", bytearray()
        os.close(os.open(self.name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        self.open()

    def open(self):
        o = lambda flags: os.open(self.name, flags)
        self.ro, self.rw, self.app = o(os.O_RDONLY), o(os.O_RDWR), o(os.O_WRONLY | os.O_APPEND)
        self.wo, self.direct = o(os.O_WRONLY), o(os.O_RDWR | os.O_DIRECT)
        self.shared = self.private = None

    def close(self):
        self.unmap()
        for fd in (self.ro, self.rw, self.app, self.wo, self.direct):
            os.close(fd)

    def unmap(self):
        for m in (self.shared, self.private):
            if m:
                m.close()
        self.shared = self.private = None

    def map(self):
        """As long as it is now; a private one is only read."""
        self.unmap()
        n = len(self.model)
        if n:
            self.shared = mmap.mmap(self.rw, n)
            self.private = mmap.mmap(self.ro, n, mmap.MAP_PRIVATE, mmap.PROT_READ)

    def spot(self, most=3 * PAGE):
        n = len(self.model)
        at = rnd.randrange(n) if n else 0
        if rnd.random() < .3:
            at &= -PAGE
        return at, min(rnd.choice((1, 7, 100, PAGE, PAGE + 1, most)), n - at)

    def write(self):
        """Returns by what, for the message."""
        how = rnd.choice(("rw", "wo", "append", "direct", "mapped", "mapped"))
        at, n = self.spot()
        if rnd.random() < .3 and how not in ("mapped", "direct"):
            n = min(rnd.choice((5, PAGE, 3 * PAGE)), MOST - at)     # may grow
        data = rnd.randbytes(n)
        if how == "append":
            at = len(self.model)
            data = data[:MOST - at]
            assert os.write(self.app, data) == len(data)
        elif how == "direct":
            at, data = at & -PAGE, None
            buf = mmap.mmap(-1, PAGE)
            buf[:] = rnd.randbytes(PAGE)
            data = buf[:]
            assert os.pwritev(self.direct, [buf], at) == PAGE
        elif how == "mapped":
            if not self.shared:
                return "nothing"
            data = data[:max(0, len(self.shared) - at)]
            self.shared[at:at + len(data)] = data
        else:
            assert os.pwrite(getattr(self, how), data, at) == len(data)
        if at > len(self.model):
            self.model += bytes(at - len(self.model))
        self.model[at:at + len(data)] = data
        return f"{how} {at}+{len(data)}"

    def change(self):
        how, n = rnd.choice(("truncate", "extend", "punch", "O_TRUNC", "replace")), len(self.model)
        if how == "truncate":
            n = rnd.randrange(n + 1)
            self.unmap()
            os.ftruncate(self.rw, n)
            del self.model[n:]
        elif how == "extend":
            n = rnd.randrange(n, MOST + 1)
            os.truncate(self.name, n)
            self.model += bytes(n - len(self.model))
        elif how == "punch":
            at, n = self.spot(8 * PAGE)
            if n and libc.fallocate(self.rw, 3, ctypes.c_long(at), ctypes.c_long(n)) < 0:
                raise OSError(ctypes.get_errno(), "fallocate")
            self.model[at:at + n] = bytes(n)
        elif how == "O_TRUNC":
            self.unmap()
            os.close(os.open(self.name, os.O_WRONLY | os.O_TRUNC))
            self.model = bytearray()
        else:
            self.close()
            self.model = bytearray(rnd.randbytes(rnd.randrange(MOST)))
            with open(f"{mnt}/new", "wb") as f:
                f.write(self.model)
            os.rename(f"{mnt}/new", self.name)
            self.open()
        self.map()
        return how

    def read(self, what):
        n = len(self.model)
        for fd in (self.ro, self.rw, self.direct):
            assert os.fstat(fd).st_size == n, (what, os.fstat(fd).st_size, n)
        for _ in range(3):
            at, n = self.spot()
            want = self.model[at:at + n]
            self.same("ro", os.pread(self.ro, n, at), want, at, what)
            self.same("rw", os.pread(self.rw, n, at), want, at, what)
            for name in ("shared", "private"):
                m = getattr(self, name)
                if m:
                    want = self.model[at:min(at + n, len(m))]
                    self.same(name, m[at:at + n], want, at, what)
            buf, at = mmap.mmap(-1, 4 * PAGE), at & -PAGE
            got = os.preadv(self.direct, [buf], at)
            self.same("direct", buf[:got], self.model[at:at + 4 * PAGE], at, what)

    def same(self, how, got, want, at, what):
        if got == want:
            return
        i = next((i for i in range(min(len(got), len(want))) if got[i] != want[i]), -1)
        raise SystemExit(f"{mode}, step {step}: {how} reads {len(got)} bytes at {at} after "
                         f"{what}: should be {len(want)}, different from {at + i}")

f = Files()
for step in range(3000):
    if step % 20 == 0:
        f.map()
    f.read(f.change() if rnd.random() < .08 else f.write())
    if rnd.random() < .02:
        os.fsync(f.rw)
        assert open(f"{src}/f", "rb").read() == f.model, (mode, step, "fsync")
    if rnd.random() < .02:
        with open(f"{mnt}/.plimsoll/sys/vm/drop_caches", "w") as d:
            d.write("3")
    if rnd.random() < .02:
        f.close()
        f.open()
        f.map()
f.close()
assert open(f.name, "rb").read() == f.model

# Behind its back, closed: seen at the next open.
if mode != "writeback":
    for n in range(20):
        os.sync() if n == 0 else None
        fd = os.open(f.name, os.O_RDWR)
        os.pread(fd, MOST, 0)
        os.fsync(fd)
        os.close(fd)
        fd = os.open(f.name, os.O_RDONLY)
        m = mmap.mmap(fd, 0, prot=mmap.PROT_READ) if os.fstat(fd).st_size else None
        m and m[:]
        m and m.close()
        os.pread(fd, MOST, 0)
        os.close(fd)
        answered(mnt)           # it is closed there too
        data = rnd.randbytes(len(f.model) if n % 2 and f.model else rnd.randrange(1, MOST))
        with open(f"{src}/f", "r+b") as s:
            s.truncate(len(data))
            s.write(data)
        f.model = data
        fd = os.open(f.name, os.O_RDONLY)
        got = os.pread(fd, MOST + 1, 0)
        assert got == data, (mode, "changed in the source", n, len(got), len(data))
        m = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        assert m[:] == data, (mode, "changed in the source, mapped", n)
        m.close()
        os.close(fd)

# Parts of pages, appended, and durable; and the time is that of the write.
name, model = f"{mnt}/log", b""
for n in range(60):
    with open(name, "ab", buffering=0) as a:
        data = rnd.randbytes(rnd.choice((1, 100, 5000, 4096)))
        before = time.time_ns() // 10**9
        a.write(data)
        model += data
        if n % 4 == 0:
            os.fsync(a.fileno())
            assert open(f"{src}/log", "rb").read() == model, (mode, "append", n)
            st = os.stat(f"{src}/log")
            assert before - 1 <= st.st_mtime <= time.time() + 1, (mode, "mtime", st)
            assert abs(os.fstat(a.fileno()).st_mtime - st.st_mtime) < 2, (mode, "mtime")
    assert open(name, "rb").read() == model, (mode, "append", n)
os.utime(name, (1000, 2000))
fd = os.open(name, os.O_WRONLY)
os.pwrite(fd, b"x", 5000)
os.utime(name, (3000, 4000))
os.close(fd)
assert os.stat(name).st_mtime == 4000, (mode, os.stat(name).st_mtime)
print(f"{mode}: right, {vmstat(mnt, 'copy_fill')} pages kept by the kernel")
PY

for mode in user auto kernel writeback; do
	mount_plimsoll "$src" "$mnt" mem=16M,cache=$mode
	equal mode "$(volume "$mnt" cache)" "$mode"
	timeout 60 python3 coherence.py "$mnt" "$src" "$seed" ||
		fail "cache=$mode, SEED=$seed: see above"
	sums=$(cd "$mnt" && sha256sum f log)
	unmount "$mnt"
	equal "$mode: in the source" "$(cd "$src" && sha256sum f log)" "$sums"
	equal "$mode: mtime in the source" "$(stat -c %Y "$src/log")" 4000
	rm "$src"/*
done
