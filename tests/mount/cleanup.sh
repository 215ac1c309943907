# shellcheck shell=bash
#
# cleanup.sh - take down what is mounted below a directory, whatever state it is
# in. Nothing here looks into a mount, so that nothing here can hang on one.

# Mounts below a directory, last one first: "minor type where".
mounts_below() {
	awk -v top="$1/" 'index($5 "/", top) == 1 {
		split($3, dev, ":")
		for (i = 6; $i != "-"; i++)
			;
		line[n++] = dev[2] " " $(i + 1) " " $5
	} END { while (n > 0) print line[--n] }' /proc/self/mountinfo
}

# plimsolls started with a path below a directory, by its name.
daemons_below() {
	local dir name

	for dir in /proc/[0-9]*; do
		read -r name 2>/dev/null <"$dir/comm" && [ "$name" = plimsoll ] &&
			tr '\0' '\n' 2>/dev/null <"$dir/cmdline" |
			grep -qF -- "$1/" && echo "${dir#/proc/}"
	done
}

# Also if its first thread is done, and another has its files still.
is_running() {
	local state

	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	[ "$state" = Z ] && set -- "$1" "/proc/$1/task"/* && [ $# -le 2 ] && return 1
	[ -n "$state" ]
}

# wait_gone PID SECONDS
wait_gone() {
	local n=$(($2 * 20 * ${SLOW:-1}))

	while is_running "$1"; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.05
	done
}

# Cut a FUSE connection off; requests that hang return.
abort_connection() {
	[ -e /sys/fs/fuse/connections/ ] &&
		[ -z "$(ls /sys/fs/fuse/connections)" ] &&
		timeout 5 mount -t fusectl none /sys/fs/fuse/connections
	timeout 5 sh -c "echo 1 >/sys/fs/fuse/connections/$1/abort" 2>/dev/null
}

# False if something had to be forced.
unmount_below() {
	local clean=0 minor type where

	while read -r minor type where; do
		printf -v where %b "$where" # a blank is \040 in the table
		timeout -k 1 15 umount "$where" 2>/dev/null && continue
		echo "cleanup: $where ($type) could not be unmounted"
		clean=1
		case $type in
		fuse*) abort_connection "$minor" ;;
		esac
		timeout -k 1 10 umount "$where" 2>/dev/null ||
			umount -l "$where"
	done < <(mounts_below "$1")
	return $clean
}

# Unmount all, see the end of the daemons, remove the directory. False if
# something had to be forced.
clean_dir() {
	local clean=0 pid

	unmount_below "$1" || clean=1
	for pid in $(daemons_below "$1"); do
		wait_gone "$pid" 15 && continue
		echo "cleanup: plimsoll $pid did not end"
		kill -KILL "$pid"
		wait_gone "$pid" 10 || echo "cleanup: nor after SIGKILL"
		clean=1
	done
	# What they served, and loop devices under it.
	unmount_below "$1" || clean=1
	timeout -k 1 60 rm -rf --one-file-system "$1" || clean=1
	return $clean
}
