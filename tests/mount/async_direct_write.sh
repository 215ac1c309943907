#!/bin/bash
# timeout: 150
#
# What an asynchronous write has completed (io_submit, with and without O_DIRECT,
# for writing only too) is read by everybody after it, beside readers who fill the
# kernel's cache all the time, and after they have opened the file again. So on both
# kinds of volume, in each mode of the cache. SEED=n runs it again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >aio.py <<'PY'
import ctypes, mmap, os, random, struct, sys, threading, time

path, seed, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
rnd = random.Random(seed)
PAGE, NR = 4096, 160
libc = ctypes.CDLL(None, use_errno=True)
SETUP, GETEVENTS, SUBMIT, PWRITE = 206, 208, 209, 1     # x86_64

class Aio:
    def __init__(self):
        self.ctx = ctypes.c_ulong(0)
        assert libc.syscall(SETUP, 8, ctypes.byref(self.ctx)) == 0

    def write(self, fd, buf, n, at):
        """Submit, and wait for its completion."""
        addr = ctypes.addressof(ctypes.c_char.from_buffer(buf))
        iocb = ctypes.create_string_buffer(struct.pack(
            "=QIiHhIQQqQII", 0, 0, 0, PWRITE, 0, fd, addr, n, at, 0, 0, 0), 64)
        p, events = ctypes.pointer(iocb), ctypes.create_string_buffer(32)
        list = (ctypes.c_void_p * 1)(ctypes.addressof(iocb))
        if libc.syscall(SUBMIT, self.ctx, 1, list) != 1:
            raise OSError(ctypes.get_errno(), "io_submit")
        assert libc.syscall(GETEVENTS, self.ctx, 1, 1, events, None) == 1
        assert struct.unpack("=QQqq", events.raw)[2] == n

stop = False

def reader():
    while not stop:
        fd = os.open(path, os.O_RDONLY)
        os.pread(fd, NR * PAGE, 0)
        os.close(fd)

def old(model):
    fd = os.open(path, os.O_RDONLY)
    got = os.pread(fd, NR * PAGE, 0)
    os.close(fd)
    return [i for i in range(NR) if got[i * PAGE:(i + 1) * PAGE] != model[i * PAGE:(i + 1) * PAGE]]

with open(path, "wb") as f:
    f.write(bytes(NR * PAGE))
model = bytearray(NR * PAGE)
threads = [threading.Thread(target=reader, daemon=True) for _ in range(2)]
for t in threads:
    t.start()
aio, until, n = Aio(), time.monotonic() + seconds, 0
fds = {(direct, mode): os.open(path, mode | direct)
       for direct in (0, os.O_DIRECT) for mode in (os.O_WRONLY, os.O_RDWR)}
buf = mmap.mmap(-1, NR * PAGE)
while time.monotonic() < until or n < 40:
    how = rnd.choice(list(fds))
    first = rnd.choice((0, 0, rnd.randrange(NR)))
    nr = rnd.choice((NR - first, rnd.randrange(1, NR - first + 1)))
    data = bytes([rnd.randrange(1, 256)]) * (nr * PAGE)
    buf[:len(data)] = data
    aio.write(fds[how], buf, len(data), first * PAGE)
    model[first * PAGE:first * PAGE + len(data)] = data
    n += 1
    if bad := old(model):
        time.sleep(.3)
        raise SystemExit(f"write {n} {how}: pages {bad} are old, later {old(model)}")
stop = True
for t in threads:
    t.join()
assert not old(model)
print(f"{n} writes")
PY

for mode in auto user kernel writeback; do
	for kind in file anon; do
		if [ $kind = file ]; then
			mount_volumes "mem=64M,cache=$mode" "$src" "$mnt"
		else
			mount_anon "$mnt" "mem=64M,cache=$mode"
		fi
		timeout 60 python3 aio.py "$mnt/f" "$seed" 2 ||
			fail "$kind, cache=$mode"
		umount "$mnt" || fail "cannot unmount"
		wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
	done
done
