#!/bin/bash
# timeout: 150
#
# The rungs on the way to having nothing left, one after the other: the budget
# full of dirty pages of a slow disk; full of an anon volume whose swap is full;
# both at once; a disk that fails everything for a while. On each of them readers
# go on, unlink and truncate give room back, who is killed ends, plimsoll does not
# spin while all wait, and nothing that was accepted is lost. What gets no frame
# on the file volume goes around the cache. SEED=n runs one again, SECONDS_EACH=n
# stays longer on a rung.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
make_loop_fs 200M "$work/disk"
mkdir "$work/disk/src" an
src=$work/disk/src
mount_volumes "mem=16M,swap=$work/swap:16M" "$src" "$mnt" anon an

# A slow disk: 3 MB/s, by a control group for this process alone.
group=/sys/fs/cgroup/blkio/plimsoll-ladder.$$
if mkdir "$group" 2>/dev/null; then
	trap 'echo "$pid" >"${group%/*}/cgroup.procs"; rmdir "$group"' EXIT
	echo "$pid" >"$group/cgroup.procs" || fail "not in $group"
else
	group='' # the simulator has a slow disk too
	echo "no blkio control groups: the disk is as it is"
fi

timeout 130 python3 - "$mnt" an "$top/tests/mount" "$seed" "${SECONDS_EACH:-1}" "$pid" \
	"$group" "$(mountpoint -d "$work/disk")" <<'PY' || fail "see above"
import errno, multiprocessing, os, random, signal, sys, time
sys.path.insert(0, sys.argv[3])
from anon_data import *
mnt, anon, _, seed, seconds, pid, group, device = sys.argv[1:]
seconds, pid = float(seconds), int(pid)
HANG = 30               # seconds: generous
failing = multiprocessing.Value("b", 0)

def disk_is_slow(slow):
    if group:
        with open(f"{group}/blkio.throttle.write_bps_device", "w") as f:
            f.write(f"{device} {3000000 if slow else 0}")

def fault(probability):
    for name, value in ("times", -1), ("probability", probability):
        with open(f"{mnt}/.plimsoll/fault/fail_io/{name}", "w") as f:
            f.write(str(value))

def cpu():
    """Of plimsoll, in seconds."""
    with open(f"/proc/{pid}/stat") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")

def reader(path, stop, result):
    fd, r, stalls = os.open(path, os.O_RDONLY), random.Random(f"{seed} {path}"), Stalls()
    nr = os.fstat(fd).st_size // PAGE
    def read(n):
        try:
            same(os.pread(fd, PAGE, n * PAGE), text, n, 0, path)
        except OSError as e:            # not in memory, and the disk fails: no wait
            assert e.errno == errno.EIO and failing.value, (path, e)
    while not stop.is_set():
        stalls(read, r.randrange(nr))
        time.sleep(0.001)
    result.put((path, stalls.longest, stalls.nr))

def writer(path, progress, slot):
    """Pages one after the other, round and round; how many were accepted."""
    fd, n = os.open(path, os.O_WRONLY | os.O_CREAT), 0
    while True:
        try:
            done = os.pwrite(fd, pages(noise, n % NR, 16, n // NR), n % NR * PAGE)
            assert done % PAGE == 0
            n += done // PAGE
            progress[slot] = n
        except OSError as e:
            assert e.errno == errno.ENOSPC or e.errno == errno.EIO and failing.value, e
            time.sleep(0.2)         # asks again, now and then
NR = 4096

def check_written(path, n):
    """Up to n, and the next ones may be there."""
    with open(path, "rb") as f:
        for i in range(min(n, NR)):
            got = f.read(PAGE)
            now, before = divmod(n, NR)
            if i < before:
                want = (now,)
            elif i < before + 16:
                want = (now - 1, now)
            else:
                want = (now - 1,)
            assert got in [noise(i, v) for v in want if v >= 0], (path, i, n, got[:16])

def mem_kib(field):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line.split()[1] for line in f if line.startswith(field)))

