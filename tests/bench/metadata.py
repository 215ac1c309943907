#!/usr/bin/env python3
"""Create, stat and unlink files; print operations a second.

usage: metadata.py DIRECTORY NR_FILES
"""
import os
import sys
import time


def main():
    top, nr = os.path.join(sys.argv[1], "metadata"), int(sys.argv[2])
    paths = [os.path.join(top, "file-%06d" % i) for i in range(nr)]
    os.mkdir(top)
    start = time.monotonic()
    for path in paths:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))
    for path in paths:
        if os.stat(path).st_size != 0:
            sys.exit("%s is not empty" % path)
    for path in paths:
        os.unlink(path)
    took = time.monotonic() - start
    os.rmdir(top)
    print(3 * nr / took)


main()
