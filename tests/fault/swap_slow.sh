#!/bin/bash
#
# A slow swap device is no reason to refuse: writers wait for it, until memory and
# swap are full; readers of what is in memory do not wait behind them.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

make_loop_fs 64M "$work/disk"
mount_anon "$mnt" "mem=32M,swap=$work/disk/swap:32M"

# 6 MB/s, by a control group for this process alone.
group=/sys/fs/cgroup/blkio/plimsoll-test.$$
if mkdir "$group" 2>/dev/null; then
	trap 'echo "$pid" >"${group%/*}/cgroup.procs"; rmdir "$group"' EXIT
	device=$(mountpoint -d "$work/disk")
	echo "$device 6000000" >"$group/blkio.throttle.write_bps_device" ||
		fail "no limit for $device"
	echo "$device 12000000" >"$group/blkio.throttle.read_bps_device"
	echo "$pid" >"$group/cgroup.procs" || fail "not in $group"
else
	group='' # the simulator has a slow disk too
	echo "no blkio control groups: the disk is as it is"
fi

timeout 100 python3 - "$mnt" "$top/tests/mount" "$group" <<'PY' || fail "see above"
import multiprocessing, os, random, sys, time
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]

def read_until(stop, result):
    fd = os.open(f"{mnt}/read", os.O_RDONLY)
    rnd, stalls = random.Random(3), Stalls()
    while not stop.is_set():
        for _ in range(5):
            n = rnd.randrange(256)
            same(stalls(os.pread, fd, PAGE, n * PAGE), text, n, 0, "the reader")
        time.sleep(0.002)
    result.put((stalls.longest, stalls.nr))

with open(f"{mnt}/read", "wb") as f:
    f.write(pages(text, 0, 256))
stop, result = multiprocessing.Event(), multiprocessing.Queue()
reader = multiprocessing.Process(target=read_until, args=(stop, result))
reader.start()
start = time.monotonic()
size, refusal = fill(f"{mnt}/f", noise, 32)
took, percent = time.monotonic() - start, percent_used(mnt)
stop.set()
longest, nr = result.get(timeout=30)
reader.join()
v = vmstat(mnt)
say(f"{size >> 20} MiB in {took:.1f} s, refused after {refusal * 1000:.0f} ms with "
    f"{percent:.1f} % in use; oom_wait {v['oom_wait']}; the reader's longest stall "
    f"{longest * 1000:.0f} ms of {nr}")
assert reader.exitcode == 0
assert percent >= 90, "refused, and there was room"
assert longest < 5, longest
if sys.argv[3]:
    assert took > 4, "it is not slow"
    assert v["oom_wait"] + v["swpout_busy"] > 0
check(f"{mnt}/f", size)
PY
unmount "$mnt"
umount "$work/disk" || fail "the disk is busy"
