#!/bin/bash
#
# O_APPEND: several writers, each write at the end as it is then, none lost or
# torn.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mount_plimsoll "$src" "$mnt"
echo first >"$mnt/f"
echo second >>"$mnt/f"
equal "appended" "$(tr '\n' ' ' <"$mnt/f")" "first second "

# 8 writers, 300 lines each, of different lengths, over page bounds.
cat >"$work/writer.py" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for i in range(300):
    line = b"%s %d %s\n" % (sys.argv[2].encode(), i, b"x" * (i * 37 % 6000))
    assert os.write(fd, line) == len(line)
END
writers=()
for w in 1 2 3 4 5 6 7 8; do
	python3 "$work/writer.py" "$mnt/log" "$w" &
	writers+=($!)
done
for w in "${writers[@]}"; do
	wait "$w" || fail "a writer failed"
done
python3 - "$mnt/log" <<'END' || fail "lines are lost or torn"
import collections, sys
seen = collections.defaultdict(int)
for line in open(sys.argv[1], "rb"):
    w, i, x = line.rstrip(b"\n").split(b" ")
    assert int(i) == seen[w], (w, i, seen[w])
    assert len(x) == int(i) * 37 % 6000 and x.strip(b"x") == b""
    seen[w] += 1
assert len(seen) == 8 and set(seen.values()) == {300}, seen
END

# An append after a truncate goes to the new end.
exec 3>>"$mnt/f"
truncate -s 3 "$mnt/f"
printf XY >&3
exec 3>&-
equal "after truncate" "$(cat "$mnt/f")" firXY
compare_after_unmount "$mnt" "$src" f log
