"""fill.py - fill a mount in some way; what was acknowledged is in SOURCE later.

usage: fill.py fill MOUNT WAY SEED [N]     until it is refused; prints the bytes
       fill.py check DIRECTORY SEED N...   the same, and that of others

WAY is "one" (a large file), "small" (many of 4 KiB and less), "random" (writes
here and there in a sparse file), "append" (lines). Each N has files of its own.
What was acknowledged is in model.N, in the working directory.
"""
import errno, json, os, random, sys

FULL = (errno.ENOSPC, errno.EDQUOT)


BASE = random.Random(1).randbytes(1 << 16)


def noise(seed, at, size):
    """Bytes of a file at some place; the same each time."""
    first, parts = at >> 12, []
    for i in range(first, (at + size + 4095) >> 12):
        start = (i * 97 + seed) % (len(BASE) - 4080)
        parts += (b"%7x:%7x " % (seed & 0xfffffff, i), BASE[start:start + 4080])
    return b"".join(parts)[at - (first << 12):at - (first << 12) + size]


class Fill:
    def __init__(self, mount, seed, n):
        self.dir, self.rnd, self.n = mount, random.Random(seed * 1000 + n), n
        self.model, self.refusal = {}, None     # name: [seed, [[at, size]...]]

    def write(self, fd, name, at, size):
        """False: refused. A short write is followed by the refusal."""
        seed, pieces = self.model.setdefault(name, [self.rnd.randrange(1 << 30), []])
        while size > 0:
            try:
                n = os.pwrite(fd, noise(seed, at, size), at)
            except OSError as e:
                assert e.errno in FULL, e
                self.refusal = errno.errorcode[e.errno]
                return False
            assert n > 0
            if pieces and pieces[-1][0] + pieces[-1][1] == at:
                pieces[-1][1] += n
            else:
                pieces.append([at, n])
            at, size = at + n, size - n
        return True

    def open(self, name):
        return os.open(f"{self.dir}/{name}", os.O_RDWR | os.O_CREAT, 0o644)

    def one(self):
        fd, at = self.open(f"one.{self.n}"), 0
        size = self.rnd.choice((4096, 100_000, 131072, 1 << 20))
        while self.write(fd, f"one.{self.n}", at, size):
            at += size
        os.fsync(fd)
        os.close(fd)

    def append(self):
        fd, at = self.open(f"lines.{self.n}"), 0
        size = self.rnd.randrange(1, 6000)
        while self.write(fd, f"lines.{self.n}", at, size):
            at += size
            size = self.rnd.randrange(1, 6000)
        os.fsync(fd)
        os.close(fd)

    def random(self):
        fd = self.open(f"random.{self.n}")
        while self.write(fd, f"random.{self.n}", self.rnd.randrange(1 << 18) << 12,
                         self.rnd.choice((4096, 4096, 16384, 65536))):
            pass
        os.fsync(fd)
        os.close(fd)

    def small(self):
        i, more = 0, True
        while more:
            name = f"small.{self.n}.{i}"
            try:
                fd = self.open(name)
            except OSError as e:
                assert e.errno in FULL, e
                self.refusal = errno.errorcode[e.errno]
                break
            more = self.write(fd, name, 0, self.rnd.choice((4096, 4096, 1, 5000)))
            os.close(fd)
            i += 1


def fill(mount, way, seed, n="0"):
    f = Fill(mount, int(seed), int(n))
    getattr(f, way)()
    with open(f"model.{n}", "w") as out:
        json.dump(f.model, out)
    print(sum(size for _, pieces in f.model.values() for _, size in pieces), f.refusal)


def check(where, seed, *numbers):
    total = 0
    for n in numbers:
        with open(f"model.{n}") as m:
            model = json.load(m)
        for name, (key, pieces) in model.items():
            if not pieces:
                continue
            with open(f"{where}/{name}", "rb") as f:
                for at, size in pieces:
                    total += size
                    while size > 0:
                        part = min(size, 1 << 20)
                        f.seek(at)
                        assert f.read(part) == noise(key, at, part), (name, at, part)
                        at, size = at + part, size - part
    print("as acknowledged:", total)


{"fill": fill, "check": check}[sys.argv[1]](*sys.argv[2:])
