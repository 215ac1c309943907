# shellcheck shell=bash
#
# zram.sh - a zram device of our own, which another program can take away after
# us: its number is in $work/zram as long as it exists.

# zram_open MIB: sets zram (its directory in sysfs) and zram_dev; or false.
zram_open() {
	local n

	[ -r /sys/class/zram-control/hot_add ] || modprobe -q zram
	n=$(cat /sys/class/zram-control/hot_add) || return 1
	echo "$n" >"$work/zram"
	zram=/sys/block/zram$n zram_dev=/dev/zram$n
	[ -b "$zram_dev" ] && echo lzo-rle >"$zram/comp_algorithm" &&
		echo "$1M" >"$zram/disksize" && return
	zram_close
	return 1
} 2>/dev/null

# As swap, before any that the machine has without a priority.
zram_swapon() {
	mkswap "$zram_dev" >/dev/null 2>&1 && swapon -p 0 "$zram_dev" 2>/dev/null
}

# Memory that it has taken, at most, in MiB.
zram_used_mib() {
	awk '{ print int($5 / 1048576) }' "$zram/mm_stat"
}

zram_close() {
	local n=200 nr

	[ -s "$work/zram" ] || return 0
	read -r nr <"$work/zram"
	! grep -q "^/dev/zram$nr " /proc/swaps || timeout 60 swapoff "/dev/zram$nr"
	until echo 1 >"/sys/block/zram$nr/reset" &&
		echo "$nr" >/sys/class/zram-control/hot_remove; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.05
	done
	rm -f "$work/zram"
} 2>/dev/null
