# shellcheck shell=bash
#
# fillers.sh - programs that write side by side until they are refused (fill.py),
# and what is left of what they wrote; for scripts that have sourced lib.sh and set
# seed.

fill=$top/tests/mount/fill.py
fillers='' # their numbers, and those of their files

# fill_all WHAT SECONDS DIRECTORY WAY...: so many of each; all end as they should.
fill_all() {
	local what=$1 seconds=$2 directory=$3 n=0 children=''
	shift 3

	fillers=''
	for way; do
		timeout "$seconds" python3 "$fill" fill "$directory" "$way" "$seed" $n \
			>"fill.$n" 2>&1 &
		children+=" $!" fillers+=" $n"
		n=$((n + 1))
	done
	for child in $children; do
		wait "$child" || fail "$what: $(cat fill.*)"
	done
	cat fill.*
}

# check_filled WHAT DIRECTORY: all that was acknowledged to the last of them.
check_filled() {
	# shellcheck disable=SC2086
	python3 "$fill" check "$2" "$seed" $fillers ||
		fail "$1: lost what was acknowledged"
}
