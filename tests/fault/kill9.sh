#!/bin/bash
# timeout: 180
#
# kill -9 at any moment: what fsync said is on the disk is on the disk. The
# backing file system is an ext4 on a loop device without a page cache of the
# host under it, and its own cache does not help either: what is looked at is
# the image as it is right after the kill, as after a power failure. Then the
# next mount of the same source works. SEED=n runs one again, as far as moments
# can be repeated; KILLS says how many (12); TEST_TIMEOUT is for many.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3 losetup mkfs.ext4
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"

cat >"$work/write.py" <<'PY'
# Until the mount dies: write, fsync, and only then say so in a file elsewhere.
import errno, os, random, sys, zlib

mnt, records, who, seed = sys.argv[1:]
rnd = random.Random(f"{who} {seed}")
rec = os.open(records, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def say(*words):
    os.write(rec, (" ".join(map(str, words)) + "\n").encode())

def new_file(n):
    name = f"{who}.new{n % 40}"
    say("unsure", name)                 # it may be there from before
    fd = os.open(f"{mnt}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    data = rnd.randbytes(rnd.choice((1, 100, 4096, 10000, 65536, 300000)))
    os.write(fd, data[:5000])
    os.write(fd, data[5000:])
    rnd.choice((os.fsync, os.fdatasync))(fd)
    say("whole", name, len(data), zlib.crc32(data))
    os.close(fd)

def replace(n):
    """By rename; the old one or a newer one, never less."""
    data = b"%d " % n + rnd.randbytes(rnd.choice((10, 5000, 40000)))
    data += b" %d" % zlib.crc32(data)
    fd = os.open(f"{mnt}/{who}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.rename(f"{mnt}/{who}.tmp", f"{mnt}/{who}.replaced")
    os.fsync(top)
    say("replaced", f"{who}.replaced", n)

def append(fd, state):
    data = rnd.randbytes(rnd.choice((10, 700, 5000)))
    os.write(fd, data)
    os.fsync(fd)
    state[0] += len(data)
    state[1] = zlib.crc32(data, state[1])
    say("prefix", f"{who}.log", *state)

def overwrite(fd, n, block):
    at = rnd.randrange(64)
    say("old", f"{who}.blocks", at, n)
    os.pwrite(fd, b"%08d" % n * 512, at << 12)
    os.fdatasync(fd)
    block[at] = n
    say("block", f"{who}.blocks", at, n)

n = 0
try:
    top = os.open(mnt, os.O_RDONLY | os.O_DIRECTORY)
    log = os.open(f"{mnt}/{who}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    logged = [0, 0]
    blocks = os.open(f"{mnt}/{who}.blocks", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    block = {}
    os.ftruncate(blocks, 64 << 12)
    while True:
        n += 1
        what = rnd.randrange(8)
        if what < 3:
            new_file(n)
        elif what < 4:
            replace(n)
        elif what < 6:
            append(log, logged)
        else:
            overwrite(blocks, n, block)
except OSError as e:
    assert e.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED,
                       errno.EIO), e
PY
cat >"$work/check.py" <<'PY'
import os, sys, zlib

top, *records = sys.argv[1:]
nr = 0

def contents(name):
    with open(f"{top}/{name}", "rb") as f:
        return f.read()

for path in records:
    must, blocks = {}, {}
    for line in open(path):
        kind, name, *rest = line.split()
        rest = list(map(int, rest))
        if kind == "unsure":
            must.pop(name, None)
        elif kind in ("old", "block"):
            # A block under way may be either; torn it is not: one page, one write.
            at, n = rest
            may = blocks.setdefault((name, at), {0})
            if kind == "block":
                may.clear()
            may.add(n)
        else:
            must[name] = (kind, *rest)
    for name, (kind, *rest) in must.items():
        data = contents(name)
        nr += 1
        if kind == "whole":
            assert len(data) == rest[0], (name, len(data), rest[0])
            assert zlib.crc32(data) == rest[1], (name, "wrong contents")
        elif kind == "prefix":
            assert len(data) >= rest[0], (name, len(data), rest[0])
            assert zlib.crc32(data[:rest[0]]) == rest[1], (name, "wrong contents")
        elif kind == "replaced":
            head, sum = data[:data.rindex(b" ")], data[data.rindex(b" "):]
            assert zlib.crc32(head) == int(sum), (name, "not whole")
            assert int(head.split(b" ", 1)[0]) >= rest[0], (name, "an older one")
    for (name, at), may in blocks.items():
        data = contents(name)[at << 12:(at + 1) << 12]
        nr += 1
        ok = [b"%08d" % n * 512 for n in may if n] + [bytes(4096)] * (0 in may)
        assert data in ok, (name, at, may, data[:16])
assert nr > 0, "nothing was recorded"
print(nr, "records", end=" ")
PY

# The file system, its image read and written past the host's page cache.
img=$work/disk.img snap=$work/snap.img
truncate -s 64M "$img"
mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$img" || fail "mkfs.ext4"
loop=$(losetup --find --show --direct-io=on "$img") || fail "no loop device"
mkdir "$work/disk" "$work/snap"
# Nothing but an fsync makes it commit.
mount -o commit=300 "$loop" "$work/disk"
mounted=$?
# Let go when it is unmounted, whatever happens.
losetup -d "$loop"
[ $mounted = 0 ] || fail "mount"
case $(losetup -nO DIO "$loop") in
*1*) ;;
*) skip "no direct I/O for loop devices" ;;
esac
mkdir "$work/disk/src"
src=$work/disk/src

# Twice the same, or the disk was still busy with what was under way.
take_image() {
	local n

	for n in 1 2 3 4 5 6 7 8 9 10; do
		dd if="$img" of="$snap" bs=4M iflag=direct conv=sparse status=none &&
			dd if="$img" bs=4M iflag=direct status=none | cmp -s - "$snap" &&
			return
		rm -f "$snap"
		echo "the disk is busy ($n)"
	done
	fail "the disk does not come to rest"
}

for ((round = 1; round <= ${KILLS:-12}; round++)); do
	mount_plimsoll "$src" "$mnt" mem=8M
	rm -f "$mnt"/* "$work"/records.*
	sync -f "$src" # the files of the last round are gone
	writers=()
	for who in a b c d; do
		timeout 60 python3 "$work/write.py" "$mnt" "$work/records.$who" $who "$RANDOM" &
		writers+=($!)
	done
	begun() {
		[ "$(cat "$work"/records.? | wc -l)" -gt 50 ]
	}
	eventually 20 begun || fail "nothing is written"
	ms=$((RANDOM % 700))
	sleep "0.$(printf %03d $ms)"
	kill -KILL "$pid"
	wait_gone "$pid" 10 || fail "a killed plimsoll stays"
	for writer in "${writers[@]}"; do
		wait "$writer" || fail "a writer: see above"
	done

	take_image
	mount -o loop "$snap" "$work/snap" || fail "the image cannot be mounted"
	printf 'kill %d after %d ms: image: ' "$round" "$ms"
	timeout 30 python3 "$work/check.py" "$work/snap/src" "$work"/records.? ||
		fail "after a power failure; SEED=$seed"
	printf 'next mount: '
	umount "$work/snap" || fail "umount of the copy"
	rm "$snap"

	# The next mount of the same source.
	fails_with 'endpoint is not connected' timeout 10 ls "$mnt/"
	timeout 10 umount "$mnt" || fail "umount of what is left"
	mount_volumes mem=8M "$src" "$mnt"
	timeout 30 python3 "$work/check.py" "$mnt" "$work"/records.? ||
		fail "in the next mount; SEED=$seed"
	echo
	unmount "$mnt"
done
umount "$work/disk" || fail "the backing file system is busy"
