"""What the kernel keeps in its cache, and what of it is the mount's: cachestat(2)
for a file, and a process that watches all of the memory against the budget."""
import ctypes
import glob
import multiprocessing
import os
import re
import subprocess
import time

PAGE = 4096
TOLERANCE = 4 << 20     # what the test itself reads
_libc = ctypes.CDLL(None, use_errno=True)


def copies(fd):
    """Bytes of an open file that the kernel has."""
    what, stat = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    if _libc.syscall(451, fd, what, stat, 0) < 0:
        raise OSError(ctypes.get_errno(), "cachestat")
    return stat[0] * PAGE


def field(path, name):
    """KiB in /proc as bytes."""
    with open(path) as f:
        return int(re.search(rf"^{name}:\s+(\d+)", f.read(), re.M)[1]) << 10


def volume(mnt, name):
    with open(f"{mnt}/.plimsoll/volume") as f:
        return re.search(rf"^{name} (.*)$", f.read(), re.M)[1]


def vmstat(mnt, name=None):
    with open(f"{mnt}/.plimsoll/vmstat") as f:
        v = {n: int(x) for n, x in map(str.split, f)}
    return v[name] if name else v


def answered(mnt):
    """Wait until all requests have their answers: RELEASE comes after close(2)."""
    path = f"/sys/fs/fuse/connections/{os.minor(os.stat(mnt).st_dev)}/waiting"
    if not os.path.exists(path):
        subprocess.run(["mount", "-t", "fusectl", "none", "/sys/fs/fuse/connections"],
                       check=True, timeout=20)

    def idle():
        with open(path) as f:
            return f.read().strip() == "0"
    assert eventually(30, idle), "requests without an answer"


def taker_of(pid):
    """The process that takes copies back, or None."""
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as f:
                for child in f.read().split():
                    with open(f"/proc/{child}/cmdline", "rb") as c:
                        if b"--take-copies" in c.read():
                            return int(child)
        except OSError:
            pass
    return None


class Watch:
    """with Watch(mnt) as w: ...; w.within() - and say how much it was.

    The cache is that of the memory cgroup the test is in (CGROUP, of lib.sh), in
    which nobody else reads; else the growth of Cached in /proc/meminfo over
    CACHED, as it was before the mount. The arena is in both, as it is shared
    memory; what else the two processes have is added.
    """

    def __init__(self, mnt, what):
        self.what = what
        self.pid = int(volume(mnt, "pid"))
        self.taker = taker_of(self.pid)
        self.mem = int(volume(mnt, "mem"))
        self.budget = self.mem + int(volume(mnt, "overhead"))
        group = os.environ.get("CGROUP")
        self.stat = group and f"{group}/memory.stat"
        self.before = 0 if group else int(os.environ["CACHED"])
        self.most = multiprocessing.Array("q", 2)
        self.end = multiprocessing.Event()

    def cache(self):
        if not self.stat:
            return field("/proc/meminfo", "Cached") - self.before
        with open(self.stat) as f:
            return int(re.search(r"^(cache|file) (\d+)", f.read(), re.M)[2])

    def private(self):
        return sum(field(f"/proc/{pid}/status", "RssAnon")
                   for pid in (self.pid, self.taker) if pid)

    def _look(self):
        while not self.end.is_set():
            try:
                cache = self.cache()
                self.most[0] = max(self.most[0], cache)
                self.most[1] = max(self.most[1], cache + self.private())
            except (OSError, TypeError):
                return                  # it has ended
            time.sleep(0.005)

    def __enter__(self):
        self.start = time.monotonic()
        self.process = multiprocessing.Process(target=self._look)
        self.process.start()
        return self

    def __exit__(self, *why):
        self.end.set()
        self.process.join()

    def within(self, crowd=False):
        """Crowd: so many read at once that what is on its way needs the overhead."""
        cache, total = self.most
        print(f"{time.monotonic() - self.start:.1f} s, {self.what}: cache at most {cache >> 10} KiB, with what is private "
              f"{total >> 10}, of mem {self.mem >> 10}, with overhead "
              f"{self.budget >> 10}", flush=True)
        assert total > 0
        # A sanitizer has memory of its own.
        assert os.environ.get("SAN") or total <= self.budget + TOLERANCE, (
            self.what, total, self.budget)
        # The arena and the copies alone; what is private is the overhead.
        assert crowd or cache <= self.mem + TOLERANCE, (self.what, cache, self.mem)


class Stalls:
    """Calls a function; the longest call."""

    def __init__(self):
        self.longest = 0

    def __call__(self, f, *args):
        start = time.monotonic()
        r = f(*args)
        self.longest = max(self.longest, time.monotonic() - start)
        return r

    def __str__(self):
        return f"longest stall {self.longest * 1000:.0f} ms"


def eventually(seconds, f):
    end = time.monotonic() + seconds
    while not f():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
