# shellcheck shell=bash
#
# cgroup.sh - a memory cgroup of our own, of version 1 or 2, which another
# program can take away after us: its directory is in $work/cgroup.

# cgroup_open MIB: sets cgroup; false if there is none with a limit of memory.
cgroup_open() {
	local top

	if top=$(findmnt -nro TARGET -t cgroup -O memory | head -n 1) && [ -n "$top" ]; then
		cgroup=$top/plimsoll-bench.$$
		mkdir "$cgroup" && echo "$cgroup" >"$work/cgroup" &&
			echo "$1M" >"$cgroup/memory.limit_in_bytes"
		return
	fi
	top=$(findmnt -nro TARGET -t cgroup2 | head -n 1)
	grep -qw memory "$top/cgroup.controllers" || return 1
	cgroup=$top/plimsoll-bench.$$
	echo +memory >"$top/cgroup.subtree_control" && mkdir "$cgroup" &&
		echo "$cgroup" >"$work/cgroup" && echo "$1M" >"$cgroup/memory.max"
} 2>/dev/null

# Whoever was in it has ended.
cgroup_close() {
	local n=200 dir

	[ -s "$work/cgroup" ] || return 0
	read -r dir <"$work/cgroup"
	until rmdir "$dir" 2>/dev/null || [ ! -d "$dir" ]; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.05
	done
	rm -f "$work/cgroup"
}

# cgroup_run MIB COMMAND...
cgroup_run() {
	local rc

	cgroup_open "$1" || return
	shift
	# shellcheck disable=SC2016 # for that shell
	run sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" "$@"
	rc=$?
	cgroup_close
	return $rc
}
