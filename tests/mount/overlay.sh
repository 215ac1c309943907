#!/bin/bash
#
# SOURCE on overlayfs: hard links of the lower directory, which are files of their
# own when they are written to; those of the upper, which stay one; and what is
# written to one goes there and nowhere else.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" = 0 ] || skip "not root"
grep -q overlay /proc/filesystems || skip "no overlayfs"

# overlay NAME WHERE [OPTIONS]: over NAME.lower
overlay() {
	mkdir -p "$work/$1."{lower,upper,work} "$2"
	mount -t overlay none "$2" -o "lowerdir=$work/$1.lower,upperdir=$work/$1.upper,workdir=$work/$1.work${3:-}" ||
		fail "overlay"
}

# fill NAME: a1 to a4 are links of one file, and so on.
fill() {
	local l=$work/$1.lower f n

	mkdir -p "$l/dir"
	for f in a b c d; do
		noise 10000 $f >"$l/${f}1"
		for n in 2 3; do
			ln "$l/${f}1" "$l/$f$n"
		done
		ln "$l/${f}1" "$l/dir/${f}4"
	done
	ln -s a1 "$l/link1" && ln "$l/link1" "$l/link2"
	mkfifo "$l/fifo1" && ln "$l/fifo1" "$l/fifo2"
	echo single >"$l/single"
}

# exercise DIRECTORY NATIVE: what is done to it, and what it then is like. NATIVE
# is where others do things to it while it is looked at.
exercise() {
	python3 - "$1" "$2" "$kind" <<-'PY' || fail "$1"
		import hashlib, os, sys
		top, native, kind = sys.argv[1:]
		def at(name): return os.path.join(top, name)
		def write(name, data, where):
		    fd = os.open(at(name), os.O_RDWR)
		    os.pwrite(fd, data, where)
		    return fd
		def show(*names):
		    for n in names:
		        with open(at(n), "rb") as f:
		            b = f.read()
		            print(n, len(b), hashlib.md5(b).hexdigest())
		show("a1", "a2")
		fds = [write("a2", b"second", 100), write("a3", b"third" * 1000, 4090)]
		os.fsync(fds[0])
		show("a1", "a2", "a3", "dir/a4")
		for i in range(200):
		    os.pwrite(fds[i % 2], bytes([i]) * 100, i * 77 % 12000)
		show("a1", "a2", "a3", "dir/a4")
		os.rename(at("a2"), at("dir/a2"))
		os.rename(at("a1"), at("a2"))
		write("a2", b"renamed", 0)
		write("dir/a2", b"too", 5000)
		show("a2", "a3", "dir/a2", "dir/a4")
		os.unlink(at("a3"))
		os.pwrite(fds[1], b"gone", 0)
		print(os.pread(fds[1], 10, 0), os.fstat(fds[1]).st_nlink)
		# Links that are ones.
		with open(at("u1"), "wb") as f: f.write(b"upper" * 2000)
		os.link(at("u1"), at("u2"))
		os.link(at("dir/a2"), at("dir/a5"))
		write("u2", b"one", 3)
		write("dir/a5", b"one", 3)
		show("u1", "u2", "dir/a2", "dir/a5")
		for a, b in ("u1", "u2"), ("dir/a2", "dir/a5"):
		    st = os.stat(at(a)), os.stat(at(b))
		    print(st[0].st_ino == st[1].st_ino, st[0].st_nlink, st[1].st_nlink)
		print(os.stat(at("dir/a2")).st_ino == os.stat(at("dir/a4")).st_ino)
		# Others copy up, and rename, before it is known and while it is.
		numbers = [os.stat(at("b" + n)).st_ino for n in "123"]
		held = os.open(at("b1"), os.O_RDONLY)
		with open(os.path.join(native, "b2"), "r+b") as f: f.write(b"native")
		os.rename(os.path.join(native, "b2"), os.path.join(native, "b5"))
		with open(os.path.join(native, "c1"), "r+b") as f: f.write(b"native")
		show("b1", "b3", "b5", "dir/b4", "c1", "c2", "c3", "dir/c4")
		write("b1", b"written", 10)
		write("b5", b"written", 20)
		write("c1", b"written", 30)
		write("c2", b"written", 40)
		print(os.pread(held, 20, 0))
		show("b1", "b3", "b5", "dir/b4", "c1", "c2", "c3", "dir/c4")
		if top != native:
		    same = [os.stat(at("b" + n)).st_ino for n in "153"] == numbers
		    files = 1 if "index=on" in kind else 3
		    if not same or len(set(numbers)) != files:
		        sys.exit("numbers are not stable, or not apart")
		with open(at("single"), "ab") as f: f.write(b"more")
		show("single")
		print(os.readlink(at("link1")), os.readlink(at("link2")))
	PY
}

# Each inode has a watch, and no other is left.
all_watched() {
	local nr

	nr=$(grep -hsc '^inotify wd' "/proc/$pid/fdinfo"/* | sort -n | tail -n 1)
	[ "$nr" = "$(vmstat "$mnt" nr_inodes)" ]
}

for kind in "" ",xino=on" ",index=on,nfs_export=on" ",metacopy=on"; do
	for dir in bare src; do
		fill $dir
		overlay $dir "$work/$dir" "$kind"
	done
	exercise "$work/bare" "$work/bare" >right
	mount_plimsoll "$src" "$mnt" mem=16M
	exercise "$mnt" "$src" >seen
	diff right seen || fail "it is not as in the bare directory ($kind)"
	drop_caches "$mnt"
	[ "$(volume "$mnt" handles)" = yes ] || eventually 20 all_watched ||
		fail "not as many watches as inodes, $(vmstat "$mnt" nr_inodes)"
	timeout 60 cp -a "$mnt" copy || fail "cp -a"
	unmount "$mnt"
	for dir in src bare copy; do
		(cd $dir && find . -type f -exec md5sum {} + | sort -k 2) >$dir.sums
	done
	cmp src.sums bare.sums || fail "the backing directory is different ($kind)"
	cmp src.sums copy.sums || fail "cp -a copied other contents ($kind)"
	umount bare src || fail "busy"
	rm -rf copy ./*.lower ./*.upper ./*.work
done

# Where inotify has no more, the number has to do, and that is counted and said.
# The limit is that of a user name space of its own.
exhausted() {
	local n

	mkdir -p few.lower
	for n in 1 2 3 4 5 6; do
		echo "$n" >few.lower/$n
	done
	overlay few "$src" ,userxattr
	echo 4 >/proc/sys/user/max_inotify_watches || fail "no limit of its own"
	mount_plimsoll "$src" "$mnt" mem=16M
	for n in 1 2 3 4 5 6; do
		echo more >>"$mnt/$n"
	done
	[ "$(vmstat "$mnt" inode_unwatched)" -gt 0 ] || fail "nothing is counted"
	# What had none is the same file when there are more again.
	exec 3<>"$mnt/6"
	echo 400 >/proc/sys/user/max_inotify_watches
	sleep 1.2 # so old may names be
	echo again >>"$mnt/6"
	equal "by the open file" "$(cat <&3)" $'6\nmore\nagain'
	exec 3<&-
	umount "$mnt"
	wait_gone "$pid" 60 || fail "plimsoll does not end"
	equal "in the end" "$(cat "$src/3" "$src/6")" $'3\nmore\n6\nmore\nagain'
}
export -f exhausted overlay fail equal mount_plimsoll mount_volumes volume vmstat wait_gone is_running
export src mnt work plimsoll
unshare -Urm bash -uc exhausted || fail "with few watches"
