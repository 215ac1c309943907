#!/bin/bash
#
# The swap file is damaged, and cut short, under a running mount: pages whose
# copy is lost are EIO, and counted; all others are right; what is read is never
# something else. A lost page that is written anew is good again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

cat >"$work/damage.py" <<'PY'
import errno, os, random, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt, swap, how = sys.argv[1], sys.argv[3], sys.argv[4]
NR = 12288                      # 48 MiB
rnd = random.Random(5)
kinds = [text if n % 5 else noise for n in range(NR)]
versions = [0] * NR
fd = os.open(f"{mnt}/f", os.O_RDWR | os.O_CREAT)
for n in range(0, NR, 32):
    data = b"".join(kinds[i](i) for i in range(n, n + 32))
    assert os.pwrite(fd, data, n * PAGE) == len(data)
assert vmstat(mnt)["nr_swapped"] > NR // 2

def read_all(nr=1):
    """The pages that are lost; all others are right."""
    lost = set()
    for n in range(0, NR, nr):
        try:
            data = os.pread(fd, nr * PAGE, n * PAGE)
        except OSError as e:
            assert e.errno == errno.EIO, e
            data = b""
        assert len(data) % PAGE == 0
        # Up to the first that is lost; page by page from there.
        for i in range(n, n + nr):
            page = data[(i - n) * PAGE:(i - n + 1) * PAGE]
            if not page and nr > 1:
                try:
                    page = os.pread(fd, PAGE, i * PAGE)
                except OSError as e:
                    assert e.errno == errno.EIO, e
            if page:
                same(page, kinds[i], i, versions[i], "read")
            else:
                lost.add(i)
    return lost

size = os.stat(swap).st_size
used = meminfo(mnt)
used = used["SwapTotal"] - used["SwapFree"]
if how == "flip":
    # A bit here, some bytes there, a block of another, zeroes.
    s = os.open(swap, os.O_RDWR)
    for at in range(131072, used, 1 << 18):
        for _ in range(2):
            where = at + rnd.randrange(1 << 18)
            old = os.pread(s, 4096, where)
            kind = rnd.randrange(4)
            if kind == 0:
                new = bytes([old[0] ^ 1 << rnd.randrange(8)])
            elif kind == 1:
                new = rnd.randbytes(20)
            elif kind == 2:
                new = os.pread(s, 4096, where ^ 1 << 17)
            else:
                new = bytes(4096)
            os.pwrite(s, new, where)
    os.fsync(s)
    os.posix_fadvise(s, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(s)
else:
    os.truncate(swap, used // 2)

before = vmstat(mnt)
lost = read_all()
v = vmstat(mnt)
counted = sum(v[name] - before[name] for name in ("swpin_damaged", "swap_read_error"))
say(f"{how}: {len(lost)} of {NR} pages lost; swpin_damaged {v['swpin_damaged']}, "
    f"swap_read_error {v['swap_read_error']}")
assert len(lost) > (20 if how == "flip" else NR // 5), len(lost)
assert len(lost) < NR * 3 // 4, len(lost)
assert v["swpin_damaged"] if how == "flip" else counted, "not counted"
assert how != "flip" or counted >= len(lost), (counted, len(lost))
# Lost stays lost, also in larger reads.
assert read_all(16) == lost

# Written anew, whole: good again. In part: not to be had.
lost = sorted(lost)
for i, n in enumerate(lost):
    if i % 3 == 0:
        versions[n] = 1
        assert os.pwrite(fd, kinds[n](n, 1), n * PAGE) == PAGE
    elif i % 3 == 1:
        try:
            os.pwrite(fd, b"part", n * PAGE + 100)
            raise SystemExit(f"page {n} is lost, and was written in part")
        except OSError as e:
            assert e.errno == errno.EIO, e
rest = set(n for i, n in enumerate(lost) if i % 3)
again = read_all()
assert again == rest, (len(again), len(rest), list(again ^ rest)[:10])

# All of it written anew: what was damaged is room again. In pieces that the
# kernel does not cut, as it would at other places than between pages.
for n in range(0, NR, 16):
    for i in range(n, n + 16):
        versions[i] += 1
    data = b"".join(kinds[i](i, versions[i]) for i in range(n, n + 16))
    assert os.pwrite(fd, data, n * PAGE) == len(data)
again = read_all(8)
assert not again, len(again)

# Holes, a cut in the middle of a page, removal: whatever is lost.
if how == "cut":
    os.truncate(swap, 131072 * 4)
os.ftruncate(fd, NR // 2 * PAGE + 100)
os.close(fd)
os.unlink(f"{mnt}/f")
with open(f"{mnt}/g", "wb") as f:
    f.write(pages(noise, 0, 2048))
check(f"{mnt}/g", 2048 * PAGE)
PY
for how in flip cut; do
	mount_anon "$mnt" "mem=16M,swap=$work/swap:96M"
	timeout 60 python3 "$work/damage.py" "$mnt" "$top/tests/mount" \
		"$work/swap" $how || fail "$how: see above"
	unmount "$mnt"
	rm "$work/swap"
done
