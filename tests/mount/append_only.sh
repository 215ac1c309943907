#!/bin/bash
#
# Files that are append-only or immutable in the backing directory (chattr +a, +i):
# what can be done to them is what can be done to them there, and what is appended
# is there at once, in order, whoever else appends.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "not root"
need chattr setcap getcap setpriv python3
python=/usr/bin/python3 # one that other users may run, too
[ -x $python ] || python=python3

make_loop_fs 64M "$work/disk"
src=$work/disk/src
mkdir "$src" "$work/disk/bare"

# --- each operation -------------------------------------------------------------------

timeout 60 $python "$top/tests/mount/append_only.py" "$work/disk/bare" "$work/disk/bare" \
	>"$work/there" || fail "append_only.py on a bare directory"
for cache in auto user kernel; do
	mount_plimsoll "$src" "$mnt" mem=64M,allow_other,cache=$cache
	timeout 60 $python "$top/tests/mount/append_only.py" "$mnt" "$src" >"$work/here" ||
		fail "append_only.py, cache=$cache"
	diff "$work/there" "$work/here" >"$work/diff" || {
		head -n 20 "$work/diff"
		fail "cache=$cache: not as in a bare directory"
	}
	[ "$(vmstat "$mnt" appended_bytes)" -gt 0 ] || fail "nothing was appended"
	unmount "$mnt"
done

# --- while it is in use ----------------------------------------------------------------

for cache in auto user kernel; do
	mount_plimsoll "$src" "$mnt" mem=64M,allow_other,cache=$cache

	# At once in the backing file, and for who reads, with all of the end cached.
	echo begin >"$src/log" && chattr +a "$src/log"
	exec 3<"$mnt/log"
	exec 4>>"$mnt/log"
	equal "read" "$(cat "$mnt/log")" begin
	for i in 1 2 3; do
		echo "line $i" >&4
		equal "$i in the backing file" "$(tail -n 1 "$src/log")" "line $i"
		equal "$i in the mount" "$(tail -n 1 "$mnt/log")" "line $i"
		equal "size after $i" "$(stat -c %s "$mnt/log")" "$(stat -c %s "$src/log")"
	done
	equal "by who had it open" "$(cat <&3)" "$(cat "$src/log")"
	equal "dirty" "$(vmstat "$mnt" nr_dirty)" 0
	# Somebody else has appended meanwhile: it is behind that.
	echo "by another" >>"$src/log"
	echo "line 4" >&4
	equal "the end" "$(tail -n 2 "$src/log" | tr '\n' ,)" "by another,line 4,"
	eventually 3 cmp "$mnt/log" "$src/log" || fail "the mount shows another end"
	exec 3<&- 4>&-

	# An ordinary file again, at the next open.
	chattr -a "$src/log"
	echo new >"$mnt/log" || fail "cannot write after chattr -a"
	sync "$mnt/log"
	equal "written after chattr -a" "$(cat "$src/log")" new

	# What is dirty when the flag comes, and is written by who had it open, arrives;
	# what is appended comes behind it; nobody else may write.
	exec 4<>"$mnt/log"
	echo before >&4
	chattr +a "$src/log"
	echo after >&4
	fails_with 'not permitted' sh -c 'echo x 1<>"$1" >&1' - "$mnt/log"
	fails_with 'not permitted' truncate -s 0 "$mnt/log"
	echo appended >>"$mnt/log"
	equal "with the flag in between" "$(tr '\n' , <"$src/log")" "before,after,appended,"
	printf A >&4
	exec 4>&-
	sync "$mnt/log"
	equal "by who had it open" "$(tr '\n' , <"$src/log")" "before,after,Appended,"
	cmp "$mnt/log" "$src/log" || fail "the mount shows something else"
	chattr -a "$src/log"
	rm "$src/log"

	# Stores to a mapping are refused, and change nothing.
	head -c 9000 /dev/zero >"$src/map" && chattr +a "$src/map"
	timeout 20 $python - "$mnt/map" <<-'PY' || fail "stores to a mapping"
		import errno, mmap, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
		try:
		    m = mmap.mmap(fd, 9000)
		    m[100] = 1
		    m.flush()
		    os.fsync(fd)
		    sys.exit("they were taken")
		except OSError as e:
		    assert e.errno in (errno.EPERM, errno.EACCES, errno.EIO), e
	PY
	timeout 10 sh -c 'echo end >>"$1"' - "$mnt/map" || fail "append after that"
	equal "what was mapped" "$(head -c 9000 "$src/map" | tr -d '\0')" ''
	equal "its end" "$(tail -c 4 "$src/map")" end
	chattr -a "$src/map"

	# What a write(2) takes, although nothing but appending is allowed.
	: >"$src/prog" && chmod 6777 "$src/prog" && setcap cap_net_raw+ep "$src/prog"
	chattr +a "$src/prog"
	timeout 10 sh -c 'echo x >>"$1"' - "$mnt/prog" || fail "append as root"
	equal "set-id bits, root" "$(stat -c %a "$mnt/prog")" 6777
	equal "capabilities, root" "$(getcap "$mnt/prog")" ''
	# Taking set-id bits is more than appending.
	fails_with '' as 1000 timeout 10 sh -c 'echo x >>"$1"' - "$mnt/prog"
	equal "set-id bits" "$(stat -c %a "$mnt/prog" "$src/prog" | uniq)" 6777
	chattr -a "$src/prog" && chmod 777 "$src/prog"
	setcap cap_net_raw+ep "$src/prog" && chattr +a "$src/prog"
	as 1000 timeout 10 sh -c 'echo x >>"$1"' - "$mnt/prog" || fail "append as another"
	equal "capabilities" "$(getcap "$mnt/prog" "$src/prog")" ''
	equal "appended" "$(cat "$mnt/prog" "$src/prog" | tr '\n' ,)" x,x,x,x,
	chattr -a "$src/prog"
	rm "$src/prog" "$src/map"
	unmount "$mnt"
