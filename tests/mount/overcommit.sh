#!/bin/bash
# timeout: 150
#
# overcommit=never: what ftruncate, a write or fallocate has granted is kept,
# whatever is written to it through mappings, while others fill the volume with
# noise, holes are punched and refilled, and swap is full; what cannot be granted
# is ENOSPC at that call, and changes nothing. overcommit=always, the same
# programs: pages are lost, and msync says so. By default huge sparse files can be
# made, and only fallocate is refused. SEED=n runs one again, SECONDS_EACH=n
# longer.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"

cat >"$work/promise.py" <<'PY'
# promise.py MOUNT ANON_DATA SEED SECONDS never|always
import errno, ctypes, mmap, multiprocessing, os, random, sys, time
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt, seed, seconds, mode = sys.argv[1], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
libc = ctypes.CDLL(None, use_errno=True)
KEEP_SIZE, PUNCH = 1, 2

def refused(f, *args):
    try:
        f(*args)
        return False
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
        return True

class Mapped:
    """A file grown as far as it is granted, against the versions of its pages."""
    def __init__(self, n):
        self.rnd = random.Random(f"{seed} {n}")
        self.path, self.version, self.m = f"{mnt}/mapped{n}", [], None
        self.said = self.lost = self.msyncs = 0
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT)

    def grow(self):
        nr = len(self.version)
        n = self.rnd.choice((1, 7, 64, 300))
        how = self.rnd.randrange(3)
        if how == 0:
            no = refused(os.ftruncate, self.fd, (nr + n) * PAGE)
        elif how == 1:              # the gap is granted as well
            data = noise(nr + n - 1, 1)
            no = refused(os.pwrite, self.fd, data, (nr + n - 1) * PAGE)
        else:
            no = refused(os.posix_fallocate, self.fd, nr * PAGE, n * PAGE)
        size = os.fstat(self.fd).st_size
        if no:
            assert size == nr * PAGE, (size, nr)
            return False
        assert size == (nr + n) * PAGE
        self.version += [0] * n
        if how == 1:
            self.version[-1] = 1
        if self.m:
            self.m.close()
        self.m = mmap.mmap(self.fd, len(self.version) * PAGE)
        return True

    def dirty(self):
        nr = len(self.version)
        first = self.rnd.randrange(nr)
        for n in range(first, min(nr, first + self.rnd.choice((1, 30, nr)))):
            self.version[n] += 1
            self.m[n * PAGE:(n + 1) * PAGE] = noise(n, self.version[n])

    def punch(self):
        nr = len(self.version)
        first = self.rnd.randrange(nr)
        n = self.rnd.randrange(1, nr - first + 1)
        if libc.fallocate(self.fd, KEEP_SIZE | PUNCH, ctypes.c_long(first * PAGE), ctypes.c_long(n * PAGE)):
            # The kernel writes back what is dirty there, first.
            assert ctypes.get_errno() == errno.ENOSPC, ctypes.get_errno()
            self.said += 1
            return
        self.version[first:first + n] = [0] * n

    def sync(self):
        self.msyncs += 1
        self.said += refused(self.m.flush) + refused(os.fsync, self.fd)

    def page(self, n):
        return noise(n, self.version[n]) if self.version[n] else bytes(PAGE)

    def verify(self, every=1):
        """Read anew, past what the kernel has of it."""
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)
        for n in range(0, len(self.version), every):
            for got in os.pread(self.fd, PAGE, n * PAGE), self.m[n * PAGE:(n + 1) * PAGE]:
                if got != self.page(n):
                    self.lost += 1
                    assert mode == "always", (self.path, n, self.version[n], got[:16])

def mapper(n, end, results):
    f = Mapped(n)
    while not f.version and not end.is_set():
        f.grow()
    grants = refusals = 0
    while f.version and not end.is_set():
        if f.grow():
            grants += 1
        else:
            refusals += 1
        f.dirty()
        if f.rnd.random() < 0.3:
            f.punch()
        if f.rnd.random() < 0.5:
            f.sync()
            f.verify(7)
    if f.version:
        f.sync()
        f.m.close()
        f.m = mmap.mmap(f.fd, len(f.version) * PAGE)
        f.verify()
    results.put((grants, refusals, len(f.version), f.msyncs, f.said, f.lost))

def filler(n, end, results):
    """Noise by write(2) until it is refused; some of it goes, and again."""
    rnd, kept = random.Random(f"{seed} filler {n}"), {}
    nr = refusals = 0
    while not end.is_set():
        nr += 1
        path = f"{mnt}/noise{n}.{nr % 20}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        except OSError as e:        # no room for a name
            assert e.errno == errno.ENOSPC, e
            refusals += 1
            time.sleep(0.02)
            continue
        size = 0
        for at in range(0, rnd.choice((4, 60, 400)), 16):
            try:
                size += os.write(fd, pages(noise, at, 16, nr))
            except OSError as e:
                assert e.errno == errno.ENOSPC, e
                refusals += 1
                break
            if size % (16 * PAGE):
                break
        kept[path] = (size, nr)
        os.close(fd)
        if size == 0:
            time.sleep(0.01)
    for path, (size, version) in kept.items():
        check(path, size, noise, version)
    results.put((nr, refusals))

