# shellcheck shell=bash disable=SC2154 # what run has set
#
# anon.sh - the part of the bench that is about anon volumes: sourced by run,
# whose words it uses ($work, $out, $plimsoll, run, complain, sectors).
#
#	within	write and read a file that fits into memory, against tmpfs
#	swap	write four times the memory, read it back in order and at random,
#		against what zstd itself does to the same pages on one core
#	stored	how small the same pages are in zram
#	map	random uses of a mapping of three times the memory, against a
#		program in a memory cgroup that swaps to zram
#
# The two sides of a row run one after the other in each round. Everything that
# is outside of the work directory (a zram device, a cgroup) is named in files
# there, so that anon_clean, called by the parent, can take it away.

anon_mem_mib=64     # the budget where it is to be too small
anon_data_mib=256   # written then; half records, half library code
anon_within_mib=768 # the budget where it is not
anon_map_mib=192    # mapped
anon_seconds=3      # of random reads, of random uses

# --- zram, cgroups; all of it may be missing

# Sets zram, a device of our own, to be used for anon_zram_close; or false.
zram_open() {
	local n

	[ -r /sys/class/zram-control/hot_add ] || modprobe -q zram 2>/dev/null
	n=$(cat /sys/class/zram-control/hot_add 2>/dev/null) || return 1
	echo "$n" >"$work/zram"
	zram=/sys/block/zram$n zram_dev=/dev/zram$n
	[ -b "$zram_dev" ] && echo lzo-rle >"$zram/comp_algorithm" &&
		echo "$((2 * anon_data_mib))M" >"$zram/disksize"
} 2>/dev/null

zram_close() {
	local n=200 zram

	[ -s "$work/zram" ] || return 0
	read -r zram <"$work/zram"
	grep -q "^/dev/zram$zram " /proc/swaps && timeout 60 swapoff "/dev/zram$zram"
	until echo 1 >"/sys/block/zram$zram/reset" &&
		echo "$zram" >/sys/class/zram-control/hot_remove; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.05
	done
	rm -f "$work/zram"
} 2>/dev/null

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
	grep -qw memory "$top/cgroup.controllers" 2>/dev/null || return 1
	cgroup=$top/plimsoll-bench.$$
	echo +memory >"$top/cgroup.subtree_control" && mkdir "$cgroup" &&
		echo "$cgroup" >"$work/cgroup" && echo "$1M" >"$cgroup/memory.max"
} 2>/dev/null

cgroup_close() {
	local n=200 cgroup

	[ -s "$work/cgroup" ] || return 0
	read -r cgroup <"$work/cgroup"
	until rmdir "$cgroup" 2>/dev/null; do
		[ $((n--)) -gt 0 ] || return 1
		sleep 0.05
	done
	rm -f "$work/cgroup"
}

# For the parent, whose children are dead.
anon_clean() {
	cgroup_close
	zram_close
}

# --- the volume

# anon_mount MIB [SWAP_MIB]
anon_mount() {
	mkdir -p "$anon_dir"
	run "$plimsoll" -o "mem=${1}M${2:+,swap=$work/swap:${2}M}" anon "$anon_dir"
}

anon_umount() {
	local pid

	pid=$(timeout 10 sed -n 's/^pid //p' "$anon_dir/.plimsoll/volume")
	run umount "$anon_dir" && wait_gone "$pid" 30
}

# counter NAME
counter() {
	timeout 10 sed -n "s/^$1 //p" "$anon_dir/.plimsoll/vmstat"
}

# swapped_mib COUNTER COUNTER: MiB of the pages that both have counted so far.
swapped_mib() {
	# shellcheck disable=SC2016 # awk's
	timeout 10 awk -v first="$1" -v second="$2" '
	$1 == first || $1 == second { n += $2 }
	END { print n / 256 }' "$anon_dir/.plimsoll/vmstat"
}

# --- rows

# row NAME TEXT UNIT SIDE ROUND VALUE: a line in anon.tsv.
row() {
	(IFS=$'\t' && echo "$*") >>"$out/anon.tsv"
	printf '  %s %s' "$4" "${6%.*}"
}

# measured NAME TEXT SIDE ROUND COMMAND...: the command prints MiB/s.
measured() {
	local name=$1 text=$2 side=$3 round=$4 value=-

	shift 4
	if run "$@"; then
		value=$(cat "$work/out")
	else
		complain "$side: $name failed"
	fi
	row "$name" "$text" MiB/s "$side" "$round" "$value"
}

