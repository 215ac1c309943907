#!/bin/bash
#
# The default budget is a quarter of what the control group allows, of version 1
# or 2, also where the limit is on a group above, and more than that is refused.
# The groups are made up: files in a namespace of this test's own.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir groups
mib=$((1 << 20))

# limit GROUP_FILE BYTES: one limit of the made-up hierarchies.
limit() {
	mkdir -p "$(dirname "groups/$1")"
	echo "$2" >"groups/$1"
}

# in_groups LINES COMMAND: with these lines in its /proc/self/cgroup; for a subshell.
in_groups() {
	printf '%b' "$1" >"$work/lines"
	shift
	# shellcheck disable=SC2016
	exec timeout 30 unshare -m bash -c '
		mount --make-rprivate / && mount --bind "$0/groups" /sys/fs/cgroup &&
		mount --bind "$0/lines" "/proc/$$/cgroup" && exec "$@"' "$work" "$@"
}

# budget LINES MIB [OPTIONS]: what a mount without mem=, or with, takes.
budget() {
	: >printed
	in_groups "$1" "$plimsoll" -f ${3:+-o "$3"} "$src" "$mnt" >printed 2>&1 &
	eventually 20 grep -q "mem .* MiB" printed || fail "no mount: $(cat printed)"
	kill -TERM $!
	wait $!
	grep -q "mem $2 MiB" printed ||
		fail "not $2 MiB, a quarter of the limit: $(cat printed)"
}

refused() {
	fails_with "may use" in_groups "$1" "$plimsoll" -o "mem=$2M" "$src" "$mnt"
}

mkdir -p "$src" "$mnt"
limit memory.max max
limit a/memory.max $((512 * mib))
limit a/memory.high max
limit a/b/memory.max $((2048 * mib))
limit high/memory.max $((2048 * mib))
limit high/memory.high $((256 * mib))
limit memory/memory.limit_in_bytes 9223372036854771712
limit memory/c/memory.limit_in_bytes $((128 * mib))
limit memory/c/d:e/memory.limit_in_bytes $((1024 * mib))
limit unified/f/memory.max $((192 * mib))

machine=$(($(awk '/^MemTotal/ { print $2 }' /proc/meminfo) / 1024))

budget '0::/a/b\n' 128
budget '0::/a\n' 128
budget '0::/high\n' 64
budget '5:cpu,memory:/c\n0::/\n' 32
budget '5:memory:/c/d:e\n' 32
budget '5:memory:/elsewhere/c\n4:cpu:/c\n' $((machine / 4))
budget '0::/f\n' 48
budget '' $((machine / 4))

# All of it is not enough for what is outside of it.
budget '0::/a\n' 512 mem=512M
grep -q 'both together' printed || fail "not said: $(cat printed)"
budget '0::/a\n' 400 mem=400M
grep -q 'both together' printed && fail "said: $(cat printed)"

refused '0::/a\n' 513
refused '5:memory:/c\n' 129
refused '' $((machine * 2))
