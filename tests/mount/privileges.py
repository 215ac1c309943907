#!/usr/bin/python3
"""What is left of set-id bits and capabilities after all that changes a file.

usage: privileges.py DIRECTORY

Makes files there, does one thing with each, as root and as another user, and
prints what the file has then, and after an fsync: the same on every file system.
"""

import ctypes
import mmap
import os
import sys

CAPS = bytes.fromhex("0100000200200000000000000000000000000000")
NAME = "security.capability"
SIZE = 10000

libc = ctypes.CDLL(None, use_errno=True)


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) < 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def opened(flags, do=lambda fd: None):
    def run(path):
        fd = os.open(path, flags)
        do(fd)
        os.close(fd)

    return run


def store(fd):
    with mmap.mmap(fd, SIZE) as m:
        m[5] = 7
        m.flush()


def store_and_leave(fd):
    m = mmap.mmap(fd, SIZE)
    m[4096] = 9


def direct(fd):
    with mmap.mmap(-1, 4096) as m:
        os.writev(fd, [m])


def pull(fd):
    source = os.open("/proc/self/exe", os.O_RDONLY)
    os.sendfile(fd, source, 0, 5000)
    os.close(source)


def itself(fd):
    os.copy_file_range(fd, fd, 100, 0, 200)


def write(fd):
    os.write(fd, b"new")


KEEP, PUNCH, ZERO = 1, 2, 16

OPERATIONS = {
    "nothing": lambda path: None,
    "read": opened(os.O_RDONLY, lambda fd: os.read(fd, 10)),
    "open": opened(os.O_RDWR),
    "write": opened(os.O_WRONLY, write),
    "write rdwr": opened(os.O_RDWR, write),
    "append": opened(os.O_WRONLY | os.O_APPEND, write),
    "write sync": opened(os.O_WRONLY | os.O_SYNC, write),
    "write dsync": opened(os.O_RDWR | os.O_DSYNC, write),
    "write direct": opened(os.O_WRONLY | os.O_DIRECT, direct),
    "write nothing": opened(os.O_WRONLY, lambda fd: os.write(fd, b"")),
    "sendfile": opened(os.O_WRONLY, pull),
    "copy range": opened(os.O_RDWR, itself),
    "store": opened(os.O_RDWR, store),
    "store, no sync": opened(os.O_RDWR, store_and_leave),
    "store, then write": opened(os.O_RDWR, lambda fd: (store_and_leave(fd), write(fd))),
    "truncate same": lambda path: os.truncate(path, SIZE),
    "truncate less": lambda path: os.truncate(path, 77),
    "truncate more": lambda path: os.truncate(path, 2 * SIZE),
    "ftruncate same": opened(os.O_RDWR, lambda fd: os.ftruncate(fd, SIZE)),
    "ftruncate less": opened(os.O_RDWR, lambda fd: os.ftruncate(fd, 5000)),
    "open trunc": opened(os.O_WRONLY | os.O_TRUNC),
    "open creat trunc": opened(os.O_RDWR | os.O_CREAT | os.O_TRUNC),
    "open rdonly trunc": opened(os.O_RDONLY | os.O_TRUNC),
    "fallocate": opened(os.O_RDWR, lambda fd: fallocate(fd, 0, 0, 3 * SIZE)),
    "fallocate keep": opened(os.O_RDWR, lambda fd: fallocate(fd, KEEP, 0, 3 * SIZE)),
    "punch": opened(os.O_RDWR, lambda fd: fallocate(fd, PUNCH | KEEP, 0, 4096)),
    "zero": opened(os.O_RDWR, lambda fd: fallocate(fd, ZERO, 0, 4096)),
    "chown same": lambda path: os.chown(path, os.stat(path).st_uid, os.stat(path).st_gid),
    "chown": lambda path: os.chown(path, 2000, 2000),
    "chgrp": lambda path: os.chown(path, -1, os.getgid()),
    "chmod": lambda path: os.chmod(path, os.stat(path).st_mode & 0o7777),
    "utimes": lambda path: os.utime(path, (5, 5)),
    "touch": lambda path: os.utime(path),
    "rename": lambda path: (os.rename(path, path + "2"), os.rename(path + "2", path)),
    "link": lambda path: (os.link(path, path + "2"), os.unlink(path + "2")),
}

# Mode, owner, who does it. Without S_IXGRP S_ISGID is nothing: it stays, for
# members of the group.
CASES = [(mode, owner, who) for mode in (0o6777, 0o777) for owner in (0, 1000)
         for who in (0, 1000)]
CASES += [(0o4777, 0, 1000), (0o2777, 0, 1000), (0o2767, 0, 0), (0o6767, 1000, 1000)]


def has(path):
    st = os.stat(path)
    try:
        value = os.getxattr(path, NAME)
    except OSError as e:
        value = os.strerror(e.errno)
    caps = {CAPS: "caps", "No data available": "-"}.get(value, value)
    listed = NAME in os.listxattr(path)
    return f"{st.st_mode & 0o7777:o} {caps}{'' if listed == (caps == 'caps') else ' LISTED WRONG'}"


def run_as(who, operation, path):
    """Its outcome."""
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return os.strerror(code) if code else "ok"
    code = 255
    try:
        if who:
            os.setgroups([])
            os.setresgid(who, who, who)
            os.setresuid(who, who, who)
        operation(path)
        code = 0
    except OSError as e:
        code = e.errno
    finally:
        os._exit(code)


def one(path, name, mode, owner, who, dirty):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, os.urandom(SIZE))
    if not dirty:
        os.fsync(fd)
    os.fchown(fd, owner, owner)
    os.fchmod(fd, mode)
    os.setxattr(fd, NAME, CAPS)
    before = has(path)
    said = run_as(who, OPERATIONS[name], path)
    after = has(path)
    os.fsync(fd)
    synced = has(path)
    os.close(fd)
    print(f"{name}, {mode:o} of {owner}, by {who}{', dirty' if dirty else ''}: "
          f"{said}: {before}, {after}, {synced}")
    os.unlink(path)


def main():
    os.umask(0)
    os.chdir(sys.argv[1])
    os.mkdir("privileges", 0o755)
    os.chdir("privileges")
    for name in OPERATIONS:
        for mode, owner, who in CASES:
            for dirty in (False, True) if mode & 0o6000 == 0o6000 else (False,):
                one("file", name, mode, owner, who, dirty)
    os.rmdir("../privileges")


main()