assert os.sysconf("SC_PAGESIZE") == PAGE
end = multiprocessing.Event()
mapped, filled = multiprocessing.Queue(), multiprocessing.Queue()
ps = [multiprocessing.Process(target=mapper, args=(n, end, mapped), daemon=True) for n in range(3)]
ps += [multiprocessing.Process(target=filler, args=(n, end, filled), daemon=True) for n in range(2)]
for p in ps:
    p.start()
# So long when it has become full.
most, begin, full = 0, time.monotonic(), None
while not full or time.monotonic() < full + seconds:
    m = meminfo(mnt)
    most = max(most, percent_used(mnt))
    if mode == "never":
        assert m["Committed_AS"] <= m["CommitLimit"], m
    if most > 85 and not full:
        full = time.monotonic()
    assert full or time.monotonic() < begin + 60, f"never full: {most}"
    time.sleep(0.1)
end.set()
for p in ps:
    p.join(60)
    # -7 would be SIGBUS.
    assert p.exitcode == 0, f"a program ended with {p.exitcode}"
grants, refusals, nr, msyncs, said, lost = map(sum, zip(*(mapped.get(timeout=5) for _ in range(3))))
wrote, no = map(sum, zip(*(filled.get(timeout=5) for _ in range(2))))
say(f"{mode}: {grants} grants, {refusals} refused; {nr} pages mapped, {msyncs} msyncs, {said} of them "
    f"said ENOSPC; {lost} reads of lost pages; {wrote} files of noise, {no} refused; "
    f"at most {most:.1f} % in use")
assert nr > 100 and refusals + no > 0, "it was never full"
if mode == "never":
    assert said == lost == 0
    assert grants > 3 and refusals > 0
else:
    # The kernel may have the pages still that could not be taken.
    assert said > 0, ("pages were lost, and nobody was told" if lost else
                      "nothing was refused: not full enough")
for name in os.listdir(mnt):
    os.unlink(f"{mnt}/{name}")
def promised():
    v = vmstat(mnt)
    return v["nr_anon_reserved"] + v["nr_anon_committed"]
assert eventually(30, lambda: promised() == 0), vmstat(mnt)
PY

for bad in '' 0 sometimes; do
	said=$(timeout 20 "$plimsoll" -o "mem=16M,overcommit=$bad" anon "$mnt" 2>&1) &&
		fail "overcommit=$bad is accepted"
	equal "lines for overcommit=$bad" "$(wc -l <<<"$said")" 1
	[[ $said == *overcommit* ]] || fail "overcommit=$bad: $said"
done
fails_with 'is for anon volumes' "$plimsoll" -o overcommit=never "$src" "$mnt"

promise() {
	timeout 120 python3 "$work/promise.py" "$mnt" "$top/tests/mount" "$seed" \
		"${SECONDS_EACH:-3}" "$1" || fail "$1: see above"
}

mount_anon "$mnt" "mem=16M,overcommit=never,swap=$work/swap:16M"
equal setting "$(cat "$mnt/.plimsoll/sys/vm/overcommit_memory")" 2
echo x >"$mnt/f"
fails_with 'No space' truncate -s 1T "$mnt/f"
fails_with 'No space' truncate -s 40M "$mnt/f"
fails_with 'No space' fallocate -l 40M "$mnt/f"
fails_with 'No space' dd if=/dev/zero of="$mnt/f" bs=4k count=1 seek=1G conv=notrunc
equal size "$(stat -c %s "$mnt/f")" 2
truncate -s 20M "$mnt/f" || fail "20 MiB of 32"
[ "$(meminfo "$mnt" Committed_AS)" -ge $((20 << 10)) ] || fail Committed_AS
fails_with 'No space' truncate -s 20M "$mnt/g"
truncate -s 1 "$mnt/f" || fail "cutting"
truncate -s 20M "$mnt/g" || fail "what was given back"
rm "$mnt/f" "$mnt/g"
promise never
overhead_kept "$mnt" || fail "more than the budget"
# While mounted: what was granted stays; what comes is as it says.
truncate -s 20M "$mnt/f" || fail "20 MiB of 32 again"
echo 0 >"$mnt/.plimsoll/sys/vm/overcommit_memory"
truncate -s 1T "$mnt/sparse" || fail "a sparse file"
fails_with 'No space' fallocate -l 20M "$mnt/g"
fails_with 'Invalid' bash -c "echo 3 >'$mnt/.plimsoll/sys/vm/overcommit_memory'"
rm "$mnt"/*
unmount "$mnt"

mount_anon "$mnt" "mem=16M,overcommit=always,swap=$work/swap:16M"
equal setting "$(cat "$mnt/.plimsoll/sys/vm/overcommit_memory")" 1
fallocate -l 1T "$mnt/f" || fail "fallocate, always"
rm "$mnt/f"
promise always
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"

mount_anon "$mnt" "mem=16M,swap=$work/swap:16M"
equal setting "$(cat "$mnt/.plimsoll/sys/vm/overcommit_memory")" 0
truncate -s 1T "$mnt/f" || fail "a sparse file"
echo end | dd of="$mnt/f" bs=1 seek=1G conv=notrunc status=none || fail "in it"
fails_with 'No space' fallocate -l 1T "$mnt/f"
unmount "$mnt"
