#!/bin/bash
# timeout: 180
#
# A power cut on purpose: files are what was synced, in every view of them, with
# the size that was synced; armed, nothing reaches a backing file without a sync.
# Against a model of two copies of each file: what is written, what is synced.
# SEED=n runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >"$work/crash.py" <<'PY'
import mmap, os, random, re, subprocess, sys, time

mnt, src, ctl, seed, rounds = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
rnd = random.Random(seed)

def fault(*args):
    return subprocess.run([ctl, "fault", mnt, *args], check=True, timeout=60,
                          capture_output=True, text=True).stdout

class File:
    """The contents a program sees, and those that were synced."""
    def __init__(self, name):
        self.name = name
        self.fd = os.open(f"{mnt}/{name}", os.O_RDWR | os.O_CREAT)
        self.now = self.synced = b""
        self.maps = None
        self.mapped_dirty = False   # the kernel has it, and has told nobody

    def write(self):
        at = rnd.choice((0, len(self.now), rnd.randrange(len(self.now) + 9000)))
        data = rnd.randbytes(rnd.choice((1, 100, 4096, 30000, 300000)))
        assert os.pwrite(self.fd, data, at) == len(data)
        old = self.now.ljust(at, b"\0")
        self.now = old[:at] + data + old[at + len(data):]

    def sync(self):
        rnd.choice((os.fsync, os.fdatasync))(self.fd)
        self.mapped_dirty = False
        self.synced = self.now

    def osync(self):
        if self.mapped_dirty:
            self.sync()
        fd = os.open(f"{mnt}/{self.name}", os.O_WRONLY | rnd.choice((os.O_SYNC, os.O_DSYNC)))
        data = rnd.randbytes(5000)
        assert os.pwrite(fd, data, 0) == 5000
        os.close(fd)
        self.now = self.synced = data + self.now[5000:]

    def grow(self):
        size = len(self.now) + rnd.randrange(20000)
        os.ftruncate(self.fd, size)
        self.now = self.now.ljust(size, b"\0")

    def cut(self):
        """Is not undone; what is synced is cut, too."""
        size = rnd.randrange(len(self.now) + 1)
        os.ftruncate(self.fd, size)
        self.now = self.now[:size]
        self.synced = self.synced[:size]

    def through_map(self):
        if len(self.now) < 4096:
            return
        m = mmap.mmap(self.fd, len(self.now))
        at = rnd.randrange(len(self.now))
        m[at:at + 1] = b"!"
        self.now = self.now[:at] + b"!" + self.now[at + 1:]
        self.mapped_dirty = True
        if rnd.randrange(2):
            m.flush()           # msync
            self.synced = self.now
            self.mapped_dirty = False
        self.maps = m           # stays mapped over the crash
        if rnd.randrange(3):
            m.close()
            self.maps = None

    def check(self, what):
        size = os.fstat(self.fd).st_size
        assert size == len(self.now) == os.stat(f"{mnt}/{self.name}").st_size, \
            (what, self.name, size, len(self.now))
        got = os.pread(self.fd, size + 10, 0)
        assert got == self.now, (what, self.name, first_difference(got, self.now))
        other = open(f"{mnt}/{self.name}", "rb").read()
        assert other == self.now, (what, self.name, "opened again")
        if self.maps and size:
            n = min(size, len(self.maps))
            assert self.maps[:n] == self.now[:n], (what, self.name, "map")

    def check_source(self, what):
        got = open(f"{src}/{self.name}", "rb").read()
        assert got == self.synced, (what, self.name, len(got), len(self.synced),
                                    first_difference(got, self.synced))

def first_difference(a, b):
    return next((i for i in range(min(len(a), len(b))) if a[i] != b[i]), (len(a), len(b)))

