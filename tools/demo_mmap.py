#!/usr/bin/env python3
"""Write a file through a shared mapping, and check one.

usage: demo_mmap.py write|check FILE MIB

A page's contents follow from its number, so that a check needs nothing but
the file. Pages are visited in an order that is neither forward nor random:
a step that has no common factor with their number.

Printed is how many bytes of the file the kernel held for the mapping at the
end, which is what this process has resident of files, more than before.
"""
import hashlib
import mmap
import os
import sys

PAGE = 4096
STEP = 7919  # a prime, and more pages than a readahead


def contents(page):
    return hashlib.sha256(b"page %d" % page).digest() * (PAGE // 32)


def pages(nr):
    return (i * STEP % nr for i in range(nr))


def resident():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssFile:"):
                return int(line.split()[1]) << 10


def write(path, size):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
    os.posix_fallocate(fd, 0, size)
    before = resident()
    with mmap.mmap(fd, size, mmap.MAP_SHARED) as mapping:
        for page in pages(size // PAGE):
            mapping[page * PAGE:(page + 1) * PAGE] = contents(page)
        mapping.flush()
        print(resident() - before)
    os.fsync(fd)
    os.close(fd)


def check(path, size):
    fd = os.open(path, os.O_RDONLY)
    before = resident()
    with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ) as mapping:
        for page in pages(size // PAGE):
            if mapping[page * PAGE:(page + 1) * PAGE] != contents(page):
                sys.exit("page %d of %s is not what was written" % (page, path))
        print(resident() - before)
    os.close(fd)


def main():
    what, path, mib = sys.argv[1:]
    {"write": write, "check": check}[what](path, int(mib) << 20)


main()
