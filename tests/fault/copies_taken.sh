#!/bin/bash
# timeout: 170
#
# The process that takes copies back, and the end of both: plimsoll killed while
# copies are taken back under load leaves a mount that can be freed and no
# process; the other killed alone leaves a mount that goes on and loses nothing;
# SIGTERM and umount(8) under load end both, and umount is never busy because of
# it. One process with two volumes, and read-only mounts with mapped files, too.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount
noise 96M "$seed" | dd of="$src/data" bs=1M iflag=fullblock oflag=direct \
	status=none || fail "no file"

cat >load.py <<'PY'
# Reads, maps and writes, until the mount ends: several times the budget, so that
# copies are taken back all the time. Says the longest stall, and FIRST when the
# first round is done.
import errno, mmap, os, random, sys, time
from kernel_cache import *

mnt, data, kind, seed, first, seconds = *sys.argv[1:4], int(sys.argv[4]), sys.argv[5], float(sys.argv[6])
rnd, stalls = random.Random(f"{kind} {seed}"), Stalls()
expected = open(data, "rb").read() if data else None
end = time.monotonic() + seconds
stopped = ""
try:
    if kind == "write":
        fd = os.open(f"{mnt}/written{seed}", os.O_RDWR | os.O_CREAT)
        os.ftruncate(fd, 32 << 20)
        m = mmap.mmap(fd, 32 << 20, mmap.MAP_SHARED)
        model = {}
    else:
        fd = os.open(f"{mnt}/data", os.O_RDONLY)
        m = mmap.mmap(fd, 0, prot=mmap.PROT_READ) if kind == "map" else None
    n = 0
    while time.monotonic() < end:
        n += 1
        at = rnd.randrange(((32 if kind == "write" else 96) << 20) // PAGE) * PAGE
        if kind == "write":
            v = n.to_bytes(8, "big")
            stalls(m.__setitem__, slice(at, at + 8), v)
            model[at] = v
            at = rnd.choice(list(model)[-2000:]) if n % 50 == 0 else at
            got, want = stalls(m.__getitem__, slice(at, at + 8)), model[at]
            if n % 500 == 0:
                assert stalls(os.pread, fd, 8, at) == want
        elif kind == "map":
            got, want = stalls(m.__getitem__, slice(at, at + 100)), expected[at:at + 100]
        else:
            got, want = stalls(os.pread, fd, 65536, at), expected[at:at + 65536]
            if len(got) < len(want):    # as far as it was there, at the end
                assert want.startswith(got), (kind, at)
                os.pread(fd, 65536, at + len(got))
                raise SystemExit(f"a short read at {at}")
        assert got == want, (kind, at)
        if n == 20:
            open(first, "w").close()
    if kind == "write":
        m.flush()
        # Few: without a taker each may wait for as long as any request waits.
        for at, v in rnd.sample(sorted(model.items()), min(len(model), 30)):
            assert os.pread(fd, 8, at) == v, at
except OSError as e:
    assert e.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED, errno.EIO), e
    stopped = ", until the mount ended"
print(f"{kind}: {n} accesses, {stalls}{stopped}", flush=True)
PY

# load SECONDS KIND...: sets loads; returns when they are at it.
load() {
	local seconds=$1 kind
	shift

	rm -f "$work"/first.*
	loads=()
	for kind in "$@"; do
		timeout 60 python3 load.py "$mnt" "$src/data" "$kind" "$RANDOM" \
			"$work/first.$kind" "$seconds" >>"$work/load.out" 2>&1 &
		loads+=($!)
	done
	for kind in "$@"; do
		eventually 20 test -e "$work/first.$kind" ||
			fail "no load of $kind: $(cat "$work/load.out")"
	done
}

hangs() {
	local child

	for child in $(pgrep -P "$1"); do
		grep State "/proc/$child/status"
		cat "/proc/$child/stack"
	done
	fail "a program hangs: $(cat "$work/load.out")"
}

# ended [KILLED]: all loads, without having read what is wrong. A mapping of a
# mount that has ended is a SIGBUS.
ended() {
	local p rc

	for p in "${loads[@]}"; do
		wait_gone "$p" 30 || hangs "$p"
		wait "$p"
		rc=$?
		[ $rc = 0 ] || { [ -n "${1:-}" ] && [ $rc = 135 ]; } ||
			fail "a program ended with $rc: $(cat "$work/load.out")"
	done
}

