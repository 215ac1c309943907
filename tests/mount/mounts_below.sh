#!/bin/bash
#
# Mounts below SOURCE: a file that is found in two places is one file, written
# through either; and what one of them may not do, it may not.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "not root"

# bind WHAT WHERE [ro]
bind() {
	mkdir -p "$2"
	mount --bind "$1" "$2" || fail "bind of $1"
	[ -z "${3:-}" ] || mount -o "remount,bind,$3" "$2" || fail "remount $2"
}

# lay_out DIRECTORY: own/a and own/b are one directory, ext/a and ext/b, tmp/a
# and tmp/b two mounts of one other file system.
lay_out() {
	local kind

	mkdir -p "$1"/own/a
	bind "$1/own/a" "$1/own/b"
	mkdir -p "$1"/{ext,tmp}/{a,b}
	make_loop_fs 16M "$work/${1##*/}.ext"
	mount --move "$work/${1##*/}.ext" "$1/ext/a" || fail "mount --move"
	bind "$1/ext/a" "$1/ext/b"
	mount -t tmpfs none "$1/tmp/a" || fail "tmpfs"
	bind "$1/tmp/a" "$1/tmp/b"
	for kind in own ext tmp; do
		noise 20000 "$kind" >"$1/$kind/a/file"
	done
}

# Parts of pages, by one name and by the other, and read by both.
exercise() {
	python3 - "$1" <<-'PY' || fail "$1"
		import hashlib, os, random, sys, time
		random.seed(4)
		for kind in "own", "ext", "tmp":
		    a, b = (f"{sys.argv[1]}/{kind}/{d}/file" for d in "ab")
		    fds = [os.open(a, os.O_RDWR), os.open(b, os.O_RDWR)]
		    os.pwrite(fds[0], b"first" * 300, 100)
		    os.fsync(fds[0])
		    print(kind, hashlib.md5(os.pread(fds[1], 30000, 0)).hexdigest())
		    for i in range(400):
		        fd = fds[i % 2]
		        at = random.randrange(30000)
		        os.pwrite(fd, bytes([i % 251]) * random.randrange(1, 700), at)
		        if i % 7 == 0:
		            os.fsync(fd)
		        if i % 5 == 0:
		            print(i, hashlib.md5(os.pread(fds[(i + 1) % 2], 40000, 0)).hexdigest())
		    os.ftruncate(fds[1], 12345)
		    print(os.fstat(fds[0]).st_size, os.stat(a).st_ino == os.stat(b).st_ino)
		    os.close(fds[0])
		    os.link(b, os.path.dirname(b) + "/other")
		    print(sorted(os.listdir(os.path.dirname(a))), os.stat(a).st_nlink)
		    os.unlink(a)
		    time.sleep(1.2)  # so old may names be
		    print(os.fstat(fds[1]).st_nlink, os.path.exists(b))
		    os.close(fds[1])
		    with open(os.path.dirname(a) + "/other", "rb") as f:
		        print(hashlib.md5(f.read()).hexdigest())
	PY
}

bare=$work/bare
lay_out "$bare"
lay_out "$src"
mkdir "$src/data" "$src/only" "$work/elsewhere"
echo data >"$src/data/file"
echo only >"$work/elsewhere/file"
bind "$src/data" "$src/data.ro" ro
bind "$work/elsewhere" "$src/only/ro" ro
bind "$work/elsewhere" "$src/only/rw"
exercise "$bare" >"$work/right"
mount_plimsoll "$src" "$mnt"
exercise "$mnt" >"$work/seen"
diff "$work/right" "$work/seen" || fail "it is not as in the bare directory"

# Read-only is what can be found only so.
fails_with '' tee -a "$mnt/only/ro/file" <<<more
fails_with 'Read-only' chmod 600 "$mnt/only/ro/file"
fails_with 'Read-only' touch "$mnt/data.ro/new"
fails_with 'Read-only' rm "$mnt/data.ro/file"
exec 3<"$mnt/only/ro/file"
echo more >>"$mnt/only/rw/file" || fail "not writable by the mount that is"
equal "by the other" "$(cat <&3)" $'only\nmore'
exec 3<&-
equal "by its name" "$(cat "$mnt/data.ro/file")" data
echo more >>"$mnt/data/file" || fail "not writable in SOURCE itself"
equal "by the other" "$(cat "$mnt/data.ro/file")" $'data\nmore'
unmount "$mnt"
equal "in the end" "$(cat "$src/data/file" "$work/elsewhere/file")" $'data\nmore\nonly\nmore'

for kind in own ext tmp; do
	cmp "$src/$kind/a/other" "$bare/$kind/a/other" || fail "$kind is different"
done

# Without them; nor do those come that are mounted later, where SOURCE's mount is
# shared with others, as mounts are by default.
tree=$work/tree
mkdir "$tree"
mount -t tmpfs none "$tree" || fail "tmpfs"
mount --make-shared "$tree" || fail "shared"
mkdir "$tree"/{sub,late,dir}
echo covered | tee "$tree/sub/covered" >"$tree/late/covered"
bind "$tree/dir" "$tree/again"
mount -t tmpfs none "$tree/sub" || fail "tmpfs"
fails_with 'takes root' as 1000 "$plimsoll" -o xdev,ro,mem=16M "$tree" "$mnt"
mount_plimsoll "$tree" "$mnt" mem=16M,xdev
mount -t tmpfs none "$tree/late" || fail "tmpfs"
equal "names" "$(cd "$mnt" && find . | sort | tr '\n' ' ')" \
	". ./again ./dir ./late ./late/covered ./sub ./sub/covered "
fails_with 'busy' rmdir "$mnt/again"
echo here >"$mnt/again/hidden" || fail "not writable"
echo more >>"$mnt/sub/covered"
unmount "$mnt"
[ ! -e "$tree/again/hidden" ] || fail "written into the mount"
umount "$tree"/{again,sub,late} || fail "busy"
equal "what was hidden" "$(cat "$tree/again/hidden" "$tree/sub/covered")" $'here\ncovered\nmore'
umount "$tree" || fail "busy"
