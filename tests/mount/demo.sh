#!/bin/bash
# timeout: 400
#
# The demo, in its short form, as README has people begin: with the kernel's switch
# for rings as this machine has it, and the other way, beside a plimsoll whose mount
# is busy and one that is stopped. It ends well, leaves the switch and the others
# alone, and says where there are no rings.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "not root"
need fio python3 fincore
if [ -n "$sanitized" ]; then
	echo "what a sanitizer takes is in no budget"
	exit 0
fi

# show NAME: with the switch as it is.
show() {
	local before after

	before=$(cat "$ring_switch" 2>/dev/null)
	TMPDIR=$work timeout 180 "$top/tools/demo" --short >"$1.out" 2>&1 ||
		fail "$1: $(tail -n 20 "$1.out")"
	after=$(cat "$ring_switch" 2>/dev/null)
	equal "$1: the switch" "$after" "$before"
	grep "All of it took" "$1.out" || fail "$1: no end: $(tail "$1.out")"
	grep -q '| cache=user *dev *[0-9]' "$1.out" || fail "$1: no mode of /dev/fuse"
	if [ "$before" = Y ]; then
		grep -q '| cache=user *uring *[0-9]' "$1.out" ||
			grep -q 'Without transport=uring: mem=' "$1.out" ||
			fail "$1: nothing of rings"
	else
		grep -q 'Without transport=uring: ' "$1.out" ||
			fail "$1: not a word about rings"
		grep -q '| cache=[a-z]* *uring' "$1.out" &&
			fail "$1: rings, where there are none"
	fi
	compgen -G 'plimsoll-demo.*' && fail "$1: something is left"
	return 0
}

mkdir stopped
echo stays >"$src/f"
echo stays >stopped/f
mount_plimsoll "$src" "$mnt" mem=16M
busy=$pid
mount_volumes mem=16M stopped stopped
stopped=$pid
exec 5<"$mnt/f"
kill -STOP "$stopped"
trap 'kill -CONT "$stopped"' EXIT

show as-it-is
if [ -w "$ring_switch" ]; then
	if [ "$(cat "$ring_switch")" = Y ]; then
		ring_switch N
	else
		ring_switch Y
	fi
	show other-way
fi

kill -CONT "$stopped"
read -r line <&5
equal "the busy one" "$line" stays
exec 5<&-
equal "the stopped one" "$(cat stopped/f)" stays
umount stopped "$mnt" || fail "umount"
wait_gone "$stopped" 60 || fail "plimsoll $stopped does not end"
wait_gone "$busy" 60 || fail "plimsoll $busy does not end"
