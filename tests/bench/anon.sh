# shellcheck shell=bash
#
# anon.sh - rows about anon volumes: each a function NAME TEXT ROUNDS OURS OTHERS,
# called by run.
#
# The pages are the same everywhere: half records of a heap, half library code, in
# turns of 1 MiB, so that about half of them can be compressed away.
#
#	anon_within	files in a volume whose memory is enough, against tmpfs;
#			compared with the original after each round
#	anon_map	pages.c maps 3 times the memory and uses pages of it, 80 %
#			of the uses in a fifth of them, every second one a write;
#			each page is checked whenever it is used, and all at the
#			end. On zram: the program's own memory, in a cgroup, swapped
#			to zram. On anon: a file, the program in a cgroup as large,
#			and mem= what zram had taken at most. anon_map-free: the
#			program in no cgroup, so that the kernel may keep what it
#			likes of the file
#	anon_stored	what is swapped out, over the room it takes: clusters of a
#			swap file, and zram's memory with the same pages in it; and
#			how fast, against zstd by itself on one core

anon_mem_mib=64     # memory where it is to be too small
anon_data_mib=256   # written then
anon_within_mib=768 # the budget where it is not
anon_map_mib=192    # mapped
anon_seconds=3      # of random uses

# --- the volume

# anon_mount MIB [SWAP_MIB]
anon_mount() {
	anon_dir=$work/mount/anon
	mkdir -p "$anon_dir"
	run "$plimsoll" -o "mem=${1}M${2:+,swap=$work/swap:${2}M}" anon "$anon_dir" &&
		return
	complain "cannot mount anon with mem=${1}M"
	return 1
}

anon_umount() {
	local pid

	pid=$(timeout 10 sed -n 's/^pid //p' "$anon_dir/.plimsoll/volume")
	if ! run umount "$anon_dir" || ! wait_gone "$pid" 30; then
		complain "cannot unmount anon"
	fi
	rm -f "$work/swap"
}

anon_counter() {
	timeout 10 sed -n "s/^$1 //p" "$anon_dir/.plimsoll/vmstat"
}

# --- pages

# Once: $work/data/pages. The records come four times, which no page knows of the
# others: each is compressed by itself.
anon_pages() {
	local dir=$work/data

	[ ! -e "$dir/pages" ] || return 0
	run python3 "$top/tools/demo_anon.py" heap "$dir/heap" $((anon_data_mib / 8)) ||
		die "cannot make records"
	find /usr/lib -xdev -name '*.so*' -type f -size +256k -print0 | sort -z |
		xargs -0 cat 2>/dev/null | head -c $((anon_data_mib << 19)) >"$dir/code"
	python3 - "$dir/heap" "$dir/code" "$dir/pages" <<-END
		import sys
		heap = open(sys.argv[1], "rb").read()
		with open(sys.argv[2], "rb") as code, open(sys.argv[3], "wb") as out:
		    for at in range(0, 4 * len(heap), 1 << 20):
		        at %= len(heap)
		        out.write(heap[at:at + (1 << 20)] + code.read(1 << 20))
	END
	rm "$dir/heap" "$dir/code"
	sync -f "$work"
	run cat "$dir/pages"
}

# pages_row ROW SIDE ROUND ARGUMENT...: what pages.c prints, as one measurement.
pages_row() {
	local row=$1 side=$2 round=$3 value=-

	shift 3
	if run "$out/pages" "$@"; then
		value=$(cat "$work/out")
	else
		complain "$row: $side failed"
	fi
	record "$row" "$side" "$round" "$value" - -
}

# --- within memory

within_side() {
	local name=$1 side=$2 round=$3 dir=$work/mount/$2 pages=$work/data/pages

	if [ "$side" = tmpfs ]; then
		mkdir -p "$dir"
		run mount -t tmpfs tmpfs "$dir" || die "cannot mount a tmpfs"
	else
		anon_mount $anon_within_mib || return
	fi
	pages_row "$name-write-1m" "$side" "$round" write "$pages" "$dir/file" 1048576
	pages_row "$name-read-1m" "$side" "$round" read "$dir/file" 1048576
	run rm "$dir/file"
	pages_row "$name-write-4k" "$side" "$round" write "$pages" "$dir/file" 4096
	pages_row "$name-read-4k" "$side" "$round" read "$dir/file" 4096
	run cmp "$pages" "$dir/file" ||
		complain "$name: $side: what is read is not what was written"
	if [ "$side" = tmpfs ]; then
		run umount "$dir" || complain "cannot unmount a tmpfs"
	else
		anon_umount
	fi
}

anon_within() {
	local round

	anon_pages
	row_begin "$1-write-1m" "$2: sequential writes, 1 MiB" MiB/s "$4" "$5"
	row_begin "$1-read-1m" "$2: sequential reads, 1 MiB" MiB/s "$4" "$5"
	row_begin "$1-write-4k" "$2: sequential writes, 4 KiB" MiB/s "$4" "$5"
	row_begin "$1-read-4k" "$2: sequential reads, 4 KiB" MiB/s "$4" "$5"
	for ((round = 1; round <= $3; round++)); do
		another_round $round || break
		within_side "$1" anon $round
		within_side "$1" tmpfs $round
	done
}

