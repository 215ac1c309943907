#!/bin/bash
# timeout: 180
#
# Something is mounted on top of a volume: a tmpfs, another plimsoll's mount. By
# SIGTERM the lower one ends, with success, having written back all, what is dirty in
# mappings too; what is on top stays mounted, keeps its contents and can be used.
# plimsollctl refuses to unmount it. When all is gone the mount point can be used
# again. In place too; and for a user who has to ask fusermount3.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3
[ "$(id -u)" = 0 ] || skip "not root"
seed=${SEED:-$RANDOM}
echo "SEED=$seed"

# user.py FILE SEED: dirty pages of a mapping, more by write(2), all kept open; says
# what the file has to be and waits for the end of its input.
cat >user.py <<'PY'
import mmap, os, random, sys
path, seed = sys.argv[1:]
rnd, size = random.Random(seed), 2 << 20
want = bytearray(rnd.randbytes(size))
fd = os.open(path + ".mapped", os.O_RDWR | os.O_CREAT, 0o666)
os.pwrite(fd, bytes(want), 0)
os.fsync(fd)
m = mmap.mmap(fd, size)
for at in rnd.sample(range(0, size, 4096), 200):
    page = rnd.randbytes(4096)
    m[at:at + 4096] = want[at:at + 4096] = page
with open("want.mapped", "wb") as f:
    f.write(want)
fd = os.open(path + ".written", os.O_RDWR | os.O_CREAT, 0o666)
want = rnd.randbytes(size)
os.pwrite(fd, want, 0)
with open("want.written", "wb") as f:
    f.write(want)
print("ready", flush=True)
sys.stdin.read()
PY

# use MOUNT: the files are open and mapped then, and dirty.
use() {
	rm -f ready want.*
	exec 8<> <(:)
	timeout 100 python3 user.py "$1/f" "$seed" <&8 >ready &
	user=$!
	eventually 30 grep -q ready ready || fail "no user of $1"
}

stop_using() {
	kill "$user" 2>/dev/null
	wait "$user" 2>/dev/null
	exec 8<&-
}

arrived() {
	cmp want.mapped "$src/f.mapped" || fail "$1: what was dirty in a mapping"
	cmp want.written "$src/f.written" || fail "$1: what was written"
}

# start OPTIONS SOURCE MOUNTPOINT: in front, to see how it ends; sets pid.
start() {
	"$plimsoll" -f -o "$1" "$2" "$3" >mount.out 2>&1 &
	pid=$!
	eventually 30 is_mounted "$3" || fail "no mount: $(cat mount.out)"
	eventually 30 test -e "$3/.plimsoll/volume" || fail "no answer: $(cat mount.out)"
}

# ends WHAT: by SIGTERM, with success and a line about what stays.
ends() {
	kill -TERM "$pid"
	wait_gone "$pid" 60 || fail "$1: plimsoll $pid does not end"
	wait "$pid" || fail "$1: it ended with $?: $(cat mount.out)"
	equal "$1: lines about it" "$(grep -c 'lies on top' mount.out)" 1
}

mkdir other other.mnt
echo other >other/o
mount_volumes mem=16M other other.mnt
other=$pid
for options in mem=32M mem=32M,cache=kernel mem=32M,cache=user; do
	for top_kind in tmpfs plimsoll; do
		what="$options, $top_kind on top"
		start "$options" "$src" "$mnt"
		use "$mnt"
		if [ $top_kind = tmpfs ]; then
			mount -t tmpfs none "$mnt"
			echo contents >"$mnt/o"
		else
			mount --bind other.mnt "$mnt"
			echo contents >"$mnt/o"
		fi
		for command in umount sync stat; do
			said=$(timeout 20 "$plimsollctl" $command "$mnt" 2>&1)
			rc=$?
			[ $top_kind = plimsoll ] && [ $command != umount ] && continue
			[ $top_kind = tmpfs ] || break
			[ $rc = 1 ] || fail "$what: $command: $rc, $said"
			equal "$what: $command: lines" "$(wc -l <<<"$said")" 1
			grep -q 'lies on top' <<<"$said" || fail "$what: $said"
		done
		# That was the upper plimsoll's own, as is right.
		[ $top_kind = tmpfs ] || mount --bind other.mnt "$mnt"
		ends "$what"
		equal "$what: contents" "$(cat "$mnt/o")" contents
		echo more >>"$mnt/o" || fail "$what: cannot be used"
		stop_using
		arrived "$what"
		umount "$mnt" || fail "$what: the upper one"
		timeout 20 umount "$mnt" || fail "$what: the dead one"
		is_mounted "$mnt" && fail "$what: more is mounted"
		rm -f "$src"/f.*
	done
