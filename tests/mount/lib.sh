# shellcheck shell=bash
#
# lib.sh - what the scripts that mount something share; the first thing each of
# them sources.
#
# Sourcing it runs the rest of the script a second time as a child, under a
# timeout and in a process group of its own, in an empty directory $work. The
# first process never touches a mount: so it can always take everything down,
# even if the child hangs in one.

set -u
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
umask 022
work=${work:-}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
plimsoll=${PLIMSOLL:-$top/build/plimsoll}
plimsollctl=${PLIMSOLLCTL:-${plimsoll}ctl}
# shellcheck source=tests/mount/cleanup.sh
. "$top/tests/mount/cleanup.sh"

# The kernel's switch for FUSE over io_uring.
ring_switch=/sys/module/fuse/parameters/enable_uring

# SAN=address,undefined or thread: PLIMSOLL was built with it. What takes memory
# of its own cannot be held to a budget.
sanitized=${SAN:+yes}

# SLOW=N: all takes so many times as long. A timeout(1) that knows it comes first.
patience_begin() {
	mkdir -p "$work.bin"
	cat >"$work.bin/timeout" <<-'SH'
		#!/bin/bash
		while [ "${1#-}" != "$1" ]; do
			options+=("$1")
			[ "$1" = -k ] && shift && options+=("$1")
			shift
		done
		exec /usr/bin/timeout "${options[@]}" $(($1 * SLOW)) "${@:2}"
	SH
	chmod 755 "$work.bin" "$work.bin/timeout"
	export SLOW PATH=$work.bin:$PATH
}

# What the programs find goes to files beside $work, which any user may make.
sanitizer_begin() {
	local to

	mkdir -m 1777 "$work.san" && chmod 1777 "$work.san" || exit 1
	to=log_path=$work.san/report
	export ASAN_OPTIONS=$to UBSAN_OPTIONS=$to:print_stacktrace=1
	export TSAN_OPTIONS=$to:history_size=4
}

# False if anything was found, which is shown.
sanitizer_end() {
	local report found=0

	for report in "$work.san"/*; do
		[ -s "$report" ] || continue
		head -n 200 "$report"
		found=1
	done
	rm -rf "$work.san"
	return $found
}

supervise() {
	local limit child rc

	limit=${TEST_TIMEOUT:-$(sed -n '1,20s/^# timeout: \([0-9]*\)$/\1/p' "$0")}
	work=$(mktemp -d "${TMPDIR:-/var/tmp}/plimsoll.XXXXXX") || exit 1
	chmod 755 "$work"
	export work
	[ -z "$sanitized" ] || sanitizer_begin
	[ -z "${SLOW:-}" ] || patience_begin
	# For ring_switch(), of us and our child: locked until we have put it back.
	if [ -r "$ring_switch" ]; then
		exec {ring_lock}<"$ring_switch"
		export ring_lock
	fi
	timeout -k 5 $((${limit:-120} - 5)) bash "$0" "$@" </dev/null &
	child=$!
	trap 'kill -TERM -- "-$child" 2>/dev/null' INT TERM HUP
	until wait "$child"; rc=$?; ! kill -0 "$child" 2>/dev/null; do
		:
	done
	[ $rc = 124 ] && echo "no end after $(((${limit:-120} - 5) * ${SLOW:-1})) s"
	kill -KILL -- "-$child" 2>/dev/null
	[ ! -e "$work.switch" ] || cat "$work.switch" >"$ring_switch"
	if ! clean_dir "$work" && [ $rc = 0 ]; then
		rc=1
	fi
	rm -rf "$work.bin" "$work.switch"
	[ ! -e "$work.cgroup" ] || leave_cgroup || rc=1
	[ -z "$sanitized" ] || sanitizer_end || rc=1
	exit $rc
}

fail() {
	echo "failed: $* (line ${BASH_LINENO[-2]} of ${0##*/})" >&2
	exit 1
}

skip() {
	echo "skipped: $*"
	exit 77
}

# need PROGRAM...
need() {
	local program

	for program in "$@"; do
		command -v "$program" >/dev/null || skip "no $program"
	done
}

# equal WHAT IS SHOULD_BE
equal() {
	[ "$2" = "$3" ] || fail "$1 is '$2', should be '$3'"
}

# fails_with TEXT COMMAND...: it fails, and says TEXT on stderr.
fails_with() {
	local text=$1 said

	shift
	said=$("$@" 2>&1 >/dev/null) && fail "'$*' should fail"
	case $said in
	*"$text"*) ;;
	*) fail "'$*' says '$said', should say '$text'" ;;
	esac
}

