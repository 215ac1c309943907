"""Pages whose contents follow from their number and version alone, so that no
model has to be kept: text() compresses about 3:1, noise() not at all. Each page
begins with its number and version, and is different from all others."""
import errno
import glob
import os
import random
import sys
import time

PAGE = 4096
HEAD = 16
_text = b"".join(open(f, "rb").read() for f in sorted(
    glob.glob("/usr/include/*.h") + glob.glob("/usr/lib/python3*/*.py"))[:400])
assert len(_text) > 100000, "nothing to make text of"
_noise = random.Random(1).randbytes(8 << 20)


def _head(n, version):
    return n.to_bytes(8, "little") + version.to_bytes(8, "little")


def _slice(data, size, n, version):
    at = (n * 2654435761 + version * 40503001) % (len(data) - size)
    return data[at:at + size]


def noise(n, version=0):
    return _head(n, version) + _slice(_noise, PAGE - HEAD, n, version)


def text(n, version=0):
    """Half of it repeats, some of it is noise."""
    return (_head(n, version) + _slice(_noise, 350, n, version) +
            2 * _slice(_text, (PAGE - HEAD - 350) // 2, n, version))


def pages(kind, first, nr, version=0):
    return b"".join(kind(n, version) for n in range(first, first + nr))


def same(got, kind, n, version, what):
    if got == kind(n, version):
        return
    want = kind(n, version)
    at = next((i for i in range(min(len(got), PAGE)) if got[i] != want[i]), -1)
    raise SystemExit(f"{what}: page {n} version {version}: {len(got)} bytes, "
                     f"different from byte {at}: {got[at:at + 16]!r}, should be "
                     f"{want[at:at + 16]!r}")


def fill(path, kind=noise, chunk=32, most=1 << 20, progress=None):
    """Append pages until refused. Returns the bytes that were accepted, and the
    seconds from the last progress to the refusal."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    done = 0
    last = time.monotonic()
    while done < most * PAGE:
        n = done // PAGE
        data = pages(kind, n, chunk)[done % PAGE:]
        try:
            wrote = os.write(fd, data)
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
            break
        assert 0 < wrote <= len(data), wrote
        done += wrote
        last = time.monotonic()
        if progress:
            progress(done)
    else:
        raise SystemExit(f"{path}: {done} bytes, and never refused")
    took = time.monotonic() - last
    os.close(fd)
    return done, took


def check(path, size, kind=noise, version=0):
    """Whole, and not a byte longer."""
    with open(path, "rb", buffering=0) as f:
        assert os.fstat(f.fileno()).st_size == size, (
            f"{path}: size {os.fstat(f.fileno()).st_size}, should be {size}")
        n = 0
        while n * PAGE < size:
            got = b""
            want = min(64 * PAGE, size - n * PAGE)
            while len(got) < want:
                piece = f.read(want - len(got))
                assert piece, f"{path} ends at {n * PAGE + len(got)}"
                got += piece
            if got != pages(kind, n, 64, version)[:want]:
                for i in range(0, want, PAGE):
                    page = got[i:i + PAGE]
                    if page != kind(n + i // PAGE, version)[:len(page)]:
                        same(page, kind, n + i // PAGE, version, path)
            n += 64
        assert f.read(1) == b""


def eventually(seconds, f):
    """Room comes back after unlink(2): when the kernel forgets, and it is freed."""
    end = time.monotonic() + seconds
    while not f():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def files(mnt, name):
    with open(f"{mnt}/.plimsoll/{name}") as f:
        return f.read()


def meminfo(mnt):
    """In bytes."""
    return {line.split(":")[0]: int(line.split()[1]) << 10
            for line in files(mnt, "meminfo").splitlines()}


def vmstat(mnt):
    return {line.split()[0]: int(line.split()[1])
            for line in files(mnt, "vmstat").splitlines()}


def percent_used(mnt):
    """Of memory and swap together."""
    m = meminfo(mnt)
    used = m["MemTotal"] - m["MemFree"] + m["SwapTotal"] - m["SwapFree"]
    return 100 * used / (m["MemTotal"] + m["SwapTotal"])


class Stalls:
    """The longest time something took."""
    def __init__(self):
        self.longest, self.nr = 0, 0

    def __call__(self, do, *args):
        start = time.monotonic()
        result = do(*args)
        self.longest = max(self.longest, time.monotonic() - start)
        self.nr += 1
        return result


def say(*words):
    print(*words)
    sys.stdout.flush()