within_round() {
	local side dir

	for side in tmpfs anon; do
		dir=$work/$side
		mkdir -p "$dir"
		if [ "$side" = tmpfs ]; then
			run mount -t tmpfs tmpfs "$dir"
		else
			anon_mount $anon_within_mib
		fi || die "cannot mount $side: $(tail -n 1 "$work/out")"
		measured write "1 MiB sequential writes, within memory" $side "$1" \
			"$pages" write "$anon_data" "$dir/file"
		measured read "1 MiB sequential reads, within memory" $side "$1" \
			"$pages" read "$dir/file"
		run cmp "$anon_data" "$dir/file" ||
			complain "$side: what is read is not what was written"
		if [ "$side" = tmpfs ]; then
			run umount "$dir"
		else
			anon_umount
		fi || die "cannot unmount $side"
	done
}

# moved NAME TEXT SIDE ROUND COUNTER COUNTER COMMAND...: as measured, but the rate
# is that of the pages which went out or came in meanwhile, as the counters say.
moved() {
	local name=$1 text=$2 round=$4 counter=$5 second=$6 before after start value=-

	shift 6
	before=$(swapped_mib "$counter" "$second") start=$EPOCHREALTIME
	if run "$@"; then
		after=$(swapped_mib "$counter" "$second")
		value=$(awk -v a="$after" -v b="$before" \
			-v us=$((${EPOCHREALTIME/./} - ${start/./})) \
			'BEGIN { printf "%.1f", (a - b) * 1e6 / us }')
	else
		complain "anon: $name failed"
	fi
	row "$name" "$text" MiB/s anon "$round" "$value"
}

# What is stored, while all of it is there: to stored.tsv.
note_stored() {
	local used

	used=$(awk 'NR > 1 { kib += $4 } END { print kib + 0 }' "$anon_dir/.plimsoll/swaps")
	printf '%s\t%s\t%s\t%s\t%s\n' "$(counter nr_swapped)" \
		"$(counter nr_swapped_same)" "$(counter nr_swap_stored_bytes)" \
		"$used" "$1" >>"$out/stored.tsv"
}

swap_round() {
	local out_text="pages swapped out, 4 times the memory written"
	local in_text="pages swapped in, 1 MiB sequential reads"
	local random_text="pages swapped in, 4 KiB random reads"
	local before after disk_mib=- out_mib in_mib left

	run "$pages" zstd "$anon_data" || complain "zstd failed"
	read -r out_mib in_mib left <"$work/out"
	echo "$left" >"$work/zstd"
	row swap-out "$out_text" MiB/s zstd "$1" "$out_mib"
	row swap-in-seq "$in_text" MiB/s zstd "$1" "$in_mib"
	row swap-in-rand "$random_text" MiB/s zstd "$1" "$in_mib"
	anon_mount $anon_mem_mib $anon_data_mib ||
		die "cannot mount anon: $(tail -n 1 "$work/out")"
	before=$(sectors write)
	moved swap-out "$out_text" anon "$1" pswpout swpout_same \
		"$pages" write "$anon_data" "$anon_dir/file"
	sync -f "$work"
	after=$(sectors write)
	[ -z "$disk" ] || disk_mib=$(((after - before) / 2048))
	note_stored "$disk_mib"
	moved swap-in-seq "$in_text" anon "$1" pswpin "" \
		"$pages" read "$anon_dir/file"
	moved swap-in-rand "$random_text" anon "$1" pswpin "" \
		"$pages" random "$anon_dir/file" $anon_seconds
	run cmp "$anon_data" "$anon_dir/file" ||
		complain "anon: what is read is not what was written"
	anon_umount || die "cannot unmount anon"
}

# Once: the pages as a zram device has them.
measure_stored() {
	if ! zram_open; then
		zram_close
		skip_zram="no zram here: nothing to compare the size of pages with"
		return
	fi
	if run dd if="$anon_data" of="$zram_dev" bs=1M oflag=direct; then
		cp "$zram/mm_stat" "$out/zram"
	else
		complain "zram does not take the pages"
	fi
	zram_close || complain "a zram device cannot be removed"
}

# in_cgroup MIB COMMAND...
in_cgroup() {
	local rc

	cgroup_open "$1" || return
	shift
	# shellcheck disable=SC2016 # for that shell
	run sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' sh "$cgroup" "$@"
	rc=$?
	cgroup_close
	return $rc
}

