#!/bin/bash
#
# An anon volume holds all the memory there is, and nothing can be swapped out.
# The file volume beside it goes on: what is written to it is never refused for
# want of memory, and is read back as it was written, by read(2), through a
# mapping, and from the backing directory.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

cat >"$work/beside.py" <<'PY'
import errno, mmap, os, random, sys, threading
mnt, seed = sys.argv[1], int(sys.argv[2])
SIZE = 3 << 20
print(f"seed {seed}")

def random_writes(path, seed, through_mapping, reads):
    """A file against a bytearray; lengths and places at random."""
    rnd, model = random.Random(seed), bytearray()
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    for n in range(250):
        at = rnd.randrange(SIZE)
        data = rnd.randbytes(rnd.choice((1, 100, 4096, 5000, 40000, 300000)))[:SIZE - at]
        if at & 1:
            at &= ~4095
        model.extend(bytes(max(0, at + len(data) - len(model))))
        model[at:at + len(data)] = data
        if through_mapping:
            os.truncate(fd, len(model))
            with mmap.mmap(fd, len(model)) as m:
                m[at:at + len(data)] = data
        else:
            assert os.pwrite(fd, data, at) == len(data)
        if reads:
            at = rnd.randrange(len(model))
            got = os.pread(fd, 50000, at)
            assert got == model[at:at + 50000], (path, n, at)
        if n % 50 == 49:
            os.fsync(fd)
            assert os.fstat(fd).st_size == len(model)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    got = b"".join(iter(lambda: os.read(fd, 100000), b""))
    assert got == model, path
    os.close(fd)
    with open(f"{path}.model", "wb") as f:
        f.write(model)

errors = []
def run(*args):
    try:
        random_writes(*args)
    except BaseException as e:
        errors.append(e)
        raise

threads = [threading.Thread(target=run, args=(f"{mnt}/{n}", seed + n, n == 2, n != 1)) for n in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
sys.exit(bool(errors))
PY

for options in mem=16M mem=16M,cache=user; do
	mkdir -p mo
	mount_volumes "$options" "$src" "$mnt" anon "$work/mo"
	noise 30000000 full >mo/full 2>/dev/null &&
		fail "30 MB in a memory of 16 MiB"
	before=$(sha256sum <mo/full)
	timeout 100 python3 beside.py "$mnt" $RANDOM || fail "see above"
	[ "$(vmstat "$mnt" cache_uncached_write)" -gt 0 ] ||
		fail "$options: nothing went around the cache"
	equal "the anon file" "$(sha256sum <mo/full)" "$before"
	overhead_kept "$mnt" || fail "$options: more than the budget"
	unmount "$mnt" mo
	for n in 0 1 2; do
		cmp "$src/$n" "$src/$n.model" || fail "$options: $n is not as written"
	done
	rm -f "$src"/*
done
