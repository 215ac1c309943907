#!/bin/bash
#
# A torn crash: each sector of what was not synced is the old one or the new one
# (or zeroes, where there was nothing), the size is that of one of both, and what
# was synced is whole. Some of all of that happens. SEED=n runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >"$work/torn.py" <<'PY'
import os, random, re, subprocess, sys

mnt, src, ctl, seed = *sys.argv[1:4], int(sys.argv[4])
rnd = random.Random(seed)
SECTOR, PAGE = 512, 4096

def fault(*args):
    return subprocess.run([ctl, "fault", mnt, *args], check=True, timeout=60,
                          capture_output=True, text=True).stdout

fault("arm-crash")
seen = dict(old=0, new=0, zero=0, grown=0, same=0, mixed=0)
for n in range(30):
    name = f"f{n}"
    fd = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT)
    old = rnd.randbytes(rnd.randrange(100000))
    os.write(fd, old)
    os.fsync(fd)
    new = rnd.randbytes(len(old) + rnd.choice((0, 0, rnd.randrange(100000))))
    os.pwrite(fd, new, 0)
    safe = rnd.randbytes(50000)
    fd2 = os.open(f"{mnt}/safe{n}", os.O_RDWR | os.O_CREAT)
    os.write(fd2, safe)
    os.fsync(fd2)
    said = fault("crash", "torn", f"seed={rnd.randrange(1 << 40)}")
    assert re.match(r"\d+ pages were not synced", said), said
    got = os.pread(fd, 1 << 20, 0)
    assert got == open(f"{src}/{name}", "rb").read()
    assert len(got) in (len(old), len(new)), (len(got), len(old), len(new))
    assert os.pread(fd2, 1 << 20, 0) == safe == open(f"{src}/safe{n}", "rb").read()
    if len(new) > len(old):
        seen["grown" if len(got) > len(old) else "same"] += 1
    for page in range(0, len(got), PAGE):
        kinds = set()
        for at in range(page, min(page + PAGE, len(got)), SECTOR):
            end = min(at + SECTOR, len(got))
            was = (old + bytes(max(0, end - len(old))))[at:end]
            what = ("new" if got[at:end] == new[at:end] else
                    "old" if got[at:end] == was and at < len(old) else
                    "zero" if got[at:end] == bytes(end - at) else None)
            assert what, (name, at, "neither old nor new")
            kinds.add(what)
            seen[what] += 1
        seen["mixed"] += len(kinds) > 1
    os.close(fd)
    os.close(fd2)
print(seen)
assert all(seen.values()), "not all kinds were seen"
PY
mount_plimsoll "$src" "$mnt" mem=64M
timeout 90 python3 "$work/torn.py" "$mnt" "$src" "$plimsollctl" "$seed" || fail "see above"
unmount "$mnt"
