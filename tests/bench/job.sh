# shellcheck shell=bash
#
# job.sh - what is run on one side of a comparison: fio on one file (or
# metadata.py), the same on every side.
#
# hot: the file was read twice, all of it, and used for ramp_ms more in the open
# file that is measured, as some drop what the kernel has when a file is opened;
# plimsoll's own counter of pages read must not move in what is measured then.
# cold: peer_drop_caches before, and each page is read at most once.

hot_mib=256
cold_mib=384
write_mib=256
map_mib=128
small_mib=32
verify_mib=8 # where checksums are what matters
nr_files=4000

# job_file JOB: what it works on; job_mib JOB: how large that is.
job_file() {
	case $1 in
	hot-*) echo hot ;;
	cold-*) echo cold ;;
	*) echo "$1" ;;
	esac
}

job_mib() {
	case $1 in
	hot-*) echo $hot_mib ;;
	cold-*) echo $cold_mib ;;
	map-write) echo $map_mib ;;
	fsync-write | rewrite) echo $small_mib ;;
	*) echo $write_mib ;;
	esac
}

job_unit() {
	case $1 in
	hot-4k* | cold-4k* | hot-map | map-write | fsync-write | rewrite | metadata) echo op/s ;;
	*) echo MiB/s ;;
	esac
}

# job_direction JOB: which of the disk's counters tells of it.
job_direction() {
	case $1 in
	hot-* | cold-*) echo read ;;
	*) echo write ;;
	esac
}

# job_options JOB
job_options() {
	local timed="--time_based --runtime=${run_ms}ms --norandommap"
	local hot="$timed --ramp_time=${ramp_ms}ms --size=${hot_mib}m"

	case $1 in
	hot-4k) echo "--rw=randread --bs=4k $hot" ;;
	hot-4k-4) echo "--rw=randread --bs=4k --numjobs=4 $hot" ;;
	hot-1m) echo "--rw=read --bs=1m $hot" ;;
	hot-map) echo "--rw=randread --bs=4k --ioengine=mmap $hot" ;;
	cold-1m) echo "--rw=read --bs=1m --size=${cold_mib}m" ;;
	cold-128k) echo "--rw=read --bs=128k --size=${cold_mib}m" ;;
	# Each job has a part of its own, and reads each page of it once.
	cold-4k-16)
		echo "--rw=randread --bs=4k --numjobs=16 --size=$((cold_mib / 16))m" \
			"--offset_increment=$((cold_mib / 16))m"
		;;
	rand-write) echo "--rw=randwrite --bs=4k --size=${write_mib}m --end_fsync=1" ;;
	seq-write) echo "--rw=write --bs=1m --size=${write_mib}m --end_fsync=1" ;;
	fsync-write) echo "--rw=randwrite --bs=4k --fsync=1 --size=${small_mib}m $timed" ;;
	rewrite) echo "--rw=randwrite --bs=4k --size=${small_mib}m $timed" ;;
	map-write)
		echo "--rw=randwrite --bs=4k --ioengine=mmap --end_fsync=1" \
			"--size=${map_mib}m $timed"
		;;
	esac
}

# Threads: processes of fio's would leave our process group. What is cached is our
# business: fio would drop it at every open.
fio_job() {
	run fio --name=job --thread --invalidate=0 --fallocate=none --ioengine=psync \
		--group_reporting --output-format=terse --terse-version=3 "$@"
}

# fio_result UNIT: "VALUE MIB" of the job that ran last.
fio_result() {
	awk -F';' -v unit="$1" '
	NF > 50 && $5 == 0 {
		mib = ($6 + $47) / 1024
		value = unit == "op/s" ? $8 + $49 : ($7 + $48) / 1024
		printf "%.3f %.1f\n", value, mib
		found = 1
	}
	END { exit !found }' "$work/out"
}

# --- before

# job_lay JOB SIDE: the file in the side's source, where the side needs one.
job_lay() {
	local src

	src=$(peer_source "$2")
	mkdir -p "$src"
	case $1 in
	hot-* | cold-*) ln -f "$work/data/$(job_file "$1")" "$src/" ;;
	metadata) ;;
	*)
		head -c "$(($(job_mib "$1") << 20))" "$work/data/cold" \
			>"$src/$(job_file "$1")"
		;;
	esac
}

job_path() {
	case $2 in
	empty*) echo "$(peer_dir "$2")/file" ;;
	*) echo "$(peer_dir "$2")/$(job_file "$1")" ;;
	esac
}

# job_prepare JOB SIDE ROUND: caches as the job wants them.
job_prepare() {
	local path

	path=$(job_path "$1" "$2")
	case $1 in
	hot-* | map-write | rewrite)
		[ "$3" -gt 1 ] || { run cat "$path" && run cat "$path"; }
		;;
	cold-*) peer_drop_caches "$2" ;;
	seq-write) run rm -f "$path" && peer_sync "$2" ;;
	*) peer_sync "$2" ;;
	esac
}

# --- the job itself

# job_run JOB SIDE: "VALUE MIB", or false.
job_run() {
	local options

	if [ "$1" = metadata ]; then
		run python3 "$here/metadata.py" "$(peer_dir "$2")" $nr_files &&
			echo "$(cat "$work/out") -"
		return
	fi
	options=$(job_options "$1")
	[ "${2%@*}" != direct ] || options+=" --direct=1"
	# shellcheck disable=SC2086 # a list
	fio_job --filename="$(job_path "$1" "$2")" $options &&
		fio_result "$(job_unit "$1")"
}

# --- checksums

job_sum() {
	timeout 60 xxhsum -H2 <"$1" | cut -d' ' -f1
}

# Before: what was laid is what the side shows.
job_verify_begin() {
	[ "$1" = metadata ] ||
		[ "$(job_sum "$(job_path "$1" "$2")")" = "$(job_laid_sum "$1")" ]
}

# Of what job_lay has laid.
job_laid_sum() {
	head -c "$(($(job_mib "$1") << 20))" "$work/data/cold" | xxhsum -H2 |
		cut -d' ' -f1
}

# After, still mounted: the job again with a checksum in every block, not timed,
# the blocks checked with caches dropped; and of ours, the sum of the whole file
# kept.
job_verify_stamp() {
	local path options mib=$verify_mib

	[ "$1" != metadata ] || return 0
	path=$(job_path "$1" "$2")
	[ "$1" != fsync-write ] || mib=1
	options="$(job_options "$1") --time_based=0 --runtime=0 --norandommap=0"
	options+=" --size=${mib}m --verify=crc32c --verify_fatal=1"
	# shellcheck disable=SC2086 # lists
	fio_job --filename="$path" $options --do_verify=0 &&
		peer_drop_caches "$2" &&
		fio_job --filename="$path" $options --verify_only=1 || return
	! is_plimsoll "$2" || job_sum "$path" >"$work/sum.$2"
}

# At the end, unmounted: the blocks and the sum in the directory, where any other
# program would look.
job_verify_end() {
	local file options mib=$verify_mib

	[ "$1" != metadata ] || return 0
	file=$(peer_source "$2")/$(job_file "$1")
	[ "$1" != fsync-write ] || mib=1
	options="$(job_options "$1") --time_based=0 --runtime=0 --norandommap=0"
	options+=" --size=${mib}m --verify=crc32c --verify_fatal=1"
	# shellcheck disable=SC2086 # lists
	fio_job --filename="$file" $options --verify_only=1 --ioengine=psync || return
	! is_plimsoll "$2" || [ "$(job_sum "$file")" = "$(cat "$work/sum.$2")" ]
}
