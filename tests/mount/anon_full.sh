#!/bin/bash
#
# Noise until it is refused: the write(2) that does not fit says ENOSPC, soon
# after the last one that did, and not before memory and swap are used up; what
# was accepted is whole, readers go on meanwhile, unlink and truncate go on at
# that very moment, and what they free can be used at once. The same for names.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

cat >"$work/full.py" <<'PY'
import errno, multiprocessing, os, random, sys, time
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]
LONGEST = 5                     # seconds: a hang, not a slow disk

def read_until(stop, result):
    """The reader: some pages in memory, most in swap."""
    fd = os.open(f"{mnt}/read", os.O_RDONLY)
    rnd, stalls = random.Random(3), Stalls()
    while not stop.is_set():
        n = rnd.randrange(2048)
        same(stalls(os.pread, fd, PAGE, n * PAGE), text, n, 0, "the reader")
        stalls(os.stat, f"{mnt}/read")
    result.put((stalls.longest, stalls.nr))

def write_until_refused(name, chunk, result):
    result.put((name, *fill(f"{mnt}/{name}", noise, chunk)))

with open(f"{mnt}/read", "wb") as f:
    f.write(pages(text, 0, 2048))

for names, chunk in (["one"], 32), (["a", "b", "c"], 7), (["large"], 512):
    stop, result, reader_result = multiprocessing.Event(), multiprocessing.Queue(), multiprocessing.Queue()
    reader = multiprocessing.Process(target=read_until, args=(stop, reader_result))
    reader.start()
    writers = [multiprocessing.Process(target=write_until_refused, args=(name, chunk, result))
               for name in names]
    for w in writers:
        w.start()
    sizes, refusal = {}, 0
    for w in writers:
        name, size, took = result.get(timeout=60)
        sizes[name], refusal = size, max(refusal, took)
    percent = percent_used(mnt)
    # At this very moment.
    stalls = Stalls()
    try:
        fd = os.open(f"{mnt}/{names[0]}", os.O_WRONLY | os.O_APPEND)
        for n in range(20):
            n = stalls(os.write, fd, noise(sizes[names[0]] // PAGE)[sizes[names[0]] % PAGE:])
            sizes[names[0]] += n        # some crumbs may have come free
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
    os.close(fd)
    stop.set()
    longest, nr = reader_result.get(timeout=30)
    reader.join()
    for w in writers:
        w.join()
        assert w.exitcode == 0, w
    assert reader.exitcode == 0
    total = sum(sizes.values())
    say(f"{len(names)} writers of {chunk * 4} KiB: {total >> 20} MiB, refused after "
        f"{refusal * 1000:.0f} ms with {percent:.1f} % in use; the reader's longest "
        f"stall {longest * 1000:.0f} ms of {nr} calls; refused again: {stalls.longest * 1000:.0f} ms")
    assert percent >= 90, percent
    assert refusal < LONGEST and longest < LONGEST and stalls.longest < LONGEST
    assert nr > 20

    # What was accepted is whole.
    for name, size in sizes.items():
        check(f"{mnt}/{name}", size)

    # Cut in the middle of a page, and removed: soon, and what it frees is there at
    # once, to the page.
    fd = os.open(f"{mnt}/{names[0]}", os.O_RDWR)
    stalls = Stalls()
    cut = sizes[names[0]] // 2 + 1000
    stalls(os.ftruncate, fd, cut)
    check(f"{mnt}/{names[0]}", cut)
    os.close(fd)
    freed = sizes[names[0]] - cut
    again, _ = fill(f"{mnt}/again", noise, 32)
    say(f"cut off {freed >> 10} KiB, written again {again >> 10} KiB")
    assert again >= freed * 0.85, (again, freed)
    check(f"{mnt}/again", again)
    check(f"{mnt}/{names[0]}", cut)
    stalls(os.unlink, f"{mnt}/again")
    more, _ = fill(f"{mnt}/more", noise, 32)
    say(f"removed {again >> 10} KiB, written again {more >> 10} KiB")
    assert more >= again * 0.85, (more, again)
    check(f"{mnt}/more", more)
    for name in [*names, "more"]:
        stalls(os.unlink, f"{mnt}/{name}")
    assert stalls.longest < LONGEST, stalls.longest
    check(f"{mnt}/read", 2048 * PAGE, text)
v = vmstat(mnt)
assert v["oom_refuse"] > 0 and v["swpin_damaged"] == 0 and v["swap_read_error"] == 0, v
PY
mount_anon "$mnt" "mem=64M,swap=$work/swap:64M"
timeout 100 python3 "$work/full.py" "$mnt" "$top/tests/mount" || fail "see above"
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"

# Names, until they are used up.
cat >"$work/names.py" <<'PY'
import errno, os, sys, time
mnt, limit = sys.argv[1], int(sys.argv[2])

def create(prefix):
    last, nr = time.monotonic(), 0
    while True:
        try:
            name = f"{mnt}/{prefix}{nr}"
            if nr % 3 == 0:
                os.mkdir(name)
            elif nr % 3 == 1:
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            else:
                os.symlink(prefix * 20, name)
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
            took = time.monotonic() - last
            assert not os.path.lexists(name)
            return nr, took
        last = time.monotonic()
        nr += 1
        assert nr < 200000

def remove(prefix, first, nr):
    for i in range(first, nr):
        name = f"{mnt}/{prefix}{i}"
        os.rmdir(name) if i % 3 == 0 else os.unlink(name)

def nearly(what, is_, should):
    assert abs(is_ - should) <= should / 5, (what, is_, should)

before = os.statvfs(mnt)
assert before.f_bfree >= before.f_blocks * 0.97, before     # nothing is in it
nr, took = create("a")
s = os.statvfs(mnt)
print(f"{nr} names of {before.f_ffree} that were free, refused after {took * 1000:.0f} ms; {s.f_files} inodes, {s.f_ffree} free")
assert took < 5
assert len(os.listdir(mnt)) == nr
if limit:
    assert nr == limit - 1, nr                  # the root is one
    assert s.f_files == limit and s.f_ffree == 0, s
else:
    assert nr > 3000 and s.f_ffree < nr // 5, s
    nearly("free at first", before.f_ffree, nr)
remove("a", nr // 2, nr)
if not limit:
    nearly("free after half is removed", os.statvfs(mnt).f_ffree, nr - nr // 2)
again, took = create("b")
print(f"{nr - nr // 2} removed, {again} made again, refused after {took * 1000:.0f} ms")
assert took < 5
assert again >= (nr - nr // 2) * 0.9, again
assert not limit or again == nr - nr // 2
assert len(os.listdir(mnt)) == nr // 2 + again
# A hard link is a name, and no inode.
if limit:
    os.link(f"{mnt}/a1", f"{mnt}/link")
    os.unlink(f"{mnt}/link")
remove("a", 0, nr // 2)
remove("b", 0, again)
assert os.listdir(mnt) == []
time.sleep(0.2)                     # the kernel lets go of the last a little later
s = os.statvfs(mnt)
nearly("free at the end", s.f_bfree, before.f_bfree)
nearly("inodes free at the end", s.f_ffree, before.f_ffree)
with open(f"{mnt}/file", "wb") as f:
    f.write(b"room" * 500000)
PY
mount_anon "$mnt" mem=64M,nr_inodes=1000
timeout 30 python3 "$work/names.py" "$mnt" 1000 || fail "see above"
[ "$(vmstat "$mnt" enospc_inodes)" -ge 2 ] || fail "enospc_inodes is not counted"
unmount "$mnt"
mount_anon "$mnt" mem=8M
timeout 60 python3 "$work/names.py" "$mnt" 0 || fail "see above"
unmount "$mnt"
