#!/bin/bash
# timeout: 180
#
# Set-id bits and file capabilities: what sets them, what takes them, and when, is
# as in a bare directory, whenever the data are written back and by whom.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "not root"
need setcap getcap setpriv rsync tar getfattr setfattr python3
python=/usr/bin/python3 # one that other users may run, too
[ -x $python ] || python=python3

caps() {
	timeout 10 getcap "$1" | sed 's/.* //'
}

mkdir "$work/bare"
cp "$(command -v cat)" "$work/bare/prog"
setcap cap_net_raw+ep "$work/bare/prog" || skip "no capabilities of files"

# --- each operation, as root and as another user -------------------------------------

same_as_bare() {
	timeout 100 $python "$top/tests/mount/privileges.py" "$mnt" >"$work/here" ||
		fail "privileges.py on $1"
	if ! diff "$work/there" "$work/here" >"$work/diff"; then
		head -n 20 "$work/diff"
		fail "$1: $(grep -c '^>' "$work/diff") results are not those of a bare directory"
	fi
}

timeout 100 $python "$top/tests/mount/privileges.py" "$work/bare" >"$work/there" ||
	fail "privileges.py on a bare directory"
for cache in auto user kernel writeback; do
	mount_plimsoll "$src" "$mnt" mem=64M,allow_other,cache=$cache
	same_as_bare "a file volume, cache=$cache"
	[ "$(vmstat "$mnt" privs_kept)" -gt 0 ] || fail "nothing had to be kept"
	equal "not kept" "$(vmstat "$mnt" privs_not_kept)" 0
	unmount "$mnt"
done
mount_anon "$mnt" mem=64M,allow_other
same_as_bare "an anon volume"
unmount "$mnt"

# By a daemon whose own writes take set-id bits, as in many a container. It cannot
# set the bit of a group it is not in at all.
mkdir -p "$work/bin"
printf '#!/bin/sh\nexec setpriv --bounding-set -fsetid --inh-caps -fsetid %s "$@"\n' \
	"$plimsoll" >"$work/bin/plimsoll"
