#!/bin/bash
#
# By mount(8): through mount.fuse3, with plimsoll in PATH; through the helper
# that make install puts into /sbin; and from a line of an fstab.
#
# All in a mount namespace of its own, where directories can be laid over those
# of the system: mount(8) hands no PATH on, so that mount.fuse3 looks for
# plimsoll in the shell's own.
if [ "$(id -u)" = 0 ] && [ -z "${inside:-}" ]; then
	inside=1 exec unshare -m "$0" "$@"
fi
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need make mount.fuse3 unshare
[ "$(id -u)" = 0 ] || skip "not root"

# check MOUNTPOINT SOURCE MIB, and unmount.
check() {
	pid=$(volume "$1" pid)
	is_mounted "$1" || fail "$1 is not mounted"
	equal "source" "$(findmnt -no SOURCE -- "$1")" "$2"
	equal "mem" "$(volume "$1" mem)" $(($3 << 20))
	noise 5000000 "$3" >"$1/f" || fail "write"
	unmount "$1"
	noise 5000000 "$3" | cmp - "$2/f" || fail "not in $2"
}

# lay_over DIRECTORY OVER
lay_over() {
	mount -t overlay -o "ro,lowerdir=$1:$2" overlay "$2" || fail "overlay"
}

mkdir "$work/bin" "$work/a b" "$work/m b"
cp "$plimsoll" "$work/bin/plimsoll" || exit 1
PATH=$work/bin:$PATH timeout 60 mount.fuse3 "$src" "$mnt" -t fuse.plimsoll \
	-o mem=24M || fail "mount.fuse3"
check "$mnt" "$src" 24
lay_over "$work/bin" /usr/local/bin
timeout 60 mount -t fuse.plimsoll -o mem=64M "$src" "$mnt" || fail "mount -t"
check "$mnt" "$src" 64
timeout 60 mount -t fuse.plimsoll -o mem=16M,nosuid,nodev,noexec,noatime \
	"$work/a b" "$work/m b" || fail "names with blanks, options"
case $(findmnt -no OPTIONS "$work/m b") in
*nosuid*nodev*noexec*noatime*) ;;
*) fail "options: $(findmnt -no OPTIONS "$work/m b")" ;;
esac
pid=$(volume "$work/m b" pid)
unmount "$work/m b"
timeout 60 mount -t fuse.plimsoll -o mem=16M,ro "$src" "$mnt" || fail "ro"
fails_with 'Read-only' touch "$mnt/x"
pid=$(volume "$mnt" pid)
unmount "$mnt"
fails_with 'unknown' timeout 60 mount -t fuse.plimsoll -o bogus=1 "$src" "$mnt"
fails_with 'too small' timeout 60 mount -t fuse.plimsoll -o mem=4M "$src" "$mnt"
is_mounted "$mnt" && fail "mounted"

# fstab, with what people write into it.
cat >"$work/fstab" <<-FSTAB
	# comment
	$src $mnt fuse.plimsoll mem=32M,defaults,nofail,_netdev,x-systemd.automount 0 0
	$work/a\040b $work/m\040b fuse.plimsoll noauto,users,mem=16M,relatime,allow_other 0 0
FSTAB
timeout 60 mount -T "$work/fstab" "$mnt" || fail "mount -T"
check "$mnt" "$src" 32
timeout 60 mount -T "$work/fstab" "$work/m b" || fail "mount -T, with blanks"
check "$work/m b" "$work/a b" 16

# Installed, and DESTDIR's /sbin laid over ours.
umount /usr/local/bin || fail "/usr/local/bin is busy"
unset MAKEFLAGS MFLAGS MAKELEVEL
stage=$work/stage prefix=$work/prefix
make -s -C "$top" install -o "$plimsoll" -o "$plimsollctl" \
	PLIMSOLL="$plimsoll" PLIMSOLLCTL="$plimsollctl" \
	DESTDIR="$stage" PREFIX="$prefix" >"$work/out" 2>&1 ||
	fail "make install: $(cat "$work/out")"
for f in "$prefix/bin/plimsoll" "$prefix/bin/plimsollctl" \
	"$prefix/share/man/man8/plimsoll.8"; do
	[ -f "$stage$f" ] || fail "$f is not installed"
done
mkdir "$prefix"
mount --bind "$stage$prefix" "$prefix" || fail "mount --bind"
lay_over "$stage/sbin" "$(readlink -f /sbin)"
timeout 60 mount -t fuse.plimsoll -o mem=48M "$src" "$mnt" ||
	fail "with the installed helper"
check "$mnt" "$src" 48
timeout 60 mount -T "$work/fstab" "$mnt" || fail "mount -T, the helper"
check "$mnt" "$src" 32
umount "$(readlink -f /sbin)" "$prefix" || fail "still busy"
