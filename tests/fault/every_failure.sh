#!/bin/bash
# timeout: 240
#
# System calls with the first allocation (or reservation, or I/O) that they cause
# failing, the second, the third, ..., until none fails: each is done or not done,
# the error is one it may have, what there was is as it was, and nothing is left
# behind: no inode, descriptor, reservation, page.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

cat >"$work/every.py" <<'PY'
import errno, os, re, stat, sys, time

mnt, kind = sys.argv[1:]
E = errno
d = f"{mnt}/d"
c = f"{mnt}/.plimsoll"
DATA = os.urandom(50000)

def put(name, value):
    with open(f"{c}/{name}", "w") as f:
        f.write(str(value))

def get(name):
    with open(f"{c}/{name}") as f:
        return f.read()

def levels():
    """What must be as it was before."""
    put("sync", 1)
    put("sys/vm/drop_caches", 3)
    v = dict(line.split() for line in get("vmstat").splitlines())
    volume = dict(line.split(" ", 1) for line in get("volume").splitlines())
    names = ("nr_dirty nr_writeback nr_backing_fds nr_anon_reserved nr_parked"
             " nr_inodes_dying").split()
    if kind == "anon":
        names += ["nr_inodes"]
    r = {n: int(v[n]) for n in names}
    for n in ("reserved_bytes", "stored_bytes", "nr_inodes"):
        if n in volume:
            r[n] = int(volume[n])
    return r

def settled(before):
    for _ in range(300):
        now = levels()
        if now == before:
            return now
        time.sleep(0.01)
    return now

def make(name, data=DATA):
    with open(f"{d}/{name}", "wb") as f:
        f.write(data)

def read(name):
    with open(f"{d}/{name}", "rb") as f:
        return f.read()

def full_write(fd, data, at=0):
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], at + done)

class Op:
    """before() and after() are not disturbed; run() is; done(): was it?"""
    def before(self): make("old")
    def after(self): pass
    def check(self, ok): pass

