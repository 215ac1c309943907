#!/bin/bash
#
# size=, nr_inodes=, mode=, uid= and gid=, with what df shows; volumes that share
# a budget; no swap at all.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3 fallocate

# df MOUNTPOINT FIELD: of blocks of 4 KiB and of inodes.
df_of() {
	stat -fc "%$2" "$1"
}

# free_is BLOCKS
free_is() {
	local n=50

	until [ "$(df_of "$mnt" f)" = "$1" ]; do
		[ $((n--)) -gt 0 ] ||
			fail "$(df_of "$mnt" f) blocks are free, should be $1"
		sleep 0.1
	done
}

# Limits of contents: used grows by what is written; ENOSPC at the byte.
mount_anon "$mnt" "mem=64M,swap=$work/swap:64M,size=20M,nr_inodes=50,mode=750,uid=12,gid=34,allow_other"
equal "root" "$(stat -c '%a %u %g' "$mnt")" "750 12 34"
equal "block size" "$(df_of "$mnt" S)" 4096
equal "blocks" "$(df_of "$mnt" b)" 5120
equal "free" "$(df_of "$mnt" f)" 5120
equal "inodes" "$(df_of "$mnt" c)" 50
equal "free inodes" "$(df_of "$mnt" d)" 49
equal "size_limit" "$(volume "$mnt" size_limit)" $((20 << 20))
equal "max_inodes" "$(volume "$mnt" max_inodes)" 50
if [ "$(id -u)" = 0 ]; then
	fails_with 'Permission denied' as 1000 ls "$mnt"
	fails_with 'Permission denied' setpriv --reuid 1000 --regid 34 \
		--clear-groups touch "$mnt/f"
	setpriv --reuid 1000 --regid 34 --clear-groups ls "$mnt" ||
		fail "gid=34 may list"
	as 12 touch "$mnt/his" || fail "uid=12 may write"
	rm "$mnt/his"
fi
noise 5000000 a >"$mnt/a" || fail "5 MB of 20 MiB"
equal "free after 5 MB" "$(df_of "$mnt" f)" $((5120 - 1221))
equal "available" "$(df_of "$mnt" a)" $((5120 - 1221))
truncate -s 1G "$mnt/sparse" || fail "a hole is no contents"
equal "free after a hole" "$(df_of "$mnt" f)" $((5120 - 1221))
printf x | dd of="$mnt/sparse" bs=1 seek=500000000 conv=notrunc status=none
equal "free after a byte in it" "$(df_of "$mnt" f)" $((5120 - 1222))
equal "free inodes" "$(df_of "$mnt" d)" 47
noise 30000000 b >"$work/b"
fails_with 'No space' cp "$work/b" "$mnt/b"
equal "free when full" "$(df_of "$mnt" f)" 0
equal "size of what was refused" "$(stat -c %s "$mnt/b")" $(((5120 - 1222) * 4096))
cmp -n $(((5120 - 1222) * 4096)) "$work/b" "$mnt/b" || fail "the accepted part"
[ "$(vmstat "$mnt" enospc_size)" -ge 1 ] || fail "enospc_size"
equal "oom_refuse" "$(vmstat "$mnt" oom_refuse)" 0
# What is there can be written again; an inode takes no contents.
dd if="$work/b" of="$mnt/a" bs=1M count=4 conv=notrunc status=none ||
	fail "overwriting when full"
touch "$mnt/empty" || fail "an empty file when full"
fails_with 'No space' fallocate -l 1M "$mnt/empty"
fallocate -p -o 0 -l 1M "$mnt/b" || fail "punch"
equal "free after a punch" "$(df_of "$mnt" f)" 256
fallocate -l 1M "$mnt/empty" || fail "fallocate of what was punched"
equal "free after fallocate" "$(df_of "$mnt" f)" 0
truncate -s 0 "$mnt/empty"
equal "free after truncate" "$(df_of "$mnt" f)" 256
rm "$mnt/b" "$mnt/sparse"
free_is $((5120 - 1221)) # the kernel lets go of an inode when it gets round to it
equal "stored_bytes" "$(volume "$mnt" stored_bytes)" $((1221 * 4096))