def rung(name, dirs):
    """Writers in dirs until the end of the rung, beside readers of both volumes."""
    stop, result = multiprocessing.Event(), multiprocessing.Queue()
    progress = multiprocessing.Array("q", len(dirs))
    rs = [multiprocessing.Process(target=reader, args=(f"{d}/read", stop, result)) for d in (mnt, anon)]
    paths = [f"{d}/w{i}" for i, d in enumerate(dirs)]
    ws = [multiprocessing.Process(target=writer, args=(p, progress, i)) for i, p in enumerate(paths)]
    for p in ws + rs:
        p.start()
    time.sleep(seconds)
    used, before = cpu(), time.monotonic()
    time.sleep(seconds)
    share = (cpu() - used) / (time.monotonic() - before)
    v = vmstat(mnt)
    # Killed while they wait.
    for p in ws:
        os.kill(p.pid, signal.SIGKILL)
        p.join(HANG)
        if p.exitcode != -signal.SIGKILL:
            with open(f"/proc/{p.pid}/stack") as f:
                raise SystemExit(f"{name}: killed, and still there: {f.read()} {vmstat(mnt)}")
    stop.set()
    stalls = [result.get(timeout=HANG) for _ in rs]
    for p in rs:
        p.join(HANG)
        assert p.exitcode == 0, (name, p.exitcode)
    # Nobody asks for anything: what is full stays so, and nobody turns round and round.
    used = cpu()
    time.sleep(1)
    idle = cpu() - used
    say(f"{name}: stalls of readers {', '.join(f'{s * 1000:.0f} ms in {n} ({os.path.basename(os.path.dirname(p))})' for p, s, n in stalls)}; "
        f"resident {mem_kib('VmRSS')} KiB; cpu {share:.2f} with them, {idle:.2f} alone; {percent_used(mnt):.0f} % in use, "
        f"dirty {v['nr_dirty'] * 4} KiB, parked {v['nr_parked']}, around the cache {v['cache_uncached_write']}")
    assert max(s for _, s, _ in stalls) < HANG, name
    assert all(n > 5 for _, _, n in stalls), name
    assert idle < 0.6, f"{name}: it spins"
    return paths, list(progress)

def room_again(paths, progress):
    """Cut one of them, remove the others: then there is room, at once or soon."""
    for path, n in zip(paths, progress):
        if path.startswith(anon):
            size = os.stat(path).st_size
            os.truncate(path, size // 2)
            os.unlink(path)
            if size > 1 << 20:
                with open(f"{anon}/again", "wb", buffering=0) as f:
                    data = pages(noise, 0, size // 2 // PAGE)
                    done = 0
                    while done < len(data):
                        done += f.write(data[done:done + 65536])
                os.unlink(f"{anon}/again")
        else:
            check_written(path, n)
            os.unlink(path)

for d, nr in (mnt, 2048), (anon, 256):
    with open(f"{d}/read", "wb") as f:
        f.write(pages(text, 0, nr))
        os.fsync(f.fileno())
disk_is_slow(True)
room_again(*rung("dirty pages, slow disk", [mnt] * 3))
disk_is_slow(False)
around = vmstat(mnt)["cache_uncached_write"]
state = rung("anon and swap full", [anon] * 3 + [mnt])
assert percent_used(mnt) > 80 and vmstat(mnt)["oom_refuse"] > 0
assert state[1][3] > 0, "the file volume took nothing"
room_again(*state)
disk_is_slow(True)
state = rung("both", [anon] * 2 + [mnt] * 2)
assert all(n > 0 for n in state[1]), state[1]
room_again(*state)
disk_is_slow(False)

# It fails all that is written; then it is well again.
fds = [os.open(f"{mnt}/open", os.O_RDWR | os.O_CREAT) for _ in range(2)]
failing.value = 1
fault(100)
os.pwrite(fds[0], pages(noise, 0, 64), 0)
try:
    os.fsync(fds[0])
    raise SystemExit("fsync should say EIO")
except OSError as e:
    assert e.errno == errno.EIO, e
state = rung("the disk fails", [mnt] * 2)
assert vmstat(mnt)["write_io_error"] > 0
fault(0)
failing.value = 0
for path in state[0]:
    fd = os.open(path, os.O_RDONLY)
    for tries in range(3):          # one error is from before
        try:
            os.fsync(fd)
            break
        except OSError as e:
            assert e.errno == errno.EIO and tries < 2, e
    os.close(fd)
try:                            # who has not heard of it yet: once
    os.fsync(fds[1])
    raise SystemExit("the other open file has not heard of it")
except OSError as e:
    assert e.errno == errno.EIO, e
os.fsync(fds[1])
check(f"{mnt}/open", 64 * PAGE)
for path, n in zip(*state):
    check_written(path, n)
    os.rename(path, f"{mnt}/kept{n}")
PY
overhead_kept "$mnt" || fail "more than the budget"
(cd "$mnt" && sha256sum kept* open) >sums
umount an "$mnt" || fail "umount"
wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
[ -z "$group" ] || rmdir "$group"
trap - EXIT
(cd "$src" && sha256sum --quiet -c "$work/sums") || fail "different in the backing directory"
umount "$work/disk" || fail "the disk is busy"
