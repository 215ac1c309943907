#!/bin/bash
#
# The control files: in the kernel's formats, as the tools people have read
# them; settings can be read and set, and refuse what they cannot be; others see
# nothing; not listed; and not there with control=off.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3 setpriv

mount_plimsoll "$src" "$mnt" mem=64M,allow_other
c=$mnt/.plimsoll

# Nobody takes a control file for one of the volume's: tools compare numbers.
[ "$(stat -c %i "$c/vmstat")" -ge $((1 << 62)) ] || fail "inode numbers"
noise 20000000 c >"$mnt/f"
for i in {1..300}; do
	echo "$i" >"$mnt/small$i"
done

# Formats. Numbers are compared with each other at rest.
ctl sync "$mnt" || fail "sync"
timeout 60 python3 - "$c" <<'PY' || fail "see above"
import re, sys
c = sys.argv[1]
def lines(name):
    text = open(f"{c}/{name}").read()
    assert text.endswith("\n"), name
    return text.splitlines()

mem = {}
for line in lines("meminfo"):
    name, kb = re.fullmatch(r"([A-Za-z()]+): +(\d+) kB", line).groups()
    assert name not in mem, name
    mem[name] = int(kb)
for name in ("MemTotal MemFree MemAvailable Buffers Cached SwapCached Active Inactive"
             " SwapTotal SwapFree Dirty Writeback Slab SReclaimable SUnreclaim").split():
    assert name in mem, name
assert mem["MemTotal"] == 64 << 10, mem
assert mem["MemFree"] + mem["Cached"] + mem["Slab"] <= mem["MemTotal"], mem
assert mem["Cached"] >= 19000 and mem["Cached"] < 30000, mem
assert mem["Active"] == mem["Active(anon)"] + mem["Active(file)"], mem
assert mem["Slab"] == mem["SReclaimable"] + mem["SUnreclaim"] > 0, mem

vm = {}
for line in lines("vmstat"):
    name, n = re.fullmatch(r"([a-z_]+) (\d+)", line).groups()
    assert name not in vm, name
    vm[name] = int(n)
for name in ("nr_free_pages nr_inactive_file nr_active_file nr_dirty nr_writeback"
             " pgpgin pgpgout pgfree allocstall drop_pagecache nr_inodes").split():
    assert name in vm, name
assert vm["nr_inodes"] >= 2 and vm["nr_dirty"] == 0, vm

zones, free = {}, 0
for line in lines("zoneinfo"):
    m = re.fullmatch(r"Node 0, zone +(\w+)", line)
    if m:
        zone = zones[m[1]] = {}
        continue
    m = re.fullmatch(r"  (?:pages free|      (\w+)) +(\d+)", line)
    if m:
        zone.setdefault(m[1] or "free", int(m[2]))
assert list(zones) == ["DMA", "Normal", "Movable"], zones
for name, z in zones.items():
    assert z["min"] <= z["low"] <= z["high"] <= z["managed"] <= z["present"] <= z["spanned"], (name, z)
    assert z["free"] <= z["managed"], (name, z)
