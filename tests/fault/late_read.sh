#!/bin/bash
#
# What is read ahead when a file is closed for the last time may be late: the disk
# takes its time, and other files are opened meanwhile, and get the descriptors'
# numbers. It is read from its own file all the same. Reads are held back on purpose.
# SEED=n runs it again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3 openssl

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
for n in 0 1 2 3 4 5 6 7; do
	noise 4M "$seed.$n" >"$src/f$n"
done
mount_plimsoll "$src" "$mnt" mem=64M,cache=user
fault "$mnt" fail_io error=delay op=read delay-ms=150 times=-1 probability=100
timeout 60 python3 - "$mnt" "$seed" <<'PY' || fail "files in a row"
import os, random, sys
mnt, rnd = sys.argv[1], random.Random(sys.argv[2])
for n in range(8):
    # In order, until the window runs ahead; then no look back.
    fd = os.open(f"{mnt}/f{n}", os.O_RDONLY)
    for at in range(0, rnd.randrange(3, 9) * 16384, 16384):
        os.pread(fd, 16384, at)
    os.close(fd)
PY
sleep 1
fault "$mnt" fail_io probability=0
[ "$(cat "$mnt/.plimsoll/fault/fail_io/injected")" -gt 0 ] || fail "nothing was late"
equal "what was read ahead" "$(cd "$mnt" && sha256sum f?)" \
	"$(cd "$src" && sha256sum f?)"
[ "$(vmstat "$mnt" readahead_pages)" -gt 0 ] || fail "nothing was read ahead"
unmount "$mnt"
