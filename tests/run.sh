#!/bin/bash
#
# run.sh - run test programs and scripts, one line each.
#
#	tests/run.sh TEST...
#
# A test says 0 (passed), 77 (cannot be run here) or anything else (failed). It
# has 120 s, or what a line "# timeout: N" in the head of a script says, or
# TEST_TIMEOUT in the environment, for long runs; SLOW times that. Its output is
# kept in LOGS (build/logs) and shown when it fails. Where there is a
# /dev/fuse nothing is an excuse: 77 is a failure there.
#
# What a test leaves behind, processes and mounts, is taken away and makes it
# fail. Every test has a TMPDIR of its own, so that mounts can be told apart.
#
# Programs (unit and simulated tests) that follow one another run at once, one a
# CPU; a script has the machine to itself.

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
	for program in $(jobs -p); do
		kill -TERM "$program" 2>/dev/null
	done
	[ -n "$group" ] && kill -TERM -- "-$group" 2>/dev/null && wait "$group"
	[ -n "$dir" ] && clean_dir "$dir"
	exit 130
}
trap stop INT TERM HUP

limit_of() {
	local n=

	is_script "$1" &&
		n=$(sed -n '1,20s/^# timeout: \([0-9]*\)$/\1/p' "$1")
	n=${TEST_TIMEOUT:-${n:-120}}
	echo $((n * ${SLOW:-1}))
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

# One test and its line. Returns what it is: 0, 77 or something else.
report_one() {
	local test=$1 name=${1#"$top"/} log start took word

	log=$logs/$(basename "$test").log
	case $test in
	*/*) ;;
	*) test=./$test ;;
	esac
	case $name in
	build/obj-*) log=${log%.log}.$(cut -d/ -f2 <<<"$name").log ;;
	esac
	start=${EPOCHREALTIME/./}
	run_one "$test" "$log"
	took=$((${EPOCHREALTIME/./} - start))
	case $rc in
	0) word=ok ;;
	77) word=skip ;;
	*) word=FAIL ;;
	esac
	{
		printf '%-4s %6d.%d s  %s%s\n' "$word" $((took / 1000000)) \
			$((took / 100000 % 10)) "$name" "${why:+: $why}"
		[ "$word" = FAIL ] && sed 's/^/     | /' "$log"
	} >"$log.line"
	cat "$log.line" # in one go: others may speak too
	rm -f "$log.line"
	return "$rc"
}

count() {
	case $1 in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
}

# Until at most $1 programs run.
wait_programs() {
	while [ "$nr_programs" -gt "$1" ]; do
		wait -n
		count $?
		nr_programs=$((nr_programs - 1))
	done
}

is_script() {
	[ "$(head -c 2 "$1" | tr -d '\0')" = '#!' ]
}

mkdir -p "$logs" || exit 1
nr_programs=0
for test in "$@"; do
	if is_script "$test"; then
		wait_programs 0
		report_one "$test"
		count $?
	else
		wait_programs $(($(nproc) - 1))
		(
			trap stop INT TERM HUP
			report_one "$test"
		) &
		nr_programs=$((nr_programs + 1))
	fi
done
wait_programs 0

printf '%d passed, %d failed' "$passed" "$failed"
[ "$skipped" -gt 0 ] && printf ', %d skipped' "$skipped"
echo
[ "$failed" = 0 ]
