#!/bin/bash
#
# run.sh - run test programs and scripts, one line each.
#
#	tests/run.sh TEST...
#
# A test says 0 (passed), 77 (cannot be run here) or anything else (failed). It
# has 120 s, or what a line "# timeout: N" in the head of a script says. Its
# output is kept in LOGS (build/logs) and shown when it fails. Where there is a
# /dev/fuse nothing is an excuse: 77 is a failure there.
#
# What a test leaves behind, processes and mounts, is taken away and makes it
# fail. Every test has a TMPDIR of its own, so that mounts can be told apart.

set -u
export LC_ALL=C

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=tests/mount/cleanup.sh
. "$top/tests/mount/cleanup.sh"

logs=${LOGS:-$top/build/logs}
base=${TMPDIR:-/var/tmp}
passed=0 failed=0 skipped=0
group='' dir=''

stop() {
	[ -n "$group" ] && kill -TERM -- "-$group" 2>/dev/null && wait "$group"
	[ -n "$dir" ] && clean_dir "$dir"
	exit 130
}
trap stop INT TERM HUP

limit_of() {
	local n=

	[ "$(head -c 2 "$1" | tr -d '\0')" = '#!' ] &&
		n=$(sed -n '1,20s/^# timeout: \([0-9]*\)$/\1/p' "$1")
	echo "${n:-120}"
}

# Sets rc and why.
run_one() {
	local limit

	limit=$(limit_of "$1")
	dir=$(mktemp -d "$base/plimsoll-test.XXXXXX") || exit 1
	chmod 755 "$dir"
	# In a process group of its own, which timeout leads.
	TMPDIR=$dir timeout -k 40 "$limit" "$1" >"$2" 2>&1 </dev/null &
	group=$!
	wait "$group"
	rc=$? why=
	[ "$rc" = 124 ] || [ "$rc" = 137 ] && why="no end after $limit s"
	kill -KILL -- "-$group" 2>/dev/null
	group=
	if ! clean_dir "$dir" >>"$2" 2>&1; then
		[ "$rc" = 0 ] && rc=1
		why=${why:-left something behind}
	fi
	dir=
	if [ "$rc" = 77 ] && [ -e /dev/fuse ]; then
		rc=1 why="skipped, where /dev/fuse is"
	fi
}

mkdir -p "$logs" || exit 1
for test in "$@"; do
	name=${test#"$top"/}
	log=$logs/$(basename "$test").log
	case $test in
	*/*) ;;
	*) test=./$test ;;
	esac
	start=${EPOCHREALTIME/./}
	run_one "$test" "$log"
	took=$((${EPOCHREALTIME/./} - start))
	case $rc in
	0) word=ok passed=$((passed + 1)) ;;
	77) word=skip skipped=$((skipped + 1)) ;;
	*) word=FAIL failed=$((failed + 1)) ;;
	esac
	printf '%-4s %6d.%d s  %s%s\n' "$word" $((took / 1000000)) \
		$((took / 100000 % 10)) "$name" "${why:+: $why}"
	[ "$word" = FAIL ] && sed 's/^/     | /' "$log"
done

printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" -gt 0 ] && printf ', %d skipped' "$skipped"
echo
[ "$failed" = 0 ]