# Into a memory cgroup of the test's own, of version 1 or 2, where there is one:
# sets CGROUP, else CACHED, for kernel_cache.py. It goes at the end of the script.
own_cgroup() {
	local top

	top=$(findmnt -nro TARGET -t cgroup -O memory | head -n 1)
	if [ -z "$top" ]; then
		top=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
		echo +memory >"$top/cgroup.subtree_control"
	fi
	export CGROUP=$top/${work##*/}
	if mkdir "$CGROUP" && echo "$CGROUP" >"$work.cgroup" &&
		[ -e "$CGROUP/memory.stat" ] && echo $$ >"$CGROUP/cgroup.procs"; then
		return
	fi
	unset CGROUP
	CACHED=$(awk '/^Cached:/ { print $2 * 1024 }' /proc/meminfo)
	export CACHED
} 2>/dev/null

# When everything in it has ended.
leave_cgroup() {
	local dir n=100

	read -r dir <"$work.cgroup"
	until rmdir "$dir" 2>/dev/null; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.05
	done
	rm -f "$work.cgroup"
}

# ring_switch Y|N: until the end of the script, when it is as it was before. It is
# the machine's: another test that switches it, of another tree, has to wait.
ring_switch() {
	[ -e "$ring_switch" ] || skip "this kernel has no FUSE over io_uring"
	[ -w "$ring_switch" ] || skip "not root"
	flock "$ring_lock" || fail "$ring_switch cannot be locked"
	[ -e "$work.switch" ] || cat "$ring_switch" >"$work.switch"
	echo "$1" >"$ring_switch" || fail "$ring_switch cannot be set"
}

# as UID COMMAND...: gid alike, no other groups.
as() {
	local id=$1

	shift
	setpriv --reuid "$id" --regid "$id" --clear-groups "$@"
}

# eventually SECONDS COMMAND...: it succeeds before long.
eventually() {
	local n=$(($1 * 10 * ${SLOW:-1}))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.1
	done
}

# mount_volumes OPTIONS SOURCE MOUNTPOINT [SOURCE MOUNTPOINT ...]; sets $pid.
mount_volumes() {
	local options=$1

	shift
	timeout 60 "$plimsoll" -o "$options" "$@" >"$work/mount.out" 2>&1 ||
		fail "no mount of $*: $(cat "$work/mount.out")"
	pid=$(volume "$2" pid)
	[ -n "$pid" ] || fail "no pid in $2/.plimsoll/volume"
}

# mount_plimsoll SOURCE MOUNTPOINT [OPTIONS]; sets $pid. Makes both.
mount_plimsoll() {
	mkdir -p "$1" "$2"
	if [ "${KIND:-}" = anon ]; then
		mount_anon "$2" "${3:-mem=64M},swap=$work/swap:512M"
	else
		mount_volumes "${3:-mem=64M}" "$1" "$2"
	fi
}

# mount_anon MOUNTPOINT OPTIONS; sets $pid. Makes it.
mount_anon() {
	mkdir -p "$1"
	mount_volumes "$2" anon "$1"
}

# mount_as_user: user 1000 mounts his directory $work/his/src at $work/his/mnt; sets
# $pid. False where /dev/fuse and fusermount3 do not let him.
mount_as_user() {
	[ -u "$(command -v fusermount3)" ] && as 1000 test -w /dev/fuse || return 1
	mkdir "$work/his" "$work/his/src" "$work/his/mnt"
	chown -R 1000:1000 "$work/his"
	as 1000 "$plimsoll" -o mem=16M "$work/his/src" "$work/his/mnt" \
		>"$work/mount.out" 2>&1 || fail "$(cat "$work/mount.out")"
	pid=$(as 1000 sed -n 's/^pid //p' "$work/his/mnt/.plimsoll/volume")
}

unmount_as_user() {
	as 1000 fusermount3 -u "$work/his/mnt" || fail "fusermount3 -u"
	wait_gone "$pid" 30 || fail "plimsoll of another user does not end"
}

# unmount MOUNTPOINT...: and see the process end.
unmount() {
	local mountpoint

	for mountpoint in "$@"; do
		if [ "${KIND:-}" = anon ]; then
			cp -a "$mountpoint" "$work/copy.anon" ||
				fail "cp -a of $mountpoint"
		fi
		umount "$mountpoint" || fail "cannot unmount $mountpoint"
		if [ "${KIND:-}" = anon ]; then
			rm -rf "$mountpoint"
			mv "$work/copy.anon" "$mountpoint"
		fi
	done
	wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
}

# ctl COMMAND MOUNTPOINT...
ctl() {
	timeout 60 "$plimsollctl" "$@"
}

# volume MOUNTPOINT FIELD: from the volume's control file.
volume() {
	sed -n "s/^$2 //p" "$1/.plimsoll/volume"
}

# vmstat MOUNTPOINT COUNTER
vmstat() {
	sed -n "s/^$2 //p" "$1/.plimsoll/vmstat"
}

# fault MOUNTPOINT NAME FIELD=VALUE...
fault() {
	local mountpoint=$1 name=$2 field

	shift 2
	for field in "$@"; do
		echo "${field#*=}" \
			>"$mountpoint/.plimsoll/fault/$name/${field%=*}" ||
			fail "$name/$field cannot be set"
	done
}

# meminfo MOUNTPOINT FIELD: in KiB.
meminfo() {
	sed -n "s/^$2: *\([0-9]*\) kB$/\1/p" "$1/.plimsoll/meminfo"
}

# overhead_kept MOUNTPOINT: resident memory was never more than the budget and
# what is stated beside it; prints both.
overhead_kept() {
	local hwm budget

	hwm=$(awk '/^VmHWM:/ { print $2 * 1024 }' "/proc/$pid/status")
	budget=$(($(volume "$1" mem) + $(volume "$1" overhead)))
	echo "resident at most $((hwm >> 10)) KiB, of $((budget >> 10))"
	[ -n "$sanitized" ] || [ "$hwm" -le "$budget" ]
}

drop_caches() {
	echo 3 >"$1/.plimsoll/sys/vm/drop_caches" || fail "drop_caches"
}

# is_mounted DIRECTORY
is_mounted() {
	grep -q " ${1// /\\\\040} [^-]* - fuse.plimsoll " /proc/self/mountinfo
}

# noise SIZE SEED: bytes that do not repeat, the same each time.
noise() {
	openssl enc -aes-128-ctr -nosalt -pass "pass:$2" </dev/zero 2>/dev/null |
		head -c "$1"
}

# make_loop_fs SIZE DIRECTORY [MKFS_OPTIONS]: an ext4 of its own, mounted; its
# image is DIRECTORY.img. Nothing of it is kept for root.
make_loop_fs() {
	make_default_fs "$1" "$2" ext4 "-m 0 -E lazy_itable_init=0 ${3:-}"
}

# make_default_fs SIZE DIRECTORY TYPE [MKFS_OPTIONS]: the same of any type, as its
# mkfs makes it.
make_default_fs() {
	[ "$(id -u)" = 0 ] || skip "not root"
	need "mkfs.$3" losetup
	{ truncate -s "$1" "$2.img" && mkdir -p "$2"; } || fail "no image"
	# shellcheck disable=SC2086
	"mkfs.$3" -q ${4:-} "$2.img" || fail "mkfs.$3"
	mount -o loop "$2.img" "$2" || fail "no loop device for $2.img"
	chmod 755 "$2"
}

# compare_after_unmount MOUNTPOINT SOURCE PATH...: what the mount shows from its
# cache, what it reads again, and what is in SOURCE at the end are the same.
compare_after_unmount() {
	local mnt=$1 src=$2 cached again there

	shift 2
	cached=$(cd "$mnt" && sha256sum "$@") || fail "cannot read $*"
	drop_caches "$mnt"
	again=$(cd "$mnt" && sha256sum "$@") || fail "cannot read again: $*"
	equal "read again" "$again" "$cached"
	unmount "$mnt"
	there=$(cd "$src" && sha256sum "$@") || fail "not in $src: $*"
	equal "backing directory" "$there" "$cached"
}

[ -e /dev/fuse ] || skip "no /dev/fuse"
[ -x "$plimsoll" ] || fail "no $plimsoll; run make"
[ -x "$plimsollctl" ] || plimsollctl=$top/build/plimsollctl
[ -n "${supervised:-}" ] || supervised=1 supervise "$@"
unset supervised
cd "$work" || exit 1
# TRANSPORT=dev or uring runs a script on that one, whatever the machine has.
if [ -n "${TRANSPORT:-}" ]; then
	mkdir -p "$work.bin"
	printf '#!/bin/sh\nexec %s -o transport=%s "$@"\n' "$plimsoll" \
		"$TRANSPORT" >"$work.bin/plimsoll"
	chmod 755 "$work.bin/plimsoll"
	plimsoll=$work.bin/plimsoll
fi
# shellcheck disable=SC2034
src=$work/src mnt=$work/mnt
mkdir "$src" "$mnt"
# KIND=anon runs a script that is written for a directory on an anon volume: its
# "backing directory" is the mount itself, and when that is unmounted, what cp -a
# made of it just before.
[ "${KIND:-}" != anon ] || src=$mnt
