#!/bin/bash
#
# One allocation of ten fails, of pages and of slab objects, while several
# processes write, read back and rename: the only errors are ENOSPC and ENOMEM,
# what was accepted is read back, and all works when allocations do. SEED=n runs
# one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/../mount/lib.sh"
need python3

seed=${SEED:-$RANDOM}
echo "SEED=$seed"
cat >"$work/under.py" <<'PY'
import errno, os, random, sys

mnt, seed, who, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rnd = random.Random(seed * 100 + who)
top = f"{mnt}/p{who}"
model, unsure = {}, {}
refused = {}

def attempt(f, *args, **kw):
    """The result, or None if it was refused as it may be."""
    try:
        return f(*args, **kw)
    except OSError as e:
        assert e.errno in (errno.ENOSPC, errno.ENOMEM), (f.__name__, args[:1], e)
        key = (f.__name__, errno.errorcode[e.errno])
        refused[key] = refused.get(key, 0) + 1
        return None

def insist(f, *args, **kw):
    for _ in range(1000):
        result = attempt(f, *args, **kw)
        if result is not None:
            return result
    raise SystemExit(f"{f.__name__} {args[:1]}: refused a thousand times")

def done(f):
    """Such that success is not None."""
    def g(*args):
        f(*args)
        return True
    g.__name__ = f.__name__
    return g

mkdir, rename, unlink, close, truncate, fsync = map(done, (
    os.mkdir, os.rename, os.unlink, os.close, os.truncate, os.fsync))

def put(fd, data, offset):
    """Write it all; parts may be refused, and are tried again."""
    at = 0
    while at < len(data):
        at += insist(os.pwrite, fd, data[at:at + 131072], offset + at)

def check(name):
    fd = insist(os.open, f"{top}/{name}", os.O_RDONLY)
    data = model[name]
    assert insist(os.fstat, fd).st_size == len(data), name
    at = 0
    while at < len(data):
        piece = insist(os.pread, fd, 65536, at)
        assert piece and piece == data[at:at + len(piece)], (name, at)
        at += len(piece)
    assert insist(os.pread, fd, 10, at) == b"", name
    close(fd)

insist(mkdir, top)
for step in range(steps):
    name = f"f{rnd.randrange(20)}"
    op = rnd.randrange(10)
    if op < 4 or name not in model:
        fd = insist(os.open, f"{top}/{name}", os.O_RDWR | os.O_CREAT)
        data = model.get(name, b"")
        offset = rnd.choice((0, len(data), rnd.randrange(len(data) + 5000)))
        new = rnd.randbytes(rnd.choice((10, 4096, 50000, 1000000)))
        put(fd, new, offset)
        data = data.ljust(offset, b"\0")
        model[name] = (data[:offset] + new + data[offset + len(new):])
        if rnd.randrange(4) == 0:
            insist(fsync, fd)
        close(fd)
        if len(model[name]) > 4000000:
            insist(truncate, f"{top}/{name}", 100)
            model[name] = model[name][:100]
    elif op < 7:
        check(name)
    elif op == 7:
        other = f"f{rnd.randrange(20)}"
        if other != name:
            insist(rename, f"{top}/{name}", f"{top}/{other}")
            model[other] = model.pop(name)
    elif op == 8:
        insist(unlink, f"{top}/{name}")
        del model[name]
    else:
        size = rnd.randrange(len(model[name]) + 10000)
        insist(truncate, f"{top}/{name}", size)
        model[name] = model[name][:size].ljust(size, b"\0")
    if step % 50 == 0:
        assert sorted(insist(os.listdir, top)) == sorted(model)
for name in model:
    check(name)
print(who, dict(sorted(refused.items())))
PY

for d in "$work"/tree/{a,b/c,d}; do
	mkdir -p "$d"
	cp "$top"/{tests/*/*.{sh,py,fio},README.md,LICENSE} "$d"
	noise 3000000 "$d" >"$d/large"
done
mount_plimsoll "$src" "$mnt" mem=16M
for name in fail_page_alloc failslab; do
	fault "$mnt" $name seed="$seed" times=-1 probability=10
done
children=()
for who in 1 2 3; do
	timeout 90 python3 "$work/under.py" "$mnt" "$seed" $who "${STEPS:-150}" &
	children+=($!)
done
for child in "${children[@]}"; do
	wait "$child" || fail "see above"
done

# A plain copy, as people make it: what cp did not complain of is there.
cp -r "$work/tree" "$mnt/tree" 2>"$work/err"
grep -Ev 'No space left|Cannot allocate memory' "$work/err" && fail "another error"
echo "cp complained $(wc -l <"$work/err") times"

for name in fail_page_alloc failslab; do
	injected=$(cat "$mnt/.plimsoll/fault/$name/injected")
	echo "$name: $injected"
	[ "$injected" -gt 20 ] || fail "$name did nothing"
	fault "$mnt" $name probability=0
done

# Well again.
rm -rf "$mnt/tree" || fail "rm -r"
cp -r "$work/tree" "$mnt/tree" || fail "cp, when nothing fails"
diff -r --no-dereference "$work/tree" "$mnt/tree" || fail "the copy is different"
noise 30000000 after >"$mnt/after" || fail "write, when nothing fails"
mapfile -t files < <(cd "$mnt" && find p1 p2 p3 after -type f)
compare_after_unmount "$mnt" "$src" "${files[@]}"
diff -r --no-dereference "$work/tree" "$src/tree" || fail "the copy is different in the backing directory"
