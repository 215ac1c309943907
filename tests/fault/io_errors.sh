#!/bin/bash
# timeout: 180
#
# Writeback fails for a while: every open file hears of it once, from fsync; the
# pages stay dirty and readable, and are written when the disk is well again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

mount_plimsoll "$src" "$mnt"
cat >"$work/errors.py" <<'END'
import errno, os, sys, time

mnt, src = sys.argv[1:]

def fault(**fields):
    for name, value in fields.items():
        with open(f"{mnt}/.plimsoll/fault/fail_io/{name}", "w") as f:
            f.write(str(value))

def fsync(fd):
    try:
        os.fsync(fd)
        return 0
    except OSError as e:
        return e.errno

path = f"{mnt}/f"
data = os.urandom(1 << 20)
a = os.open(path, os.O_RDWR | os.O_CREAT)
b = os.open(path, os.O_RDWR)
os.write(a, data)
assert fsync(a) == 0
new = os.urandom(1 << 20)
fault(times=50, probability=100)
os.pwrite(a, new, 0)
assert fsync(a) == errno.EIO, "fsync should say EIO"
assert os.pread(a, 1 << 20, 0) == new, "a page was dropped"
c = os.open(path, os.O_RDWR)            # opened after: may hear of it or not
fault(probability=0)
assert fsync(a) == 0, "a hears of it twice"
assert open(f"{src}/f", "rb").read() == new, "not written after a later fsync"
assert fsync(b) == errno.EIO, "b should hear of it"
assert fsync(b) == 0, "b hears of it twice"
fsync(c)
assert fsync(c) == 0

# By the flusher: a file that is not synced is retried until it is there.
fault(times=6, probability=100)
with open(f"{mnt}/g", "wb") as f:
    f.write(data)
end = time.monotonic() + 45
while True:
    try:
        if open(f"{src}/g", "rb").read() == data:
            break
    except OSError:
        pass
    assert time.monotonic() < end, "not retried"
    time.sleep(0.1)
assert open(f"{mnt}/g", "rb").read() == data
fault(probability=0)

# Reads that fail are EIO for that read, nothing more.
with open(f"{mnt}/.plimsoll/sys/vm/drop_caches", "w") as f:
    f.write("3")
fault(times=-1, probability=100)
fd = os.open(f"{mnt}/g", os.O_RDONLY)
try:
    got = os.pread(fd, 4096, 0)
    raise SystemExit("a read that failed was answered")
except OSError as e:
    assert e.errno == errno.EIO, e
fault(probability=0)
assert os.pread(fd, 1 << 20, 0) == data
END
timeout 90 python3 "$work/errors.py" "$mnt" "$src" || fail "see above"

# A long copy while one write of ten fails: nothing is lost.
fault "$mnt" fail_io times=-1 seed=7 probability=10
noise 100000000 copy >"$mnt/copy" || fail "a write was refused"
fault "$mnt" fail_io probability=0
sync "$mnt/copy" # may say EIO, once
sync "$mnt/copy" || fail "fsync after the disk is well"
noise 100000000 copy | cmp - "$src/copy" || fail "copy is different"
compare_after_unmount "$mnt" "$src" f g copy