# mapped NAME SIDE ROUND TEXT: the program has ended with rc. 137 is the kernel,
# that has killed it for want of memory: no failure of ours, and no value.
mapped() {
	case $rc in
	0) row "$1" "$4" op/s "$2" "$3" "$(cat "$work/out")" ;;
	137)
		row "$1" "$4" op/s "$2" "$3" -
		[ "$1" = map-free ] || echo killed >>"$out/killed.$2"
		;;
	*) complain "$2: $1 failed" ;;
	esac
}

# The program on zram; then on an anon volume, with what zram had taken as its
# limit, as the kernel's copies of mapped pages are the program's; then with
# nothing that limits those.
map_round() {
	local text="random 80/20 uses of a mapping, 3 times the memory"
	local free_text="the same, with no limit to the kernel's copies"
	local rc zram_mib

	if ! zram_open || ! mkswap "$zram_dev" >/dev/null 2>&1 ||
		! swapon -p 0 "$zram_dev" 2>/dev/null; then
		zram_close
		skip_map="no zram here: no swapping to compare mappings with"
		return
	fi
	if ! cgroup_open $anon_mem_mib; then
		zram_close
		skip_map="no memory cgroup here: no swapping to compare mappings with"
		return
	fi
	cgroup_close
	in_cgroup $anon_mem_mib "$pages" map "$anon_data" - $anon_map_mib \
		$anon_seconds 2>/dev/null
	rc=$?
	mapped map zram "$1" "$text"
	mapped map-free zram "$1" "$free_text"
	zram_mib=$(awk '{ print int($5 / 1048576) }' "$zram/mm_stat") # at most used
	echo "$zram_mib" >>"$out/map.tsv"
	zram_close || complain "a zram device cannot be removed"
	anon_mount $anon_mem_mib $anon_data_mib ||
		die "cannot mount anon: $(tail -n 1 "$work/out")"
	in_cgroup $((zram_mib > 16 ? zram_mib : 16)) "$pages" map "$anon_data" \
		"$anon_dir/file" $anon_map_mib $anon_seconds 2>/dev/null
	rc=$?
	mapped map anon "$1" "$text"
	run rm "$anon_dir/file" && run "$pages" map "$anon_data" "$anon_dir/file" \
		$anon_map_mib $anon_seconds
	rc=$?
	mapped map-free anon "$1" "$free_text"
	anon_umount || die "cannot unmount anon"
}

# --- for run

# Half records, half library code, in turns of 1 MiB.
anon_prepare() {
	pages=$out/pages anon_dir=$work/anon anon_data=$work/pages
	rm -f "$out/anon.tsv" "$out/stored.tsv" "$out/zram" "$out/map.tsv" \
		"$out"/killed.*
	skip_map='' skip_zram=''
	run cc -O2 -D_GNU_SOURCE -o "$pages" "$here/pages.c" -lzstd ||
		die "pages.c cannot be compiled: $(head -n 1 "$work/out")"
	run python3 "$top/tools/demo_anon.py" heap "$work/heap" $((anon_data_mib / 2)) ||
		die "cannot make records"
	find /usr/lib -xdev -name '*.so*' -type f -size +256k -print0 | sort -z |
		xargs -0 cat 2>/dev/null | head -c $((anon_data_mib << 19)) >"$work/code"
	python3 - "$work/heap" "$work/code" "$anon_data" <<-END
		import sys
		with open(sys.argv[1], "rb") as a, open(sys.argv[2], "rb") as b, \\
		        open(sys.argv[3], "wb") as out:
		    while chunk := a.read(1 << 20):
		        out.write(chunk + b.read(1 << 20))
	END
	rm "$work/heap" "$work/code"
	sync -f "$work"
}

# anon_round N
anon_round() {
	local part

	for part in within swap map; do
		[ "$part" != map ] || [ -z "$skip_map" ] || continue
		printf '%4d s  round %d  anon %-8s' $SECONDS "$1" $part
		${part}_round "$1"
		echo
	done
}

anon_end() {
	measure_stored
	echo "$anon_mem_mib $anon_data_mib $(cat "$work/zstd")" >"$out/anon.about"
}

# The table, and what is missing in it.
anon_table() {
	python3 "$here/anon_table.py" "$out" || die "no table can be made of anon.tsv"
	[ ! -e "$out/killed.zram" ] || echo "On zram the kernel killed the program of" \
		"map in $(wc -l <"$out/killed.zram") rounds, for want of memory."
	[ ! -e "$out/killed.anon" ] || echo "On anon the same in" \
		"$(wc -l <"$out/killed.anon") rounds."
	[ -z "$skip_map" ] || echo "($skip_map)"
	[ -z "$skip_zram" ] || echo "($skip_zram)"
}
