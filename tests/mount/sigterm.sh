#!/bin/bash
#
# SIGTERM: what is dirty is written back, the mounts are gone, exit status 0;
# also while files are open, and with several volumes.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

# In the foreground, so that the exit status is ours to see.
foreground() {
	"$plimsoll" -f -o mem=64M "$@" 2>"$work/err" &
	pid=$!
	eventually 10 test -e "${*: -1}/.plimsoll/volume" ||
		fail "not mounted: $(cat "$work/err")"
}

ended() {
	local status

	wait "$pid"
	status=$?
	equal "exit status ($(cat "$work/err"))" "$status" 0
	is_mounted "$mnt" && fail "still mounted"
	return 0
}

for signal in TERM INT HUP; do
	foreground "$src" "$mnt"
	noise 20000000 "$signal" >"$mnt/f"
	kill -"$signal" "$pid"
	ended
	noise 20000000 "$signal" | cmp - "$src/f" || fail "not written back"
done

# A file is open, and another one written all the time.
foreground "$src" "$mnt"
exec 3>"$mnt/open"
noise 10000000 open >&3
(while :; do echo x; done >"$mnt/busy") 2>/dev/null &
writer=$!
sleep 0.5
kill -TERM "$pid"
ended
exec 3>&-
kill "$writer" 2>/dev/null
wait "$writer" 2>/dev/null
noise 10000000 open | cmp - "$src/open" || fail "an open file"
equal "lines" "$(tr -d 'x\n' <"$src/busy" | wc -c)" 0

# Several volumes, one with a working directory in it.
mkdir "$work"/{a,b} "$work"/m{a,b}
foreground "$work/a" "$work/ma" "$work/b" "$work/mb"
noise 5000000 a >"$work/ma/f"
noise 5000000 b >"$work/mb/f"
(cd "$work/ma" && exec sleep 30) &
sleeper=$!
kill -TERM "$pid"
ended
kill "$sleeper"
for v in a b; do
	is_mounted "$work/m$v" && fail "m$v is still mounted"
	noise 5000000 $v | cmp - "$work/$v/f" || fail "$v/f"
done

# In the background: gone after umount too, and after SIGTERM of that one.
mount_plimsoll "$src" "$mnt"
echo last >"$mnt/last"
kill -TERM "$pid"
wait_gone "$pid" 30 || fail "does not end"
is_mounted "$mnt" && fail "still mounted"
equal "last" "$(cat "$src/last")" last