chmod 755 "$work/bin" "$work/bin/plimsoll"
grep -E '^[^,]*(, [a-z ]*)?, 4?777 of' "$work/there" >"$work/some"
plimsoll=$work/bin/plimsoll mount_plimsoll "$src" "$mnt" mem=64M,allow_other
equal "CAP_FSETID" $((0x$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status") >> 4 & 1)) 0
timeout 100 $python "$top/tests/mount/privileges.py" "$mnt" |
	grep -E '^[^,]*(, [a-z ]*)?, 4?777 of' >"$work/here"
diff "$work/some" "$work/here" >"$work/diff" ||
	fail "without CAP_FSETID: $(head -n 4 "$work/diff")"
unmount "$mnt"

# --- what people copy with ---------------------------------------------------------------

mount_plimsoll "$src" "$mnt" mem=64M,allow_other,suid
head -c 300000 /dev/urandom >"$work/bare/large"
chmod 6755 "$work/bare/large" && setcap cap_chown,cap_net_raw+ep "$work/bare/large"
cp -a "$work/bare/large" "$mnt/cp" || fail "cp -a"
tar -C "$work/bare" --xattrs --xattrs-include='*' -c large |
	tar -C "$mnt" --xattrs --xattrs-include='*' -x || fail "tar"
rsync -aX "$work/bare/large" "$mnt/rsync" || fail "rsync"
cp -p "$work/bare/large" "$mnt/set" && setcap cap_net_raw+ep "$mnt/set"
install -m 4755 "$work/bare/large" "$mnt/install"
check_copies() {
	local f

	for f in cp large rsync; do
		equal "$1: capabilities of $f" "$(caps "$2/$f")" cap_chown,cap_net_raw=ep
		equal "$1: mode of $f" "$(stat -c %a "$2/$f")" 6755
	done
	equal "$1: capabilities that were set" "$(caps "$2/set")" cap_net_raw=ep
	equal "$1: mode of install" "$(stat -c %a "$2/install")" 4755
}
check_copies "at once" "$mnt"
sync "$mnt"/{cp,large,rsync,set,install}
check_copies "synced" "$mnt"
check_copies "in the backing directory" "$src"

# What is exec'ed has them.
install -m 755 "$(command -v cat)" "$mnt/cat"
setcap cap_dac_read_search+ep "$mnt/cat" || fail "setcap"
echo secret >"$work/secret" && chmod 600 "$work/secret"
equal "run with a capability" "$(as 1000 timeout 10 "$mnt/cat" "$work/secret")" secret
echo >>"$mnt/cat"
fails_with 'Permission denied' as 1000 timeout 10 "$mnt/cat" "$work/secret"

# Stores to a mapping take nothing, nor does it show while they are written back:
# a hundred stores and syncs, with somebody else looking.
cp -a "$work/bare/large" "$mnt/mapped"
timeout 60 $python - "$mnt/mapped" <<-'PY' || fail "while stores are written back"
	import mmap, os, sys, threading

	path, name, stop = sys.argv[1], "security.capability", False
	fd = os.open(path, os.O_RDWR)
	value = os.getxattr(path, name)
	seen = []

	def look():
	    while not stop:
	        try:
	            if os.getxattr(path, name) != value or name not in os.listxattr(path):
	                seen.append("another")
	            if os.stat(path).st_mode & 0o6000 != 0o6000:
	                seen.append("mode")
	        except OSError as e:
	            seen.append(str(e))

	looking = threading.Thread(target=look)
	looking.start()
	with mmap.mmap(fd, 0) as m:
	    for i in range(100):
	        m[i * 2999] = i
	        m.flush()
	        os.fsync(fd)
	stop = True
	looking.join()
	sys.exit(f"seen: {seen[:5]}" if seen else 0)
PY
equal "mapped, in the backing directory" "$(caps "$src/mapped")" cap_chown,cap_net_raw=ep

# After a crash there is what was synced.
kill -9 "$pid" && wait_gone "$pid" 10
umount -l "$mnt"
check_copies "after a crash" "$src"
equal "mapped, after a crash" "$(caps "$src/mapped")" cap_chown,cap_net_raw=ep
equal "what was written to" "$(caps "$src/cat")" ''
mount_plimsoll "$src" "$mnt" mem=64M,allow_other,suid
check_copies "mounted again" "$mnt"

# --- overlayfs -------------------------------------------------------------------------------

mkdir "$work/low" "$mnt/up" "$mnt/wk" "$work/ov"
for f in touched longer; do
	cp -a "$work/bare/large" "$work/low/$f"
	chown 6:12 "$work/low/$f" && chmod 6755 "$work/low/$f"
	setcap cap_net_raw+ep "$work/low/$f"
done
mount -t overlay overlay -o "lowerdir=$work/low,upperdir=$mnt/up,workdir=$mnt/wk" \
	"$work/ov" || fail "no overlay"
timeout 10 touch "$work/ov/touched"
timeout 10 sh -c 'echo >>"$1"' - "$work/ov/longer"
for d in "$work/ov" "$mnt/up" "$src/up"; do
	equal "$d: copied up" "$(stat -c %a:%u "$d/touched") $(caps "$d/touched")" \
		"6755:6 cap_net_raw=ep"
	equal "$d: copied up and written" "$(stat -c %a:%u "$d/longer") $(caps "$d/longer")" \
		"6755:6 "
	timeout 10 sync "$work/ov/touched" "$work/ov/longer"
done
timeout 10 chown 7 "$work/ov/touched"
equal "given away" "$(stat -c %a:%u "$src/up/touched") $(caps "$src/up/touched")" "755:7 "
umount "$work/ov" || fail "overlay"
unmount "$mnt"

# --- mounted by another user -------------------------------------------------------------------

if mount_as_user; then
	as 1000 timeout 20 $python - "$work/his/mnt/prog" <<-'PY' || fail "as himself"
		import mmap, os, sys

		fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o755)
		os.write(fd, bytes(9000))
		os.fchmod(fd, 0o4755)
		os.fsync(fd)
		assert os.fstat(fd).st_mode & 0o4000, "written back later"
		with mmap.mmap(fd, 0) as m:
		    m[5000] = 1
		    m.flush()
		os.fsync(fd)
		assert os.fstat(fd).st_mode & 0o4000, "mapped"
	PY
	equal "his program" "$(stat -c %a "$work/his/src/prog")" 4755
	# What root gave his program he cannot set again, but take away.
	cp "$work/his/src/prog" "$work/his/src/given"
	chmod 777 "$work/his/src/given" && setcap cap_net_raw+ep "$work/his/src/given"
	as 1000 sh -c 'echo >>"$1"' - "$work/his/mnt/given"
	equal "what he wrote to" "$(caps "$work/his/src/given")" ''
	unmount_as_user
	equal "his program at the end" "$(stat -c %a "$work/his/src/prog")" 4755
fi
