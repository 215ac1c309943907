#!/bin/bash
# timeout: 180
#
# Each kind of failure of swap: its reads and writes, compression, bytes that come
# back damaged, reservations, and allocations, through plimsollctl. Errors are
# ENOSPC of writes and EIO of reads, nothing is ever read wrong, and when all is
# well everything that was accepted is there: lost writes aside, which cannot be
# known before they are read. SEED=n runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >"$work/kinds.py" <<'PY'
import errno, os, random, re, subprocess, sys, time
sys.path.insert(0, sys.argv[4])
from anon_data import *

mnt, ctl, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
rnd = random.Random(seed)
NR = 8000                           # 31 MiB, in 16

def fault(*args):
    return subprocess.run([ctl, "fault", mnt, *args], check=True, timeout=60,
                          capture_output=True, text=True).stdout

def injected(name):
    return int(re.search(r"injected=(\d+)", fault(name))[1])

fd = os.open(f"{mnt}/f", os.O_RDWR | os.O_CREAT)
version = [0] * NR
kind = [text] * NR

def write(n, allowed):
    """One page; False if it was refused."""
    new = rnd.choice((text, noise))
    try:
        assert os.pwrite(fd, new(n, version[n] + 1), n * PAGE) == PAGE
    except OSError as e:
        assert e.errno in allowed, e
        return False
    version[n] += 1
    kind[n] = new
    return True

def read(n, allowed, what):
    try:
        got = os.pread(fd, PAGE, n * PAGE)
    except OSError as e:
        assert e.errno in allowed, e
        return False
    same(got, kind[n], n, version[n], what)
    return True

def settle(n):
    for _ in range(200):
        if write(n, {errno.ENOSPC, errno.ENOMEM}):
            return
        time.sleep(0.05)
    raise SystemExit("refused for ten seconds")

for n in range(NR):
    settle(n)

def one(name, *settings, reads=set(), writes=set(), lost=False, steps=2500):
    before, v0 = injected(name), vmstat(mnt)
    fault(name, f"seed={rnd.randrange(1 << 40)}", "times=-1", *settings)
    bad = [0, 0]
    for _ in range(steps):
        bad[0] += not write(rnd.randrange(NR), writes)
        bad[1] += not read(rnd.randrange(NR), reads, name)
    fault(name, "off")
    nr = injected(name) - before
    print(name, *settings, f"injected {nr}, writes refused {bad[0]}, reads EIO {bad[1]}",
          "damaged", vmstat(mnt)["swpin_damaged"] - v0["swpin_damaged"])
    assert nr > 0, "nothing was injected"
    again = 0
    for n in range(NR):
        again += not read(n, {errno.EIO} if lost else set(), f"after {name}")
        if lost:        # of a page in memory, too, the copy that it goes back to
            settle(n)
    assert lost or again == 0
    return vmstat(mnt), v0, bad

E = errno
one("fail_swap_io", "error=EIO", "op=write", "probability=40", writes={E.ENOSPC})
one("fail_swap_io", "error=ENOSPC", "op=all", "probability=40", writes={E.ENOSPC})
one("fail_swap_io", "error=EIO", "op=read", "probability=40", reads={E.EIO})
one("fail_swap_io", "error=short", "op=all", "probability=30", reads={E.EIO}, writes={E.ENOSPC})
one("fail_swap_io", "error=torn", "probability=40", writes={E.ENOSPC})
one("fail_swap_io", "error=delay", "delay_ms=5", "probability=40", writes={E.ENOSPC},
    steps=500)
v, v0, bad = one("fail_swap_io", "error=lost", "op=write", "probability=40", reads={E.EIO},
                 writes={E.ENOSPC}, lost=True)
assert v["swpin_damaged"] > v0["swpin_damaged"], "what was lost was not noticed"
v, v0, bad = one("fail_decompress", "probability=40", reads={E.EIO})
assert bad[1] > 0 and v["swpin_damaged"] > v0["swpin_damaged"]
v, v0, bad = one("fail_compress", "probability=50", writes={E.ENOSPC})
assert v["swpout_incompressible"] > v0["swpout_incompressible"]
one("fail_page_alloc", "probability=10", reads={E.ENOMEM}, writes={E.ENOSPC, E.ENOMEM})
one("failslab", "probability=30", reads={E.ENOMEM}, writes={E.ENOSPC, E.ENOMEM})

# Nodes are wanted where there was nothing.
g = os.open(f"{mnt}/g", os.O_RDWR | os.O_CREAT)
fault("fail_xarray_node", "times=-1", "probability=50")
for i in range(400):
    try:
        os.pwrite(g, text(i), i * 64 * PAGE)
    except OSError as e:
        assert e.errno in (E.ENOSPC, E.ENOMEM), e
print("fail_xarray_node injected", injected("fail_xarray_node"))
assert injected("fail_xarray_node") > 0
fault("fail_xarray_node", "off")
os.close(g)
os.unlink(f"{mnt}/g")

# A reservation is refused, and leaves nothing behind.
before = vmstat(mnt)["nr_anon_reserved"]
h = os.open(f"{mnt}/h", os.O_RDWR | os.O_CREAT)
fault("fail_reserve", "times=-1", "probability=100")   # one is tried again
try:
    os.posix_fallocate(h, 0, 100 * PAGE)
    raise SystemExit("was not refused")
except OSError as e:
    assert e.errno == E.ENOSPC, e
assert vmstat(mnt)["nr_anon_reserved"] == before and os.fstat(h).st_size == 0
fault("fail_reserve", "off")
os.posix_fallocate(h, 0, 100 * PAGE)
fault("off")
os.close(h)
for n in range(NR):
    read(n, set(), "at the end")
PY
mount_anon "$mnt" "mem=16M,swap=$work/swap:128M,cache=user"
timeout 160 python3 "$work/kinds.py" "$mnt" "$plimsollctl" "$seed" "$top/tests/mount" ||
	fail "see above"
unmount "$mnt"
