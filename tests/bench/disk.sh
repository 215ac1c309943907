# shellcheck shell=bash
#
# disk.sh - the disk under the work directory: what really reached it, and
# caches emptied in front of it.

# Sets disk, the statistics of the device; empty if there is none.
disk_find() {
	disk=/sys/dev/block/$(stat -c %Hd:%Ld "$work")/stat
	[ -r "$disk" ] && return
	disk=
	echo "bench: the work directory is on no block device: no amounts read or written"
}

# disk_sectors read|write: so far, of 512 bytes, by all programs together.
disk_sectors() {
	local -a field

	[ -n "$disk" ] || return 0
	read -ra field <"$disk"
	if [ "$1" = read ]; then
		echo "${field[2]}"
	else
		echo "${field[6]}"
	fi
}

# disk_mib BEFORE AFTER: the difference of two such, "-" if they are not known.
disk_mib() {
	if [ -n "$disk" ]; then
		awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f", (b - a) / 2048 }'
	else
		echo -
	fi
}

# The host's caches. What has just been measured with is dropped too: fio.
disk_drop_caches() {
	sync -f "$work"
	echo 3 >/proc/sys/vm/drop_caches
	fio --version >/dev/null
}
