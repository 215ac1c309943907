"""The same operations in a bare directory and on a mount: each has the same
result or error, and leaves the same modes, owners, sizes and attributes behind.

usage: same_as_bare.py BARE MOUNT BACKING ids|limits|reading

BACKING is where the mount keeps its files ("-": nowhere). Differences that have
a reason are in EXPECTED, with it; one that is not there fails, and so does one
that is there and did not come."""
import ctypes
import errno
import fcntl
import mmap
import os
import resource
import signal
import stat
import struct
import sys
import time

bare, mnt, backing, what = sys.argv[1:5]
libc = ctypes.CDLL(None, use_errno=True)
OFF_MAX = (1 << 63) - 1
# Of a file: ext4's with blocks of 4 KiB, tmpfs's.
LARGEST = (1 << 44) - 4096 if backing != "-" else OFF_MAX
AT_EMPTY_PATH = 0x1000

# Set-group-id without execution by the group, by one who is not in it.
NO_GROUP_X = [f"{op}: 2767 {by}" for by, ops in (
    ("by other", ("write", "append", "write and sync", "truncate", "truncate to the same",
                  "ftruncate longer", "O_TRUNC", "fallocate", "punch", "copy_file_range")),
    ("of another group by owner", ("write", "truncate", "fallocate", "chgrp"))) for op in ops]
EXPECTED = {
    "limits": {
        **dict.fromkeys(["lseek to just past the largest", "lseek to 4 PiB",
                         "lseek to the end of numbers", "lseek to the last page of numbers"],
                        "FUSE has one limit for all file systems; a write there is EFBIG"),
    },
    "limits-anon": {
        "zero range": "as on ext4; tmpfs has none",
        **dict.fromkeys(["the largest", "4 PiB", "numbers"],
                        "a file of an anon volume ends before one of a tmpfs does: EFBIG"),
    },
    "ids": {
        "chown to nobody": "FUSE is not asked where nothing is to change",
        "O_TMPFILE": "for anon volumes only",
        **dict.fromkeys(NO_GROUP_X, "FUSE has the bit killed with S_IXGRP only; without, "
                        "a program does not run with the group's rights"),
    },
    "ids-anon": {
        "chown to nobody": "FUSE is not asked where nothing is to change",
        **dict.fromkeys(NO_GROUP_X, "FUSE has the bit killed with S_IXGRP only; without, "
                        "a program does not run with the group's rights"),
        "acl": "anon volumes have no ACLs",
        "default acl": "anon volumes have no ACLs",
    },
    "reading": {
        **dict.fromkeys([f"atime: {name}" for name in (
            "read", "read again", "read at the end", "read after a write", "read after a day",
            "mapped", "exec")],
            "reading does not change times in the directory behind a mount"),
        "O_TMPFILE, linked": "for anon volumes only",
        "O_TMPFILE, O_EXCL": "for anon volumes only",
    },
    "reading-anon": {
    },
}

ROOT, OWNER, MEMBER, OTHER = "root", "owner", "member", "other"
USERS = {ROOT: (0, [0]), OWNER: (1000, [1000, 3000]), MEMBER: (2000, [2000, 1000]),
         OTHER: (2001, [2001])}


def become(user):
    uid, groups = USERS[user]
    if uid:
        os.setgroups(groups)
        os.setresgid(groups[0], groups[0], groups[0])
        os.setresuid(uid, uid, uid)


def check(r):
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return r


def fallocate(fd, mode, at, n):
    return check(libc.fallocate(fd, mode, ctypes.c_int64(at), ctypes.c_int64(n)))


def until_full(fd, n):
    """What is left of it when it fails is given back."""
    try:
        return fallocate(fd, 1, 0, n)
    finally:
        os.ftruncate(fd, 0)


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def said_by(op, path):
    os.umask(0o022)
    try:
        return repr(op(path))
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e.errno))
    except Exception as e:
        return repr(e)


