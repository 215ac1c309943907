#!/bin/bash
# timeout: 300
#
# Much more is copied in than the budget holds, and read back: identical; the
# process stays within the budget and the overhead it stated, and nothing of the
# backing files is in the host's page cache.
#
# BIG_COPY_MIB (1024) and BIG_COPY_MEM (64M) say how much.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need fincore

nr_mib=${BIG_COPY_MIB:-1024}
mount_plimsoll "$src" "$mnt" "mem=${BIG_COPY_MEM:-64M}"
budget=$(($(volume "$mnt" mem) + $(volume "$mnt" overhead)))
mem=$(volume "$mnt" mem)
arena=/proc/$pid/fd/$(volume "$mnt" arena_fd)

# Highest of resident memory, and of the arena's own blocks, in bytes.
sample() {
	local rss blocks

	while sleep 0.1; do
		rss=$(awk '/^Vm(RSS|HWM):/ && $2 > m { m = $2 }
			END { print m * 1024 }' "/proc/$pid/status") 2>/dev/null ||
			return
		blocks=$(($(stat -Lc %b "$arena" 2>/dev/null || echo 0) * 512))
		echo "$rss $blocks"
	done >"$work/samples"
}
sample &
sampler=$!

# Real files, of all sizes but few of the many small ones, until it is enough.
mkdir "$mnt/copy"
left=$((nr_mib << 20)) small=0
find /usr/lib /usr/share /usr/bin /usr/sbin -xdev -type f -size -200M \
	-printf '%s %p\0' 2>/dev/null | sort -zR --random-source=/dev/zero |
	while IFS=' ' read -rd '' size name; do
		[ "$size" -gt 32768 ] || [ $((small += 1)) -le 2000 ] || continue
		[ $((left -= size)) -gt 0 ] || break
		printf '%s\0' "$name"
	done >"$work/names"
tr '\0' '\n' <"$work/names" | wc -l | xargs echo "files:"
sed -z 's,^/,,' "$work/names" >"$work/relative"
tar -C / -c --null -T "$work/relative" |
	tar -C "$mnt/copy" -x || fail "tar"

sums() {
	(cd "$1" && xargs -0 -P 2 -n 500 sha256sum <"$work/relative" | sort)
}
compare_with() {
	sums "$1" >"$work/sums.copy"
	diff "$work/sums" "$work/sums.copy" | head -n 20
	cmp -s "$work/sums" "$work/sums.copy"
}
sums / >"$work/sums"
compare_with "$mnt/copy" || fail "different through the mount"
drop_caches "$mnt"
compare_with "$mnt/copy" || fail "different after drop_caches"

# The files that were written, before anybody else reads them.
echo 1 >"$mnt/.plimsoll/sync" || fail "sync"
cached=$(cd "$src/copy" && xargs -0 fincore -b -n -r -o res <"$work/relative" |
	 awk '{ n += $1 } END { print n + 0 }')
echo "in the host's page cache: $cached bytes"
kill "$sampler"
wait "$sampler" 2>/dev/null
unmount "$mnt"
compare_with "$src/copy" || fail "different in the backing directory"

read -r rss blocks < <(awk '$1 > r { r = $1 } $2 > b { b = $2 }
	END { print r, b }' "$work/samples")
echo "resident $rss, arena $blocks, mem $mem, budget $budget"
[ "$rss" -gt "$((mem / 2))" ] || fail "the sampler saw nothing"
[ "$rss" -le "$budget" ] || [ -n "$sanitized" ] || fail "resident $rss, more than $budget"
[ "$blocks" -le "$mem" ] || fail "arena $blocks, more than $mem"
[ "$cached" -le $((1 << 20)) ] || fail "$cached bytes in the host's page cache"
