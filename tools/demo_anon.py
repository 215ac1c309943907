#!/usr/bin/env python3
"""Data that compresses, and data that does not, for a volume that can be full.

usage: demo_anon.py log NAMES FILE MIB
       demo_anon.py heap FILE MIB
       demo_anon.py refuse NOISE FILE ORIGINAL [FILE ORIGINAL ...]

log writes lines as a log has them, about the files named in NAMES (each ends
with a NUL). heap writes records as a program's heap has them: pointers that
share their upper halves, small counts, times, short names.

refuse writes random bytes to NOISE until it is told that there is no room, while
a reader for each FILE reads random pages of it, and compares them with those of
ORIGINAL. Then NOISE must have exactly what write(2) said it took. Printed is how
much that was, and for each reader a line: its reads, and its longest wait in
milliseconds.
"""
import errno
import hashlib
import itertools
import mmap
import os
import random
import struct
import sys
import time

PAGE = 4096
CHUNK = 1 << 20
AFTER_S = 1  # readers go on so long when the writer has been refused

RECORD = struct.Struct("<QQQIIqd16s")  # 64 bytes
BASE = 0x00007F4C52000000  # where such a heap may lie


def log(names, path, size):
    with open(names, "rb") as f:
        files = f.read().split(b"\0")[:-1]
    rng = random.Random(1)
    now = 1700000000.0
    with open(path, "wb") as out:
        for name in itertools.cycle(files):
            now += rng.expovariate(2000)
            out.write(b"%.6f host scan[%d]: /%s: %d bytes in %d us\n" % (
                now, 1000 + rng.randrange(8), name, rng.randrange(1 << 20),
                rng.randrange(5000)))
            if out.tell() >= size:
                return


def heap(path, size):
    rng = random.Random(1)
    nr = size // RECORD.size
    names = [b"node-%d" % n for n in range(500)]
    with open(path, "wb") as out:
        for n in range(nr):
            out.write(RECORD.pack(
                BASE + 256 * rng.randrange(12), BASE + RECORD.size * n,
                BASE + RECORD.size * rng.randrange(max(n, 1)),
                1 + rng.randrange(3), n & 7, 1700000000000 + 37 * n,
                rng.randrange(100) / 4, names[rng.randrange(500)]))


def read_pages(path, original, stop):
    """Until stop has something to say. The number of reads, and the longest."""
    os.set_blocking(stop, False)
    rng = random.Random(1)
    fd, old = (os.open(p, os.O_RDONLY) for p in (path, original))
    nr = os.fstat(fd).st_size // PAGE
    worst = 0.0
    with mmap.mmap(old, 0, mmap.MAP_SHARED, mmap.PROT_READ) as right:
        for reads in itertools.count():
            at = rng.randrange(nr) * PAGE
            began = time.monotonic()
            page = os.pread(fd, PAGE, at)
            worst = max(worst, time.monotonic() - began)
            if page != right[at:at + PAGE]:
                sys.exit("byte %d and on of %s are wrong" % (at, path))
            try:
                os.read(stop, 1)
                return reads, worst
            except BlockingIOError:
                pass


def start_reader(path, original):
    """Its process, and the ends of pipes: to stop it, and for its result."""
    stop_read, stop = os.pipe()
    result, result_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        reads, worst = read_pages(path, original, stop_read)
        os.write(result_write, b"%d %.1f\n" % (reads, 1000 * worst))
        os._exit(0)
    os.close(stop_read)
    os.close(result_write)
    return pid, stop, result


def fill(path):
    """Write noise until there is no room; how much, and its checksum."""
    total, digest = 0, hashlib.sha256()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    while True:
        noise = os.urandom(CHUNK)
        try:
            taken = os.write(fd, noise)
        except OSError as err:
            if err.errno != errno.ENOSPC:
                raise
            os.close(fd)
            return total, digest.hexdigest()
        total += taken
        digest.update(noise[:taken])


def check(path, size, digest):
    seen = hashlib.sha256()
    with open(path, "rb", buffering=0) as f:
        if os.fstat(f.fileno()).st_size != size:
            sys.exit("%s is not as long as what was taken" % path)
        while chunk := f.read(CHUNK):
            seen.update(chunk)
    if seen.hexdigest() != digest:
        sys.exit("%s is not what was written" % path)


def refuse(noise, *files):
    readers = [start_reader(*pair) for pair in zip(files[::2], files[1::2])]
    taken, digest = fill(noise)
    time.sleep(AFTER_S)
    for pid, stop, result in readers:
        os.write(stop, b".")
    print(taken)
    for pid, stop, result in readers:
        line = os.read(result, 100)
        if os.waitpid(pid, 0)[1] != 0:
            sys.exit("a reader failed")
        print(line.decode(), end="")
    check(noise, taken, digest)


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "log":
        log(args[0], args[1], int(args[2]) << 20)
    elif what == "heap":
        heap(args[0], int(args[1]) << 20)
    else:
        refuse(*args)


main()
