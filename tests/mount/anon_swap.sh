#!/bin/bash
#
# An anon volume holds eight times the memory there is: 512 MiB that compress
# about 3:1, through 64 MiB and a swap file, overwritten in part, verified twice
# in random order, by read(2) and through a mapping, while a file volume of the
# same process is busy; and the process stays within its budget.
#
# ANON_MIB (512) says how much.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mkdir "$work/fsrc" "$work/fmnt"
mount_volumes "mem=64M,swap=$work/swap:1G" anon "$mnt" "$work/fsrc" "$work/fmnt"
cat >"$work/busy.py" <<'PY'
# Written, synced, and read again, with cache misses, until told to stop.
import os, random, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
top, stop = sys.argv[1], sys.argv[3]
NR = 12288                      # 48 MiB
rnd = random.Random(2)
fd = os.open(f"{top}/busy", os.O_RDWR | os.O_CREAT)
versions = [0] * NR
for n in range(0, NR, 32):
    assert os.pwrite(fd, pages(text, n, 32), n * PAGE) == 32 * PAGE
passes = 0
while not os.path.exists(stop):
    for _ in range(200):
        n = rnd.randrange(NR)
        same(os.pread(fd, PAGE, n * PAGE), text, n, versions[n], "busy")
        n = rnd.randrange(NR)
        versions[n] += 1
        assert os.pwrite(fd, text(n, versions[n]), n * PAGE) == PAGE
    os.fsync(fd)
    passes += 1
for n in range(NR):
    same(os.pread(fd, PAGE, n * PAGE), text, n, versions[n], "busy, at the end")
say(f"file volume: {passes * 400} operations, all right")
assert passes > 5
PY
timeout 100 python3 "$work/busy.py" "$work/fmnt" "$top/tests/mount" "$work/stop" &
busy=$!

timeout 100 python3 - "$mnt" "$top/tests/mount" "${ANON_MIB:-512}" <<'PY' || fail "see above"
import mmap, os, random, sys, time
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]
NR = int(sys.argv[3]) * 256
rnd = random.Random(1)
start = time.monotonic()
fd = os.open(f"{mnt}/data", os.O_RDWR | os.O_CREAT)
for n in range(0, NR, 64):
    assert os.pwrite(fd, pages(text, n, 64), n * PAGE) == 64 * PAGE
wrote = time.monotonic()
v = vmstat(mnt)
assert v["pswpout"] > NR * 3 // 4, v["pswpout"]
ratio = v["nr_swapped"] * PAGE / v["nr_swap_stored_bytes"]
say(f"{NR >> 8} MiB written in {wrote - start:.1f} s, {v['pswpout']} pages "
    f"swapped out, {v['nr_swapped']} are, {ratio:.2f}:1; "
    f"swap used {(meminfo(mnt)['SwapTotal'] - meminfo(mnt)['SwapFree']) >> 20} MiB")
assert 2.5 < ratio < 4, ratio
assert v["swpout_compressed"] > v["swpout_incompressible"]

# A part is overwritten, some of it with what cannot be compressed.
kinds, versions = [text] * NR, [0] * NR
for n in rnd.sample(range(NR), NR // 16):
    versions[n] = 1
    kinds[n] = noise if n % 4 == 0 else text
    assert os.pwrite(fd, kinds[n](n, 1), n * PAGE) == PAGE

# Twice, in runs of some pages so that it takes not too long.
order = list(range(0, NR, 4))
rnd.shuffle(order)
for n in order:
    data = os.pread(fd, 4 * PAGE, n * PAGE)
    for i in range(4):
        same(data[i * PAGE:(i + 1) * PAGE], kinds[n + i], n + i, versions[n + i], "read")
read = time.monotonic()
m = mmap.mmap(fd, NR * PAGE, mmap.MAP_SHARED, mmap.PROT_READ)
rnd.shuffle(order)
for n in order:
    for i in range(4):
        same(m[(n + i) * PAGE:(n + i + 1) * PAGE], kinds[n + i], n + i, versions[n + i], "mapped")
m.close()
mapped = time.monotonic()
v = vmstat(mnt)
say(f"overwritten and read in {read - wrote:.1f} s, mapped in {mapped - read:.1f} s; "
    f"{v['pswpin']} pages swapped in by {v['swap_read_io']} reads, "
    f"{v['swap_compact_moved']} moved")
assert v["pswpin"] > NR // 2, v["pswpin"]
for bad in ("swpin_damaged", "swap_read_error", "swap_write_error", "oom_refuse"):
    assert v[bad] == 0, (bad, v[bad])
PY
touch "$work/stop"
wait $busy || fail "the file volume: see above"
overhead_kept "$mnt" || fail "more than the budget"
umount "$work/fmnt" || fail "umount"
unmount "$mnt"
