#!/bin/bash
#
# Bad input, each kind: one line on stderr, an exit status that is not 0,
# nothing mounted, nothing started, nothing changed in the source.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

s=$work/s m=$work/m file=$work/file
mkdir -p "$s/in/deep" "$m/in" "$work/s2" "$work/m2"
echo kept >"$s/in/f"
echo kept >"$file"
ln -s nowhere "$work/dangling"
ln -s "$s" "$work/link"

# All that must not change.
state() {
	mounts_below "$work"
	daemons_below "$work"
	timeout 10 find "$s" "$work/s2" "$file" -printf '%p %y %m %u %s %T@ %C@\n'
}

nr=0 nr_bad=0
# So that one run names them all.
bad() {
	echo "failed: $*"
	nr_bad=$((nr_bad + 1))
}

# refused TEXT COMMAND...: as said above; TEXT is in the line.
refused() {
	local text=$1 status lines

	shift
	state >"$work/state.before"
	timeout 5 "$@" >"$work/out" 2>"$work/err"
	status=$?
	state >"$work/state.after"
	nr=$((nr + 1))
	[ $status != 0 ] || bad "'$*' should fail"
	[ $status -lt 124 ] || bad "'$*': exit status $status"
	lines=$(tr '\r' '\n' <"$work/err" | wc -l)
	[ "$lines" = 1 ] || bad "'$*' says $lines lines: $(head -c 200 "$work/err")"
	case $(cat "$work/err") in
	plimsoll*"$text"*) ;;
	*) bad "'$*' says '$(head -c 200 "$work/err")', should say '$text'" ;;
	esac
	[ ! -s "$work/out" ] || bad "'$*' says on stdout: $(cat "$work/out")"
	diff "$work/state.before" "$work/state.after" ||
		bad "'$*' changed something"
	[ $status != 0 ] || umount "${*: -1}"
}
p() {
	local text=$1

	shift
	refused "$text" "$plimsoll" "$@"
}

# Operands.
p usage
p usage "$s"
p usage -o mem=64M
p usage -o mem=64M "$s" "$m" "$work/s2"
p 'No such file' "$work/missing" "$m"
p 'No such file' "$s" "$work/missing"
p 'No such file' '' "$m"
p 'No such file' "$s" ''
p 'No such file' "$work/dangling" "$m"
p 'is not a directory' "$file" "$m"
p 'is not a directory' "$s" "$file"
p 'is not a directory' /dev/null "$m"
p 'Not a directory' "$file/x" "$m"
p 'too long' "$(printf '%05000d' 0)" "$m"
p 'too many' $(seq 40)
p 'No such file' "$s" "$m" "$work/s2" "$work/missing"
p 'No such file' "$s" "$m" "$work/missing" "$work/m2"

# Options.
p unknown -o bogus "$s" "$m"
p unknown -o bogus=1 "$s" "$m"
p unknown "$s" "$m" -o mem=64M,bogus
p unknown --bogus "$s" "$m"
p unknown -z "$s" "$m"
p 'needs options' "$s" "$m" -o
for mem in abc 64X -64M 64MM 1.5G 0x1000000 ' 64M' 99999999999999999999M \
	18014398509481985K; do
	p 'is not a size' -o "mem=$mem" "$s" "$m"
done
for mem in 4M 0 1 8191K; do
	p 'too small' -o "mem=$mem" "$s" "$m"
done
p 'needs a value' -o mem= "$s" "$m"
p 'needs a value' -o mem "$s" "$m"
machine=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
p 'more than the memory' -o "mem=$((machine * 2))K" "$s" "$m"
p 'more than the memory' -o mem=1000000T "$s" "$m"
p 'neither on nor off' -o control=maybe "$s" "$m"
p neither -o cache=bogus "$s" "$m"
p neither -o transport=bogus "$s" "$m"

for size in abc 64X -1 1.5G; do
	p 'is not a size' -o "size=$size" anon "$m"
	p 'is not a' -o "nr_inodes=$size" anon "$m"
done
for mode in 8 abc 10000 -1 0x1ff 777x; do
	p 'is not a mode' -o "mode=$mode" anon "$m"
done
for id in root -1 1x 4294967295 99999999999; do
	p 'is not the number of a user' -o "uid=$id" anon "$m"
	p 'is not the number of a group' -o "gid=$id" anon "$m"
done
for n in 201 -1 abc 1.5; do
	p 'is not from 0 to 200' -o "swappiness=$n" anon "$m"
done
for name in size nr_inodes mode uid gid swap swappiness; do
	p 'needs a value' -o "$name=" anon "$m"
	p 'needs a value' -o "$name" anon "$m"
done
p 'does not exist' -o "swap=$work/none" anon "$m"
p 'not a size' -o "swap=$work/none:abc" anon "$m"
p 'no path' -o swap=:32M anon "$m"
p 'one too many' -o "$(printf "swap=$work/none:8M,%.0s" {1..40})mem=64M" anon "$m"

p 'is too large' -o size=18446744073709551615 anon "$m"
for option in size=1M nr_inodes=4 mode=700 uid=5 gid=5 "swap=$work/none:8M"; do
	p 'there is none' -o "$option" "$s" "$m"
done

# Anon volumes, where there can be none.
p usage anon
p 'No such file' anon "$work/missing"
p 'is not a directory' anon "$file"
p 'given twice' anon "$m" anon "$m"
p inside "$s" "$m" anon "$s/in"
p inside anon "$s/in" "$s" "$m"
p inside anon "$s" "$s/in" "$m"

