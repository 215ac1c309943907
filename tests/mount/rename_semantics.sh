#!/bin/bash
#
# rename: onto a name, of and into directories, of what is open and dirty,
# refused where it must be; with RENAME_NOREPLACE and RENAME_EXCHANGE.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"
need python3

mount_plimsoll "$src" "$mnt"
cd "$mnt" || fail "cd"
echo new >a && echo old >b
mv -f a b || fail "rename onto a name"
equal "b" "$(cat b)" new
[ ! -e a ] || fail "a is still there"
equal "in the backing directory" "$(cat "$src/b")" new

mkdir -p d/sub e
echo x >d/sub/f
mv d e/d2 || fail "rename of a directory into another"
equal "moved file" "$(cat e/d2/sub/f)" x
equal "parent of what was moved" "$(stat -c %i e/d2/..)" "$(stat -c %i e)"
fails_with 'subdirectory of itself' mv e e/d2/sub
mkdir empty full && touch full/f
src=$src python3 - <<'END' || fail "rename(2)"
import ctypes, errno, os

def fails(want, a, b):
    try:
        os.rename(a, b)
    except OSError as e:
        assert e.errno == want, (a, b, e)
    else:
        raise AssertionError((a, b, "should fail"))

fails(errno.ENOTEMPTY, "empty", "full")
fails(errno.EISDIR, "b", "empty")
fails(errno.ENOTDIR, "empty", "b")
fails(errno.EINVAL, "e", "e/d2/sub/e")
fails(errno.ENOENT, "none", "b")
os.rename("full", "empty")
assert os.listdir("empty") == ["f"]
# Two names of one file: nothing happens.
os.link("b", "b2")
os.rename("b", "b2")
assert os.path.exists("b") and os.path.exists("b2")

libc = ctypes.CDLL(None, use_errno=True)
def renameat2(a, b, flags):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), flags) == 0:
        return 0
    return ctypes.get_errno()

NOREPLACE, EXCHANGE = 1, 2
open("one", "w").write("1")
open("two", "w").write("2")
assert renameat2("one", "two", NOREPLACE) == errno.EEXIST
assert open("two").read() == "2"
assert renameat2("one", "three", NOREPLACE) == 0
assert renameat2("three", "two", EXCHANGE) == 0
assert open("two").read() == "1" and open("three").read() == "2"
assert renameat2("two", "empty", EXCHANGE) == 0
assert os.listdir("two") == ["f"] and open("empty").read() == "1"
assert os.listdir(os.environ["src"] + "/two") == ["f"]

# Open, dirty, renamed, renamed over: descriptors follow the file.
f = open("x", "w+b", buffering=0)
f.write(b"a" * 100000)
os.rename("x", "y")
f.write(b"b" * 100000)
g = open("z", "w+b", buffering=0)
g.write(b"c" * 5000)
os.rename("z", "y")                     # the first y is gone but for f
f.write(b"d" * 10)
f.seek(0)
assert f.read() == b"a" * 100000 + b"b" * 100000 + b"d" * 10
assert open("y", "rb").read() == b"c" * 5000
# What was renamed over a name was written back first.
assert open(os.environ["src"] + "/y", "rb").read() == b"c" * 5000
END
cd "$work" || fail "cd"
compare_after_unmount "$mnt" "$src" b b2 y three empty e/d2/sub/f
