#!/usr/bin/python3
"""What can be done to append-only and immutable files.

usage: append_only.py DIRECTORY SOURCE

Makes files in DIRECTORY, sets their flags in SOURCE, where they lie, does one
thing with each as root and as another user, and prints what came of it: the same
whether DIRECTORY is SOURCE or what a file system shows of it.
"""

import ctypes
import fcntl
import mmap
import os
import struct
import sys

GET, SET = 0x80086601, 0x40086602  # FS_IOC_GETFLAGS, FS_IOC_SETFLAGS
APPEND, IMMUTABLE = 0x20, 0x10
KEEP, PUNCH, COLLAPSE, ZERO = 1, 2, 8, 16
R, W, RW, A, T = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_APPEND, os.O_TRUNC
BLOCK = 4096

libc = ctypes.CDLL(None, use_errno=True)


def set_flags(path, change, to):
    fd = os.open(path, R | os.O_NONBLOCK)
    flags = bytearray(8)
    fcntl.ioctl(fd, GET, flags)
    has = struct.unpack("l", flags)[0]
    fcntl.ioctl(fd, SET, struct.pack("l", has & ~change | to))
    os.close(fd)


def fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)) < 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def opened(flags, do=lambda fd: None):
    def run(path):
        fd = os.open(path, flags, 0o666)
        return do(fd)

    return run


def write(fd):
    return os.write(fd, b"and more\n")


def write_block(fd):
    with mmap.mmap(-1, BLOCK) as m:
        m[:] = b"d" * BLOCK
        return os.writev(fd, [m])


def write_twice(fd):
    os.write(fd, b"one")
    os.lseek(fd, 0, os.SEEK_SET)
    n = os.write(fd, b"two")
    return n, os.pread(fd, 100000, BLOCK - 2)


def read(fd):
    return len(os.read(fd, 100000))


FILE = {f"open {name}": opened(flags, write if flags & 3 else read) for name, flags in {
    "r": R, "w": W, "rw": RW, "w append": W | A, "rw append": RW | A,
    "r trunc": R | T, "w trunc": W | T, "w append trunc": W | A | T,
    "creat": W | os.O_CREAT, "creat append": W | A | os.O_CREAT,
    "creat trunc": RW | os.O_CREAT | T, "creat excl": W | os.O_CREAT | os.O_EXCL,
    "sync append": W | A | os.O_SYNC, "dsync append": RW | A | os.O_DSYNC,
    "nonblock append": W | A | os.O_NONBLOCK,
}.items()}
FILE |= {
    "direct append": opened(W | A | os.O_DIRECT, write_block),
    "direct rw append": opened(RW | A | os.O_DIRECT, write_block),
    "direct": opened(W | os.O_DIRECT, write_block),
    "large append": opened(W | A, lambda fd: os.write(fd, b"l" * 3000001)),
    "append nothing": opened(W | A, lambda fd: os.write(fd, b"")),
    "pwrite": opened(RW | A, lambda fd: os.pwrite(fd, b"end", 0)),
    "write, seek, write": opened(RW | A, write_twice),
    "append, fsync": opened(W | A, lambda fd: (write(fd), os.fsync(fd))),
    "truncate": lambda path: os.truncate(path, 5),
    "truncate same": lambda path: os.truncate(path, BLOCK),
    "truncate more": lambda path: os.truncate(path, 9999),
    "ftruncate": opened(W | A, lambda fd: os.ftruncate(fd, 5)),
    "ftruncate same": opened(W | A, lambda fd: os.ftruncate(fd, BLOCK)),
    "fallocate": opened(W | A, lambda fd: fallocate(fd, 0, 0, 20000)),
    "fallocate keep": opened(RW | A, lambda fd: fallocate(fd, KEEP, 0, 20000)),
    "punch": opened(W | A, lambda fd: fallocate(fd, PUNCH | KEEP, 0, 4096)),
    "zero": opened(W | A, lambda fd: fallocate(fd, ZERO, 0, 4096)),
    "unlink": os.unlink,
    "rename": lambda path: os.rename(path, path + "2"),
    "rename over it": lambda path: (open(path + "2", "w").close(), os.rename(path + "2", path)),
    "link": lambda path: os.link(path, path + "2"),
    "chmod": lambda path: os.chmod(path, 0o600),
    "chown": lambda path: os.chown(path, 1000, 1000),
    "utimes": lambda path: os.utime(path, (5, 5)),
    "touch": os.utime,
    "setxattr": lambda path: os.setxattr(path, "user.a", b"x"),
    "set capability": lambda path: os.setxattr(path, "security.capability",
                                               bytes.fromhex("01000002" + "00" * 16)),
    "removexattr": lambda path: os.removexattr(path, "user.there"),
    "getxattr": lambda path: os.getxattr(path, "user.there"),
    "exec bit": lambda path: os.chmod(path, 0o777),
}
DIR = {
    "create in": lambda path: open(path + "/new", "x").close(),
    "mkdir in": lambda path: os.mkdir(path + "/new"),
    "symlink in": lambda path: os.symlink("x", path + "/new"),
    "link in": lambda path: os.link(path + "/there", path + "/new"),
    "unlink in": lambda path: os.unlink(path + "/there"),
    "rename in": lambda path: os.rename(path + "/there", path + "/new"),
    "write in": lambda path: opened(W, write)(path + "/there"),
    "rmdir": os.rmdir,
    "rename": lambda path: os.rename(path, path + "2"),
    "chmod": lambda path: os.chmod(path, 0o700),
}


