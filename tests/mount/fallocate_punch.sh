#!/bin/bash
#
# fallocate: allocates, with and without a new size, punches holes and zeroes
# ranges of what is dirty and of what is clean; what is not touched stays.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need fallocate

mount_plimsoll "$src" "$mnt"
noise 1000000 punch >"$work/noise"
fallocate -l 64 "$work/probe" || skip "no fallocate in $work"

fallocate -l 3m "$mnt/new" || fail "fallocate"
equal "size" "$(stat -c %s "$mnt/new")" 3145728
[ $(($(stat -c %b "$mnt/new") * 512)) -ge 3145728 ] || fail "not allocated"
equal "zeroes" "$(tr -d '\0' <"$mnt/new" | wc -c)" 0
fallocate -n -o 3m -l 1m "$mnt/new" || fail "fallocate --keep-size"
equal "size kept" "$(stat -c %s "$mnt/new")" 3145728

for state in dirty clean dropped; do
	for range in "0 1" "0 4096" "4096 8192" "100 5000" "4095 2" \
		"200000 700000" "999000 1000" "999000 50000" "0 1000000"; do
		# shellcheck disable=SC2086 # two words
		set -- $range
		for op in --punch-hole --zero-range "--zero-range --keep-size"; do
			cp "$work/noise" "$work/model"
			rm -f "$mnt/f" && cp "$work/noise" "$mnt/f"
			[ $state = dirty ] || sync "$mnt/f"
			[ $state = dropped ] && drop_caches "$mnt"
			for f in "$work/model" "$mnt/f"; do
				# shellcheck disable=SC2086
				fallocate $op -o "$1" -l "$2" "$f" || fail "$op $range"
			done
			cmp "$work/model" "$mnt/f" || fail "$state: $op $range"
			cmp "$work/model" "$src/f" || fail "$state: $op $range in the backing file"
		done
	done
done

# Blocks are given back.
cp "$work/noise" "$mnt/f" && sync "$mnt/f"
before=$(stat -c %b "$mnt/f")
fallocate --punch-hole -o 0 -l 800k "$mnt/f"
[ "$(stat -c %b "$mnt/f")" -lt $((before - 1500)) ] || fail "no blocks given back"

for op in --collapse-range --insert-range; do
	cp "$work/noise" "$work/model"
	cp "$work/noise" "$mnt/f"
	fallocate $op -o 8k -l 16k "$work/model" 2>/dev/null || continue
	if fallocate $op -o 8k -l 16k "$mnt/f" 2>/dev/null; then
		cmp "$work/model" "$mnt/f" || fail "$op"
	else
		cmp "$work/noise" "$mnt/f" || fail "$op was refused, and did something"
	fi
done
compare_after_unmount "$mnt" "$src" f new
