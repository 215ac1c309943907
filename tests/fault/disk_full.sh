#!/bin/bash
#
# The backing file system fills up: the write(2) that does not fit fails with
# ENOSPC, nothing that was accepted is lost, readers go on, what rm frees can be
# used, and the end is clean.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

make_loop_fs 40M "$work/disk"
mkdir "$work/disk/src"
src=$work/disk/src
noise 3000000 before >"$src/before"
mount_plimsoll "$src" "$mnt"
cat >"$work/fill.py" <<'END'
import errno, os, random, sys

mnt = sys.argv[1]
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
END
timeout 90 python3 "$work/fill.py" "$mnt" || fail "see above"
(cd "$mnt" && sha256sum ./*) >"$work/sums"
unmount "$mnt"
(cd "$src" && sha256sum --quiet -c "$work/sums") || fail "different in the backing directory"
umount "$work/disk" || fail "the backing file system is busy"
