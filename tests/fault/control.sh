#!/bin/bash
#
# plimsollctl fault: shows, sets all or nothing, ends; bad input is one line, and
# nothing is changed. Only for root and the mount's owner.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"

mount_plimsoll "$src" "$mnt" mem=16M,allow_other
names='fail_page_alloc failslab fail_xarray_node fail_io fail_fsync fail_swap_io fail_compress fail_decompress fail_reserve crash'
ctl fault "$mnt" >"$work/all" || fail "fault"
# shellcheck disable=SC2086
equal "all" "$(awk '{ print $1 }' "$work/all" | xargs)" "$names"
for name in $names; do
	equal "$name" "$(grep "^$name " "$work/all" | tr -s ' ')" \
		"$(ctl show "$mnt" "fault/$name" | sed 's,.*/,,' |
			awk -v n="$name" 'BEGIN { printf "%s", n }
				NF > 1 { printf " %s=%s", $1, $2 } END { print "" }')"
done

ctl fault "$mnt" fail_io error=torn delay_ms=7 op=write seed=9 times=-1 interval=3 \
	space=10 || fail "set"
equal "set" "$(ctl fault "$mnt" fail_io | tr -s ' ')" \
	'fail_io probability=0 interval=3 times=-1 space=10 seed=9 error=torn op=write delay-ms=7 injected=0'
ctl fault "$mnt" fail_page_alloc min-order=2 ignore_gfp_wait=1 || fail "set"

# refused TEXT ARG...: and all is as it was.
refused() {
	ctl fault "$mnt" >"$work/before"
	fails_with "$1" ctl fault "$mnt" "${@:2}"
	ctl fault "$mnt" 2>&1 | cmp - "$work/before" || fail "changed by ${*:2}"
	equal "lines of ${*:2}" "$(ctl fault "$mnt" "${@:2}" 2>&1 >/dev/null | wc -l)" 1
}
refused 'cannot be 101' fail_io seed=5 probability=101 times=3
refused 'cannot be x' fail_io seed=5 times=x interval=4
refused 'cannot be EPERM' fail_io probability=1 error=EPERM
refused 'cannot be both' fail_io probability=1 op=both
refused 'cannot be torn' fail_fsync probability=1 error=torn
refused 'cannot be 11' fail_page_alloc probability=1 min-order=11
refused 'cannot be 300001' fail_io delay-ms=300001
refused 'there is no fault/fail_io/min-order' fail_io min-order=1
refused 'there is no fault/failslab/error' failslab probability=1 error=EIO
refused 'there is no fault/nothing' nothing probability=1
refused 'there is no fault/nothing' nothing
refused 'there is no fault/nothing' nothing off
refused 'given twice' fail_io seed=1 seed=2
refused 'cannot be set' fail_io injected=0
refused 'is not FIELD=VALUE' fail_io probability
refused 'is not FIELD=VALUE' fail_io probability=
refused 'is not FIELD=VALUE' fail_io =1
refused 'is not FIELD=VALUE' fail_io ../fail_io/seed=1
refused 'is not the name of a fault' ../sys/vm swappiness=1
refused 'is not FIELD=VALUE' off now
refused 'is not FIELD=VALUE' arm-crash now
refused 'neither torn nor seed' crash armed=1

# Ended: one, and all; an armed crash, too.
ctl fault "$mnt" fail_io probability=5 || fail "set"
ctl fault "$mnt" fail_fsync probability=5 || fail "set"
ctl fault "$mnt" fail_io off || fail "off"
equal "fail_io" "$(cat "$mnt/.plimsoll/fault/fail_io/probability")" 0
equal "fail_fsync" "$(cat "$mnt/.plimsoll/fault/fail_fsync/probability")" 5
ctl fault "$mnt" arm-crash || fail "arm-crash"
equal armed "$(cat "$mnt/.plimsoll/fault/crash/armed")" 1
ctl fault "$mnt" off || fail "off"
ctl fault "$mnt" | grep -E 'probability=[1-9]|armed=1' && fail "something is on"

if [ "$(id -u)" = 0 ]; then
	fails_with plimsollctl: as 1000 "$plimsollctl" fault "$mnt"
	fails_with plimsollctl: as 1000 "$plimsollctl" fault "$mnt" fail_io probability=1
	fails_with plimsollctl: as 1000 "$plimsollctl" fault "$mnt" arm-crash
	fails_with plimsollctl: as 1000 "$plimsollctl" fault "$mnt" crash
	ctl fault "$mnt" | grep -E 'probability=[1-9]|armed=1' && fail "set by another user"
fi
unmount "$mnt"