# The short count of the write that crosses the limit.
rm "$mnt"/*
free_is 5120
python3 - "$mnt" "$top/tests/mount" <<'PY' || fail "short counts"
import errno, os, sys
sys.path.insert(0, sys.argv[2])
from anon_data import *
mnt = sys.argv[1]
fd = os.open(f"{mnt}/short", os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, 5110 * PAGE)
for n in range(0, 5110, 10):
    assert os.pwrite(fd, pages(noise, n, 10), n * PAGE) == 10 * PAGE
got = os.pwrite(fd, pages(noise, 5110, 20) + b"x", 5110 * PAGE)
assert got == 10 * PAGE, got
assert os.fstat(fd).st_size == 5120 * PAGE, os.fstat(fd).st_size
try:
    os.pwrite(fd, b"x", 5120 * PAGE)
    raise SystemExit("one byte more than size=")
except OSError as e:
    assert e.errno == errno.ENOSPC, e
# Over a page that is there, and into one that is not.
got = os.pwrite(fd, b"y" * 5000, 5119 * PAGE + 100)
assert got == PAGE - 100, got
assert os.pread(fd, 8192, 5119 * PAGE + 100) == b"y" * (PAGE - 100)
assert os.fstat(fd).st_size == 5120 * PAGE
assert os.pread(fd, PAGE, 5118 * PAGE) == noise(5118)
PY
rm "$mnt/short"

# nr_inodes: names of all kinds, not hard links.
for i in {1..49}; do
	eventually 5 touch "$mnt/f$i" || fail "inode $i of 49"
done
equal "free inodes" "$(df_of "$mnt" d)" 0
fails_with 'No space' touch "$mnt/f50"
fails_with 'No space' mkdir "$mnt/d"
fails_with 'No space' ln -s x "$mnt/l"
ln "$mnt/f1" "$mnt/hard" || fail "a hard link"
equal "free inodes" "$(df_of "$mnt" d)" 0
rm "$mnt/f1"
equal "free inodes, of two names one is gone" "$(df_of "$mnt" d)" 0
rm "$mnt/hard"
equal "free inodes" "$(eventually 5 mkdir "$mnt/d" && df_of "$mnt" d)" 0
unmount "$mnt"

# Without limits of their own: what memory and swap have left, never more.
mkdir "$work"/m{1,2,3} "$work/fsrc"
mount_volumes "mem=32M,swap=$work/swap:64M" anon "$work/m1" anon "$work/m2" \
	"$work/fsrc" "$work/m3"
for v in 1 2; do
	blocks=$(df_of "$work/m$v" b)
	[ "$blocks" -le $(((32 + 64) << 8)) ] || fail "$blocks blocks"
	[ "$blocks" -ge $(((32 + 64) * 200)) ] || fail "only $blocks blocks"
done
python3 - "$work/m1" "$work/m2" "$work/m3" "$top/tests/mount" <<'PY' || fail "see above"
import os, sys
m1, m2, m3, lib = sys.argv[1:]
sys.path.insert(0, lib)
from anon_data import *
free = [os.statvfs(m1).f_bfree]
assert abs(os.statvfs(m2).f_bfree - free[0]) < 500
# One after another, a file volume in between: it is one budget.
with open(f"{m1}/f", "wb") as f:
    f.write(pages(noise, 0, 4096))
free.append(os.statvfs(m2).f_bfree)
assert 4096 * 0.9 <= free[0] - free[1] <= 4096 * 1.15, free
with open(f"{m3}/f", "wb") as f:
    f.write(pages(noise, 0, 8192))
    os.fsync(f.fileno())
before = os.statvfs(m1).f_bfree
size, took = fill(f"{m2}/f")
say(f"f_bfree said {before} pages, {size // PAGE} were taken ({100 * size / PAGE / before:.1f} %), "
    f"{os.statvfs(m1).f_bfree} are left; {percent_used(m1):.1f} % in use")
assert size / PAGE >= before * 0.9, "more was free than is left"
assert size / PAGE <= before * 1.1, "less was free than is left"
assert os.statvfs(m1).f_bfree < before // 20
assert percent_used(m1) >= 90
try:
    with open(f"{m1}/g", "wb", buffering=0) as f:
        for n in range(1024):
            if f.write(noise(n)) < PAGE:
                break
        else:
            raise SystemExit("an anon volume takes more when the other is full")
except OSError as e:
    assert e.errno == 28, e
check(f"{m1}/f", 4096 * PAGE)
check(f"{m2}/f", size)
check(f"{m3}/f", 8192 * PAGE)
os.unlink(f"{m2}/f")
with open(f"{m1}/g", "wb") as f:
    f.write(pages(noise, 7, size // PAGE * 9 // 10))
with open(f"{m3}/g", "wb") as f:
    f.write(pages(noise, 9, 2048))
check(f"{m3}/f", 8192 * PAGE)
with open(f"{m1}/g", "rb") as f:
    assert f.read() == pages(noise, 7, size // PAGE * 9 // 10)
PY
umount "$work/m2" || fail "umount of one"
noise 16777216 x >/dev/null
[ "$(stat -c %s "$work/m1/f")" = 16777216 ] || fail "the other volume"
umount "$work/m3" || fail "umount"
unmount "$work/m1"

# No swap: said once; zeroes take no memory, noise is refused.
mount_anon "$mnt" mem=64M
equal "lines on swap" "$(grep -c 'no swap' "$work/mount.out")" 1
head -c 300M /dev/zero >"$mnt/zeroes" || fail "300 MiB of zeroes in 64"
equal "size of zeroes" "$(stat -c %s "$mnt/zeroes")" $((300 << 20))
cmp -n $((300 << 20)) "$mnt/zeroes" /dev/zero || fail "zeroes are not"
[ "$(vmstat "$mnt" swpout_same)" -gt 50000 ] || fail "swpout_same"
noise 80000000 c >"$work/c"
fails_with 'No space' cp "$work/c" "$mnt/c"
size=$(stat -c %s "$mnt/c")
echo "without swap $size bytes in mem=64M"
[ "$size" -gt 45000000 ] || fail "refused too early"
cmp -n "$size" "$work/c" "$mnt/c" || fail "the accepted part without swap"
equal "zeroes, when full" "$(tail -c 1M "$mnt/zeroes" | tr -d '\0' | wc -c)" 0
rm "$mnt/c"
head -c 40000000 "$work/c" >"$mnt/d" || fail "what was removed is not there"
head -c 40000000 "$work/c" | cmp - "$mnt/d" || fail "d"
overhead_kept "$mnt" || fail "more than the budget"
unmount "$mnt"
