#!/bin/bash
# timeout: 180
#
# Random operations on files, compared with a model: several processes at once,
# in a budget that is large enough, and in the smallest. SEED=n runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

for mem in 64M 8M; do
	mount_plimsoll "$src" "$mnt" "mem=$mem"
	children=()
	for i in 1 2 3 4; do
		seed=${SEED:-$RANDOM$i}
		echo "mem=$mem SEED=$seed"
		python3 "$top/tests/mount/random_operations.py" "$mnt" "$src" \
			"$seed" "${STEPS:-1500}" &
		children+=($!)
		[ -n "${SEED:-}" ] && break
	done
	for child in "${children[@]}"; do
		wait "$child" || fail "see above"
	done
	before=$(cd "$mnt" && sha256sum ./*)
	unmount "$mnt"
	equal "backing directory" "$(cd "$src" && sha256sum ./*)" "$before"
	rm "$src"/*
done
