#!/bin/bash
# timeout: 150
#
# What may be dirty in the kernel through mappings is what mmap_dirty= says, and
# part of the budget: 64 MiB written at random through a mapping, many times what
# may be dirty, lose nothing and leave memory within mem=, on a file volume and on
# an anon one. Values that make no sense are refused in one line.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount
cat >dirty.py <<'PY'
import mmap, os, random, sys
from kernel_cache import *

mnt, src, seed, what = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
rnd, nr, stalls = random.Random(seed), (64 << 20) // PAGE, Stalls()
version = [0] * nr

def page(n):
    v = n.to_bytes(8, "little") + version[n].to_bytes(8, "little")
    return v * (PAGE // 16)

with Watch(mnt, what) as w:
    fd = os.open(f"{mnt}/mapped", os.O_RDWR | os.O_CREAT)
    if src == "anon":
        os.posix_fallocate(fd, 0, nr * PAGE)
    else:
        os.ftruncate(fd, nr * PAGE)
    m = mmap.mmap(fd, nr * PAGE, mmap.MAP_SHARED)
    for n in (order := rnd.sample(range(nr), nr)):
        version[n] = 1
        stalls(m.__setitem__, slice(n * PAGE, (n + 1) * PAGE), page(n))
    # And again, in part, while most of it is on its way or gone.
    for n in rnd.sample(range(nr), nr // 8):
        version[n] += 1
        stalls(m.__setitem__, slice(n * PAGE, (n + 1) * PAGE), page(n))
    for n in rnd.sample(range(nr), 500):
        assert m[n * PAGE:(n + 1) * PAGE] == page(n), n
    stalls(m.flush)
    for n in rnd.sample(range(nr), nr):
        assert os.pread(fd, PAGE, n * PAGE) == page(n), ("pread", n)
    for n in rnd.sample(range(nr), 1000):
        assert m[n * PAGE:(n + 1) * PAGE] == page(n), ("mapped", n)
    m.close()
    os.fsync(fd)
    os.close(fd)
if src != "anon":
    direct = os.open(f"{src}/mapped", os.O_RDONLY | os.O_DIRECT)
    buf = mmap.mmap(-1, 1 << 20)
    for at in range(0, nr, 256):
        assert os.preadv(direct, [buf], at * PAGE) == 1 << 20
        for i in range(256):
            assert buf[i * PAGE:(i + 1) * PAGE] == page(at + i), ("source", at + i)
print(f"{what}: {stalls}, {vmstat(mnt, 'copy_receive')} received without a frame, "
      f"{vmstat(mnt, 'copy_over')} over")
w.within()
PY

# bdi FILE: of $mnt's.
bdi() {
	local dev

	dev=$(stat -c %Hd:%Ld "$mnt")
	cat "/sys/class/bdi/$dev/$1"
}

# As the kernel keeps it: a millionth of what could be dirty is its unit.
limits_are() {
	local bytes

	equal strict_limit "$(bdi strict_limit)" 1
	bytes=$(bdi max_bytes)
	[ "$bytes" -le $(($1 + $1 / 20)) ] ||
		fail "max_bytes is $bytes, should be $1"
	[ "$bytes" -ge $(($1 - $1 / 20 - 65536)) ] ||
		fail "max_bytes is $bytes, should be $1"
}

run() {
	timeout 60 python3 dirty.py "$mnt" "$@" || fail "$3: see above"
}

for bad in 0 1 1023k 100k x 8Q -1 '' 40M; do
	said=$(timeout 20 "$plimsoll" -o "mem=64M,mmap_dirty=$bad" \
		"$src" "$mnt" 2>&1) && fail "mmap_dirty=$bad is accepted"
	equal "lines for mmap_dirty=$bad" "$(wc -l <<<"$said")" 1
	[[ $said == *mmap_dirty* ]] || fail "mmap_dirty=$bad: $said"
	is_mounted "$mnt" && fail "refused, and mounted"
done

python3 -c 'import kernel_cache, mmap, random'
own_cgroup
mount_plimsoll "$src" "$mnt" mem=64M,mmap_dirty=8M
limits_are $(((8 << 20) * 4 / 3))
run "$src" "$seed" "mem=64M,mmap_dirty=8M"
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"

mount_plimsoll "$src" "$mnt" mem=8M
run "$src" "$((seed + 1))" "mem=8M"
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"

mount_anon "$mnt" "mem=64M,mmap_dirty=8M,swap=$work/swap:128M"
limits_are $(((8 << 20) * 4 / 3))
run anon "$((seed + 2))" "anon, mem=64M"
overhead_kept "$mnt" || fail "more than the budget"
umount "$mnt" || fail "umount"
wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
mount_anon "$mnt" "mem=8M,swap=$work/swap:128M"
run anon "$((seed + 3))" "anon, mem=8M"
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"
