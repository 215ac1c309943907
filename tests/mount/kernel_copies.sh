#!/bin/bash
# timeout: 180
#
# The budget holds whoever keeps the pages: what the kernel has of the files, our
# arena and the rest together are never more than mem= and the overhead, with a
# file of eight times the budget read in order and at random, many small ones,
# and mapped ones. What is read is what was written; copies go when an anon volume
# wants the room, and when their files are removed.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount
# Written around the host's cache, as it is read by plimsoll.
sum=$(noise 512M "$seed" | tee >(dd of="$src/large" bs=1M iflag=fullblock \
	oflag=direct status=none) | sha256sum)
noise 20M small | (mkdir "$src/small" && cd "$src/small" &&
	split -b 13000 -a 4 - s && sync -f .)
small=$(cd "$src/small" && sha256sum ./* | sha256sum)
echo 1 >/proc/sys/vm/drop_caches
# What is run is read before it counts.
python3 -c 'import hashlib, mmap, random, kernel_cache' && "$plimsoll" --version &&
	"$plimsollctl" --version >/dev/null
own_cgroup

cat >read.py <<'PY'
import hashlib, mmap, os, random, sys
from kernel_cache import *

mnt, seed, small, kept, sum = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "kept", sys.argv[5]
mode = volume(mnt, "cache")
rnd = random.Random(seed)
large, size, stalls = f"{mnt}/large", 512 << 20, Stalls()

def in_order():
    h = hashlib.sha256()
    with open(large, "rb", buffering=0) as f:
        while data := stalls(f.read, 1 << 20):
            h.update(data)
    assert h.hexdigest() == sum, "in order"

def at_random(nr):
    """Against what was written into the source."""
    fd = os.open(large, os.O_RDONLY)
    direct = os.open(sys.argv[6] + "/large", os.O_RDONLY | os.O_DIRECT)
    expected = mmap.mmap(-1, 64 << 10)
    for _ in range(nr):
        at = rnd.randrange(size >> 12) << 12
        n = rnd.choice((1, 100, 4096, 16384, 65536))
        data = stalls(os.pread, fd, n, at)
        assert os.preadv(direct, [expected], at) >= len(data)
        assert data == expected[:len(data)], at
    os.close(direct)
    return fd

def many_small():
    h = hashlib.sha256()
    for name in sorted(os.listdir(f"{mnt}/small")):
        with open(f"{mnt}/small/{name}", "rb", buffering=0) as f:
            data = stalls(f.read)
        h.update(f"{hashlib.sha256(data).hexdigest()}  ./{name}\n".encode())
    assert h.hexdigest() == small, "small files"

with Watch(mnt, f"{mode}, in order") as w:
    in_order()
w.within()
with Watch(mnt, f"{mode}, at random") as w:
    fd = at_random(6000)
w.within()
there, counted = copies(fd), int(volume(mnt, "kernel_copies_bytes"))
print(f"{mode}: the kernel has {there >> 10} KiB of it, {counted >> 10} are counted")
assert counted >= there
assert (there >= w.mem // 8) == kept, (there, kept)
os.close(fd)
with Watch(mnt, f"{mode}, small") as w:
    many_small()
    many_small()
w.within()
print(f"{mode}: {stalls}")
PY

cat >map.py <<'PY'
import hashlib, mmap, os, random, sys
from kernel_cache import *

mnt, seed = sys.argv[1], int(sys.argv[2])
rnd, size, stalls = random.Random(seed), 160 << 20, Stalls()
mode = volume(mnt, "cache")

def sums(m, pages):
    return [hashlib.sha256(m[p * PAGE:(p + 1) * PAGE]).digest() for p in pages]

for name, flags, prot in (("shared", mmap.MAP_SHARED, mmap.PROT_READ),
                          ("private", mmap.MAP_PRIVATE, mmap.PROT_READ),
                          ("shared, written", mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE),
                          ("private, written", mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)):
    fd = os.open(f"{mnt}/large", os.O_RDWR)
    with Watch(mnt, f"{mode}, mapped {name}") as w:
        m = mmap.mmap(fd, size, flags, prot)
        read = os.open(f"{mnt}/large", os.O_RDONLY | os.O_DIRECT)
        buf = mmap.mmap(-1, 1 << 20)
        for at in range(0, size, 1 << 20):
            data = stalls(m.__getitem__, slice(at, at + (1 << 20)))
            os.preadv(read, [buf], at)
            assert data == buf[:], at
        pages = rnd.sample(range(size // PAGE), 3000)
        if prot & mmap.PROT_WRITE:
            # Private ones are the program's, and not counted: few.
            for p in pages if flags == mmap.MAP_SHARED else pages[:500]:
                stalls(m.__setitem__, slice(p * PAGE + 7, p * PAGE + 15), p.to_bytes(8, "big"))
            for p in pages if flags == mmap.MAP_SHARED else pages[:500]:
                assert m[p * PAGE + 7:p * PAGE + 15] == p.to_bytes(8, "big"), p
            if flags == mmap.MAP_SHARED:
                m.flush()
                for p in pages:
                    assert os.pread(fd, 8, p * PAGE + 7) == p.to_bytes(8, "big"), p
        else:
            for p in pages:
                stalls(m.__getitem__, p * PAGE)
        counted, there = int(volume(mnt, "kernel_copies_bytes")), copies(fd)
        assert counted >= there, (counted, there)
        m.close()
    w.within()
    os.close(fd)
    os.close(read)
print(f"{mode}, mapped: {stalls}")
PY

for mode in kernel auto; do
	mount_plimsoll "$src" "$mnt" mem=64M,cache=$mode
	timeout 60 python3 read.py "$mnt" "$seed" "${small%% *}" kept "${sum%% *}" "$src" ||
		fail "cache=$mode: see above"
	overhead_kept "$mnt" || fail "cache=$mode: more than the budget"
	unmount "$mnt"
done
mount_plimsoll "$src" "$mnt" mem=64M,cache=user
timeout 60 python3 map.py "$mnt" "$seed" || fail "mapped: see above"
[ "$(vmstat "$mnt" copy_take_unmap)" -gt 0 ] || fail "no mapped page was taken"
unmount "$mnt"

# A crowd that faults in pages at random: what is being taken back is locked in
# part by reads that are on their way.
cat >crowd.py <<'PY'
import mmap, os, random, sys, time
from kernel_cache import *

mnt, seed, size = sys.argv[1], int(sys.argv[2]), 256 << 20
end = time.monotonic() + 3

def fault(n):
    rnd, m = random.Random(seed + n), mmap.mmap(os.open(f"{mnt}/large", os.O_RDONLY), size, prot=mmap.PROT_READ)
    while time.monotonic() < end:
        m[rnd.randrange(size)]

crowd = [multiprocessing.Process(target=fault, args=(n,)) for n in range(32)]
with Watch(mnt, "a crowd") as w:
    for p in crowd:
        p.start()
    for p in crowd:
        p.join()
        assert p.exitcode == 0
w.within(crowd=True)
PY
mount_plimsoll "$src" "$mnt" mem=16M
timeout 60 python3 crowd.py "$mnt" "$seed" || fail "a crowd: see above"
unmount "$mnt"

# Beside an anon volume that wants the room.
cat >beside.py <<'PY'
import os, random, sys
from kernel_cache import *

mnt, anon = sys.argv[1:3]
fd = os.open(f"{mnt}/large", os.O_RDONLY)
while os.read(fd, 1 << 20):
    pass
before, had = vmstat(mnt, "nr_kernel_copies") * PAGE, copies(fd)
block = random.Random(1).randbytes(1 << 20)
with Watch(mnt, "beside anon") as w:
    out = os.open(f"{anon}/noise", os.O_RDWR | os.O_CREAT)
    for i in range(160):
        os.write(out, i.to_bytes(8, "big") + block[8:])
after = vmstat(mnt, "nr_kernel_copies") * PAGE
print(f"copies {before >> 10} KiB (there {had >> 10}), after the anon volume's noise "
      f"{after >> 10} (there {copies(fd) >> 10})")
w.within()
assert before >= 16 << 20 and after < before / 2, (before, after)
for i in range(160):
    assert os.pread(out, 1 << 20, i << 20) == i.to_bytes(8, "big") + block[8:], i
PY
mkdir "$work/anon"
mount_volumes mem=64M,cache=kernel,swap="$work/swap:192M" "$src" "$mnt" \
	anon "$work/anon"
timeout 60 python3 beside.py "$mnt" "$work/anon" || fail "beside anon: see above"
dd if="$mnt/large" of=/dev/null bs=1M status=none
rm -r "$mnt/large" "$mnt/small"
none_left() {
	[ "$(vmstat "$mnt" nr_kernel_copies)" = 0 ]
}
eventually 10 none_left ||
	fail "removed, and $(vmstat "$mnt" nr_kernel_copies) pages are counted"
umount "$work/anon" || fail "umount"
unmount "$mnt"