def run_as(who, operation, path):
    """Its outcome."""
    said, say = os.pipe()
    if not os.fork():
        try:
            if who:
                os.setgroups([])
                os.setresgid(who, who, who)
                os.setresuid(who, who, who)
            result = str(operation(path))
        except OSError as e:
            result = os.strerror(e.errno)
        finally:
            os.write(say, result.encode())
            os._exit(0)
    os.close(say)
    with os.fdopen(said) as f:
        result = f.read()
    os.wait()
    return result


def shown(path):
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError as e:
        return os.strerror(e.errno)
    st = os.stat(path)
    return (f"{st.st_size} {hash_of(data)} {st.st_mode & 0o7777:o} {st.st_uid} "
            f"{st.st_nlink} {sorted(os.listxattr(path))}")


def hash_of(data):
    h = 0
    for byte in data[:20000]:
        h = (h * 31 + byte) & 0xFFFFFFFF
    return f"{len(data)}:{h:x}"


def one(source, name, operation, flag, who, is_dir):
    path, there = "f", source + "/f"
    if is_dir:
        os.mkdir(path, 0o777)
        with open(path + "/there", "w") as f:
            os.fchmod(f.fileno(), 0o666)
    else:
        fd = os.open(path, os.O_CREAT | W, 0o666)
        os.write(fd, b"s" * BLOCK)
        os.setxattr(path, "user.there", b"x")
        os.fsync(fd)
        os.close(fd)
    # By its owner: who may is not the question.
    os.chown(path, who, who)
    set_flags(there, 0, flag)
    said = run_as(who, operation, path)
    names = sorted(os.listdir(path)) if is_dir and os.path.isdir(path) else shown(path)
    for left in (there, there + "2"):
        if os.path.exists(left):
            set_flags(left, APPEND | IMMUTABLE, 0)
    print(f"{name}, {'+a' if flag == APPEND else '+i'} "
          f"{'directory' if is_dir else 'file'}, by {who}: {said}: {names}: "
          f"{'' if is_dir else shown(there)}")
    os.system("rm -rf f f2")


def main():
    os.umask(0)
    os.chdir(sys.argv[1])
    os.mkdir("flags", 0o777)
    os.chdir("flags")
    source = sys.argv[2] + "/flags"
    for flag in (APPEND, IMMUTABLE):
        for who in (0, 1000):
            for operations, is_dir in ((FILE, False), (DIR, True)):
                for name, operation in operations.items():
                    one(source, name, operation, flag, who, is_dir)
    os.rmdir("../flags")


main()
