#!/bin/bash
#
# Single bits of the swap file are flipped under a running mount, hundreds of them,
# the outcome of each known before: in what is stored of a page, EIO of that page, a
# counter and a line; anywhere else, nothing. All other pages are right, always. And
# a swap file that is removed while in use serves on.
# timeout: 180
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

cat >"$work/flip.py" <<'PY'
import errno, os, random, struct, sys, time
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt, swap, seed, NR_FLIPS = sys.argv[1], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
NR, CLUSTER, HEAD = 8192, 1 << 17, struct.Struct("<IHHQQ")
rnd = random.Random(seed)
kinds = [text if rnd.randrange(5) else noise for n in range(NR)]
fd = os.open(f"{mnt}/f", os.O_RDWR | os.O_CREAT)
for n in range(0, NR, 32):
    data = b"".join(kinds[i](i) for i in range(n, n + 32))
    assert os.pwrite(fd, data, n * PAGE) == len(data)

def push_out(name):
    """All of f is behind so much else."""
    with open(f"{mnt}/{name}", "wb") as f:
        f.write(pages(noise, 1 << 20, 4096))
push_out("g")

def read_all():
    lost = set()
    for n in range(NR):
        try:
            same(os.pread(fd, PAGE, n * PAGE), kinds[n], n, 0, f"seed {seed}: read")
        except OSError as e:
            assert e.errno == errno.EIO, e
            lost.add(n)
    return lost

while True:                     # until nothing is on its way to the swap file
    v = vmstat(mnt)["pswpout"]
    time.sleep(0.5)
    if vmstat(mnt)["pswpout"] == v:
        break

# What is where: a walk over the objects of each cluster.
raw = open(swap, "rb").read()
objects, void, owners = {}, [], {}
for c in range(CLUSTER, len(raw), CLUSTER):
    at = c
    while at + HEAD.size <= c + CLUSTER:
        check, length, magic, mapping, index = HEAD.unpack_from(raw, at)
        if magic != 0x504c or not 0 < length <= PAGE:
            break
        objects.setdefault((mapping, index), []).append((at, HEAD.size + length))
        owners[mapping] = owners.get(mapping, 0) + 1
        end = at + HEAD.size + length
        if -end % 8:
            void.append((end, -end % 8))
        at = end + -end % 8
    void.append((at, c + CLUSTER - at))
void.append((0, CLUSTER))       # the header is not read again
# Only one copy: that is the one. Those of f, by what the page would be.
ours = next(m for m in owners if len([1 for k in objects if k[0] == m]) > NR // 2
            and (m, 0) in objects)
known = [(index, *places[0]) for (m, index), places in objects.items()
         if m == ours and len(places) == 1 and index < NR]
rnd.shuffle(known)
aimed = known[:NR_FLIPS * 3 // 4]
bits = [(at + rnd.randrange(size), index) for index, at, size in aimed]
bits += [(at + rnd.randrange(size), None) for at, size in rnd.choices(
    [v for v in void if v[1]], k=NR_FLIPS - len(aimed))]
before = vmstat(mnt)
s = os.open(swap, os.O_RDWR)
for at, _ in bits:
    old = os.pread(s, 1, at)
    os.pwrite(s, bytes([old[0] ^ 1 << rnd.randrange(8)]), at)
os.fsync(s)
os.posix_fadvise(s, 0, 0, os.POSIX_FADV_DONTNEED)
os.close(s)

damaged = {index for _, index in bits if index is not None}
lost = read_all()
more = lost - damaged
assert not more, f"seed {seed}: lost, and not damaged: {sorted(more)[:10]}"
# Those that were still in memory.
push_out("h")
again = read_all()
assert again >= lost and not again - damaged, (len(again), len(lost), again - damaged)
v = vmstat(mnt)
counted = v["swpin_damaged"] - before["swpin_damaged"]
say(f"seed {seed}: {len(bits)} bits flipped, {len(damaged)} of them in pages: "
    f"{len(again)} found, {len(damaged - again)} in copies no longer needed; "
    f"swpin_damaged {counted}")
assert len(damaged) > NR_FLIPS // 2, "few objects are known"
assert len(again) > len(damaged) * 9 // 10, "few are found"
assert counted >= len(again), counted
# Written anew they are good.
for n in again:
    os.pwrite(fd, kinds[n](n), n * PAGE)
assert not read_all()
PY

# start SWAP_OPTION: in front, so that its lines can be read.
start() {
	mkdir -p "$mnt"
	rm -f "$work/log"
	"$plimsoll" -f -o "mem=16M,swap=$1" anon "$mnt" >"$work/log" 2>&1 &
	pid=$!
	eventually 30 grep -q ' on .*/mnt: ' "$work/log" || fail "no mount: $(cat "$work/log")"
}
for seed in 1 2; do
	start "$work/swap:96M"
	timeout 80 python3 "$work/flip.py" "$mnt" "$top/tests/mount" \
		"$work/swap" $seed 400 || fail "see above"
	grep 'damaged' "$work/log" || fail "no line says so: $(cat "$work/log")"
	unmount "$mnt"
	rm "$work/swap"
done

cat >"$work/removed.py" <<'PY'
import os, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt, swap = sys.argv[1], sys.argv[3]
with open(f"{mnt}/f", "wb") as f:
    f.write(pages(noise, 0, 6000))
os.unlink(swap)
check(f"{mnt}/f", 6000 * PAGE)
with open(f"{mnt}/g", "wb") as f:
    f.write(pages(noise, 0, 6000))
check(f"{mnt}/f", 6000 * PAGE)
check(f"{mnt}/g", 6000 * PAGE)
say("removed while in use: all is right")
PY
start "$work/swap:96M"
timeout 60 python3 "$work/removed.py" "$mnt" "$top/tests/mount" "$work/swap" ||
	fail "see above"
unmount "$mnt"
[ ! -e "$work/swap" ] || fail "there again"
