"""Random reads, writes, mappings, cuts and holes on a few files, each compared
with a bytearray. One seed is one run.

random_operations.py DIRECTORY BACKING SEED STEPS [FILES]
"""
import ctypes
import mmap
import os
import random
import sys

PAGE = 4096
MAX = 700000
libc = ctypes.CDLL(None, use_errno=True)


class File:
    def __init__(self, path, backing, rnd):
        self.path, self.backing, self.rnd = path, backing, rnd
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        self.model = bytearray()
        self.last = ""

    def check(self, what, got, want, at):
        if got == want:
            return
        n = min(len(got), len(want))
        bad = next((i for i in range(n) if got[i] != want[i]), n)
        end = next((i for i in range(n, 0, -1) if got[i - 1] != want[i - 1]), n)
        raise SystemExit(
            f"{self.path}: {what} at {at}: {len(got)} bytes, should be "
            f"{len(want)}; different from {at + bad} to {at + end}: "
            f"{bytes(got[bad:bad + 16])!r}, should be "
            f"{bytes(want[bad:bad + 16])!r}; last changes: {self.last[-300:]}")

    def range(self, limit):
        at = self.rnd.randrange(limit + 1)
        if self.rnd.random() < 0.3:
            at -= at % PAGE
        n = self.rnd.choice((1, 7, 512, PAGE, PAGE + 1, 20000, 131072, 200000))
        n = self.rnd.randrange(1, n + 1) if self.rnd.random() < 0.7 else n
        return at, n

    def grow(self, size):
        if size > len(self.model):
            self.model.extend(bytes(size - len(self.model)))

    def write(self):
        at, n = self.range(min(len(self.model) + 50000, MAX))
        data = self.rnd.randbytes(min(n, 256)) * (n // 256 + 1)
        data = data[:n]
        assert os.pwrite(self.fd, data, at) == n
        self.grow(at + n)
        self.model[at:at + n] = data
        self.last += f" write {at}+{n}"

    def append(self):
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        data = self.rnd.randbytes(self.rnd.randrange(1, 9000))
        assert os.write(fd, data) == len(data)
        os.close(fd)
        self.model += data
        self.last += f" append {len(data)}"

    def read(self):
        at, n = self.range(len(self.model))
        self.check("read", os.pread(self.fd, n, at), self.model[at:at + n], at)

    def truncate(self):
        size = self.rnd.choice((
            self.rnd.randrange(MAX), self.rnd.randrange(len(self.model) + 1),
            len(self.model) // 2 // PAGE * PAGE))
        os.truncate(self.path, size)
        self.grow(size)
        del self.model[size:]
        self.last += f" truncate {size}"

    def punch(self, mode=3):
        at, n = self.range(len(self.model))
        if libc.fallocate(self.fd, mode, ctypes.c_long(at), ctypes.c_long(n)):
            assert ctypes.get_errno() == 95, ctypes.get_errno()
            return
        if mode == 0x10:
            self.grow(at + n)
        end = min(at + n, len(self.model))
        self.model[at:end] = bytes(max(end - at, 0))
        self.last += f" punch {mode} {at}+{n}"

    def zero(self):
        self.punch(0x10)

    def allocate(self):
        at, n = self.range(len(self.model))
        if libc.fallocate(self.fd, 0, ctypes.c_long(at), ctypes.c_long(n)) == 0:
            self.grow(at + n)
            self.last += f" allocate {at}+{n}"

    def store(self):
        if not self.model:
            return
        at, n = self.range(len(self.model) - 1)
        n = min(n, len(self.model) - at)
        data = self.rnd.randbytes(1) * n
        with mmap.mmap(self.fd, len(self.model)) as m:
            m[at:at + n] = data
            if self.rnd.random() < 0.5:
                m.flush()
        self.model[at:at + n] = data
        self.last += f" store {at}+{n}"

    def load(self):
        if not self.model:
            return
        at, n = self.range(len(self.model) - 1)
        with mmap.mmap(self.fd, len(self.model), prot=mmap.PROT_READ) as m:
            self.check("load", m[at:at + n], self.model[at:at + n], at)

    def sync(self):
        os.fsync(self.fd)
        self.last += " fsync"

    def sync_and_compare(self):
        os.fsync(self.fd)
        with open(self.backing, "rb") as f:
            self.check("backing file", f.read(), self.model, 0)

    def reopen(self):
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)
        self.last += " reopen"

    def stat(self):
        size = os.fstat(self.fd).st_size
        assert size == len(self.model), (
            f"{self.path}: size {size}, should be {len(self.model)}; "
            f"{self.last[-300:]}")

    def rename(self):
        os.rename(self.path, self.path + ".new")
        os.rename(self.path + ".new", self.path)

    def whole(self):
        with open(self.path, "rb") as f:
            self.check("whole", f.read(), self.model, 0)


def main():
    top, backing, seed, steps = sys.argv[1:5]
    nr = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    rnd = random.Random(int(seed))
    files = [File(f"{top}/r{seed}.{i}", f"{backing}/r{seed}.{i}", rnd)
             for i in range(nr)]
    drop = f"{top}/.plimsoll/sys/vm/drop_caches"
    ops = ([File.write] * 10 + [File.read] * 8 + [File.append] * 2 +
           [File.truncate] * 3 + [File.store] * 3 + [File.load] * 2 +
           [File.punch, File.zero, File.allocate, File.sync, File.stat,
            File.reopen, File.rename, File.sync_and_compare, File.whole])
    for step in range(int(steps)):
        f = rnd.choice(files)
        rnd.choice(ops)(f)
        if rnd.random() < 0.02:
            with open(drop, "w") as d:
                d.write("3")
    for f in files:
        f.whole()
        f.stat()


main()
