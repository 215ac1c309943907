#!/bin/bash
#
# A file is cut and grows again while others read it: they get what was there, or
# zeroes, or less; never an error, nor anything else.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

cat >"$work/cut.py" <<'PY'
import multiprocessing, os, random, sys, time
path, until = sys.argv[1], time.monotonic() + 4
SIZE = 8 << 20
def reader(n):
    fd, rnd, reads = os.open(path, os.O_RDONLY), random.Random(n), 0
    while time.monotonic() < until:
        data = os.pread(fd, 65536, rnd.randrange(SIZE >> 12) << 12)
        if data.translate(None, b"x\0"):
            sys.exit("something else was read")
        reads += 1
    print(f"{reads} reads")
def cutter():
    fd, cuts = os.open(path, os.O_RDWR), 0
    while time.monotonic() < until:
        os.pwrite(fd, b"x" * SIZE, 0)
        os.fsync(fd)
        open(os.path.dirname(path) + "/.plimsoll/sys/vm/drop_caches", "w").write("1")
        os.ftruncate(fd, 5000)
        os.ftruncate(fd, SIZE)
        cuts += 1
    print(f"{cuts} cuts")
os.close(os.open(path, os.O_CREAT | os.O_RDWR))
jobs = [multiprocessing.Process(target=reader, args=(n,)) for n in range(3)]
jobs.append(multiprocessing.Process(target=cutter))
for j in jobs:
    j.start()
for j in jobs:
    j.join()
sys.exit(any(j.exitcode for j in jobs))
PY
for cache in user auto; do
	mount_volumes "mem=16M,cache=$cache" "$src" "$mnt"
	timeout 60 python3 "$work/cut.py" "$mnt/f" || fail "cache=$cache: see above"
	unmount "$mnt"
done
