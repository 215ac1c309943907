#!/bin/bash
#
# Swap files: made by plimsollctl mkswap, or at mount; several of them; and all
# the wrong ones, each refused with one line, nothing mounted, made or changed.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

d=$work/d
mkdir "$d"
nr=0 nr_bad=0
# So that one run names them all.
bad() {
	echo "failed: $*"
	nr_bad=$((nr_bad + 1))
}
swaps() {
	sed 1d "$mnt/.plimsoll/swaps"
}
allocated() {
	[ $(($(stat -c %b "$1") * 512)) -ge "$(stat -c %s "$1")" ]
}

# Made by mkswap.
(umask 0 && ctl mkswap --label scratch "$d/a" 32M) >"$work/out" || fail "mkswap"
equal "it says" "$(cat "$work/out")" "$d/a: 32 MiB of swap"
equal "mode and size" "$(stat -c '%a %s' "$d/a")" "600 $((32 << 20))"
allocated "$d/a" || fail "not allocated"
grep -aq scratch "$d/a" || fail "no label"
# Made at mount, and a link to one. All are used, the first one first.
: >"$d/empty"
ln -s "$d/a" "$d/link"
mount_anon "$mnt" "mem=16M,swap=$d/link,swap=$d/b:16M,swap=$d/empty:24M"
grep -q '^plimsoll: swap 71 MiB in 3 files$' "$work/mount.out" ||
	fail "$(cat "$work/mount.out")"
for f in b empty; do
	equal "mode of $f" "$(stat -c %a "$d/$f")" 600
	allocated "$d/$f" || fail "$f is not allocated"
done
names=$(swaps | awk '{ printf "%s ", $1 }')
[ "$names" = "$d/a $d/b $d/empty " ] || bad "names are $names"
equal "sizes" "$(swaps | awk '{ printf "%s ", $(NF - 2) }')" \
	"$(((32 << 10) - 128)) $(((16 << 10) - 128)) $(((24 << 10) - 128)) "
equal "SwapTotal" "$(meminfo "$mnt" SwapTotal)" $(((72 << 10) - 3 * 128))
noise 30000000 1 >"$mnt/1" || fail "30 MB"
read -r -d '' used1 used2 used3 < <(swaps | awk '{ print $(NF - 1) }')
[ "$used1" -gt 8000 ] || fail "the first is not filled first: $used1"
equal "the others" "$used2 $used3" "0 0"
noise 45000000 2 >"$mnt/2" || fail "45 MB"
read -r -d '' used1 used2 used3 < <(swaps | awk '{ print $(NF - 1) }')
echo "used: $used1 $used2 $used3 KiB"
if [ "$used1" -lt 30000 ] || [ "$used2" -lt 15000 ] || [ "$used3" -lt 5000 ]; then
	fail "not used in order"
fi
noise 30000000 1 | cmp - "$mnt/1" || fail "1 is different"
noise 45000000 2 | cmp - "$mnt/2" || fail "2 is different"
rm "$mnt"/*
# But for the clusters that are being filled.
is_free() {
	[ $(($(meminfo "$mnt" SwapTotal) - $(meminfo "$mnt" SwapFree))) -le 256 ]
}
eventually 10 is_free || fail "not free again: $(swaps)"
unmount "$mnt"
grep -aq scratch "$d/a" || fail "the label is gone"

# As it is; of another size; a name with a colon and blanks; with modes too open.
mount_anon "$mnt" "mem=16M,swap=$d/b:16M"
unmount "$mnt"
mount_anon "$mnt" "mem=16M,swap=$d/b:20M"
equal "made anew" "$(stat -c %s "$d/b")" $((20 << 20))
unmount "$mnt"
mount_anon "$mnt" "mem=16M,swap=$d/b:8M"
equal "made smaller" "$(stat -c %s "$d/b")" $((8 << 20))
equal "SwapTotal" "$(meminfo "$mnt" SwapTotal)" $(((8 << 10) - 128))
unmount "$mnt"
chmod 644 "$d/b"
mount_anon "$mnt" "mem=16M,swap=$d/b,swap=$d/a b:c:16M"
grep -q 'others could read it' "$work/mount.out" || fail "modes: not said"
equal "mode" "$(stat -c %a "$d/b")" 600
equal "name" "$(stat -c %s "$d/a b:c")" $((16 << 20))
unmount "$mnt"
# Holes are filled.
fallocate -p -o 1M -l 6M "$d/b"
mount_anon "$mnt" "mem=16M,swap=$d/b"
allocated "$d/b" || fail "holes are left"
unmount "$mnt"

what='%p %y %m %s %b %T@ %C@\n'
state() {
	mounts_below "$work"
	daemons_below "$work"
	timeout 10 find "$d" "$work/src" ${room:+"$room"} \
		\( -path "*/lost+found" -prune \) -o -type d -printf '%p %y %m\n' -o \
		-printf "$what"
}
# refused TEXT COMMAND...: one line with it, and all is as it was.
refused() {
	local text=$1 status lines

	shift
	state >"$work/state.before"
	timeout 20 "$@" >"$work/out" 2>"$work/err"
	status=$?
	state >"$work/state.after"
	nr=$((nr + 1))
	[ $status != 0 ] || bad "'$*' should fail"
	[ $status -lt 124 ] || bad "'$*': exit status $status"
	lines=$(wc -l <"$work/err")
	[ "$lines" = 1 ] || bad "'$*' says $lines lines: $(cat "$work/err")"
	case $(cat "$work/err") in
	plimsoll*"$text"*) ;;
	*) bad "'$*' says '$(cat "$work/err")', should say '$text'" ;;
	esac
	diff "$work/state.before" "$work/state.after" || bad "'$*' changed something"
	[ $status != 0 ] || ! is_mounted "$mnt" || umount "$mnt"
}
# s TEXT SWAP...: at mount.
s() {
	local text=$1 options=mem=16M swap

	shift
	for swap in "$@"; do
		options=$options,swap=$swap
	done
	refused "$text" "$plimsoll" -o "$options" anon "$mnt"
}