class Create(Op):
    def run(self): os.close(os.open(f"{d}/new", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    def check(self, ok):
        if ok or os.path.exists(f"{d}/new"):
            assert os.stat(f"{d}/new").st_size == 0
            assert ok, "the name is there, and open(2) failed"

class Mkdir(Op):
    def run(self): os.mkdir(f"{d}/new")
    def check(self, ok): assert os.path.isdir(f"{d}/new") == ok

class Symlink(Op):
    def run(self): os.symlink("x" * 100, f"{d}/new")
    def check(self, ok): assert os.path.islink(f"{d}/new") == ok

class Mknod(Op):
    def run(self): os.mknod(f"{d}/new", stat.S_IFIFO | 0o600)
    def check(self, ok): assert os.path.exists(f"{d}/new") == ok

class Link(Op):
    def run(self): os.link(f"{d}/old", f"{d}/new")
    def check(self, ok):
        assert os.path.exists(f"{d}/new") == ok
        assert os.stat(f"{d}/old").st_nlink == 1 + ok

class Rename(Op):
    def run(self): os.rename(f"{d}/old", f"{d}/new")
    def check(self, ok):
        assert os.path.exists(f"{d}/new") == ok and os.path.exists(f"{d}/old") != ok
        assert read("new" if ok else "old") == DATA

class RenameOver(Op):
    def before(self): make("old"); make("new", b"n")
    def run(self): os.rename(f"{d}/old", f"{d}/new")
    def check(self, ok):
        assert os.path.exists(f"{d}/old") != ok
        assert read("new") == (DATA if ok else b"n")

class Unlink(Op):
    def run(self): os.unlink(f"{d}/old")
    def check(self, ok): assert os.path.exists(f"{d}/old") != ok

class Write(Op):
    def before(self): self.fd = os.open(f"{d}/f", os.O_RDWR | os.O_CREAT)
    def run(self): full_write(self.fd, DATA)
    def check(self, ok):
        got = os.pread(self.fd, 100000, 0)
        assert got == (DATA if ok else DATA[:len(got)])
        assert os.fstat(self.fd).st_size == len(got)
    def after(self): os.close(self.fd)

class WriteMiddle(Write):
    def before(self):
        super().before()
        full_write(self.fd, DATA)
        os.fsync(self.fd)
        put("sys/vm/drop_caches", 3)
    def run(self): full_write(self.fd, b"x" * 10000, 5001)
    def check(self, ok):
        got = os.pread(self.fd, 100000, 0)
        new = DATA[:5001] + b"x" * 10000 + DATA[15001:]
        assert len(got) == len(DATA)
        if ok:
            assert got == new
        for i in range(len(got)):
            assert got[i] in (DATA[i], new[i])

class Read(WriteMiddle):
    def run(self):
        got = os.pread(self.fd, 100000, 0)      # up to what could not be read
        assert got and DATA.startswith(got), len(got)
    def check(self, ok): assert os.pread(self.fd, 100000, 0) == DATA

class SparseWrite(Write):
    def run(self): full_write(self.fd, b"end", 1 << 30)
    def check(self, ok):
        assert os.fstat(self.fd).st_size == ((1 << 30) + 3 if ok else 0)
        if ok:
            assert os.pread(self.fd, 10, (1 << 30) - 3) == b"\0\0\0end"

class Truncate(WriteMiddle):
    def run(self): os.ftruncate(self.fd, 6000)
    def check(self, ok): assert os.pread(self.fd, 100000, 0) == (DATA[:6000] if ok else DATA)

class Grow(WriteMiddle):
    def run(self): os.ftruncate(self.fd, 90000)
    def check(self, ok):
        assert os.pread(self.fd, 100000, 0) == (DATA.ljust(90000, b"\0") if ok else DATA)

class Fallocate(Write):
    def run(self): os.posix_fallocate(self.fd, 0, 300000)
    def check(self, ok): assert os.fstat(self.fd).st_size == (300000 if ok else 0)

class Fsync(Write):
    def before(self):
        super().before()
        full_write(self.fd, DATA)
    def run(self): os.fsync(self.fd)
    def check(self, ok):
        assert os.pread(self.fd, 100000, 0) == DATA
        try:
            os.fsync(self.fd)
        except OSError:
            assert not ok, "fsync heard of it twice"
        os.fsync(self.fd)

class Append(Op):
    def run(self):
        with open(f"{d}/old", "ab", 0) as f:
            f.write(b"!" * 5000)
    def check(self, ok):
        got = read("old")
        assert got[:len(DATA)] == DATA and set(got[len(DATA):]) <= {ord("!")}
        assert not ok or len(got) > len(DATA)

class Trunc(Op):
    def run(self): os.close(os.open(f"{d}/old", os.O_WRONLY | os.O_TRUNC))
    def check(self, ok):
        assert read("old") in ((b"",) if ok else (b"", DATA))

class List(Op):
    def before(self):
        for i in range(30):
            make(f"n{i}", b"")
    def run(self): assert len(os.listdir(d)) == 30
    def check(self, ok): assert len(os.listdir(d)) == 30

class Xattr(Op):
    def run(self): os.setxattr(f"{d}/old", "user.x", b"v" * 500)
    def check(self, ok): assert os.listxattr(f"{d}/old") == (["user.x"] if ok else [])

class Chmod(Op):
    def run(self): os.chmod(f"{d}/old", 0o640)
    def check(self, ok): assert (os.stat(f"{d}/old").st_mode & 0o777 == 0o640) == ok

class Lookup(Op):
    def before(self):
        make("old")
        put("sys/vm/drop_caches", 3)
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("2")
    def run(self): os.stat(f"{d}/old")
    def check(self, ok): assert read("old") == DATA

ALLOWED = {E.ENOSPC, E.ENOMEM}
os.mkdir(d)
def clean():
    for name in os.listdir(d):
        path = f"{d}/{name}"
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

attrs = {"fail_page_alloc": ALLOWED, "failslab": ALLOWED, "fail_xarray_node": ALLOWED,
         "fail_reserve": {E.ENOSPC}}
if kind == "file":
    attrs |= {"fail_io": {E.EIO}, "fail_fsync": {E.EIO}}
else:
    attrs |= {"fail_compress": set()}
ops = [Create, Mkdir, Symlink, Mknod, Link, Rename, RenameOver, Unlink, Write, WriteMiddle,
       Read, SparseWrite, Truncate, Grow, Fallocate, Fsync, Append, Trunc, List, Xattr, Chmod,
       Lookup]
total = 0
bad = []
at_rest = settled(levels())

def turn(cls, attr, allowed, n, times):
    """Every n-th call fails, so often. How many did; and was the call refused?"""
    a = f"fault/{attr}"
    op = cls()
    op.before()
    was = int(get(f"{a}/injected"))
    for field, value in ("seed", 1), ("interval", n), ("times", times), ("probability", 100):
        put(f"{a}/{field}", value)
    err = 0
    try:
        op.run()
    except OSError as e:
        err = e.errno
    put(f"{a}/probability", 0)
    injected = int(get(f"{a}/injected")) - was
    what = f"{attr}, call {n}, {times} times, of {cls.__name__}: {errno.errorcode.get(err, err)}"
    try:
        assert not err or (injected and err in allowed), what
        op.check(err == 0)
    except (AssertionError, OSError) as e:
        bad.append(f"{what}: {e!r}")
    op.after()
    clean()
    now = settled(at_rest)
    if now != at_rest:
        bad.append(f"{what}: left behind: {now}, was {at_rest}")
    return injected, err != 0

for attr, allowed in attrs.items():
    failures, refused = 0, 0
    for cls in ops:
        if kind == "anon" and cls is Xattr:
            continue
        for n in range(1, 400):
            injected, err = turn(cls, attr, allowed, n, 1)
            failures += injected
            refused += err
            if injected == 0:
                break
        for n in 1, 2, 3:               # and again and again
            injected, err = turn(cls, attr, allowed, n, -1)
            failures += injected
            refused += err
    print(f"{kind}: {attr}: {failures} failures, {refused} calls refused", flush=True)
    total += failures
print("\n".join(bad))
assert not bad and total > 0
PY
mount_plimsoll "$src" "$mnt" mem=32M
timeout 110 python3 "$work/every.py" "$mnt" file || fail "see above, file"
unmount "$mnt"
mount_anon "$mnt" "mem=32M,swap=$work/swap:64M"
timeout 110 python3 "$work/every.py" "$mnt" anon || fail "see above, anon"
unmount "$mnt"
