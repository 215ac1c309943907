#!/bin/bash
# timeout: 180
#
# Which way requests come: chosen by the option and the kernel's switch, said at
# mount, and the same to whoever reads and writes. What is under way at the end
# of a mount, however it ends, hangs nobody. The switch is put back at the end.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need fio
unset TRANSPORT
plimsoll=${PLIMSOLL:-$top/build/plimsoll}

# mounted_by OPTIONS TRANSPORT TEXT: and the line at mount says so.
mounted_by() {
	mount_plimsoll "$src" "$mnt" "mem=32M,$1"
	equal "transport of $1" "$(volume "$mnt" transport)" "$2"
	grep -q "transport=$2\( (\|,\|$\)" mount.out ||
		fail "$1: $(cat mount.out)"
	grep -q -- "$3" mount.out || fail "$1: no '$3' in $(cat mount.out)"
	overhead_kept "$mnt" || fail "$1: more memory than stated"
}

# Names, data, attributes, links and lists, small and large.
use_it() {
	local sum

	mkdir "$mnt/d"
	noise 30000000 "$1" >"$mnt/d/f"
	ln -s "$(printf '%0250d/' 1 2 3)end" "$mnt/d/link"
	touch "$mnt"/d/n{1..500}
	setfattr -n user.x -v "$(printf '%01000d' 7)" "$mnt/d/f"
	sum=$(noise 30000000 "$1" | sha256sum)
	equal "$1: cached" "$(sha256sum <"$mnt/d/f")" "$sum"
	drop_caches "$mnt"
	equal "$1: read" "$(sha256sum <"$mnt/d/f")" "$sum"
	equal "$1: link" "$(readlink "$mnt/d/link")" \
		"$(printf '%0250d/' 1 2 3)end"
	equal "$1: names" "$(find "$mnt/d" | wc -l)" 503
	equal "$1: xattr" "$(getfattr --absolute-names --only-values -n user.x "$mnt/d/f")" \
		"$(printf '%01000d' 7)"
	unmount "$mnt"
	equal "$1: written" "$(sha256sum <"$src/d/f")" "$sum"
	rm -r "$src/d"
}

need setfattr
ring_switch N
mounted_by transport=auto dev 'enable_uring is off'
equal "lines that say how" "$(grep -c 'echo 1 >.*enable_uring' mount.out)" 1
use_it off
mounted_by transport=dev dev 'mem 32 MiB'
grep -q 'enable_uring' mount.out && fail "dev: speaks of the switch"
unmount "$mnt"
fails_with 'enable_uring is off' \
	timeout 20 "$plimsoll" -o mem=32M,transport=uring "$src" "$mnt"
is_mounted "$mnt" && fail "refused, and mounted"
mkdir "$work/other" "$work/mo" "$work/d1"
fails_with 'enable_uring is off' timeout 20 "$plimsoll" \
	-o mem=32M,transport=uring "$src" "$mnt" "$work/other" "$work/mo"

ring_switch Y
# Rings have no room in this; said, not just done.
fails_with 'too small for the rings' timeout 20 "$plimsoll" \
	-o mem=8M,transport=uring "$src" "$mnt" anon "$work/mo" \
	"$work/other" "$work/other" "$work/d1" "$work/d1"
for t in dev uring auto; do
	expected=$t
	[ $t = auto ] && expected=uring
	mounted_by transport=$t $expected 'mem 32 MiB'
	grep -q 'enable_uring' mount.out && fail "$t: speaks of the switch"
	use_it $t
done

cat >load.fio <<'FIO'
[load]
directory=${DIR}
size=16m
bs=4k
numjobs=3
rw=randrw
ioengine=libaio
iodepth=16
time_based
runtime=10
FIO

# under_load MOUNTPOINT: sets $load.
under_load() {
	DIR=$1 timeout 60 fio load.fio >/dev/null 2>&1 &
	load=$!
	eventually 20 test -e "$1/load.2.0" || fail "no load"
	sleep 1
}

load_ends() {
	wait_gone "$load" 20 || fail "fio $load hangs"
	wait "$load"
}

# Two volumes, requests of both on their way.
mount_volumes mem=32M "$src" "$mnt" anon "$work/mo"
under_load "$mnt"
first=$load
under_load "$work/mo"
kill -TERM "$pid"
wait_gone "$pid" 60 || fail "SIGTERM: plimsoll $pid does not end"
load_ends
load=$first
load_ends
is_mounted "$mnt" && fail "SIGTERM: still mounted"
is_mounted "$work/mo" && fail "SIGTERM: mo still mounted"

for _ in 1 2 3; do
	mount_volumes mem=32M "$src" "$mnt"
	under_load "$mnt"
	kill -KILL "$pid"
	wait_gone "$pid" 20 || fail "SIGKILL: plimsoll $pid does not end"
	timeout 20 fusermount3 -uz "$mnt" || fail "SIGKILL: fusermount3"
	is_mounted "$mnt" && fail "SIGKILL: still mounted"
	load_ends
done

# One of two is unmounted; the other goes on.
mount_volumes mem=32M "$src" "$mnt" anon "$work/mo"
noise 5000000 stays >"$work/mo/f"
umount "$mnt"
equal "the other" "$(sha256sum <"$work/mo/f")" \
	"$(noise 5000000 stays | sha256sum)"
umount "$work/mo"
wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
