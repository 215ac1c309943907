#!/bin/bash
#
# No frame is to be had at all: what is in swap is read all the same, by read(2)
# and through a mapping, unpacked for the one who asks, and right; a file can be
# cut in the middle of a page, and removed.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

mount_anon "$mnt" "mem=32M,swap=$work/swap:128M"
timeout 60 python3 - "$mnt" "$top/tests/mount" <<'PY' || fail "see above"
import mmap, os, random, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]
NR = 16384                      # 64 MiB
rnd, stalls = random.Random(1), Stalls()

def no_frames(percent):
    for field, value in ("times", -1), ("probability", percent):
        with open(f"{mnt}/.plimsoll/fault/fail_page_alloc/{field}", "w") as f:
            f.write(str(value))

fd = os.open(f"{mnt}/f", os.O_RDWR | os.O_CREAT)
for n in range(0, NR, 64):
    assert os.pwrite(fd, pages(text, n, 64), n * PAGE) == 64 * PAGE
no_frames(100)
for _ in range(1000):
    n, nr = rnd.randrange(NR - 8), rnd.choice((1, 1, 8))
    assert stalls(os.pread, fd, nr * PAGE, n * PAGE) == pages(text, n, nr), n
with mmap.mmap(fd, NR * PAGE, prot=mmap.PROT_READ) as m:
    for n in rnd.sample(range(NR), 300):
        same(m[n * PAGE:(n + 1) * PAGE], text, n, 0, "mapped")
stalls(os.ftruncate, fd, 5000 * PAGE + 100)
assert os.pread(fd, 2 * PAGE, 5000 * PAGE) == text(5000)[:100]
no_frames(0)
os.ftruncate(fd, 5001 * PAGE)
assert os.pread(fd, PAGE, 5000 * PAGE) == text(5000)[:100] + bytes(PAGE - 100)
v = vmstat(mnt)
say(f"{v['swpin_uncached']} pages unpacked without a frame, the longest wait "
    f"{stalls.longest * 1000:.0f} ms")
assert v["swpin_uncached"] > 1000 and v["pgalloc_fail_injected"] > 1000, v
assert v["swpin_damaged"] == 0 and v["swap_read_error"] == 0
no_frames(100)
os.close(fd)
os.unlink(f"{mnt}/f")
no_frames(0)
PY
eventually 5 test "$(volume "$mnt" stored_bytes)" = 0 || fail "not all was freed"
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"
