#!/bin/bash
# timeout: 180
#
# kill -9 at any moment, of a process with a file volume and an anon volume in
# little memory: while the kernel's copies are being taken back, from readers and
# mappings; while writers are parked, at the limit of what may be dirty and for
# want of swap; while mappings are written back. Then nobody hangs, no process is
# left, neither the taker, the mounts can be unmounted, the lock on the source and
# the swap file can be had again at once, and all that fsync or msync had said is
# in the backing directory, byte by byte; where anything else is, it is something
# that was written, and nothing of what the disk had there before. SEED=n runs one
# again, as far as moments can be repeated; KILLS says how many (4); TEST_TIMEOUT is for many.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3 mkfs.ext4
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
RANDOM=$seed
kills=${KILLS:-4}
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount

cat >load.py <<'PY'
# load.py MOUNT ANON SEED RECORDS: until the mounts end.
import errno, mmap, os, random, signal, sys, time, zlib
from anon_data import PAGE, noise
mnt, anon, seed, records = sys.argv[1:]
NR = 24 << 8                # 24 MiB

def recorder(name):
    fd = os.open(f"{records}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return lambda *words: os.write(fd, (" ".join(map(str, words)) + "\n").encode())

def synced(n, rnd):
    """New files, whole before they are recorded."""
    say = recorder(f"new{n}")
    count = 0
    while True:
        count += 1
        name = f"new{n}.{count % 20}"
        say("unsure", name)
        fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        data = rnd.randbytes(rnd.choice((1, 4096, 10000, 300000)))
        os.write(fd, data)
        os.fsync(fd)
        say("whole", name, len(data), zlib.crc32(data))
        os.close(fd)

def mapped(where, name, rnd, say):
    """Versions of pages; what msync has taken is recorded."""
    fd = os.open(f"{where}/{name}", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, 512 * PAGE)
    m = mmap.mmap(fd, 512 * PAGE)
    version = 0
    while True:
        version += 1
        for n in rnd.sample(range(512), 20):
            m[n * PAGE:(n + 1) * PAGE] = noise(n, version)
        m.flush(n * PAGE, PAGE)
        say("page", name, n, version)

def hog(where, name, rnd):
    """Never synced, as fast as it goes; refused is no reason to stop."""
    fd = os.open(f"{where}/{name}", os.O_WRONLY | os.O_CREAT)
    block, n = b"".join(noise(i, 1) for i in range(64)), 0
    while True:
        try:
            os.pwrite(fd, block, (n % 24) * (2 << 20) + rnd.randrange(8) * len(block))
            n += 1
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise

def reads(rnd):
    fd = os.open(f"{mnt}/data", os.O_RDONLY)
    while True:
        n = rnd.randrange(NR - 16)
        got = os.pread(fd, 16 * PAGE, n * PAGE)
        for i in range(len(got) // PAGE):
            assert got[i * PAGE:(i + 1) * PAGE] == noise(n + i), ("read", n + i)
        if len(got) < 16 * PAGE:
            os.pread(fd, PAGE, (n + 15) * PAGE)

def map_reads(rnd):
    fd = os.open(f"{mnt}/data", os.O_RDONLY)
    m = mmap.mmap(fd, NR * PAGE, prot=mmap.PROT_READ)
    while True:
        n = rnd.randrange(NR)
        assert m[n * PAGE:(n + 1) * PAGE] == noise(n), ("mapped", n)

work = [(synced, 0), (synced, 1), (mapped, mnt, "mapped"), (mapped, anon, "mapped"),
        (hog, mnt, "hog0"), (hog, anon, "hog0"), (hog, anon, "hog1"), (reads,), (map_reads,)]
children = []
for i, (f, *args) in enumerate(work):
    pid = os.fork()
    if pid:
        children.append(pid)
        continue
    try:
        args.append(random.Random(f"{seed} {i}"))
        if f is mapped:
            args.append(recorder("mapped") if args[0] == mnt else lambda *words: None)
        f(*args)
    except OSError as e:
        # What fsync had to be told before the end is none of this test's.
        assert e.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED,
                           errno.EIO, errno.ENOSPC), (f, e)
        os._exit(0)
    except BaseException as e:
        print(f.__name__, args[:1], repr(e), flush=True)
        os._exit(1)
bad = 0
for pid in children:
    _, status = os.waitpid(pid, 0)
    # The mapping of a mount that has ended is a SIGBUS.
    if status and os.waitstatus_to_exitcode(status) != -signal.SIGBUS:
        bad += 1
sys.exit(bad)
PY
cat >check.py <<'PY'
# check.py DIRECTORY RECORDS
import glob, os, sys, zlib
from anon_data import PAGE, noise
top, records = sys.argv[1:]
must, page, nr = {}, {}, 0
for path in glob.glob(f"{records}/*"):
    for line in open(path):
        if not line.endswith("\n"):
            continue
        kind, name, *rest = line.split()
        if kind == "unsure":
            must.pop(name, None)
        elif kind == "whole":
            must[name] = tuple(map(int, rest))
        else:
            page[int(rest[0])] = int(rest[1])
def contents(n, version):
    return noise(n, version) if version else bytes(PAGE)

def is_mixed(n, data):
    """It was stored to while the kernel wrote it: of versions since the last msync."""
    versions = [contents(n, v) for v in range(page.get(n, 0), max(page.values()) + 2)]
    return all(any(data[i:i + 8] == v[i:i + 8] for v in versions) for i in range(0, PAGE, 8))

for name, (size, crc) in must.items():
    with open(f"{top}/{name}", "rb") as f:
        data = f.read()
    assert (len(data), zlib.crc32(data)) == (size, crc), name
    nr += 1
for name in "mapped", "hog0":
    if not os.path.exists(f"{top}/{name}"):
        continue
    with open(f"{top}/{name}", "rb") as f:
        n = 0
        while data := f.read(PAGE):
            who, version = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
            if name == "mapped":
                assert data == contents(n, version) or is_mixed(n, data), (name, n, version)
                assert version >= page.get(n, 0), (name, n, version, page[n])
            else:
                # The kernel may cut a write in two inside of a page.
                want = noise(n % 64, 1)[:len(data)]
                assert data in (want, bytes(len(data))) or all(
                    b in (0, w) for b, w in zip(data, want)), (name, n)
            n += 1
for path in glob.glob(f"{top}/*"):
    with open(path, "rb") as f:
        assert b"before" * 50 not in f.read(), (path, "what was on the disk before")
print(f"{nr} files and {len(page)} pages of mappings were synced")
assert nr > 0
PY

make_loop_fs 300M "$work/disk"
src=$work/disk/src
mkdir "$src" an
yes before | tr -d '\n' | head -c 400M >"$work/disk/before" 2>/dev/null
sync -f "$src"
rm "$work/disk/before"
python3 -c 'from anon_data import *
import sys
sys.stdout.buffer.write(pages(noise, 0, 24 << 8))' >"$src/data"
swap=$work/swap:8M
run=/run/plimsoll/$(stat -c %Hd:%Ld:%i "$src")

children_of_load() {
	pgrep -P "$load"
	pgrep -P "$(pgrep -P "$load")"
} 2>/dev/null

hangs() {
	local p

	for p in $load $(children_of_load); do
		grep State "/proc/$p/status"
		cat "/proc/$p/stack"
	done
	fail "kill $round: a program hangs; SEED=$seed"
} 2>/dev/null

# Each other time, when room has run out too.
at_it() {
	local n

	n=$(cat rec/new? | grep -c whole) && [ "$n" -ge 4 ] && grep -q page rec/mapped &&
		[ "$(vmstat "$mnt" copy_take_back)" -gt 0 ] &&
		{ [ $((round % 2)) = 1 ] || [ "$(vmstat "$mnt" oom_wait)" -gt 0 ]; }
}

parked=0 waited=0 taken=0
for ((round = 1; round <= kills; round++)); do
	cache=kernel
	[ $((round % 3)) != 0 ] || cache=auto
	mount_volumes "mem=8M,cache=$cache,swap=$swap" "$src" "$mnt" anon an
	swap=$work/swap # what was made is used again
	taker=$(python3 -c 'import kernel_cache, sys
print(kernel_cache.taker_of(sys.argv[1]) or "")' "$pid")
	[ -n "$taker" ] || fail "no process takes copies back"
	rm -rf rec "$src"/new* "$src"/mapped "$src"/hog*
	mkdir rec
	timeout 120 python3 load.py "$mnt" an "$RANDOM" rec &
	load=$!
	eventually 20 at_it || fail "nothing goes on; SEED=$seed"
	parked=$((parked + $(vmstat "$mnt" nr_parked)))
	waited=$((waited + $(vmstat "$mnt" oom_wait)))
	taken=$((taken + $(vmstat "$mnt" copy_taken)))
	sleep "0.$(printf %03d $((RANDOM % 500)))"
	kill -KILL "$pid"
	wait_gone "$pid" 20 || fail "kill $round: plimsoll stays; SEED=$seed"
	wait_gone "$taker" 20 || fail "kill $round: the taker stays; SEED=$seed"
	wait_gone "$load" 30 || hangs
	wait "$load" || fail "kill $round: a program ended with $?; SEED=$seed"
	timeout 10 umount an || fail "kill $round: umount; SEED=$seed"
	timeout 10 umount "$mnt" || fail "kill $round: umount; SEED=$seed"
	printf 'kill %d: ' "$round"
	timeout 30 python3 check.py "$src" rec || fail "kill $round; SEED=$seed"
done
echo "$kills kills; when killed: $parked requests parked, after $waited waits for room," \
	"$taken copies taken back"
[ "$taken" -gt 0 ] || fail "no copies were taken back"
[ "$waited" -gt 0 ] || fail "nobody waited for room"

# Nobody is in the way of the next, and after it nothing is left.
mount_volumes "mem=8M,swap=$swap" "$src" "$mnt" anon an
cmp "$src/data" "$mnt/data" || fail "the next mount"
umount an "$mnt" || fail "umount"
wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
[ ! -e "$run" ] || fail "$run is left"
umount "$work/disk" || fail "the disk is busy"