managed = sum(z["managed"] for z in zones.values())
total = mem["MemTotal"] // 4
assert total * 0.9 < managed <= total, (managed, total)
near = total // 50
assert abs(sum(z["free"] for z in zones.values()) - vm["nr_free_pages"]) <= near
assert abs(mem["MemFree"] // 4 - vm["nr_free_pages"]) <= near

buddy = 0
for line, name in zip(lines("buddyinfo"), zones, strict=True):
    m = re.fullmatch(r"Node 0, zone +(\w+) +((?:\d+ +)+)", line)
    assert m[1] == name, line
    counts = [int(n) for n in m[2].split()]
    assert len(counts) == 11, line
    buddy += sum(n << order for order, n in enumerate(counts))
assert buddy <= vm["nr_free_pages"] + near, (buddy, vm["nr_free_pages"])
assert buddy >= vm["nr_free_pages"] - near, (buddy, vm["nr_free_pages"])

head, columns, *slabs = lines("slabinfo")
assert head == "slabinfo - version: 2.1", head
assert columns.split()[:2] == ["#", "name"], columns
assert slabs
pages = 0
for line in slabs:
    name, *rest = line.split()
    m = re.fullmatch(r"(\S+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) : tunables +(\d+) +(\d+) +(\d+)"
                     r" : slabdata +(\d+) +(\d+) +(\d+)", line)
    active, num, size, per_slab, per_pages = (int(m[i]) for i in range(2, 7))
    act_slabs, nr_slabs = int(m[10]), int(m[11])
    assert active <= num == nr_slabs * per_slab and act_slabs <= nr_slabs, line
    assert size * per_slab <= per_pages << 12, line
    pages += nr_slabs * per_pages
# The slots and the table of inodes are counted with the slabs.
assert 0 <= mem["Slab"] - pages * 4 <= 256, (pages * 4, mem["Slab"])

volume = dict(line.split(" ", 1) for line in lines("volume"))
assert volume["mem"] == str(64 << 20), volume
PY

# free(1), vmstat(8) and slabtop(1) themselves, on these files.
if [ "$(id -u)" = 0 ]; then
	timeout 30 unshare -m sh -c '
		for f in meminfo vmstat slabinfo; do
			mount --bind "$1/$f" "/proc/$f" || exit
		done
		free -k && vmstat -s && vmstat -m && slabtop -o' - "$c" \
		>"$work/out" 2>"$work/err" || fail "$(cat "$work/err")"
	equal "errors" "$(cat "$work/err")" ""
	equal "free" "$(awk '/^Mem:/ { print $2 }' "$work/out")" 65536
	equal "vmstat -s" "$(awk '/K total memory/ { print $1 }' "$work/out")" 65536
	[ "$(grep -c plimsoll_inode "$work/out")" -ge 2 ] ||
		fail "vmstat -m or slabtop: $(cat "$work/out")"
fi

# Settings: what was read can be written; what is out of range is EINVAL.
for f in "$c"/sys/vm/*; do
	[ "${f##*/}" = drop_caches ] && continue
	was=$(cat "$f")
	echo "$was" >"$f" || fail "$f cannot be $was"
	printf %s "$was" >"$f" || fail "$f cannot be $was without newline"
	equal "${f##*/}" "$(cat "$f")" "$was"
	for value in -1 9999999999999 99999999999999999999 abc "$was x" ''; do
		fails_with 'Invalid argument' bash -c 'echo "$1" >"$2"' - "$value" "$f"
	done
	equal "${f##*/} after bad ones" "$(cat "$f")" "$was"
