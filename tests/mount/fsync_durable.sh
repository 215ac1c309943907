#!/bin/bash
#
# After fsync, fdatasync, O_SYNC, sync(1) of the volume, the data are in the
# backing file; without, they are within seconds of the last close, and at most
# about five seconds after the write.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mount_plimsoll "$src" "$mnt"
python3 - "$mnt" "$src" <<'END' || fail "see above"
import os, sys, time
mnt, src = sys.argv[1:]

def backing(name):
    with open(f"{src}/{name}", "rb") as f:
        return f.read()

for n, sync in enumerate((os.fsync, os.fdatasync)):
    fd = os.open(f"{mnt}/s{n}", os.O_RDWR | os.O_CREAT)
    for size in (1, 4096, 5000, 1000000, 10):
        data = os.urandom(size)
        os.pwrite(fd, data, 0)
        sync(fd)
        assert backing(f"s{n}")[:size] == data, (n, size)
    os.pwrite(fd, b"end", 2000000)
    sync(fd)
    assert backing(f"s{n}")[2000000:] == b"end"

for n, flag in enumerate((os.O_SYNC, os.O_DSYNC)):
    fd = os.open(f"{mnt}/o{n}", os.O_RDWR | os.O_CREAT | flag)
    data = os.urandom(10000)
    os.write(fd, data)
    assert backing(f"o{n}") == data, f"O_SYNC {n}"

# Several at once, each with its own file.
fds = [os.open(f"{mnt}/m{i}", os.O_RDWR | os.O_CREAT) for i in range(20)]
for i, fd in enumerate(fds):
    os.write(fd, b"%d" % i * 3000)
for fd in fds:
    os.fsync(fd)
for i in range(20):
    assert backing(f"m{i}") == b"%d" % i * 3000
d = os.open(mnt, os.O_DIRECTORY)
os.fsync(d)

# Not synced, not closed: within five seconds, and some for the machine.
fd = os.open(f"{mnt}/late", os.O_RDWR | os.O_CREAT)
os.write(fd, b"late" * 5000)
end = time.monotonic() + 15
while backing("late") != b"late" * 5000:
    assert time.monotonic() < end, "dirty for more than 15 s"
    time.sleep(0.1)
# Closed: begins at once.
with open(f"{mnt}/closed", "wb") as f:
    f.write(b"closed" * 5000)
end = time.monotonic() + 10
while backing("closed") != b"closed" * 5000:
    assert time.monotonic() < end, "closed, and dirty for more than 10 s"
    time.sleep(0.05)
END
noise 3000000 sync >"$mnt/volume"
echo 1 >"$mnt/.plimsoll/sync" || fail "sync of the volume"
equal "dirty" "$(volume "$mnt" dirty_bytes)" 0
cmp "$mnt/volume" "$src/volume" || fail "sync of the volume left something"
compare_after_unmount "$mnt" "$src" volume late s0 s1 o0 o1