# Where source and mount point lie.
p 'inside its source' "$s" "$s/in"
p 'inside its source' "$work/link" "$s/in/deep"
p 'inside its mount point' "$s/in" "$s"
p 'inside its mount point' "$s/in/deep" "$work/link"
p inside / "$m"
p overlap "$s" "$m" "$s" "$work/m2"
p overlap "$s" "$m" "$s/in" "$work/m2"
p overlap "$s/in" "$m" "$s" "$work/m2"
p overlap "$s" "$m" "$work/link" "$work/m2"
p 'given twice' "$s" "$m" "$work/s2" "$m"
p inside "$s" "$m" "$work/s2" "$s/in"
p inside "$s" "$m" "$m/in" "$work/m2"

# Another plimsoll runs.
mount_volumes mem=16M "$s" "$m"
p already "$s" "$work/m2"
p already "$work/link" "$work/m2"
p overlaps "$s/in" "$work/m2"
p 'inside a plimsoll' "$m" "$work/m2"
p 'inside a plimsoll' "$m/in" "$work/m2"
p 'inside a plimsoll' "$work/s2" "$m/in"
p inside "$work/s2" "$m"
p inside "$work/s2" "$s/in"
p 'inside a plimsoll' anon "$m"
p 'inside a plimsoll' anon "$m/in"
p inside anon "$s/in"
p 'inside a plimsoll' -o "swap=$m/in/swap:8M" anon "$work/m2"
equal "the running one" "$(cat "$m/in/f")" kept

# plimsollctl, and not to a mount.
c() {
	local text=$1

	shift
	refused "$text" "$plimsollctl" "$@"
}
settings() {
	grep -r . "$m/.plimsoll/sys" "$m/.plimsoll/fault"
}
settings >"$work/settings"
c needs
c command bogus
c command bogus "$m"
c usage stat
c usage sync "$m" more
c usage umount "$m" more
c usage set "$m" dirty_ratio
c usage set "$m" dirty_ratio 10 20
c FIELD=VALUE fault "$m" failslab times 1 2
c 'No such file' stat "$work/missing"
c 'is not the mount point' stat "$s"
c 'is not the mount point' umount "$s"
c 'is not the mount point' umount /
c 'is inside the mount' sync "$m/in"
c 'is not the mount point' show /proc
c interval stat "$m" 0
c interval stat "$m" -1
c interval stat "$m" abc
c interval stat "$m" nan
c count stat "$m" 1 0
c count stat "$m" 1 -1
c count stat "$m" 1 x
c 'there is no' show "$m" bogus
c name show "$m" ../in/f
c name show "$m" /etc/passwd
c name set "$m" ../../fault/failslab/times 1
c 'there is no' set "$m" bogus 1
c 'not a number' set "$m" dirty_ratio abc
c 'not a number' set "$m" dirty_ratio ''
c 'not a number' set "$m" dirty_ratio 99999999999999999999
c 'cannot be' set "$m" dirty_ratio 101
c 'cannot be' set "$m" dirty_ratio -1
c 1 drop "$m" 4
c 1 drop "$m" all
c 'there is no' fault "$m" bogus times=1
c 'there is no' fault "$m" failslab bogus=1
c FIELD=VALUE fault "$m" failslab probability
c 'cannot be' fault "$m" failslab probability=101
c 'cannot be' fault "$m" failslab probability=x
settings | diff "$work/settings" - || fail "plimsollctl changed a setting"
equal "the running one" "$(cat "$m/in/f")" kept
unmount "$m"

if [ "$(id -u)" != 0 ]; then
	echo "$nr kinds, $nr_bad failed; the others need root"
	exit $((nr_bad > 0))
fi

# Read-only sources: a bind mount, a file system.
mkdir "$work/bind"
mount --bind "$s" "$work/bind" || fail "mount --bind"
mount -o remount,bind,ro "$work/bind" || fail "mount -o remount,bind,ro"
make_loop_fs 8M "$work/disk" -Onone
echo disk >"$work/disk/f"
mount -o remount,ro "$work/disk" || fail "remount,ro"
for ro in "$work/bind" "$work/disk"; do
	p 'with -o ro' "$ro" "$m"
	p 'with -o ro' -o rw "$ro" "$m"
	mount_volumes mem=16M,ro "$ro" "$m"
	equal "read-only" "$(cat "$m"/f "$m"/in/f 2>/dev/null)" \
		"$(cat "$ro"/f "$ro"/in/f 2>/dev/null)"
	fails_with 'Read-only' touch "$m/new"
	unmount "$m"
done
umount "$work/bind" "$work/disk" || fail "still in use"

# Another user: what he may not read, write, or mount on.
mkdir "$work/his" && chown 1000:1000 "$work/his"
chmod 700 "$s"
refused 'Permission denied' setpriv --reuid 1000 --regid 1000 --clear-groups \
	"$plimsoll" -o mem=16M "$s" "$work/his"
chmod 711 "$s"
refused 'Permission denied' setpriv --reuid 1000 --regid 1000 --clear-groups \
	"$plimsoll" -o mem=16M "$s" "$work/his"
chmod 755 "$s"
refused 'with -o ro' setpriv --reuid 1000 --regid 1000 --clear-groups \
	"$plimsoll" -o mem=16M "$s" "$work/his"
chown -R 1000:1000 "$s"
refused 'cannot be mounted' setpriv --reuid 1000 --regid 1000 --clear-groups \
	"$plimsoll" -o mem=16M "$s" "$m"
echo "$nr kinds, $nr_bad failed"
[ "$nr_bad" = 0 ]