fault("arm-crash")
files = [File(f"f{i}") for i in range(12)]
for n in range(rounds):
    for _ in range(60):
        f = rnd.choice(files)
        rnd.choice((f.write, f.write, f.write, f.sync, f.osync, f.grow, f.cut,
                    f.through_map))()
    if rnd.randrange(4) == 0:
        for f in files:
            if f.mapped_dirty:
                f.sync()
        subprocess.run([ctl, "sync", mnt], check=True, timeout=60)
        for f in files:
            f.synced = f.now
        for f in files[:4]:
            f.write()
    time.sleep(0.1)             # write-back would come, were it not held back
    for f in files:
        f.check("before")
    said = fault("crash")
    assert re.search(r"^0 pages had to be written early$", said, re.M), said
    for f in files:
        f.now = f.synced
        f.mapped_dirty = False
    for f in files:
        f.check("after")
        f.check_source("after")
print(f"{rounds} crashes")

# What is left is as good as ever.
for f in files:
    f.maps = None
    f.write()
    f.sync()
    f.check("well")
    f.check_source("well")
fault("disarm-crash")
PY
for options in mem=64M mem=64M,cache=user; do
	mount_plimsoll "$src" "$mnt" $options
	ctl set "$mnt" dirty_expire_centisecs 1 || fail "set"
	ctl set "$mnt" dirty_writeback_centisecs 1 || fail "set"
	timeout 80 python3 "$work/crash.py" "$mnt" "$src" "$plimsollctl" "$seed" \
		"${ROUNDS:-12}" || fail "see above, $options"
	unmount "$mnt"
	rm -rf "${src:?}"/*
done

# Without being armed: what had been written back stays, the rest goes.
mount_plimsoll "$src" "$mnt" mem=64M
echo old >"$mnt/kept"
ctl sync "$mnt" || fail "sync"
exec 3>"$mnt/lost"
echo new >&3 # written back when it is closed, or after seconds
ctl fault "$mnt" crash >"$work/out" || fail "crash"
grep -q 'not armed' "$work/out" || fail "says nothing of not being armed"
equal kept "$(cat "$mnt/kept")" old
equal "lost, in the mount" "$(cat "$mnt/lost")" ""
exec 3>&-

# Armed, with more dirty than there is room for: it goes out, and that is said.
ctl fault "$mnt" arm-crash || fail "arm-crash"
noise 100000000 big >"$mnt/big" || fail "a write was refused"
noise 100000000 big | cmp - "$mnt/big" || fail "big is different"
ctl fault "$mnt" crash >"$work/out" || fail "crash"
grep -Eq '^[1-9][0-9]* pages had to be written early' "$work/out" ||
	fail "nothing was written early: $(cat "$work/out")"
[ "$(vmstat "$mnt" crash_early)" -gt 0 ] || fail "crash_early"
equal "size of big" "$(stat -c %s "$mnt/big")" 0

# Unmounting is no crash, armed or not.
noise 3000000 end >"$mnt/end"
unmount "$mnt"
noise 3000000 end | cmp - "$src/end" || fail "end"

# Bad input: one line, and nothing is done.
mount_plimsoll "$src" "$mnt" mem=64M
mount_anon "$work/anon" mem=16M
anon_pid=$pid
pid=$(volume "$mnt" pid)
fails_with 'neither torn nor seed' ctl fault "$mnt" crash now
fails_with 'is not a seed' ctl fault "$mnt" crash torn seed=x
fails_with 'is no file volume' ctl fault "$work/anon" crash
fails_with 'is no file volume' ctl fault "$work/anon" arm-crash
equal end "$(stat -c %s "$mnt/end")" 3000000
unmount "$mnt"
pid=$anon_pid
unmount "$work/anon"

# What is held back is nothing to wait for: who fills memory beside it is refused.
mkdir -p "$work/anon"
mount_volumes mem=16M "$src" "$mnt" anon "$work/anon"
ctl fault "$mnt" arm-crash || fail "arm-crash"
noise 16000 held >"$mnt/held"
timeout 30 dd if=/dev/urandom of="$work/anon/full" bs=64k count=1000 2>"$work/out" &&
	fail "64 MB in 16 MiB"
grep -q 'No space left' "$work/out" || fail "not refused: $(cat "$work/out")"
noise 16000 held | cmp - "$mnt/held" || fail "held"
equal "held, in the backing directory" "$(stat -c %s "$src/held")" 0
unmount "$mnt" "$work/anon"
noise 16000 held | cmp - "$src/held" || fail "held, at the end"
