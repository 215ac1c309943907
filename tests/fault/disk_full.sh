#!/bin/bash
#
# The backing file system fills up: the write(2) that does not fit fails with
# ENOSPC, nothing that was accepted is lost, readers go on, what rm frees can be
# used, and the end is clean. Others who then take all that is left do not get what
# is dirty. If it cannot be written all the same, each open file hears of it once,
# the pages stay, and go out when there is room again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

make_loop_fs 40M "$work/disk"
mkdir "$work/disk/src"
src=$work/disk/src
noise 3000000 before >"$src/before"
mount_plimsoll "$src" "$mnt"
cat >"$work/fill.py" <<'END'
import errno, os, random, sys, time

mnt, src = sys.argv[1:]
rnd = random.Random(1)
model = {}

def fill(name, chunk):
    """Write until it is refused; what was accepted."""
    data = bytearray()
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT)
    while True:
        piece = rnd.randbytes(64) * (chunk // 64)
        try:
            n = os.write(fd, piece)
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
            break
        data += piece[:n]
        assert len(data) < 100 << 20, "never refused"
    os.fsync(fd)            # all that was accepted fits
    os.close(fd)
    model[name] = bytes(data)
    print(name, len(data))
    return data

def check():
    for name, data in model.items():
        with open(f"{mnt}/{name}", "rb") as f:
            assert f.read() == data, name
    with open(f"{mnt}/before", "rb") as f:
        assert len(f.read()) == 3000000

first = fill("one", 65536)
assert len(first) > 20 << 20, "refused too early"
check()
os.unlink(f"{mnt}/one")
del model["one"]
again = fill("two", 1000064)
assert len(again) > len(first) * 0.9, "what rm freed cannot be used"
# Many small files.
nr = 0
os.truncate(f"{mnt}/two", len(again) // 2)
model["two"] = bytes(again[:len(again) // 2])
try:
    while nr < 20000:
        name = f"small{nr}"
        with open(f"{mnt}/{name}", "wb", buffering=0) as f:
            piece = rnd.randbytes(5000)
            n = f.write(piece)
            model[name] = piece[:n]
        nr += 1
except OSError as e:
    assert e.errno == errno.ENOSPC, e
    assert nr > 500, nr
if os.path.exists(f"{mnt}/{name}") and name not in model:
    os.unlink(f"{mnt}/{name}")
print("small files", nr)
# What is there can be overwritten.
with open(f"{mnt}/two", "r+b") as f:
    f.write(b"over" * 100000)
    f.flush()
    os.fsync(f.fileno())
model["two"] = b"over" * 100000 + model["two"][400000:]
check()
with open(f"{mnt}/.plimsoll/sync", "w") as f:
    f.write("1")
check()

# Others fill it while there are dirty pages that were counted on to fit.
def fsync(fd):
    try:
        os.fsync(fd)
        return 0
    except OSError as e:
        return e.errno

os.unlink(f"{mnt}/two")
del model["two"]
fds = [os.open(f"{mnt}/taken", os.O_RDWR | os.O_CREAT) for _ in range(3)]
for fd in fds:
    assert fsync(fd) == 0
# Nothing is to go out before the fsync.
for name, value in (("dirty_expire_centisecs", 360000), ("dirty_writeback_centisecs", 360000),
                    ("dirty_ratio", 100), ("dirty_background_ratio", 90)):
    with open(f"{mnt}/.plimsoll/sys/vm/{name}", "w") as f:
        f.write(str(value))
data = rnd.randbytes(2 << 20)
assert os.write(fds[0], data) == len(data)
with open(f"{src}/others", "wb", buffering=0) as f:
    try:
        while f.write(bytes(1 << 20)):
            pass
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
    os.fsync(f.fileno())
assert fsync(fds[0]) == 0, "others have taken what was accepted"
model["taken"] = data
check()                     # readers go on, and nothing was dropped
os.unlink(f"{src}/others")

# A disk that says so all the same.
def fault(**fields):
    for name, value in fields.items():
        with open(f"{mnt}/.plimsoll/fault/fail_io/{name}", "w") as f:
            f.write(str(value))

data = rnd.randbytes(2 << 20)
assert os.pwrite(fds[0], data, 0) == len(data)
model["taken"] = data
fault(error="ENOSPC", op="write", times=-1, probability=100)
assert fsync(fds[0]) == errno.ENOSPC, "fsync should say it"
check()
late = os.open(f"{mnt}/taken", os.O_RDWR)
fault(probability=0)
end = time.monotonic() + 30
while (err := fsync(fds[0])) and time.monotonic() < end:
    assert err == errno.ENOSPC, err
    time.sleep(0.1)
assert err == 0, "there is room, and it is not written"
for fd in fds[1:]:
    assert [fsync(fd), fsync(fd)] == [errno.ENOSPC, 0], "once for each open file"
assert fsync(late) in (0, errno.ENOSPC) and fsync(late) == 0
with open(f"{src}/taken", "rb") as f:
    assert f.read() == data
check()
END
timeout 90 python3 "$work/fill.py" "$mnt" "$src" || fail "see above"
(cd "$mnt" && sha256sum ./*) >"$work/sums"
unmount "$mnt"
(cd "$src" && sha256sum --quiet -c "$work/sums") || fail "different in the backing directory"
umount "$work/disk" || fail "the backing file system is busy"
