#!/bin/bash
#
# plimsoll in a PID namespace of its own, and its clients outside: their requests
# come from the process 0. None of them is taken for the process that takes copies
# back, as which nobody is known while there is none: that one is killed again and
# again meanwhile. What is read, written and mapped is right, in all modes. SEED=n
# runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3 unshare
[ "$(id -u)" = 0 ] || skip "not root"
seed=${SEED:-$RANDOM}
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount

cat >outside.py <<'PY'
# outside.py MOUNT DATA PID SEED SECONDS: uses MOUNT, kills PID's taker, and says
# how often. What should be in MOUNT's files is left in ./want.N.
import mmap, os, random, signal, sys, time
from kernel_cache import taker_of
mnt, data, pid, seed, seconds = *sys.argv[1:3], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
PAGE, NR = 4096, 64
end = time.monotonic() + seconds
with open(data, "rb") as f:
    large = f.read()

def page_of(n, version):
    return (b"%d %d " % (n, version)).ljust(32) * (PAGE // 32)

def opens(n, rnd):
    """A file of its own, opened for each thing that is done."""
    path, want = f"{mnt}/w{n}", bytearray(NR * PAGE)
    with open(path, "wb") as f:
        f.write(want)
    version = 0
    while time.monotonic() < end:
        version += 1
        at = rnd.randrange(NR) * PAGE
        want[at:at + PAGE] = page_of(n, version)
        fd = os.open(path, rnd.choice((os.O_RDWR, os.O_WRONLY)))
        assert os.pwrite(fd, want[at:at + PAGE], at) == PAGE
        if version % 50 == 0:
            os.fsync(fd)
        os.close(fd)
        at = rnd.choice((at, rnd.randrange(NR) * PAGE))
        fd = os.open(path, os.O_RDONLY)
        assert os.pread(fd, PAGE, at) == want[at:at + PAGE], ("written", n, version, at)
        if version % 20 == 0:
            assert os.lseek(fd, 0, os.SEEK_END) == len(want)
        os.close(fd)
    with open(f"want.{n}", "wb") as f:
        f.write(want)

def reads(n, rnd):
    """More than the budget: so there are copies to be taken back."""
    fd = os.open(f"{mnt}/data", os.O_RDONLY)
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as m:
        while time.monotonic() < end:
            at = rnd.randrange(len(large) - 65536)
            got = os.pread(fd, 65536, at) if n % 2 else m[at:at + 65536]
            assert got == large[at:at + 65536], ("read", n, at)

def maps(n, rnd):
    path, want = f"{mnt}/w{n}", bytearray(NR * PAGE)
    with open(path, "wb") as f:
        f.write(want)
    version = 0
    while time.monotonic() < end:
        fd = os.open(path, os.O_RDWR)
        with mmap.mmap(fd, 0) as m:
            for _ in range(20):
                version += 1
                at = rnd.randrange(NR) * PAGE
                want[at:at + PAGE] = m[at:at + PAGE] = page_of(n, version)
            assert m[:] == want, ("mapped", n, version)
        os.close(fd)
    with open(f"want.{n}", "wb") as f:
        f.write(want)

children = []
for n, f in enumerate((opens, opens, opens, maps, reads, reads)):
    child = os.fork()
    if child == 0:
        try:
            f(n, random.Random(f"{seed} {n}"))
        except BaseException as e:
            print(f.__name__, n, repr(e), flush=True)
            os._exit(1)
        os._exit(0)
    children.append(child)
kills = 0
while time.monotonic() < end:
    taker = taker_of(pid)
    if taker:
        os.kill(int(taker), signal.SIGKILL)
        kills += 1
    time.sleep(0.03)
bad = sum(os.waitpid(child, 0)[1] != 0 for child in children)
print(f"{kills} kills")
sys.exit(bad or kills < 3)
PY

noise 24M "$seed" >"$src/data"
seconds=3
[ -z "${LONG:-}" ] || seconds=20
for cache in auto kernel user; do
	unshare --pid --fork "$plimsoll" -f -o "mem=8M,cache=$cache" "$src" "$mnt" \
		>mount.out 2>&1 &
	starter=$!
	eventually 30 is_mounted "$mnt" || fail "cache=$cache: $(cat mount.out)"
	equal "its id, inside" "$(timeout 20 sed -n 's/^pid //p' "$mnt/.plimsoll/volume")" 1
	pid=$(pgrep -P "$starter")
	timeout 60 python3 outside.py "$mnt" "$src/data" "$pid" "$seed" $seconds ||
		fail "cache=$cache, SEED=$seed: see above"
	for want in want.*; do
		timeout 20 cmp "$want" "$mnt/w${want#*.}" || fail "cache=$cache: $want"
	done
	timeout 30 umount "$mnt" || fail "cache=$cache: umount"
	wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
	wait "$starter" || fail "cache=$cache: plimsoll ended with $?: $(cat mount.out)"
	for want in want.*; do
		cmp "$want" "$src/w${want#*.}" || fail "cache=$cache: $want in SOURCE"
	done
	rm -f want.*
done
