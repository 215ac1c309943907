#!/bin/bash
#
# Directories, symbolic and hard links, fifos and sockets; listing many names.
# shellcheck disable=SC2016 # for the shells called
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

mount_plimsoll "$src" "$mnt"
mkdir -p "$mnt/a/b/c" || fail "mkdir -p"
echo one >"$mnt/a/b/c/file"
fails_with 'File exists' mkdir "$mnt/a"
fails_with 'not empty' rmdir "$mnt/a"
fails_with 'No such file' rmdir "$mnt/none"
fails_with 'Not a directory' ls "$mnt/a/b/c/file/"
fails_with 'Is a directory' bash -c 'echo >"$1"' - "$mnt/a"
equal "links of a" "$(stat -c %h "$mnt/a")" "$(stat -c %h "$src/a")"

# Symbolic links: relative, dangling, long, in a loop.
ln -s b/c/file "$mnt/a/link" && equal "through a link" "$(cat "$mnt/a/link")" one
ln -s /none/at/all "$mnt/dangling"
equal "readlink" "$(readlink "$mnt/dangling")" /none/at/all
fails_with 'No such file' cat "$mnt/dangling"
long=$(printf '%04000d' 0)
ln -s "$long" "$mnt/long" || fail "a long link"
equal "long link" "$(readlink "$mnt/long")" "$long"
ln -s loop "$mnt/loop"
fails_with 'symbolic links' cat "$mnt/loop"

# Hard links are one file.
ln "$mnt/a/b/c/file" "$mnt/hard" || fail "ln"
equal "nlink" "$(stat -c %h "$mnt/hard")" 2
equal "inode" "$(stat -c %i "$mnt/hard")" "$(stat -c %i "$mnt/a/b/c/file")"
echo more >>"$mnt/hard"
equal "by the other name" "$(tail -n 1 "$mnt/a/b/c/file")" more
rm "$mnt/a/b/c/file"
equal "nlink after rm" "$(stat -c %h "$mnt/hard")" 1
equal "lines left" "$(wc -l <"$mnt/hard")" 2
fails_with 'File exists' ln "$mnt/hard" "$mnt/dangling"

# Other kinds of files.
mkfifo "$mnt/fifo" || fail "mkfifo"
(echo through >"$mnt/fifo") &
equal "through the fifo" "$(timeout 10 cat "$mnt/fifo")" through
if [ "$(id -u)" = 0 ]; then
	mknod "$mnt/null" c 1 3 || fail "mknod"
	equal "device" "$(stat -c %t:%T "$mnt/null")" 1:3
fi

# A directory of many names, listed whole; removed while it is listed.
mkdir "$mnt/many"
(cd "$mnt/many" && seq -f 'name%g' 5000 | xargs touch) || fail "touch"
equal "names" "$(cd "$mnt/many" && printf '%s\n' * | uniq | wc -l)" 5000
equal "names seen by find" "$(find "$mnt/many" -type f | wc -l)" 5000
rm -r "$mnt/many" || fail "rm -r"
[ ! -e "$src/many" ] || fail "rm -r left it in the backing directory"

# Names: the longest, one too long, bytes of all kinds.
name=$(printf '%0255d' 0)
{ touch "$mnt/$name" && [ -e "$src/$name" ]; } || fail "name of 255 bytes"
fails_with 'name too long' touch "$mnt/x$name"
odd=$'new\nline \xff\xfe "quoted" \\'
echo odd >"$mnt/$odd" && equal "odd name" "$(cat "$src/$odd" "$mnt/$odd" | tail -n 1)" odd

# .plimsoll is there by name, and is not listed or made.
equal "listed" "$(find "$mnt" -maxdepth 1 -name "*plimsoll*" ! -path "$mnt" | wc -l)" 0
[ -d "$mnt/.plimsoll" ] || fail "no .plimsoll"
fails_with '' mkdir "$mnt/.plimsoll"
[ ! -e "$src/.plimsoll" ] || fail ".plimsoll was made in the source"

(cd "$mnt" && find . -printf '%y %s %l %p\n' | sed '/^d/s/ [0-9]* / /' | sort) >"$work/before"
unmount "$mnt"
(cd "$src" && find . -printf '%y %s %l %p\n' | sed '/^d/s/ [0-9]* / /' | sort) >"$work/after"
diff "$work/before" "$work/after" || fail "the backing directory is different"