# Of $pid; sets taker.
find_taker() {
	taker=$(python3 -c 'import kernel_cache, sys
print(kernel_cache.taker_of(sys.argv[1]) or "")' "$pid")
	[ -n "$taker" ] || fail "no process takes copies back"
}

being_taken() {
	[ "$(vmstat "$mnt" copy_take_back)" -gt 20 ] &&
		[ "$(vmstat "$mnt" copy_take_unmap)" -gt 0 ]
}

for round in 1 2 3 4; do
	mode=kernel
	[ $((round % 2)) = 0 ] && mode=auto
	mount_plimsoll "$src" "$mnt" mem=16M,cache=$mode
	find_taker
	load 60 read map write
	eventually 15 being_taken || fail "nothing is taken back"
	sleep "0.$((RANDOM % 10))"
	kill -KILL "$pid"
	wait_gone "$pid" 10 || fail "round $round: a killed plimsoll stays"
	wait_gone "$taker" 10 || fail "round $round: its taker $taker stays"
	timeout 20 fusermount3 -uz "$mnt" || fail "round $round: fusermount3"
	is_mounted "$mnt" && fail "round $round: still mounted"
	ended killed
	rm -f "$src"/written*
done

# At the end of the program, and by SIGTERM.
mount_plimsoll "$src" "$mnt" mem=16M,cache=kernel
find_taker
load 60 read map write
eventually 15 being_taken || fail "nothing is taken back"
kill -TERM "$pid"
wait_gone "$pid" 60 || fail "SIGTERM: plimsoll stays"
wait_gone "$taker" 10 || fail "SIGTERM: the taker stays"
is_mounted "$mnt" && fail "SIGTERM: still mounted"
ended killed
rm -f "$src"/written*

# umount(8): not busy but because of the program; then not at all. Several times,
# as the taker may be at it.
for round in 1 2 3 4 5; do
	mount_plimsoll "$src" "$mnt" mem=16M,cache=kernel
	find_taker
	load 1 read map
	fails_with busy umount "$mnt"
	ended
	timeout 20 umount "$mnt" || fail "round $round: busy because of the taker"
	wait_gone "$pid" 60 || fail "round $round: plimsoll stays"
	wait_gone "$taker" 10 || fail "round $round: the taker stays"
done

# The taker alone: the mount goes on.
mount_plimsoll "$src" "$mnt" mem=16M,cache=kernel
find_taker
load 6 read map write
eventually 15 being_taken || fail "nothing is taken back"
echo "the taker is killed" >>"$work/load.out"
kill -KILL "$taker"
ended
echo "without a taker: $(vmstat "$mnt" nr_kernel_copies) copies counted," \
	"$(vmstat "$mnt" copy_wait) waits, $(vmstat "$mnt" copy_over) over"
timeout 60 cmp -n 2M "$mnt/data" "$src/data" || fail "no read without a taker"
timeout 60 dd if="$mnt/data" bs=1M iflag=direct status=none |
	cmp - "$src/data" || fail "no direct read without a taker"
echo new >"$mnt/new" || fail "no write without a taker"
timeout 20 umount "$mnt" || fail "umount without a taker"
wait_gone "$pid" 60 || fail "plimsoll without a taker stays"
equal "written without a taker" "$(cat "$src/new")" new
rm -f "$src"/written*

# Two volumes: one of them ends, and the other's copies are taken back still.
mkdir "$work/src2" "$work/mnt2"
cp "$src/data" "$work/src2/data"
mount_volumes mem=16M,cache=kernel "$src" "$mnt" "$work/src2" "$work/mnt2"
find_taker
load 2 read map
timeout 60 sha256sum "$work/mnt2/data" >/dev/null || fail "the second volume"
timeout 20 umount "$work/mnt2" || fail "two volumes: busy because of the taker"
ended
before=$(vmstat "$mnt" copy_taken)
load 2 read map
ended
[ "$(vmstat "$mnt" copy_taken)" -gt "$before" ] || fail "no more is taken back"
timeout 20 umount "$mnt" || fail "the last: busy because of the taker"
wait_gone "$pid" 60 || fail "two volumes: plimsoll stays"
wait_gone "$taker" 10 || fail "two volumes: the taker stays"

# Read-only, mapped: no direct write can take these back.
mount_plimsoll "$src" "$mnt" mem=16M,cache=auto,ro
find_taker
load 4 read map
ended
echo "read-only: $(vmstat "$mnt" copy_taken) taken back," \
	"$(vmstat "$mnt" nr_kernel_copies) counted"
[ "$(vmstat "$mnt" copy_taken)" -gt 0 ] || fail "read-only: nothing taken back"
timeout 20 umount "$mnt" || fail "read-only: busy because of the taker"
wait_gone "$pid" 60 || fail "read-only: plimsoll stays"
cat "$work/load.out"
