#!/bin/bash
#
# soak.sh - run unit and simulated tests with new seeds, one program after the
# other, until one fails, or the time is over.
#
#	[SOAK_SECONDS=n] tests/soak.sh PROGRAM...
#
# SOAK_SECONDS: how long; for ever if it is not set. A failure is shown as the program
# shows it, with the command that repeats it; the exit status is 1 then.

set -u
export LC_ALL=C
ulimit -c 0

limit=${SOAK_SECONDS:-0}
batch=20 # seeds at a time
out=$(mktemp) || exit 1
child=''
stop() {
	[ -n "$child" ] && kill "$child" 2>/dev/null
	rm -f "$out"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

declare -A done_by
total=0
begin=$(date +%s)

random_seed() {
	od -An -N5 -tu8 /dev/urandom | tr -d ' '
}

# What a program is given to run $nr seeds: a unit test runs one.
args_of() {
	case $1 in
	*/tests/unit/*) nr=1 args=("$2") ;;
	*) nr=$batch args=("$2" "$batch") ;;
	esac
}

# The seed that a failure named; else it hung, or died, somewhere in the batch.
report() {
	local seed

	seed=$(sed -n 's/^SIM: seed \([0-9]*\) failed.*/\1/p' "$out" | head -1)
	cat "$out"
	if [ -n "$seed" ]; then
		echo "soak: to repeat it: $1 $seed 1"
	else
		echo "soak: to repeat it: $1 ${args[*]}"
	fi
}

elapsed() {
	echo $(($(date +%s) - begin))
}

while :; do
	for program in "$@"; do
		first=$(random_seed)
		args_of "$program" "$first"
		timeout 1800 "$program" "${args[@]}" >"$out" 2>&1 &
		child=$!
		wait "$child"
		rc=$?
		child=''
		if [ "$rc" != 0 ]; then
			report "$program"
			exit 1
		fi
		total=$((total + nr))
		done_by[$program]=$((${done_by[$program]:-0} + nr))
		printf '%6d s  %8d seeds  %s %d from %s\n' "$(elapsed)" \
			"$total" "$program" "${done_by[$program]}" "$first"
		if [ "$limit" -gt 0 ] && [ "$(elapsed)" -ge "$limit" ]; then
			echo "soak: $total seeds, none failed"
			exit 0
		fi
	done
done
