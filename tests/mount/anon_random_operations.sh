#!/bin/bash
#
# Random operations on files of an anon volume, compared with a model: several
# processes at once, in a budget that is large enough, and in the smallest.
# SEED=n runs one again.
# shellcheck source=tests/mount/lib.sh
. "$(dirname "$0")/lib.sh"

KIND=anon STEPS=${STEPS:-2000} TMPDIR=$work \
	bash "$top/tests/mount/random_operations.sh" || fail "see above"