echo kept >"$d/file"
noise 3000000 x >"$d/noise"
mkdir "$d/dir"
mkfifo "$d/fifo"
ln -s nowhere "$d/dangling"
ctl mkswap "$d/good" 8M >/dev/null
cp "$d/good" "$d/damaged"
printf x | dd of="$d/damaged" bs=1 seek=100 conv=notrunc status=none
cp "$d/good" "$d/short"
truncate -s 5M "$d/short"
cp "$d/good" "$d/header"
truncate -s 4000 "$d/header"

s 'does not exist' "$d/missing"
s 'does not exist' "$d/dangling"
s 'No such file' "$d/none/missing:32M"
s 'No such file' "$d/none/missing"
s 'Not a directory' "$d/file/x:32M"
s 'no swap area' "$d/file"
s 'no swap area' "$d/noise"
s 'no swap area' "$d/noise:32M"
s 'no swap area' "$d/header"
s 'damaged header' "$d/damaged"
s 'cut short' "$d/short"
s 'cut short' "$d/short:8M"
s 'too small' "$d/new:1M"
s 'too small' "$d/new:2097151"
s 'size of 0' "$d/new:0"
s 'not a size' "$d/new:abc"
s 'directory' "$d/dir"
s 'directory' "$d/dir:32M"
s 'not a regular file' /dev/null
s 'not a regular file' "$d/fifo"
s 'no path' ':32M'
s 'too large' "$d/new:100000T"
# Where there is none, after one that would have done: that is not made either.
s 'does not exist' "$d/new:8M" "$d/missing"
s 'no swap area' "$d/new:8M" "$d/noise"
s 'is given twice' "$d/good" "$d/good"
s 'is given twice' "$d/new:8M" "$d/new:8M"
# Where it would have to be swapped in to be swapped to.
s 'below the mount point' "$mnt/swap:32M"
ln -s "$mnt" "$work/to-mnt"
s 'below the mount point' "$work/to-mnt/swap:32M"
mkdir "$src/in" "$work/fmnt"
for f in "$src/swap" "$src/in/swap"; do
	refused 'inside the source' "$plimsoll" -o "mem=16M,swap=$f:32M" \
		anon "$mnt" "$src" "$work/fmnt"
done
# Others' mounts.
mount_volumes mem=16M "$src" "$work/fmnt"
s 'inside a plimsoll mount' "$work/fmnt/swap:8M"
unmount "$work/fmnt"

# mkswap.
m() {
	local text=$1

	shift
	refused "$text" "$plimsollctl" mkswap "$@"
}
m usage
m usage "$d/new"
m usage "$d/new" 8M more
m usage --bogus "$d/new" 8M
m 'not a size' "$d/new" abc
m 'not a size' "$d/new" -8M
m 'not a size' "$d/new" ''
m 'longer' --label 12345678901234567 "$d/new" 8M
m 'too small' "$d/new" 1M
ctl mkswap "$d/small" 2M >/dev/null || bad "the smallest"
chmod 640 "$d/small"
m 'too small' "$d/small" 2097151
m 'too small' --force "$d/small" 100K
m 'other contents' "$d/file" 8M
m 'other contents' "$d/noise" 8M
m 'regular file' --force /dev/null 8M
m 'irectory' --force "$d/dir" 8M
m "$d/none/x" "$d/none/x" 8M
ctl mkswap "$d/damaged" 8M >/dev/null || bad "a damaged one cannot be made anew"
ctl mkswap --force "$d/noise" 8M >/dev/null || bad "--force"
ctl mkswap --label 1234567890123456 "$d/good" 16M >/dev/null || bad "made larger"
equal "size of good" "$(stat -c %s "$d/good")" $((16 << 20))
mount_anon "$mnt" "mem=16M,swap=$d/damaged,swap=$d/noise,swap=$d/good"
equal "SwapTotal" "$(meminfo "$mnt" SwapTotal)" $(((32 << 10) - 3 * 128))
unmount "$mnt"

# Another user's.
if [ "$(id -u)" = 0 ]; then
	chmod 777 "$d"
	chmod 666 "$d/good"
	refused 'belongs to somebody else' setpriv --reuid 1000 --regid 1000 \
		--clear-groups "$plimsollctl" mkswap "$d/good" 8M
	chmod 600 "$d/good"
	refused 'Permission denied' setpriv --reuid 1000 --regid 1000 \
		--clear-groups "$plimsollctl" mkswap --force "$d/good" 8M

	# No room: nothing is left behind, and what was there is as it was.
	make_loop_fs 20M "$work/room"
	# Its fallocate may leave traces even where it fails.
	room=$work/room what='%p %y %m %s\n'
	ctl mkswap "$room/old" 4M >/dev/null || bad "4 MiB of 20"
	free=$(stat -fc %f "$room")
	s 'no room' "$room/swap:100M"
	s 'no room' "$room/old:100M"
	s 'no room' "$d/good" "$room/swap:100M"
	m 'no room' "$room/swap" 100M
	m 'no room' "$room/old" 100M
	m 'no room' --force "$room/old" 100M
	[ $((free - $(stat -fc %f "$room"))) -le 8 ] || bad "blocks are left allocated"
	mount_anon "$mnt" "mem=16M,swap=$room/old"
	unmount "$mnt"
	umount "$room" || fail "still in use"
fi
echo "$nr kinds, $nr_bad failed"
[ "$nr_bad" = 0 ]
