#!/bin/bash
#
# Many writers, held at a small dirty limit, do not hold up those who read what
# is cached, read what is not, look up names, fsync, or remove files.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

noise 8000000 hot >"$src/hot"
noise 150000000 cold >"$src/cold"
noise 150000000 cold >"$work/cold"
mkdir "$src/d"
(cd "$src/d" && seq -f 'f%g' 2000 | xargs touch) || fail "touch"
mount_plimsoll "$src" "$mnt" mem=64M
ctl set "$mnt" dirty_background_ratio 0 || fail "plimsollctl set"
ctl set "$mnt" dirty_ratio 1 || fail "plimsollctl set"

writers=()
for i in {1..24}; do
	(while [ ! -e "$work/stop" ]; do
		dd if=/dev/zero of="$mnt/w$i" bs=256k count=64 conv=notrunc \
			status=none || exit 1
		echo "$i" >>"$work/passes"
	done) &
	writers+=($!)
done
held() {
	[ $(($(vmstat "$mnt" balance_dirty_pause) + $(vmstat "$mnt" write_parked))) -gt 50 ]
}
eventually 30 held || fail "the writers are not held"
pauses=$(vmstat "$mnt" balance_dirty_pause)

cat >"$work/read.py" <<'PY'
import os, random, sys, time
mnt, what, cold = sys.argv[1:]
rnd = random.Random(1)
worst = 0.0
def timed(f, *args):
    global worst
    start = time.monotonic()
    result = f(*args)
    worst = max(worst, time.monotonic() - start)
    return result
if what == "hot":
    fd = os.open(f"{mnt}/hot", os.O_RDONLY)
    was = {}
    for i in range(4000):
        page = rnd.randrange(1900)
        data = timed(os.pread, fd, 4096, page << 12)
        assert was.setdefault(page, data) == data and len(data) == 4096
elif what == "cold":
    with open(f"{mnt}/cold", "rb", buffering=0) as f, open(cold, "rb") as g:
        while data := timed(f.read, 131072):
            assert data == g.read(len(data))
        assert not g.read(1)
elif what == "names":
    for i in range(1, 2001):
        assert timed(os.stat, f"{mnt}/d/f{i}").st_size == 0
        if i % 10 == 0:
            timed(os.unlink, f"{mnt}/d/f{i}")
else:
    for i in range(20):
        fd = os.open(f"{mnt}/sync{i}", os.O_RDWR | os.O_CREAT)
        assert timed(os.pwrite, fd, b"s" * 10000, 0) == 10000
        timed(os.fsync, fd)
        os.close(fd)
print(f"{what}: the longest took {worst:.3f} s")
PY
readers=()
for what in hot cold names sync; do
	timeout 60 python3 "$work/read.py" "$mnt" $what "$work/cold" &
	readers+=($!)
done
for reader in "${readers[@]}"; do
	wait "$reader" || fail "a reader: see above"
done
for writer in "${writers[@]}"; do
	kill -0 "$writer" 2>/dev/null || fail "a writer was refused"
done
echo "pauses: $(($(vmstat "$mnt" balance_dirty_pause) - pauses)), parked: $(vmstat "$mnt" write_parked)"
touch "$work/stop"
for writer in "${writers[@]}"; do
	wait "$writer" || fail "a writer was refused"
done
# Nor are writers starved by one another: each got through.
equal "writers that came to an end" "$(sort -u "$work/passes" | wc -l)" 24
compare_after_unmount "$mnt" "$src" hot cold w1 w24 sync19
