"""usage: swapped_names.py SOURCE MOUNT OUTSIDE SEED SECONDS

Names in SOURCE are exchanged with symbolic links to OUTSIDE, where everything has
the same names, while the mount is used: what lies outside is never read and never
changed. The users of the mount follow no link, so that only plimsoll could."""
import ctypes
import errno
import multiprocessing
import os
import random
import struct
import sys
import time

src, mnt, outside, seed, seconds = (*sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5]))
libc = ctypes.CDLL(None, use_errno=True)
SECRET, OPEN = b"never to be seen", b"everybody may see this"
NAMES = ["f", "g", "d/x", "d/y", "d/e/z", "t/x"]
NO_SYMLINKS, BENEATH = 4, 8
PAIRS = [("d", f"{outside}/d"), ("f", f"{outside}/f"), ("g", f"{outside}/g"),
         ("d/x", f"{outside}/d/x"), ("d/e", f"{outside}/d/e"), ("t", f"{outside}/t"),
         ("d/y", "../" * 20 + f"{outside}/d/y")]


def fill(top, text):
    os.makedirs(f"{top}/d/e")
    os.mkdir(f"{top}/t")
    for n in NAMES:
        with open(f"{top}/{n}", "wb") as f:
            f.write(text * 300)
        os.setxattr(f"{top}/{n}", "user.text", text)


def everything(top):
    """All of a tree that a change would change."""
    there = {}
    for d, dirs, files in os.walk(top):
        for n in ["."] + files:
            p = os.path.join(d, n)
            st = os.lstat(p)
            data = open(p, "rb").read() if n != "." else sorted(os.listdir(p))
            there[p] = (st.st_mode, st.st_uid, st.st_nlink, st.st_size, st.st_mtime_ns,
                        st.st_ctime_ns, data, [os.getxattr(p, x) for x in os.listxattr(p)])
    return there


def link_of(name):
    return "link-" + name.replace("/", "-")


def exchange(fd, name, top, link):
    return libc.renameat2(fd, name.encode(), top, link.encode(), 2) == 0


def swapper(n, until, count):
    """Exchange a name and a link to the same one outside, there and back."""
    rnd = random.Random(seed * 100 + n)
    pairs = PAIRS[n::2]
    while time.monotonic() < until:
        name, _ = rnd.choice(pairs)
        d, _, last = name.rpartition("/")
        for _ in range(rnd.randrange(1, 40)):
            # In the directory itself, whatever its name is now.
            count.value += exchange(dirs[d], last, dirs[""], link_of(name))


def openat2(dir_fd, path, flags, mode=0):
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, NO_SYMLINKS | BENEATH)
    fd = libc.syscall(437, dir_fd, path.encode(), how, len(how))
    if fd < 0:
        raise OSError(ctypes.get_errno(), path)
    return fd


def never(data, what):
    if SECRET in data:
        print(f"failed: seed {seed}: {what} showed what is outside", flush=True)
        os._exit(1)


def use_file(rnd, fd):
    how = rnd.randrange(9)
    if how < 3:
        never(os.pread(fd, 1 << 16, 0), "read")
    elif how == 3:
        os.pwrite(fd, OPEN, rnd.randrange(5000))
    elif how == 4:
        os.ftruncate(fd, rnd.randrange(9000))
    elif how == 5:
        os.fchmod(fd, rnd.choice((0o600, 0o644, 0o4755)))
    elif how == 6:
        os.fchown(fd, rnd.randrange(5), 7)
    elif how == 7:
        never(os.getxattr(fd, "user.text"), "getxattr")
        os.setxattr(fd, "user.text", b"changed")
    else:
        os.fsync(fd)


def use_name(rnd, root, path):
    """What works on names, by the directory's descriptor."""
    d, _, name = path.rpartition("/")
    dfd = openat2(root, d or ".", os.O_RDONLY | os.O_DIRECTORY)
    other = f"new-{rnd.randrange(3)}"
    try:
        how = rnd.randrange(11)
        if how == 0:
            os.unlink(other, dir_fd=dfd)
        elif how == 1:
            os.mkdir(other, dir_fd=dfd)
        elif how == 2:
            os.rmdir(other, dir_fd=dfd)
        elif how == 3:
            os.close(os.open(other, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600, dir_fd=dfd))
        elif how == 4:
            os.link(name, other, src_dir_fd=dfd, dst_dir_fd=dfd, follow_symlinks=False)
        elif how == 5:
            os.rename(other, f"{other}2", src_dir_fd=dfd, dst_dir_fd=dfd)
        elif how == 6:
            os.utime(name, ns=(1, 1), dir_fd=dfd, follow_symlinks=False)
        elif how == 7:
            os.chown(name, 3, 3, dir_fd=dfd, follow_symlinks=False)
        elif how == 8:
            os.symlink("x", other, dir_fd=dfd)
        elif how == 9:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=dfd)
            try:
                use_file(rnd, fd)
            finally:
                os.close(fd)
        else:
            for n in os.listdir(dfd):
                os.stat(n, dir_fd=dfd, follow_symlinks=False)
    finally:
        os.close(dfd)


def user(n, until, count):
    rnd = random.Random(seed * 100 + 50 + n)
    root = os.open(mnt, os.O_RDONLY | os.O_DIRECTORY)
    errors = {}
    while time.monotonic() < until:
        path = rnd.choice(NAMES)
        try:
            if rnd.random() < 0.5:
                fd = openat2(root, path, rnd.choice((os.O_RDWR, os.O_RDONLY)))
                try:
                    for _ in range(rnd.randrange(1, 4)):
                        use_file(rnd, fd)
                finally:
                    os.close(fd)
            else:
                use_name(rnd, root, path)
            count.value += 1
        except OSError as e:
            at = e.__traceback__
            while at.tb_next:
                at = at.tb_next
            errors[e.errno] = f"{errno.errorcode[e.errno]} of {path}, line {at.tb_lineno}"
    bad = set(errors) - {errno.ELOOP, errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.ESTALE,
                         errno.EISDIR, errno.EBADF, errno.ENOTEMPTY, errno.ENODATA, errno.EXDEV,
                         errno.EPERM, errno.EACCES, errno.EINVAL, errno.EAGAIN, errno.EBUSY}
    if bad:
        print(f"failed: seed {seed}: {[errors[e] for e in bad]}", flush=True)
        os._exit(1)


fill(src, OPEN)
fill(outside, SECRET)
for name, target in PAIRS:
    os.symlink(target, f"{src}/{link_of(name)}")
dirs = {d: os.open(f"{src}/{d}", os.O_RDONLY | os.O_DIRECTORY) for d in ("", "d")}
before = everything(outside)
until = time.monotonic() + seconds
counts = [multiprocessing.Value("L", 0, lock=False) for _ in range(5)]
jobs = [multiprocessing.Process(target=swapper, args=(n, until, counts[n])) for n in range(2)]
jobs += [multiprocessing.Process(target=user, args=(n, until, counts[2 + n])) for n in range(3)]
for j in jobs:
    j.start()
for j in jobs:
    j.join()
if any(j.exitcode for j in jobs):
    sys.exit(f"failed: seed {seed}: see above")
after = everything(outside)
for p in set(before) | set(after):
    if before.get(p) != after.get(p):
        sys.exit(f"failed: seed {seed}: {p} outside is {after.get(p)}, was {before.get(p)}")
swaps, uses = sum(c.value for c in counts[:2]), sum(c.value for c in counts[2:])
print(f"seed {seed}: {swaps} exchanges, {uses} operations, nothing outside was touched")
if swaps < 1000 or uses < 100:
    sys.exit("failed: too few")
