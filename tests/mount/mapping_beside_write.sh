#!/bin/bash
# timeout: 150
#
# One process stores into each page of a mapping, another writes other bytes of the
# same page with write(2) at the same time, through descriptors of every kind that
# were open before the file was mapped. Nothing is lost, on both kinds of volume, in
# the modes that promise it; also when the kernel's copies are over their limit.
# SEED=n runs it again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >beside.py <<'PY'
import mmap, os, random, sys

path, seed, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
rnd = random.Random(seed)
PAGE, NR = 4096, 2048

def one(r):
    """Returns which pages lost what."""
    if os.path.exists(path):
        os.unlink(path)
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    w = os.open(path, rnd.choice((os.O_WRONLY, os.O_RDWR)))
    os.ftruncate(fd, NR * PAGE)
    m = mmap.mmap(fd, NR * PAGE)
    at = mmap.mmap(-1, PAGE)    # shared: how far the writer is
    word, start = r.to_bytes(8, "little"), rnd.randrange(0, 2048, 8)
    child = os.fork()
    if child == 0:
        for i in range(NR):
            while int.from_bytes(at[:4], "little") < i:
                pass
            m[i * PAGE + start:i * PAGE + start + 8] = word
        os._exit(0)
    for i in range(NR):
        at[:4] = i.to_bytes(4, "little")
        assert os.pwrite(w, word, i * PAGE + 2048 + start) == 8
    assert os.waitpid(child, 0)[1] == 0
    lost = check(m, word, start)
    m.flush()
    m.close()
    os.close(w)
    os.fsync(fd)
    data = os.pread(fd, NR * PAGE, 0)
    os.close(fd)
    return lost + check(data, word, start)

def check(data, word, start):
    return [(i, what) for i in range(NR)
            for what, off in (("store", start), ("write", 2048 + start))
            if data[i * PAGE + off:i * PAGE + off + 8] != word]

for r in range(1, rounds + 1):
    if lost := one(r):
        raise SystemExit(f"round {r}: {len(lost)} lost, {lost[:4]} ...")
PY

# beside KIND OPTIONS
beside() {
	if [ "$1" = file ]; then
		mount_volumes "$2" "$src" "$mnt"
	else
		mount_anon "$mnt" "$2"
	fi
	timeout 100 python3 beside.py "$mnt/f" "$seed" 6 || fail "$1, $2"
	umount "$mnt" || fail "cannot unmount"
	wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
}

for kind in file anon; do
	for mode in auto kernel writeback; do
		beside $kind "mem=64M,cache=$mode"
	done
	beside $kind "mem=16M$([ $kind = file ] || echo ",swap=$work/swap:64M")"
done
