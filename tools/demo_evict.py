#!/usr/bin/env python3
"""Put the host's cached pages of every file below a directory out.

usage: demo_evict.py DIRECTORY
"""
import os
import sys


def main():
    for folder, _, names in os.walk(sys.argv[1]):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            fd = os.open(path, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


main()
