#!/bin/bash
# timeout: 150
#
# What is in a file that others have open and mapped is no hole: lseek(2) in
# another process, cp, and tar that looks for holes find all that was stored through
# a mapping or written, before anybody syncs it. So on both kinds of volume, in each
# mode of the cache, and also where nobody can ask the kernel. Where nothing is
# dirty holes are shown, whoever has it open. SEED=n runs it again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3 tar pgrep
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >seek.py <<'PY'
import errno, mmap, os, random, subprocess, sys

mnt, seed, exact = sys.argv[1], sys.argv[2], sys.argv[3] == "exact"
rnd = random.Random(seed)
PAGE, NR = 4096, 256
os.chdir(mnt)

def seek(fd, at, whence):
    try:
        return os.lseek(fd, at, whence)
    except OSError as e:
        assert e.errno == errno.ENXIO, e
        return None

def copy(name):
    """As cp(1) does it: only what is data. And every hole must be one."""
    fd = os.open(name, os.O_RDONLY)
    size = os.fstat(fd).st_size
    got, at = bytearray(size), 0
    while at < size and (data := seek(fd, at, os.SEEK_DATA)) is not None:
        assert at <= data < size, (at, data, size)
        hole = seek(fd, data, os.SEEK_HOLE)
        assert hole is not None and data < hole <= size, (data, hole, size)
        got[data:hole] = os.pread(fd, hole - data, data)
        at = hole
    os.close(fd)
    return got

def whole(name):
    with open(name, "rb") as f:
        return f.read()

def check(name, model, what):
    assert whole(name) == model, f"{what}: read"
    if (got := copy(name)) != model:
        lost = [i for i in range(len(model) // PAGE)
                if got[i * PAGE:(i + 1) * PAGE] != model[i * PAGE:(i + 1) * PAGE]]
        raise SystemExit(f"{what}: pages {lost} are called a hole")

def store(m, fd, model, how):
    at = rnd.randrange(NR - 2) * PAGE + rnd.choice((0, 0, 5, 4000))
    data = rnd.randbytes(rnd.choice((1, 100, PAGE, PAGE + 50)))
    if how == "mapping":
        m[at:at + len(data)] = data
    else:
        assert os.pwrite(fd, data, at) == len(data)
    model[at:at + len(data)] = data

for step in range(12):
    name, model = f"f{step}", bytearray(NR * PAGE)
    fd = os.open(name, os.O_CREAT | os.O_RDWR)
    if step % 2:                # an older file with some data in it
        os.ftruncate(fd, NR * PAGE)
        for _ in range(3):
            store(None, fd, model, "write")
        os.fsync(fd)
        os.close(fd)
        fd = os.open(name, os.O_RDWR)
    else:
        os.ftruncate(fd, NR * PAGE)
    m = mmap.mmap(fd, NR * PAGE)
    if step % 3 == 2:
        os.close(fd)            # the mapping stays
        fd = None
    for _ in range(rnd.randrange(1, 12)):
        store(m, fd, model, rnd.choice(("mapping", "write")) if fd else "mapping")
        check(name, model, f"step {step}")
    subprocess.run(["cp", name, "copy"], check=True, timeout=30)
    assert whole("copy") == model, f"step {step}: cp"
    subprocess.run(["tar", "-cSf", "t", name], check=True, timeout=30)
    assert subprocess.run(["tar", "-xSOf", "t"], check=True, timeout=30,
                          capture_output=True).stdout == model, f"step {step}: tar -S"
    m.flush()
    check(name, model, f"step {step}, synced")
    m.close()
    if fd:
        os.close(fd)

# On its own descriptor, at once: also behind what has been handed over.
fd = os.open("own", os.O_CREAT | os.O_RDWR)
for at in (1 << 20, 3 << 20, 9 << 20):
    os.pwrite(fd, b"x" * 5000, at)
    assert seek(fd, at, os.SEEK_DATA) == at, at
    assert (at + 5000) <= seek(fd, at, os.SEEK_HOLE), at
    assert seek(fd, at + 5000, os.SEEK_DATA) is None
os.fsync(fd)
if exact:
    assert seek(fd, 0, os.SEEK_HOLE) == 0, "a hole is not shown"
    assert seek(fd, 0, os.SEEK_DATA) == 1 << 20
    assert seek(fd, 2 << 20, os.SEEK_DATA) == 3 << 20
os.close(fd)
if sys.argv[3] == "never":  # it was told not to ask any more
    sys.exit()
fd = os.open("own", os.O_RDONLY)
assert seek(fd, 0, os.SEEK_HOLE) == 0 and seek(fd, 0, os.SEEK_DATA) == 1 << 20
PY

# try HOW MOUNTPOINT: and unmount it
try() {
	timeout 60 python3 seek.py "$2" "$seed" "$1" ||
		fail "$(volume "$2" kind), cache=$(volume "$2" cache), $1"
	umount "$2" || fail "cannot unmount"
	wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
}

for mode in auto user kernel writeback; do
	mount_volumes "mem=64M,cache=$mode" "$src" "$mnt"
	try exact "$mnt"
	rm -rf "${src:?}"/*
	mount_anon "$mnt" "mem=64M,cache=$mode"
	try exact "$mnt"
done

# Nobody can ask the kernel: the rest of the file is data.
for mode in auto writeback; do
	mount_volumes "mem=64M,cache=$mode" "$src" "$mnt"
	kill -KILL "$(pgrep -P "$pid")" || fail "no helper of $pid"
	# The size is the kernel's there, which is left to it from then on.
	how=data
	[ $mode = auto ] || how=never
	try $how "$mnt"
	rm -rf "${src:?}"/*
done
