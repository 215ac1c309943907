#!/bin/bash
#
# I/O to the swap file fails for a while. Writes: nothing that was accepted is
# lost, it is tried again. Reads: EIO for those, and all is there when they work
# again. A writer may be refused while the buffers for what goes out are all held
# up by a failing disk, and not any more when it works.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

cat >"$work/errors.py" <<'PY'
import errno, os, random, sys, threading, time
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]

def fault(**fields):
    for name, value in fields.items():
        with open(f"{mnt}/.plimsoll/fault/fail_swap_io/{name}", "w") as f:
            f.write(str(value))

def write(name, nr, patience=5):
    """Pages until there are so many, or nothing more has been taken for patience
    seconds; how many bytes."""
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT)
    done, refusals, last = 0, 0, time.monotonic()
    while done < nr * PAGE and time.monotonic() < last + patience:
        n = done // PAGE
        try:
            done += os.write(fd, pages(noise, n, 32)[done % PAGE:])
            last = time.monotonic()
        except OSError as e:
            assert e.errno == errno.ENOSPC, e
            refusals += 1
            time.sleep(0.1)
    os.close(fd)
    say(f"{name}: {done >> 20} MiB of {nr >> 8} accepted, refused {refusals} times")
    return done

# The first writes fail, all of them.
fault(times=60, probability=100, seed=1)
size = write("first", 12288)
fault(probability=0)
v = vmstat(mnt)
say(f"60 failures: swap_write_error {v['swap_write_error']}")
assert size >= 12288 * PAGE, "refused, and there was room"
assert v["swap_write_error"] > 0 and v["swap_write_error"] == v["swap_io_fail_injected"]
check(f"{mnt}/first", size)
assert vmstat(mnt)["swpin_damaged"] == 0

# One of ten fails, all the time; many times what memory holds.
fault(times=-1, probability=10, seed=2)
size2 = write("second", 16384)
fault(probability=0)
v2 = vmstat(mnt)
say(f"one of ten: swap_write_error {v2['swap_write_error']}")
assert v2["swap_write_error"] > v["swap_write_error"]
assert size2 >= 16384 * PAGE, "refused, and there was room"
check(f"{mnt}/second", size2)
check(f"{mnt}/first", size)

# An outage of two seconds, while it is written.
os.unlink(f"{mnt}/first")
fault(times=-1, probability=100)
timer = threading.Timer(2, fault, kwargs={"probability": 0})
start = time.monotonic()
timer.start()
size3 = write("third", 8192)
took = time.monotonic() - start
timer.join()
say(f"outage of 2 s: took {took:.1f} s")
assert size3 >= 8192 * PAGE, "refused after the outage"
check(f"{mnt}/third", size3)
check(f"{mnt}/second", size2)
os.unlink(f"{mnt}/third")
size3 = write("fourth", 8192)
assert size3 >= 8192 * PAGE, "refused after the outage"
check(f"{mnt}/fourth", size3)

# Reads.
rnd = random.Random(3)
fd = os.open(f"{mnt}/second", os.O_RDONLY)
before = vmstat(mnt)
for probability in 30, 100:
    fault(times=-1, probability=probability, seed=4)
    bad = 0
    for _ in range(3000):
        n = rnd.randrange(16384)
        try:
            same(os.pread(fd, PAGE, n * PAGE), noise, n, 0, "while reads fail")
        except OSError as e:
            assert e.errno == errno.EIO, e
            bad += 1
    fault(probability=0)
    v = vmstat(mnt)
    say(f"{probability} % of the reads: {bad} of 3000 EIO, swap_read_error {v['swap_read_error']}")
    assert bad > (5 if probability < 100 else 500)
    assert v["swap_read_error"] > before["swap_read_error"]
    assert v["swpin_damaged"] == 0
    check(f"{mnt}/second", size2)
    check(f"{mnt}/fourth", size3)

# Reads and writes fail, some of them, while pages go both ways; and room is
# made of holes.
fault(times=-1, probability=5, seed=6)
versions = [0] * 16384
fd = os.open(f"{mnt}/second", os.O_RDWR)
for _ in range(6000):
    n = rnd.randrange(16384)
    try:
        versions[n] += 1
        assert os.pwrite(fd, noise(n, versions[n]), n * PAGE) == PAGE
        n = rnd.randrange(16384)
        same(os.pread(fd, PAGE, n * PAGE), noise, n, versions[n], "both ways")
    except OSError as e:
        assert e.errno == errno.EIO, e      # of a read: a whole page needs none
fault(probability=0)
for n in range(16384):
    same(os.pread(fd, PAGE, n * PAGE), noise, n, versions[n], "at the end")
check(f"{mnt}/fourth", size3)
PY
mount_anon "$mnt" "mem=32M,swap=$work/swap:192M,cache=user"
timeout 100 python3 "$work/errors.py" "$mnt" "$top/tests/mount" || fail "see above"

# Unmounted while nothing can be written: there is nothing that must be.
fault "$mnt" fail_swap_io times=-1 probability=100
head -c 40000000 /dev/urandom >"$mnt/last" 2>/dev/null
unmount "$mnt"
