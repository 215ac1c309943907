# shellcheck shell=bash
#
# peer.sh - the sides of a comparison: each shows the same files at a directory
# of its own.
#
#	bare		the directory itself, by buffered I/O
#	direct		the same, by O_DIRECT
#	default		plimsoll with mem= and no other option
#	user, kernel, auto, writeback
#			plimsoll with cache= so
#	empty		empty_fs.c, reads and writes passing the kernel's cache by
#	empty-cached	the same through the kernel's cache
#	hp-pass		libfuse's passthrough_hp; the kernel reads and writes itself
#	hp-cache	the same through the kernel's cache (--nopassthrough)
#	hp-direct	the same, passing it by (--direct-io)
#	ll-writeback	libfuse's passthrough_ll, the kernel writes back
#	ll-direct	the same, passing the kernel's cache by
#	bindfs		bindfs
#
# SIDE@dev or SIDE@uring says how requests arrive. Without it plimsoll decides by
# itself, empty_fs does as plimsoll did last, and the others use /dev/fuse.
#
# A source directory can be served by one plimsoll at a time, so each side has its
# own: $work/source/SIDE, seen at $work/mount/SIDE.

peer_init() {
	# What this plimsoll can do, by its own words.
	caches=$("$plimsoll" --help | sed -n 's/.*-o cache=\([a-z|]*\).*/\1/p')
	transports=$("$plimsoll" --help | sed -n 's/.*-o transport=\([a-z|]*\).*/\1/p')
	last_transport=dev
}

# peer_exists SIDE: false if this build of plimsoll does not have that.
peer_exists() {
	case ${1%@*} in
	user | kernel | auto | writeback)
		[[ "|$caches|" == *"|${1%@*}|"* ]] || return 1
		;;
	esac
	case $1 in
	empty*@uring | hp-*@uring | ll-*@uring) [ "$uring" = Y ] ;;
	*@uring) [[ "|$transports|" == *"|uring|"* ]] && [ "$uring" = Y ] ;;
	esac
}

peer_source() {
	echo "$work/source/$1"
}

# peer_dir SIDE: where its files are seen.
peer_dir() {
	case $1 in
	bare | direct) peer_source "$1" ;;
	*) echo "$work/mount/$1" ;;
	esac
}

# peer_transport SIDE: the transport it shall use, or nothing.
peer_transport() {
	case $1 in
	*@*) echo "${1#*@}" ;;
	empty*) echo "$last_transport" ;;
	esac
}

mount_plimsoll() {
	local options="mem=${mem_mib}M${3:+,transport=$3}"

	[ "$1" = default ] || options+=",cache=$1"
	run "$plimsoll" -o "$options" "$(peer_source "$2")" "$(peer_dir "$2")" ||
		return
	last_transport=$(peer_volume "$2" transport)
	note_once "$2: requests came by $last_transport"
}

# mount_empty SIDE OPTIONS TRANSPORT
mount_empty() {
	local is

	[ "$3" = uring ] && set -- "$1" "$2,io_uring" "$3"
	run "$out/empty_fs" -o "$2" "$(peer_dir "$1")" || return
	is=$(timeout 10 cat "$(peer_dir "$1")/transport")
	[ "$is" = "$3" ] || note "$1: asked for $3, and got $is"
}

# peer_mount SIDE: its files are at peer_dir then.
peer_mount() {
	local src dir transport ring

	src=$(peer_source "$1") dir=$(peer_dir "$1")
	transport=$(peer_transport "$1")
	ring=$([ "$transport" != uring ] || echo ,io_uring)
	mkdir -p "$src" "$dir"
	case ${1%@*} in
	bare | direct) ;;
	default | user | kernel | auto | writeback)
		mount_plimsoll "${1%@*}" "$1" "$transport"
		;;
	empty) mount_empty "$1" "size=$((hot_mib << 20)),direct_io" "$transport" ;;
	empty-cached) mount_empty "$1" "size=$((hot_mib << 20))" "$transport" ;;
	hp-pass) run "$bin/passthrough_hp" "$src" "$dir" ;;
	hp-cache) run "$bin/passthrough_hp" --nopassthrough -o "rw$ring" "$src" "$dir" ;;
	hp-direct)
		run "$bin/passthrough_hp" --nopassthrough --direct-io -o "rw$ring" \
			"$src" "$dir"
		;;
	ll-writeback)
		run "$bin/passthrough_ll" \
			-o "source=$src,cache=always,writeback$ring" "$dir"
		;;
	ll-direct) run "$bin/passthrough_ll" -o "source=$src,cache=never$ring" "$dir" ;;
	bindfs) run bindfs "$src" "$dir" ;;
	*) die "there is no side $1" ;;
	esac
}

is_plimsoll() {
	case $1 in
	default | user* | kernel* | auto* | writeback*) true ;;
	*) false ;;
	esac
}

# peer_umount SIDE: all of it is in its source then.
peer_umount() {
	case $1 in
	bare | direct) ;;
	*)
		if is_plimsoll "$1"; then
			run "$plimsollctl" umount "$(peer_dir "$1")"
		else
			run umount "$(peer_dir "$1")"
		fi
		;;
	esac
}

# peer_volume SIDE FIELD, peer_counter SIDE NAME: of a plimsoll.
peer_volume() {
	timeout 10 sed -n "s/^$2 //p" "$(peer_dir "$1")/.plimsoll/volume"
}

peer_counter() {
	timeout 10 sed -n "s/^$2 //p" "$(peer_dir "$1")/.plimsoll/vmstat"
}

# All that it keeps written back, so that the disk's counters have it.
peer_sync() {
	if is_plimsoll "$1"; then
		run "$plimsollctl" sync "$(peer_dir "$1")"
	fi
	sync -f "$work"
}

# Nothing of it in memory, neither its own nor the host's.
peer_drop_caches() {
	peer_sync "$1"
	if is_plimsoll "$1"; then
		# The kernel's copies first: giving them back may use plimsoll's.
		echo 3 >/proc/sys/vm/drop_caches
		timeout 30 sh -c "echo 3 >'$(peer_dir "$1")/.plimsoll/sys/vm/drop_caches'"
	fi
	disk_drop_caches
}