done

# --- several who append, through the mount and beside it ---------------------------------

mount_plimsoll "$src" "$mnt" mem=64M,allow_other
: >"$src/many" && chmod 666 "$src/many" && chattr +a "$src/many"
timeout 60 $python - "$mnt/many" "$src/many" <<-'PY' || fail "several appenders"
	import os, sys

	LINES, N = 300, 5
	paths = [sys.argv[1]] * (N - 1) + [sys.argv[2]]
	for who, path in enumerate(paths):
	    if os.fork() == 0:
	        flags = [0, os.O_SYNC, 0, os.O_DSYNC, 0][who] if path == sys.argv[1] else 0
	        fd = os.open(path, os.O_WRONLY | os.O_APPEND | flags)
	        for i in range(LINES if not flags else 40):
	            line = f"{who} {i} ".encode() + b"x" * (i * 37 % 9000) + b"\n"
	            assert os.write(fd, line) == len(line)
	        os._exit(0)
	ok = True
	for _ in paths:
	    ok &= os.wait()[1] == 0
	assert ok
	for path in (sys.argv[2], sys.argv[1]):
	    next_of = [0] * N
	    for line in open(path, "rb").read().split(b"\n")[:-1]:
	        who, i, rest = line.split(b" ")
	        assert int(i) == next_of[int(who)], (path, line[:20])
	        assert rest == b"x" * (int(i) * 37 % 9000), (path, line[:20])
	        next_of[int(who)] += 1
	    assert next_of == [300, 40, 300, 40, 300], (path, next_of)
PY

# After a crash there is what was synced; no more is needed than that it is written.
timeout 10 sh -c 'echo kept >>"$1"; sync "$1"' - "$mnt/many"
kill -9 "$pid" && wait_gone "$pid" 10
umount -l "$mnt"
equal "after a crash" "$(tail -n 1 "$src/many")" kept

# A full disk: refused, nothing of it taken for written.
mount_plimsoll "$src" "$mnt" mem=64M,allow_other
size=$(stat -c %s "$mnt/many")
timeout 60 dd if=/dev/zero of="$mnt/many" oflag=append conv=notrunc bs=64K count=2000 \
	2>"$work/dd" && fail "more than there is room for"
grep -q 'No space' "$work/dd" || fail "$(cat "$work/dd")"
equal "size" "$(stat -c %s "$mnt/many")" "$(stat -c %s "$src/many")"
[ "$(stat -c %s "$mnt/many")" -gt $((size + 20000000)) ] || fail "refused too early"
cmp "$mnt/many" "$src/many" || fail "the mount shows something else"
unmount "$mnt"
chattr -a "$src/many"
