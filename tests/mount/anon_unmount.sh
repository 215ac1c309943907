#!/bin/bash
#
# Unmounting an anon volume whose memory and swap are in use in every way frees
# all of it: the process, which looks itself if anything is left, ends well, and
# the swap file can be used again. The same by SIGTERM under load; and after
# kill -9. While it is in use, it cannot be used twice.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

# start: in the foreground, so that its exit status can be had; sets $pid.
start() {
	timeout 100 "$plimsoll" -f -o "mem=32M,swap=$work/swap:96M" anon "$mnt" \
		>"$work/said" 2>&1 &
	waiter=$!
	eventually 20 test -d "$mnt/.plimsoll" || fail "no mount: $(cat "$work/said")"
	pid=$(volume "$mnt" pid)
}
# ended WHAT: by itself, with nothing to say.
ended() {
	local status

	wait_gone "$pid" 30 || fail "$1: plimsoll $pid does not end"
	wait "$waiter"
	status=$?
	[ $status = 0 ] || fail "$1: exit status $status: $(cat "$work/said")"
	[ "$(grep -vc '^plimsoll: \(mem\|anon on\|swap\|FUSE over io_uring\) ' "$work/said")" = 0 ] ||
		fail "$1: it says $(cat "$work/said")"
	is_mounted "$mnt" && fail "$1: still mounted"
	echo "$1: ended"
}

cat >"$work/use.py" <<'PY'
# Every kind of page and object that there is.
import ctypes, mmap, os, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def allocate(fd, mode, at, n):
    assert libc.fallocate(fd, mode, ctypes.c_long(at), ctypes.c_long(n)) == 0, ctypes.get_errno()
for d in range(20):
    os.makedirs(f"d{d}/sub/deep")
    os.symlink("x" * 100 * d, f"d{d}/link") if d else None
    for i in range(50):
        with open(f"d{d}/f{i}", "wb") as f:
            f.write(text(i) * (i % 5))
    os.link(f"d{d}/f1", f"d{d}/hard")
    os.setxattr(f"d{d}/f2", "user.x", b"v" * 500)
    os.mkfifo(f"d{d}/fifo")
with open("zeroes", "wb") as f:
    f.write(bytes(8 << 20))
with open("text", "wb") as f:
    f.write(pages(text, 0, 8192))
fd = os.open("reserved", os.O_RDWR | os.O_CREAT)
allocate(fd, 0, 0, 8 << 20)
os.pwrite(fd, pages(noise, 0, 512), 512 * PAGE)
allocate(fd, 3, 600 * PAGE + 10, 1 << 20)
m = mmap.mmap(fd, 8 << 20)
m[100 * PAGE:101 * PAGE] = noise(1)
fill("noise")
os.ftruncate(os.open("text", os.O_RDWR), 5000 * PAGE + 77)
for n in range(0, 4000, 3):
    os.pread(os.open("text", os.O_RDONLY) if n == 0 else fd, PAGE, n * PAGE % (8 << 20))
m[200 * PAGE:300 * PAGE] = pages(noise, 7, 100)
with open("text", "rb") as f:
    while f.read(1 << 20):
        pass
PY
use() {
	timeout 60 python3 "$work/use.py" "$mnt" "$top/tests/mount" || fail "$1"
	[ "$(vmstat "$mnt" pswpout)" -gt 5000 ] || fail "nothing is swapped"
}

# While it is in use by one, another is refused.
start
use "the first"
mkdir "$work/mnt2"
fails_with 'is in use as swap by another plimsoll' timeout 20 "$plimsoll" \
	-o "mem=16M,swap=$work/swap" anon "$work/mnt2"
fails_with 'is in use as swap by another plimsoll' timeout 20 "$plimsoll" \
	-o "mem=16M,swap=$work/swap:96M" anon "$work/mnt2"
fails_with 'is in use as swap by another plimsoll' \
	"$plimsollctl" mkswap --force "$work/swap" 32M
equal "its size" "$(stat -c %s "$work/swap")" $((96 << 20))
is_mounted "$work/mnt2" && fail "mounted with another's swap"
umount "$mnt" || fail "umount"
ended "umount"

# Unmounted lazily, while files are open, unlinked and mapped.
start
use "the second"
python3 - "$mnt" <<'PY' &
import mmap, os, sys, time
os.chdir(sys.argv[1])
fd = os.open("text", os.O_RDWR)
gone = os.open("noise", os.O_RDWR)
os.unlink("noise")
m = mmap.mmap(fd, 1 << 20)
m[5000:5010] = b"0123456789"
open(sys.argv[1] + "/ready", "x").close()
time.sleep(1)
m[9000:9010] = b"0123456789"
os.pwrite(gone, b"late", 100000)
assert os.pread(gone, 4, 100000) == b"late" and m[5000:5010] == b"0123456789"
PY
user=$!
eventually 20 test -e "$mnt/ready" || fail "not ready"
umount -l "$mnt" || fail "umount -l"
is_running "$pid" || fail "ended, and is in use"
wait $user || fail "who has files open after umount -l"
ended "umount -l"

# SIGTERM under load: writers, readers, mappings and names; some cannot go on.
loaded() {
	[ "$(vmstat "$mnt" pswpout)" -gt 1000 ]
}
for after in 0 1; do
	start
	users=()
	for i in 1 2 3; do
		timeout 60 python3 - "$mnt" "$top/tests/mount" $i <<'PY' &
import mmap, os, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
os.chdir(sys.argv[1])           # not what is there when the mount is gone
if not os.path.isdir(".plimsoll"):
    sys.exit()                  # it is gone already
i = sys.argv[3]
try:
    while True:
        fd = os.open(f"w{i}", os.O_RDWR | os.O_CREAT)
        for n in range(0, 6000, 32):
            os.pwrite(fd, pages(text if n % 64 else noise, n, 32), n * PAGE)
            os.pread(fd, 8 * PAGE, n // 2 * PAGE)
        for n in range(100):
            open(f"n{i}.{n}", "w").close()
        os.close(fd)
        os.unlink(f"w{i}")
except OSError as e:
    # On a ring the kernel also says ECANCELED.
    assert e.errno in (107, 103, 125, 28, 5), e
PY
		users+=($!)
	done
	eventually 20 loaded || fail "no load"
	sleep $after
	kill -TERM "$pid"
	ended "SIGTERM after $after s of load"
	for user in "${users[@]}"; do
		wait "$user" || fail "a user of what was ended: exit status $?"
	done
done

# kill -9: nothing of it is believed by the next.
start
use "the third"
kill -KILL "$pid"
wait_gone "$pid" 10 || fail "a killed plimsoll stays"
wait "$waiter" 2>/dev/null
umount "$mnt" || fail "umount of what is left"
start
equal "files after kill -9" "$(ls -A "$mnt")" ""
equal "swap used" "$(($(meminfo "$mnt" SwapTotal) - $(meminfo "$mnt" SwapFree)))" 0
use "after kill -9"
umount "$mnt" || fail "umount"
ended "umount after kill -9"