def results_of(ops, user):
    """In a process of its own, as that user: what each returns, or the error."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        become(user)
        with os.fdopen(w, "w") as f:
            for op, path in ops:
                f.write(said_by(op, path).replace("\n", " ") + "\n")
        os._exit(0)
    os.close(w)
    with os.fdopen(r) as f:
        said = f.read().split("\n")
    _, status = os.waitpid(pid, 0)
    assert status == 0 and len(said) == len(ops) + 1, (user, status, len(said))
    return said


def opened(flags, op):
    def run(path):
        fd = os.open(path, flags, 0o666)
        try:
            return op(fd)
        finally:
            os.close(fd)
    return run


def state(path, contents):
    st = os.lstat(path)
    names = sorted(n for n in os.listxattr(path, follow_symlinks=False)
                   if n != "security.selinux")
    data = b""
    if contents and stat.S_ISREG(st.st_mode) and st.st_size < 1 << 20:
        with open(path, "rb") as f:
            data = f.read()
    return (oct(st.st_mode), st.st_uid, st.st_gid, st.st_nlink,
            st.st_size if not stat.S_ISDIR(st.st_mode) else 0,
            [(n, os.getxattr(path, n, follow_symlinks=False)) for n in names], data)


class Cases:
    """Of one kind: made in both trees, then run, then compared."""

    def __init__(self):
        self.cases, self.failed = [], []

    def add(self, name, make, op, user=ROOT):
        self.cases.append((name, make, op, user))

    def differs(self, name, what_differs):
        reasons = EXPECTED[what]
        name = name.removesuffix(" (backing)")
        key = next((k for k in reasons if name == k or name.startswith(k + ":") or
                    what == "limits-anon" and k in name), None)
        if key:
            if key not in seen:
                print(f"differs: {name}: {what_differs}: {reasons[key]}")
            seen.add(key)
        else:
            self.failed.append(f"{name}: {what_differs}")

    def run(self):
        for n, (name, make, _, _) in enumerate(self.cases):
            for top in bare, mnt:
                os.mkdir(f"{top}/{n}")
                os.chmod(f"{top}/{n}", 0o777)
                make(f"{top}/{n}")
        for who in USERS:
            mine = [(n, c) for n, c in enumerate(self.cases) if c[3] == who]
            there = results_of([(c[2], f"{bare}/{n}/f") for n, c in mine], who)
            here = results_of([(c[2], f"{mnt}/{n}/f") for n, c in mine], who)
            for (_, c), x, y in zip(mine, here, there):
                if x != y:
                    self.differs(c[0], f"{x}, bare {y}")
        time.sleep(1.1)          # as long as the kernel may believe it
        for n, (name, _, _, _) in enumerate(self.cases):
            self.compare(name, f"{bare}/{n}", f"{mnt}/{n}", True)
        if backing != "-":
            for n, (name, _, _, _) in enumerate(self.cases):
                self.compare(name + " (backing)", f"{bare}/{n}", f"{backing}/{n}", False)

    def compare(self, name, there, here, contents):
        a, b = sorted(os.listdir(there)), sorted(os.listdir(here))
        if a != b:
            self.differs(name, f"names {b}, bare {a}")
            return
        for f in a:
            s, t = state(f"{there}/{f}", contents), state(f"{here}/{f}", contents)
            if not contents:
                s, t = s[:6], t[:6]
            if s != t:
                fields = zip("mode uid gid nlink size xattrs data".split(), t, s)
                self.differs(name, f"{f}: " + ", ".join(
                    f"{n} {x}, bare {y}" for n, x, y in fields if x != y)[:300])


def file(mode, uid=1000, gid=1000, size=10):
    def make(d):
        with open(f"{d}/f", "wb") as f:
            f.write(b"x" * size)
        os.chown(f"{d}/f", uid, gid)
        os.chmod(f"{d}/f", mode)
    return make


def mapped(fd):
    with mmap.mmap(fd, 10) as m:
        m[0] = 65
        m.flush()


def copy_range(fd):
    with open(os.path.dirname(os.readlink(f"/proc/self/fd/{fd}")) + "/from", "w+b") as f:
        f.write(b"copied")
        f.flush()
        f.seek(0)
        return os.copy_file_range(f.fileno(), fd, 6, 0, 0)


def unnamed(p, mode, flags):
    """A file without a name is given one: what linkat(2) says, and what it is."""
    fd = os.open(os.path.dirname(p), os.O_TMPFILE | os.O_RDWR | flags, mode)
    os.write(fd, b"unnamed")
    before = os.fstat(fd).st_nlink
    said = [libc.linkat(-100, f"/proc/self/fd/{fd}".encode(), -100, f"{p}.{n}".encode(), 0x400)
            and errno.errorcode[ctypes.get_errno()] for n in range(2)]
    st = os.fstat(fd)
    os.close(fd)
    return said, before, st.st_nlink, oct(st.st_mode), st.st_uid, st.st_gid, st.st_size


def ids(c):
    W = os.O_WRONLY
    ops = {
        "write": opened(W, lambda fd: os.write(fd, b"y")),
        "write nothing": opened(W, lambda fd: os.write(fd, b"")),
        "append": opened(W | os.O_APPEND, lambda fd: os.write(fd, b"y")),
        "write and sync": opened(W | os.O_SYNC, lambda fd: os.write(fd, b"y")),
        "truncate": lambda p: os.truncate(p, 3),
        "truncate to the same": lambda p: os.truncate(p, 10),
        "ftruncate longer": opened(W, lambda fd: os.ftruncate(fd, 20)),
        "O_TRUNC": opened(W | os.O_TRUNC, lambda fd: 0),
        "fallocate": opened(W, lambda fd: fallocate(fd, 0, 0, 100)),
        "punch": opened(W, lambda fd: fallocate(fd, 3, 0, 5)),
        "copy_file_range": opened(os.O_RDWR, copy_range),
        "a mapping": opened(os.O_RDWR, mapped),
        "chown to the same": lambda p: os.chown(p, 1000, 1000),
        "chown to nobody": lambda p: os.chown(p, -1, -1),
        "chgrp": lambda p: os.chown(p, -1, 3000),
        "chown": lambda p: os.chown(p, 2001, -1),
        "chmod": lambda p: os.chmod(p, 0o6755),
        "chmod 2745": lambda p: os.chmod(p, 0o2745),
        "utimes": lambda p: os.utime(p, (1, 1)),
        "utime now": lambda p: os.utime(p),
        "xattr": lambda p: os.setxattr(p, "user.a", b"1"),
        "acl": lambda p: os.setxattr(p, "system.posix_acl_access", acl(
            (1, 6, 0xffffffff), (2, 5, 2001), (4, 5, 0xffffffff), (16, 5, 0xffffffff),
            (32, 1, 0xffffffff))),
        "link": lambda p: os.link(p, p + "2"),
        "rename": lambda p: os.rename(p, p + "2"),
        "unlink": os.unlink,
        "read": opened(os.O_RDONLY, lambda fd: os.read(fd, 20)),
    }
    for mode in 0o4777, 0o2777, 0o6777, 0o2767, 0o6754, 0o600, 0o4711:
        for user in USERS:
            for name, op in ops.items():
                c.add(f"{name}: {mode:o} by {user}", file(mode), op, user)
    # Of a group that its owner is not in.
    for mode in 0o2777, 0o2755, 0o2767:
        for name in "write", "chmod", "chmod 2745", "acl", "chgrp", "truncate", "fallocate":
            for user in OWNER, ROOT:
                c.add(f"{name}: {mode:o} of another group by {user}",
                      file(mode, 1000, 4000), ops[name], user)

    # Names in directories: sticky, set-group-id, a default ACL; who made it.
    def directory(mode, uid, gid, default=None):
        def make(d):
            file(0o666)(d)
            os.chown(d, uid, gid)
            os.chmod(d, mode)
            if default and d.startswith((bare, mnt)):
                try:
                    os.setxattr(d, "system.posix_acl_default", default)
                except OSError as e:
                    assert e.errno == errno.EOPNOTSUPP
        return make
    dirs = {
        "in a sticky directory": directory(0o1777, 0, 0),
        "in a sticky directory of the member": directory(0o1777, 2000, 2000),
        "in a set-group-id directory": directory(0o2777, 0, 3000),
        "in a sticky set-group-id directory": directory(0o3777, 2001, 3000),
        "in one that is not writable": directory(0o755, 0, 0),
        "in one that cannot be entered": directory(0o666, 0, 0),
    }

    def new(mode):
        return lambda p: os.close(os.open(p + "n", os.O_CREAT | os.O_EXCL | os.O_RDWR, mode))

    def masked(mode, mask):
        def run(p):
            os.umask(mask)
            return new(mode)(p)
        return run
    names = {
        "create": new(0o666), "create 6777": new(0o6777), "create 2767": new(0o2767),
        "create 0": new(0), "create, umask 0": masked(0o777, 0),
        "create, umask 777": masked(0o666, 0o777), "create, umask 027": masked(0o666, 0o27),
        "mkdir": lambda p: os.mkdir(p + "n", 0o777), "mkdir 7777": lambda p: os.mkdir(p + "n", 0o7777),
        "symlink": lambda p: os.symlink("f", p + "n"),
        "mkfifo": lambda p: os.mkfifo(p + "n", 0o6666),
        "mknod": lambda p: os.mknod(p + "n", stat.S_IFCHR | 0o666, os.makedev(1, 3)),
        "unlink": os.unlink, "rename": lambda p: os.rename(p, p + "2"),
        "rename over": lambda p: os.rename(p, p), "link": lambda p: os.link(p, p + "2"),
        "open or create": lambda p: os.close(os.open(p, os.O_CREAT | os.O_RDWR, 0o600)),
        "O_EXCL": lambda p: os.open(p, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600),
        "O_TMPFILE": lambda p: unnamed(p, 0o6777, 0)[1:],
        "chown of the directory": lambda p: os.chown(os.path.dirname(p), -1, 3000),
        "chmod of the directory": lambda p: os.chmod(os.path.dirname(p), 0o2755),
        "list": lambda p: sorted(os.listdir(os.path.dirname(p))),
    }
    for where, make in dirs.items():
        for user in USERS:
            for name, op in names.items():
                c.add(f"{name}: {where} by {user}", make, op, user)
    inherited = acl((1, 7, 0xffffffff), (2, 7, 2001), (4, 5, 0xffffffff),
                    (16, 7, 0xffffffff), (32, 0, 0xffffffff))
    for name in "create", "create 2767", "create, umask 777", "mkdir", "mkfifo":
        for user in USERS:
            c.add(f"default acl: {name} by {user}",
                  directory(0o777, 0, 0, inherited), names[name], user)
    # Others' hard links, and what is no file.
    c.add("link to another's unreadable", file(0o600), ops["link"], OTHER)


def limits(c):
    RW = os.O_RDWR
    edges = {"0": 0, "the largest - 1": LARGEST - 1, "the largest": LARGEST,
             "just past the largest": min(LARGEST + 1, OFF_MAX), "4 PiB": 1 << 52,
             "the end of numbers": OFF_MAX, "the last page of numbers": OFF_MAX - 4095}
    page = b"p" * 4096
    make = file(0o666)
    for name, at in edges.items():
        c.add(f"pwrite at {name}", make, opened(RW, lambda fd, at=at: os.pwrite(fd, b"abc", at)))
        c.add(f"pwrite of a page at {name}", make, opened(RW, lambda fd, at=at: os.pwrite(fd, page, at)))
        c.add(f"pwrite of nothing at {name}", make, opened(RW, lambda fd, at=at: os.pwrite(fd, b"", at)))
        c.add(f"pread at {name}", make, opened(RW, lambda fd, at=at: os.pread(fd, 100, at)))
        c.add(f"ftruncate to {name}", make, opened(RW, lambda fd, at=at: os.ftruncate(fd, at)))
        c.add(f"truncate to {name}", make, lambda p, at=at: os.truncate(p, at))
        c.add(f"lseek to {name}", make, opened(RW, lambda fd, at=at: os.lseek(fd, at, 0)))
        c.add(f"SEEK_DATA from {name}", make, opened(RW, lambda fd, at=at: os.lseek(fd, at, os.SEEK_DATA)))
        c.add(f"SEEK_HOLE from {name}", make, opened(RW, lambda fd, at=at: os.lseek(fd, at, os.SEEK_HOLE)))
        c.add(f"fallocate at {name}", make, opened(RW, lambda fd, at=at: fallocate(fd, 0, at, 4096)))
        c.add(f"fallocate to {name}", make, opened(RW, lambda fd, at=at: until_full(fd, at)))
        c.add(f"punch at {name}", make, opened(RW, lambda fd, at=at: fallocate(fd, 3, at, 4096)))
        c.add(f"punch to {name}", make, opened(RW, lambda fd, at=at: fallocate(fd, 3, 5, at)))
        c.add(f"zero range at {name}", make, opened(RW, lambda fd, at=at: fallocate(fd, 16, at, 4096)))
        c.add(f"copy_file_range from {name}", make,
              opened(RW, lambda fd, at=at: os.copy_file_range(fd, fd, 10, at, 4096)))
        c.add(f"copy_file_range to {name}", make,
              opened(RW, lambda fd, at=at: os.copy_file_range(fd, fd, 10, 0, at)))
        c.add(f"lock at {name}", make, opened(RW, lambda fd, at=at: fcntl.lockf(
            fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)))
        c.add(f"fadvise at {name}", make, opened(RW, lambda fd, at=at: os.posix_fadvise(fd, at, 100, 4)))
        if at:
            c.add(f"append at {name}", make, opened(RW | os.O_APPEND, lambda fd, at=at: (
                os.ftruncate(fd, at), os.write(fd, b"abcdef"), os.fstat(fd).st_size)))
    for at in -1, -4096, -OFF_MAX - 1:
        c.add(f"pwrite at {at}", make, opened(RW, lambda fd, at=at: os.pwrite(fd, b"a", at)))
        c.add(f"pread at {at}", make, opened(RW, lambda fd, at=at: os.pread(fd, 1, at)))
        c.add(f"ftruncate to {at}", make, opened(RW, lambda fd, at=at: os.ftruncate(fd, at)))
        c.add(f"lseek to {at}", make, opened(RW, lambda fd, at=at: os.lseek(fd, at, 0)))
        c.add(f"SEEK_DATA from {at}", make, opened(RW, lambda fd, at=at: os.lseek(fd, at, os.SEEK_DATA)))
        c.add(f"lseek from the end by {at}", make, opened(RW, lambda fd, at=at: os.lseek(fd, at, 2)))
        c.add(f"fallocate at {at}", make, opened(RW, lambda fd, at=at: fallocate(fd, 0, at, 1)))
        c.add(f"fallocate of {at}", make, opened(RW, lambda fd, at=at: fallocate(fd, 0, 0, at)))
    c.add("lseek, no such", make, opened(RW, lambda fd: os.lseek(fd, 0, 9)))
    c.add("lseek from the end past all", make, opened(RW, lambda fd: os.lseek(fd, OFF_MAX, 2)))
    c.add("fallocate of nothing", make, opened(RW, lambda fd: fallocate(fd, 0, 0, 0)))
    c.add("fallocate overflows", make, opened(RW, lambda fd: fallocate(fd, 0, OFF_MAX, OFF_MAX)))
    c.add("punch overflows", make, opened(RW, lambda fd: fallocate(fd, 3, OFF_MAX - 10, 100)))
    c.add("punch changes the size", make, opened(RW, lambda fd: fallocate(fd, 2, 0, 4096)))
    c.add("fallocate, no such mode", make, opened(RW, lambda fd: fallocate(fd, 0x4000, 0, 4096)))
    c.add("fallocate of what is read", make, opened(os.O_RDONLY, lambda fd: fallocate(fd, 0, 0, 4096)))
    c.add("ftruncate of what is read", make, opened(os.O_RDONLY, lambda fd: os.ftruncate(fd, 1)))
    c.add("truncate of a directory", make, lambda p: os.truncate(os.path.dirname(p), 0))
    c.add("open of a directory to write", make, lambda p: os.open(os.path.dirname(p), RW))
    # Reads across the end.
    for size in 0, 1, 4095, 4096, 4097, 10000:
        for at, n in (0, 1 << 20), (size - 1, 10), (size, 10), (size + 1, 10), (4090, 10000):
            if at >= 0:
                c.add(f"pread of {n} at {at} of {size}", file(0o666, size=size),
                      opened(RW, lambda fd, at=at, n=n: len(os.pread(fd, n, at))))
    # More than is left of the largest file: what fits.
    c.add("writev across the largest", make, opened(RW, lambda fd: os.pwritev(
        fd, [page, page, page], LARGEST - 4096)))
    # The limit of the process; lifted again.
    def limited(p):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, most[1]))
        fd = os.open(p, RW)
        said = []
        for op in (lambda: os.pwrite(fd, page, 0), lambda: os.pwrite(fd, page, 4096),
                   lambda: os.pwrite(fd, b"a", 6000), lambda: os.ftruncate(fd, 6001),
                   lambda: fallocate(fd, 0, 0, 7000), lambda: os.fstat(fd).st_size):
            try:
                said.append(op())
            except OSError as e:
                said.append(errno.errorcode[e.errno])
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
        return said
    c.add("RLIMIT_FSIZE", make, limited)
    # Extended attributes.
    for name in ("user.", "user." + "n" * 249, "user." + "n" * 250, "user.a/b", "user. ",
                 "user.\n", "nonsense.a", "trusted.a", "security.other", "system.a", "u", "."):
        for n in 0, 1, 100:
            c.add(f"setxattr {name[:12]} {len(name)} of {n}", make,
                  lambda p, name=name, n=n: (os.setxattr(p, name, b"v" * n), os.getxattr(p, name)))
        c.add(f"getxattr {name[:12]} {len(name)}", make, lambda p, name=name: os.getxattr(p, name))
        c.add(f"removexattr {name[:12]} {len(name)}", make, lambda p, name=name: os.removexattr(p, name))
    for n in 65537, 1 << 20:
        c.add(f"setxattr of {n}", make, lambda p, n=n: os.setxattr(p, "user.a", b"v" * n))
    c.add("XATTR_CREATE", make, lambda p: [os.setxattr(p, "user.a", b"1", f) for f in (1, 1)])
    c.add("XATTR_REPLACE", make, lambda p: os.setxattr(p, "user.a", b"1", os.XATTR_REPLACE))
    c.add("no such flag", make, lambda p: os.setxattr(p, "user.a", b"1", 4))

    def small(p):
        os.setxattr(p, "user.a", b"v" * 50)
        buf = ctypes.create_string_buffer(10)
        said = []
        for size in 0, 1, 10:
            for call in (lambda: libc.getxattr(p.encode(), b"user.a", buf, size),
                         lambda: libc.listxattr(p.encode(), buf, size)):
                r = call()
                said.append(r if r >= 0 else errno.errorcode[ctypes.get_errno()])
        return said
    c.add("buffers too small", make, small)
    c.add("user.* of a fifo", lambda d: os.mkfifo(f"{d}/f"), lambda p: os.setxattr(p, "user.a", b""))
    c.add("user.* of a link", lambda d: os.symlink("x", f"{d}/f"),
          lambda p: os.setxattr(p, "user.a", b"", follow_symlinks=False))
    # Names.
    for n in 255, 256, 4095, 5000:
        c.add(f"a name of {n}", make, lambda p, n=n: os.mkdir(os.path.dirname(p) + "/" + "n" * n))
        c.add(f"a link to {n}", make, lambda p, n=n: (
            os.symlink("t" * n, p + "l"), len(os.readlink(p + "l"))))
    c.add("an empty link", make, lambda p: os.symlink("", p + "l"))
    for name in ".", "..", "f/.", "f/":
        top = os.path.dirname
        c.add(f"rmdir {name}", make, lambda p, name=name: os.rmdir(f"{top(p)}/{name}"))
        c.add(f"unlink {name}", make, lambda p, name=name: os.unlink(f"{top(p)}/{name}"))
        c.add(f"mkdir {name}", make, lambda p, name=name: os.mkdir(f"{top(p)}/{name}"))
        c.add(f"rename to {name}", make, lambda p, name=name: os.rename(p, f"{top(p)}/{name}"))
    c.add("times", make, lambda p: [(os.utime(p, ns=(t, t)), os.stat(p).st_mtime_ns)
                                    for t in (0, -1, -(1 << 31) * 10**9, (1 << 32) * 10**9,
                                              (1 << 34) * 10**9, (1 << 36) * 10**9)])


def reading(c):
    """What reading leaves behind, and who may see what."""
    NS = 10**9
    now, day = time.time_ns(), 86400 * 10**9

    def atime(op, at=1, of=lambda p: p):
        """Set to "at", modified and changed later: does it change?"""
        def run(p):
            os.utime(of(p), ns=(at * NS, 2 * NS), follow_symlinks=False)
            op(of(p))
            return os.lstat(of(p)).st_atime_ns != at * NS
        return run
    read = opened(os.O_RDONLY, lambda fd: os.read(fd, 5))
    parent = os.path.dirname

    def again(p):
        """Twice: the second time nothing has changed since."""
        os.utime(p, ns=(NS, 2 * NS))
        time.sleep(0.02)
        read(p)
        first = os.stat(p).st_atime_ns
        time.sleep(0.02)
        read(p)
        return first != NS, os.stat(p).st_atime_ns == first

    def after_write(p):
        read(p)
        time.sleep(0.02)
        opened(os.O_WRONLY, lambda fd: os.write(fd, b"new"))(p)
        before = os.stat(p).st_atime_ns
        time.sleep(0.02)
        read(p)
        return os.stat(p).st_atime_ns > before

    def mapping(fd):
        with mmap.mmap(fd, 10, mmap.MAP_SHARED, mmap.PROT_READ) as m:
            return m[3]

    def script(p):
        with open(p, "w") as f:
            f.write("#!/bin/true\n")
        os.chmod(p, 0o755)
        return atime(lambda p: os.spawnl(os.P_WAIT, p, p))(p)
    make = file(0o666)
    c.add("atime: read", make, atime(read))
    c.add("atime: read again", make, again)
    c.add("atime: read at the end", make, atime(opened(
        os.O_RDONLY, lambda fd: os.pread(fd, 5, 100))))
    c.add("atime: read after a write", make, after_write)
    c.add("atime: read after a day", make, atime(read, (now - day) // NS - 10))
    c.add("atime: in the future", make, atime(read, now // NS + 1000))
    c.add("atime: O_NOATIME", make, atime(opened(
        os.O_RDONLY | os.O_NOATIME, lambda fd: os.read(fd, 5))))
    c.add("atime: write", make, atime(opened(os.O_WRONLY, lambda fd: os.write(fd, b"part"))))
    c.add("atime: stat", make, atime(os.stat))
    c.add("atime: mapped", make, atime(opened(os.O_RDONLY, mapping)))
    c.add("atime: readlink", lambda d: os.symlink("x", f"{d}/f"), atime(os.readlink))
    c.add("atime: listdir", make, atime(os.listdir, of=parent))
    c.add("atime: exec", make, script)
    c.add("O_TMPFILE, linked", make, lambda p: unnamed(p, 0o640, 0))
    c.add("O_TMPFILE, O_EXCL", make, lambda p: unnamed(p, 0o640, os.O_EXCL))

    def attributes(d):
        make(d)
        for name in "trusted.a", "user.b", "trusted.c", "user.d":
            os.setxattr(f"{d}/f", name, b"1")
    for user in USERS:
        c.add(f"listxattr by {user}", attributes, lambda p: sorted(os.listxattr(p)), user)


seen = set()
cases = Cases()
{"ids": ids, "limits": limits, "reading": reading}[what](cases)
if backing == "-":
    what += "-anon"
os.umask(0)
cases.run()
unseen = set(EXPECTED[what]) - seen
print(f"{what}: {len(cases.cases)} operations, {len(seen)} kinds of difference that have a "
      f"reason, {len(cases.failed)} that have none")
for line in cases.failed:
    print("failed:", line[:400])
for line in unseen:
    print("failed: expected a difference:", line)
sys.exit(bool(cases.failed or unseen))
