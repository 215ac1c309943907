#!/bin/bash
# timeout: 900
#
# Replies from the ring's own thread and from workers, mixed, at depth 32, while
# eviction and write-back go on underneath: 256 MiB of files through 32 MiB, all
# that is read verified. Beside it another process mounts and unmounts, with
# requests on their way. STRESS=n: for n seconds (15); ROUNDS=n: so many mounts
# (3). Prints how many requests there were. TRANSPORT=dev does it without rings.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need fio
[ -n "${TRANSPORT:-}" ] || ring_switch Y

seconds=${STRESS:-15} rounds=${ROUNDS:-3} total=0
[ "$seconds" -le 800 ] || fail "STRESS is at most 800"

# Headers to verify by, in all files.
cat >lay.fio <<'FIO'
[global]
directory=${DIR}
size=64m
bs=64k
rw=write
verify=crc32c
verify_interval=4k
do_verify=0
[read0]
[read1]
[write0]
[write1]
FIO
cat >stress.fio <<'FIO'
[global]
directory=${DIR}
size=64m
time_based
runtime=${RUNTIME}
verify=crc32c
verify_interval=4k
verify_fatal=1
ioengine=libaio
iodepth=32
norandommap
randrepeat=0
[read0]
rw=randread
filename=read0.0.0
bssplit=4k/60:16k/20:128k/20
[read1]
rw=randread
filename=read1.0.0
bs=4k
ioengine=psync
[write0]
rw=randwrite
filename=write0.0.0
bs=4k
verify_backlog=512
[write1]
rw=randwrite
filename=write1.0.0
bs=32k
ioengine=psync
verify_backlog=64
FIO

# Mounts and unmounts until "stop" is there; a half of them by a signal.
cycle() {
	local n=0 other dir=$work/cycle

	mkdir -p "$dir/src" "$dir/mnt"
	while [ ! -e "$work/stop" ]; do
		timeout 60 "$plimsoll" -o mem=16M "$dir/src" "$dir/mnt" \
			2>"$dir/out" || fail "cycle: $(cat "$dir/out")"
		other=$(volume "$dir/mnt" pid)
		timeout 20 dd if=/dev/zero of="$dir/mnt/f" bs=64k count=200 \
			2>/dev/null &
		if [ $((n++ % 2)) = 0 ]; then
			sleep 0.2
			kill -TERM "$other"
		else
			wait $!
			eventually 20 umount "$dir/mnt" || fail "cycle: busy"
		fi
		wait
		wait_gone "$other" 60 || fail "cycle: $other does not end"
	done
	echo "$n" >"$work/cycles"
}

mount_plimsoll "$src" "$mnt" mem=32M
[ -n "${TRANSPORT:-}" ] || equal transport "$(volume "$mnt" transport)" uring
DIR=$mnt fio lay.fio >"$work/fio.out" 2>&1 || fail "$(cat "$work/fio.out")"
unmount "$mnt"

cycle &
cycler=$!
for ((round = 0; round < rounds; round++)); do
	mount_plimsoll "$src" "$mnt" mem=32M
	DIR=$mnt RUNTIME=$((seconds / rounds)) fio stress.fio \
		>"$work/fio.out" 2>&1 || fail "$(cat "$work/fio.out")"
	hits=$(vmstat "$mnt" path_hit) misses=$(vmstat "$mnt" path_miss)
	workers=$(vmstat "$mnt" path_worker)
	echo "$hits hits, $misses misses, $workers by workers," \
		"$(vmstat "$mnt" reply_handed_over) handed over"
	[ $((hits * misses * workers)) != 0 ] || fail "a path was not used"
	[ "$(vmstat "$mnt" pgsteal_kswapd)" -gt 0 ] || fail "nothing was evicted"
	[ "$(vmstat "$mnt" nr_written)" -gt 0 ] || fail "nothing written back"
	total=$((total + hits + misses + workers))
	overhead_kept "$mnt" || fail "more memory than stated"
	unmount "$mnt"
done
touch "$work/stop"
wait "$cycler" || fail "mounts and unmounts beside it"
echo "$total requests; $(cat "$work/cycles") mounts beside them"