done
umount other.mnt || fail "umount"
wait_gone "$other" 60 || fail "plimsoll $other does not end"

# In place: SOURCE can be seen again when both are gone.
start mem=32M "$src" "$src"
use "$src"
mount -t tmpfs none "$src"
echo contents >"$src/o"
ends "in place"
equal "in place: contents" "$(cat "$src/o")" contents
stop_using
umount "$src" || fail "in place: the upper one"
timeout 20 umount "$src" || fail "in place: the dead one"
arrived "in place"
rm -f "$src"/f.*

# In a mount namespace of its own, with something on top in another one.
unshare --mount --propagation private "$plimsoll" -f -o mem=32M "$src" "$mnt" >mount.out 2>&1 &
pid=$!
eventually 30 nsenter -t "$pid" -m test -e "$mnt/.plimsoll/volume" ||
	fail "no mount: $(cat mount.out)"
mount -t tmpfs none "$mnt"
echo contents >"$mnt/o"
noise 300000 "$seed" | nsenter -t "$pid" -m dd of="$mnt/n" status=none
kill -TERM "$pid"
wait_gone "$pid" 60 || fail "a namespace: plimsoll $pid does not end"
wait "$pid" || fail "a namespace: it ended with $?: $(cat mount.out)"
equal "a namespace: contents" "$(cat "$mnt/o")" contents
umount "$mnt" || fail "a namespace: umount"
noise 300000 "$seed" | cmp - "$src/n" || fail "a namespace: what was written"

# A user: fusermount3 would unmount what is on top by name. Where /dev/fuse is not
# for users, one that is lies over it, for this one alone.
inside() {
	timeout 30 nsenter -t "$pid" -m "$@"
}

user_mount() {
	mknod "$work/fuse" c 10 229 && chmod 666 "$work/fuse" &&
		mount --bind "$work/fuse" /dev/fuse &&
		exec setpriv --reuid 1000 --regid 1000 --clear-groups \
			"$plimsoll" -f -o mem=16M "$work/u.src" "$work/u"
}

if [ -u "$(command -v fusermount3)" ]; then
	mkdir u u.src
	chown 1000:1000 u u.src
	export plimsoll work
	export -f user_mount
	unshare --mount --propagation private bash -c user_mount >mount.out 2>&1 &
	pid=$!
	eventually 30 inside grep -q "$work/u .*fuse.plimsoll" /proc/self/mountinfo ||
		fail "a user: $(cat mount.out)"
	inside setpriv --reuid 1000 --regid 1000 --clear-groups \
		dd if=/dev/zero of="$work/u/z" bs=100k count=3 status=none ||
		fail "a user: write"
	inside mount -t tmpfs none "$work/u"
	# Who looks afterwards has to be in that namespace from before.
	# shellcheck disable=SC2016 # sh's
	exec 9< <(inside sh -c 'echo contents >"$2/o"; echo here
		while kill -0 "$1"; do sleep 0.1; done 2>/dev/null
		cat "$2/o"; umount "$2" && echo upper; umount "$2" && echo dead' \
		sh "$pid" "$work/u")
	read -r line <&9
	equal "a user: who looks" "$line" here
	ends "a user"
	equal "a user: afterwards" "$(cat <&9)" "$(printf '%s\n' contents upper dead)"
	equal "a user: size" "$(stat -c %s "$work/u.src/z")" 307200
fi

# One that nothing lies on is unmounted, as ever, also if it is in use.
start mem=32M "$src" "$mnt"
use "$mnt"
kill -TERM "$pid"
wait "$pid" || fail "nothing on top: it ended with $?"
is_mounted "$mnt" && fail "nothing on top: still mounted"
grep 'lies on top' mount.out && fail "nothing on top, it says"
stop_using
arrived "nothing on top"
