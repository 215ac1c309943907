#!/bin/bash
#
# Names in the backing directory are exchanged while the mount is used: for links
# that lead out of it, nothing outside is read or changed; for other files, an
# unlink loses nothing of the one that stays.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mkdir "$work/s" "$work/out"
mount_volumes mem=16M "$work/s" "$mnt"
timeout 60 python3 "$top/tests/mount/swapped_names.py" "$work/s" "$mnt" "$work/out" \
	"${SEED:-$RANDOM}" 4 || fail "see above"
unmount "$mnt"

cat >"$work/unlink.py" <<'PY'
import ctypes, multiprocessing, os, sys
src, mnt = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
ROUNDS, SIZE = 300, 300000
go, stop = multiprocessing.Value("l", -1, lock=False), multiprocessing.Value("l", -1, lock=False)

def swapper():
    done = -1
    while done < ROUNDS - 1:
        n = go.value
        if n == done:
            continue
        a, b = f"{src}/{n}a".encode(), f"{src}/{n}b".encode()
        while stop.value < n:
            libc.renameat2(-100, a, -100, b, 2)
        done = n

job = multiprocessing.Process(target=swapper)
job.start()
for n in range(ROUNDS):
    fds = []
    for name in "ab":
        fds.append(os.open(f"{mnt}/{n}{name}", os.O_RDWR | os.O_CREAT))
        assert os.write(fds[-1], name.encode() * SIZE) == SIZE
    go.value = n
    os.unlink(f"{mnt}/{n}a")
    stop.value = n
    for fd in fds:
        os.close(fd)
job.join()
kept = {}
for n in range(ROUNDS):
    kept[n] = [x for x in os.listdir(src) if x.startswith(str(n)) and x[:-1] == str(n)]
    assert len(kept[n]) == 1, kept[n]
os.sync()
with open(f"{mnt}/.plimsoll/sync", "w") as f:
    f.write("1")
lost = other = 0
for n in range(ROUNDS):
    data = open(f"{src}/{kept[n][0]}", "rb").read()
    lost += data not in (b"a" * SIZE, b"b" * SIZE)
    other += data == b"a" * SIZE
print(f"{ROUNDS} unlinks, {other} of another file than was looked up, {lost} lost")
sys.exit(lost > 0)
PY
mount_volumes mem=64M,cache=user "$src" "$mnt"
timeout 60 python3 "$work/unlink.py" "$src" "$mnt" || fail "acknowledged data is lost"
unmount "$mnt"
