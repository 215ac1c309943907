#!/bin/bash
# timeout: 150
#
# A host short of memory: plimsoll, its taker and all who use it are in a memory
# control group that others fill with page cache, while a file volume and an anon
# volume are dirtied through mappings several times the budget. Nothing
# deadlocks, who is killed meanwhile ends, what msync said is there. And mlock:
# what is locked, that it is kept where there is too little of RLIMIT_MEMLOCK, and
# that all threads are known as IO flushers where that is allowed. SEED=n runs one
# again, LIMIT=72M is the group's, LONG=1 tries more, TOGETHER=1 in one
# group.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3 setpriv
[ "$(id -u)" = 0 ] || skip "not root"

seed=${SEED:-$RANDOM}
RANDOM=$seed
echo "SEED=$seed"
export PYTHONPATH=$top/tests/mount

cat >client.py <<'PY'
# client.py FILE RECORDS SEED: dirty pages of a mapping until killed; which
# version of a page msync has taken goes to RECORDS.
import mmap, os, random, sys
path, records, seed = sys.argv[1:]
rnd = random.Random(seed)
fd = os.open(path, os.O_RDWR | os.O_CREAT)
nr = os.fstat(fd).st_size // 4096
m = mmap.mmap(fd, nr * 4096)
rec = os.open(records, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
head = lambda n: int.from_bytes(m[n * 4096 + 8:n * 4096 + 16], "little")
while True:
    for n in rnd.sample(range(nr), 50):
        v = (n.to_bytes(8, "little") + (head(n) + 1).to_bytes(8, "little")) * 256
        m[n * 4096:(n + 1) * 4096] = v
    m.flush(n * 4096, 4096)
    os.write(rec, b"%d %d\n" % (n, head(n)))
PY
cat >reader.py <<'PY'
# reader.py FILE SECONDS: its longest stall.
import os, random, sys, time
from kernel_cache import Stalls
fd, stalls, end = os.open(sys.argv[1], os.O_RDONLY), Stalls(), time.monotonic() + float(sys.argv[2])
nr, n = os.fstat(fd).st_size // 4096, 0
while time.monotonic() < end:
    n += 1
    stalls(os.pread, fd, 4096, random.randrange(nr) << 12)
print(f"reader of {os.path.basename(os.path.dirname(sys.argv[1]))}: {n} reads, {stalls}")
PY
cat >check.py <<'PY'
# check.py FILE RECORDS: each page whole, and not older than what was recorded.
import sys
synced = {}
for line in open(sys.argv[2]):
    n, v = map(int, line.split())
    synced[n] = max(v, synced.get(n, 0))
with open(sys.argv[1], "rb") as f:
    n = 0
    while page := f.read(4096):
        v = int.from_bytes(page[8:16], "little")
        want = bytes(4096) if v == 0 else (n.to_bytes(8, "little") + page[8:16]) * 256
        assert page == want, (n, page[:16])
        assert v >= synced.get(n, 0), (n, v, synced[n])
        n += 1
assert synced, "nothing was synced"
print(len(synced), "pages synced", end="; ")
PY

# limit_group BYTES [GROUP]
limit_group() {
	local file group=${2:-$CGROUP}

	for file in memory.limit_in_bytes memory.max; do
		[ ! -e "$group/$file" ] || echo "$1" >"$group/$file" || fail "no limit"
	done
}

# times the group was at its limit; processes ended for it
pressed() {
	cat "$CGROUP/memory.failcnt" 2>/dev/null ||
		sed -n 's/^max //p' "$CGROUP/memory.events"
}
killed_for_memory() {
	sed -n 's/^oom_kill //p' "$CGROUP/memory.oom_control" "$CGROUP/memory.events" 2>/dev/null
}

# Every thread, and the taker, as the kernel's flags have it: PF_MEMALLOC_NOIO
# and PF_LOCAL_THROTTLE.
all_flushers() {
	local flags stat

	for stat in "/proc/$pid"/task/*/stat "/proc/$taker/stat"; do
		flags=$(sed 's/.*) //' "$stat" | cut -d ' ' -f 7)
		[ $((flags & 0x180000)) = $((0x180000)) ] || fail "$(cat "$stat")"
	done
}

find_taker() {
	taker=$(python3 -c 'import kernel_cache, sys
print(kernel_cache.taker_of(sys.argv[1]) or "")' "$pid")
	[ -n "$taker" ] || fail "no process takes copies back"
}

# Where threads are not known as IO flushers, in a group of its own: in one with
# those who dirty mappings a thread may wait for itself, see plimsoll(8).
own=''
move_apart() {
	own=$CGROUP.own
	mkdir -p "$own" || fail "no second group"
	limit_group 48M "$own"
	echo "$pid" >"$own/cgroup.procs" || fail "cannot be moved"
	echo "$taker" >"$own/cgroup.procs" || fail "the taker cannot be moved"
}

leave_apart() {
	[ -n "$own" ] || return 0
	{ echo "$pid" >"${own%/*}/cgroup.procs"
	echo "$taker" >"${own%/*}/cgroup.procs"; } 2>/dev/null
	eventually 5 rmdir "$own" && own=''
}
trap leave_apart EXIT

locked() {
	awk '/^VmLck:/ { print $2 * 1024 }' "/proc/$1/status"
}

# Too little may be locked: one line, and nothing is mounted.
said=$(ulimit -l 8192; timeout 20 setpriv --bounding-set=-ipc_lock \
	"$plimsoll" -o mem=16M,mlock "$src" "$mnt" 2>&1) && fail "mlock in 8 MiB"
equal "lines for mlock" "$(wc -l <<<"$said")" 1
[[ $said == *mlock*RLIMIT_MEMLOCK* ]] || fail "mlock in 8 MiB: $said"
is_mounted "$mnt" && fail "refused, and mounted"

noise 120M "$seed" | dd of=fill bs=1M iflag=fullblock oflag=direct status=none ||
	fail "no file"
own_cgroup
[ -n "${CGROUP:-}" ] || echo "no memory control groups: the host is as it is"
mkdir an
seconds=1.5
[ -z "${LONG:-}" ] || seconds=5
rounds='cache=auto mlock'
[ -z "${LONG:-}" ] ||
	rounds+=' cache=user cache=kernel mlock,cache=kernel'
for options in ${ROUNDS:-$rounds}; do
	mount_volumes "mem=16M,swap=$work/swap:64M,$options" "$src" "$mnt" anon an
	find_taker
	if [[ $options = mlock* ]]; then
		equal mlock "$(volume "$mnt" mlock)" yes
		[ "$(locked "$pid")" -ge $((16 << 20)) ] || fail "not locked"
		[ "$(locked "$taker")" -gt 0 ] || fail "the taker is not locked"
	else
		equal mlock "$(volume "$mnt" mlock)" no
		equal locked "$(locked "$pid")" 0
	fi
	if [ $((0x$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> 24 & 1)) = 1 ]; then
		equal io_flusher "$(volume "$mnt" io_flusher)" yes
		all_flushers
	else
		equal io_flusher "$(volume "$mnt" io_flusher)" no
	fi
	truncate -s 48M "$mnt/f"
	fallocate -l 32M an/f
	rm -f rec.*
	[ -z "${CGROUP:-}" ] || [ -n "${TOGETHER:-}" ] ||
		[ "$(volume "$mnt" io_flusher)" = yes ] || move_apart
	[ -z "${CGROUP:-}" ] || limit_group "${LIMIT:-72M}"
	before=$([ -z "${CGROUP:-}" ] || pressed)
	(while cat fill; do :; done >/dev/null) &
	filler=$!
	clients=()
	for where in mnt an; do
		timeout 60 python3 client.py "$where/f" "rec.$where" "$RANDOM" \
			2>/dev/null &
		clients+=($!)
	done
	timeout 60 python3 reader.py "$mnt/f" $seconds &
	r1=$!
	timeout 60 python3 reader.py an/f $seconds || fail "a reader"
	wait $r1 || fail "a reader"
	for p in "${clients[@]}"; do
		is_running "$p" || fail "a program ended by itself"
		child=$(pgrep -P "$p")
		kill -KILL "$child"
		wait_gone "$child" 30 ||
			fail "killed, and still there: $(cat "/proc/$child/stack")"
	done
	wait "${clients[@]}" 2>/dev/null
	[ -z "${CGROUP:-}" ] ||
		echo "mem=16M,$options: at its limit $(($(pressed) - before)) times," \
			"$(killed_for_memory) ended for it"
	kill "$filler"
	wait "$filler" 2>/dev/null
	timeout 30 sync "$mnt/f" || fail "sync under pressure"
	timeout 30 python3 check.py "$mnt/f" rec.mnt || fail "the file volume"
	timeout 30 python3 check.py an/f rec.an || fail "the anon volume"
	[ -z "${CGROUP:-}" ] || limit_group 1T
	overhead_kept "$mnt" || fail "more than the budget"
	umount an || fail "umount"
	umount "$mnt" || fail "umount"
	wait_gone "$pid" 60 || fail "plimsoll $pid does not end"
	leave_apart || fail "the second group is busy"
	timeout 30 python3 check.py "$src/f" rec.mnt || fail "the backing directory"
	rm -f "$src/f"
done