# --- mapped

# map_side ROW SIDE ROUND CGROUP_MIB FILE: 137 is the kernel, that has killed the
# program for want of memory: no failure of ours, and no value.
map_side() {
	local rc value=-
	local -a program=("$out/pages" map "$work/data/pages" "$5" "$anon_map_mib"
		"$anon_seconds")

	if [ "$4" = - ]; then
		run "${program[@]}"
	else
		cgroup_run "$4" "${program[@]}" 2>/dev/null
	fi
	rc=$?
	case $rc in
	0) value=$(cat "$work/out") ;;
	137) note "$1: $2: the kernel killed the program for want of memory" ;;
	*) complain "$1: $2 failed ($rc)" ;;
	esac
	record "$1" "$2" "$3" "$value" - -
	[ "$2" != zram ] || record "$1-free" zram "$3" "$value" - -
}

# Sets zram_mib, what it took; false if there is no zram.
map_on_zram() {
	if ! zram_open $((2 * anon_map_mib)) || ! zram_swapon; then
		zram_close
		note "$1: no zram here to swap to"
		return 1
	fi
	map_side "$1" zram "$2" $anon_mem_mib -
	zram_mib=$(zram_used_mib)
	[ "$zram_mib" -ge 16 ] || zram_mib=16
	zram_close || complain "a zram device cannot be removed"
}

anon_map() {
	local round zram_mib

	row_begin "$1" "$2" op/s "$4" "$5"
	row_begin "$1-free" "$2, no cgroup" op/s "$4" "zram"
	if ! cgroup_open $anon_mem_mib; then
		cgroup_close
		note "$1: no memory cgroup here"
		return
	fi
	cgroup_close
	anon_pages
	for ((round = 1; round <= $3; round++)); do
		another_round $round || break
		map_on_zram "$1" $round || break
		anon_mount "$zram_mib" $anon_data_mib || break
		map_side "$1" anon $round $anon_mem_mib "$anon_dir/file"
		run rm -f "$anon_dir/file"
		map_side "$1-free" anon $round - "$anon_dir/file"
		anon_umount
	done
	note "$1: $anon_mem_mib MiB for the program; zram took ${zram_mib:--} MiB more," \
		"and so much is mem= of the volume, which has a swap file besides."
}

# --- stored

# moved_row ROW SIDE COUNTER ARGUMENT...: as pages_row, but the rate is that of the
# pages which went out or came in meanwhile.
moved_row() {
	local row=$1 side=$2 counter=$3 pages start value=-

	shift 3
	pages=$(anon_counter "$counter") start=$EPOCHREALTIME
	if run "$out/pages" "$@"; then
		value=$(awk -v pages=$(($(anon_counter "$counter") - pages)) \
			-v us=$((${EPOCHREALTIME/./} - ${start/./})) \
			'BEGIN { printf "%.1f", pages / 256 * 1e6 / us }')
	else
		complain "$row: $side failed"
	fi
	record "$row" "$side" 1 "$value" - -
}

stored_on_zram() {
	if ! zram_open $((2 * anon_data_mib)); then
		note "$1: no zram here"
		return
	fi
	if run dd if="$work/data/pages" of="$zram_dev" bs=1M oflag=direct; then
		# Pages of one word take no room here either.
		record "$1" zram 1 \
			"$(awk '{ printf "%.3f", ($1 - 4096 * $6) / $3 }' "$zram/mm_stat")" - -
	else
		complain "$1: zram does not take the pages"
	fi
	zram_close || complain "a zram device cannot be removed"
}

anon_stored() {
	local before after used nr pages=$work/data/pages
	local -a zstd

	row_begin "$1" "$2" ratio "$4" "$5"
	row_begin "$1-out" "pages swapped out, writing 4 times the memory" MiB/s "$4" zstd
	row_begin "$1-in" "pages swapped in, 1 MiB sequential reads" MiB/s "$4" zstd
	anon_pages
	run "$out/pages" zstd "$pages" || complain "zstd failed"
	read -ra zstd <"$work/out"
	record "$1-out" zstd 1 "${zstd[0]:--}" - -
	record "$1-in" zstd 1 "${zstd[1]:--}" - -
	anon_mount $anon_mem_mib $anon_data_mib || return
	sync -f "$work"
	before=$(disk_sectors write)
	moved_row "$1-out" anon pswpout write "$pages" "$anon_dir/file" 1048576
	sync -f "$work"
	after=$(disk_sectors write)
	nr=$(anon_counter nr_swapped)
	used=$(awk 'NR > 1 { kib += $4 } END { print kib + 0 }' "$anon_dir/.plimsoll/swaps")
	record "$1" anon 1 "$(awk -v nr="$nr" -v kib="$used" \
		'BEGIN { printf "%.3f", kib ? nr * 4 / kib : 0 }')" \
		"$(awk -v nr="$nr" 'BEGIN { printf "%.1f", nr / 256 }')" \
		"$(disk_mib "$before" "$after")"
	moved_row "$1-in" anon pswpin read "$anon_dir/file" 1048576
	run cmp "$pages" "$anon_dir/file" ||
		complain "$1: what is read is not what was written"
	anon_umount
	stored_on_zram "$1"
}