done
for pair in dirty_ratio=35 dirty_background_ratio=7 min_free_kbytes=1024 \
	vfs_cache_pressure=200 watermark_scale_factor=20 \
	dirty_expire_centisecs=100 dirty_writeback_centisecs=50; do
	f=$c/sys/vm/${pair%=*}
	echo "${pair#*=}" >"$f" || fail "$pair"
	equal "${f##*/}" "$(cat "$f")" "${pair#*=}"
	equal "${f##*/} by plimsollctl" "$(ctl show "$mnt" "sys/vm/${f##*/}")" "${pair#*=}"
done
ctl set "$mnt" dirty_ratio 40 || fail "plimsollctl set"
equal "dirty_ratio" "$(cat "$c/sys/vm/dirty_ratio")" 40
for pair in dirty_ratio=0 dirty_ratio=101 watermark_scale_factor=3001 \
	watermark_scale_factor=0 dirty_expire_centisecs=0 drop_caches=0 \
	drop_caches=4 min_free_kbytes=65536; do
	fails_with 'Invalid argument' bash -c 'echo "$1" >"$2"' - "${pair#*=}" \
		"$c/sys/vm/${pair%=*}"
done
for f in "$c"/fault/fail*; do
	for pair in probability=101 probability=-1 interval=0 times=-2 seed=x; do
		fails_with 'Invalid argument' bash -c 'echo "$1" >"$2"' - \
			"${pair#*=}" "$f/${pair%=*}"
	done
	equal "${f##*/}" "$(cat "$f/probability")" 0
done
was=$(vmstat "$mnt" drop_pagecache)
ctl drop "$mnt" || fail "plimsollctl drop"
equal "drop_pagecache" "$(vmstat "$mnt" drop_pagecache)" $((was + 1))

# Neither listed, nor found, nor copied; nothing in it can be made or removed.
echo .plimsoll >"$work/name"
find "$mnt" -maxdepth 1 -printf '%f\n' | grep -Fx .plimsoll && fail "listed"
cp -a "$mnt" "$work/copy" || fail "cp -a"
[ -e "$work/copy/.plimsoll" ] && fail "copied"
mkdir "$mnt/.plimsoll" 2>/dev/null && fail "mkdir"
for op in 'touch .plimsoll/new' 'mkdir .plimsoll/new' 'rm .plimsoll/meminfo' \
	'rmdir .plimsoll/sys' 'rmdir .plimsoll' 'mv .plimsoll other' \
	'mv small1 .plimsoll' 'mv -T small1 .plimsoll' 'ln small1 .plimsoll/new' \
	'ln .plimsoll/meminfo other' 'mv .plimsoll/meminfo other' \
	'chmod 777 .plimsoll/meminfo' 'chown 1 .plimsoll' \
	'truncate -s 1 .plimsoll/meminfo' 'ln -s x .plimsoll/new' \
	'setfattr -n user.x -v x .plimsoll/meminfo'; do
	(cd "$mnt" && timeout 20 bash -c "$op") >"$work/out" 2>&1 && fail "'$op' should fail"
done
timeout 20 rm -rf "$mnt/.plimsoll" 2>/dev/null
equal "small1" "$(cat "$mnt/small1")" 1
[ -e "$mnt/other" ] && fail "other is there"
equal "still" "$(volume "$mnt" pid)" "$pid"
[ -e "$src/.plimsoll" ] && fail "made in the backing directory"

# Many at once: EMFILE at worst.
exec 3<"$c/meminfo"
noise 30000000 more >"$mnt/more"
equal "as when opened" "$(head -n 1 <&3 | awk '{ print $2 }')" 65536
exec 3<&-
timeout 30 bash -c 'for i in {1..200}; do exec {fd}<"$1" || exit 0; done 2>/dev/null' - "$c/vmstat"
equal "after many" "$(ctl show "$mnt" meminfo | awk '/^MemTotal/ { print $2 }')" 65536

# Others.
if [ "$(id -u)" = 0 ]; then
	equal "another user" "$(as 1000 cat "$mnt/small1")" 1
	find "$c" -type f >"$work/files"
	[ "$(wc -l <"$work/files")" -gt 20 ] || fail "few files"
	# Read, write, status, each of them; also from a descriptor of the directory.
	# shellcheck disable=SC2094 # a directory
	bad=$(as 1000 bash -c 'while read -r f; do
			r=${f#"$1"/}
			for op in ": <\"\$f\"" ": >\"\$f\"" ": >>\"\$f\"" \
				"stat \"\$f\"" "[ -e \"\$f\" ]" \
				": </proc/self/fd/3/$r" "[ -e /proc/self/fd/3/$r ]"; do
				eval "$op" >/dev/null 2>&1 && echo "$op of $f"
			done
		done' - "$c" <"$work/files" 3<"$c")
	equal "what others may do" "$bad" ''
	equal "what the owner may not" "$(while read -r f; do
		[ -e "$f" ] || echo "$f"
	done <"$work/files")" ''
	fails_with 'Permission denied' as 1000 ls "$c"
	fails_with 'Permission denied' as 1000 sh -c 'echo 1 >"$1"' - "$c/sync"
	fails_with plimsollctl: as 1000 "$plimsollctl" sync "$mnt"
fi
unmount "$mnt"

# control=off: a name like any other.
timeout 60 "$plimsoll" -o mem=16M,control=off "$src" "$mnt" >"$work/out" 2>&1 ||
	fail "control=off: $(cat "$work/out")"
pid=$(daemons_below "$work")
[ ! -e "$mnt/.plimsoll" ] || fail "there, with control=off"
fails_with plimsollctl: ctl show "$mnt" meminfo
mkdir "$mnt/.plimsoll" || fail "mkdir .plimsoll, with control=off"
echo mine >"$mnt/.plimsoll/meminfo" || fail "cannot be made, with control=off"
unmount "$mnt"
equal "mine" "$(cat "$src/.plimsoll/meminfo")" mine
