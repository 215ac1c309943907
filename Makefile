# make help lists the targets; make V=1 shows the commands.

CC     ?= cc
CFLAGS ?= -O2 -g
DEBUG  ?= 0
PREFIX ?= /usr/local
VERSION := 0.1

# build/plimsoll is the plain build; each variant has a tree of its own, so
# that switching CC, DEBUG or SAN never mixes objects.
comma := ,
variant := $(if $(filter-out 0,$(DEBUG)),-debug$(DEBUG))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(PREEMPT),-preempt)$(if $(findstring clang,$(CC)),-clang)
B := build$(if $(variant),/v$(variant))
O := build/obj$(variant)
Q := $(if $(V),,@)
jobs := -j$(shell nproc)

# A libubsan.so beside libasan.so has no ears for log_path; see tests/mount/lib.sh.
ubsan := $(if $(findstring undefined,$(SAN)),$(if $(findstring clang,$(CC)),,-static-libubsan))

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wpointer-arith -Wvla -Werror=implicit-function-declaration
cflags   := -std=gnu17 $(warnings) -I. -D_GNU_SOURCE -DDEBUG=$(DEBUG) \
	    -DPLIMSOLL_VERSION='"$(VERSION)"' -pthread \
	    $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined $(ubsan))
fuse_inc := -isystem build/deps/include/fuse3
# See fs/fuse_uring.c.
fuse_lib := build/deps/lib/libfuse3.a -lnuma -ldl
# See fs/fuse_uring.c.
fuse_wrap := -Wl,--wrap=io_uring_submit -Wl,--wrap=io_uring_submit_and_wait

# Reading order: what is under everything, frames, objects, cached pages,
# victims.
mm_core := bug size fault vmstat errseq \
	   arena memblock zone watermark buddy cpu_stack pcp page_wait page_alloc \
	   slab kmalloc mempool shrinker \
	   address_space xarray page_cache readahead writeback writeback_group dirty_list dirty_limit flusher page_io \
	   lru reclaim scan_crew kswapd balloon oom sysctl mm
mm_real := os_posix io_cred page_io_local page_io_uring
swap_core := format compress swap_map swap_out swap_in swap_compact swap anon_reserve anon
fs_core := text log xattr_name kernel_copy inode open_file read_write copy_wait io_path seek volume request \
	   space crash number other_fs backing watch sync_group unwritten file_inode file_blocks file file_pages file_privs file_append file_dir file_attr disk_watch file_volume \
	   anon_inode anon_file anon_dir anon_attr anon_volume \
	   procfile control fs
fs_real := backing_posix backing_room cred bdi copy_taker copy_taker_process
fs_fuse := host transport fuse_buffer fuse_uring fuse_notify fuse_copy fuse_ops fuse_names fuse_attr fuse_file \
	   fuse_dir fuse_session mountinfo cgroup source options main
mm      := $(mm_core:%=$(O)/mm/%.o)
real    := $(mm_real:%=$(O)/mm/%.o)
swap    := $(swap_core:%=$(O)/swap/%.o)
core    := $(fs_core:%=$(O)/fs/%.o)
# What main() needs before there is anything; the fuzz targets link it too.
fs_parsers := $(O)/fs/options.o $(O)/fs/mountinfo.o $(O)/fs/cgroup.o
fs_out  := $(fs_real:%=$(O)/fs/%.o)
fs      := $(core) $(fs_out) $(fs_fuse:%=$(O)/fs/%.o)

unit  := $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
sim_o := $(patsubst %.c,$(O)/%.o,$(filter-out tests/sim/test_%,$(wildcard tests/sim/*_sim.c)))
sim   := $(patsubst %.c,$(O)/%,$(wildcard tests/sim/test_*.c))

PLIMSOLL    := $(B)/plimsoll
PLIMSOLLCTL := $(B)/plimsollctl
ctl := $(patsubst %.c,$(O)/%.o,$(wildcard tools/plimsollctl.c tools/ctl_*.c))

mounts := $(filter-out %/lib.sh %/cleanup.sh %/fillers.sh,$(sort $(wildcard tests/mount/*.sh)))
faults := $(sort $(wildcard tests/fault/*.sh))

## all: build plimsoll and plimsollctl (tools/deps must have run once)
all: $(PLIMSOLL) $(PLIMSOLLCTL)

build/deps/lib/libfuse3.a:
	@echo "libfuse is not built yet: run tools/deps" >&2; exit 1

# For the simulator: a switch of threads at any access to memory; see
# tests/sim/preempt_sim.c.
$(O)/mm/%.o $(O)/swap/%.o $(O)/fs/%.o: cflags += $(if $(PREEMPT),-fsanitize=thread)

$(O)/%.o: %.c | build/deps/lib/libfuse3.a
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(if $(filter fs/fuse_% tests/bench/empty_fs.c,$<),$(fuse_inc)) -MMD -MP -c -o $@ $<

$(PLIMSOLL): $(fs) $(swap) $(mm) $(real)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(fuse_lib) $(fuse_wrap) -luring -lzstd -lxxhash

$(PLIMSOLLCTL): $(ctl) $(O)/swap/format.o $(O)/mm/size.o
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lxxhash

# Unit tests link the core alone, with the real outside world.
$(O)/tests/unit/%: $(O)/tests/unit/%.o $(core) $(fs_out) $(swap) $(mm) $(real)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka -luring -lzstd -lxxhash

# The bench of the allocators is linked like them.
build/bench/alloc: $(O)/tests/bench/alloc.o $(core) $(fs_out) $(swap) $(mm) $(real)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ -luring -lzstd -lxxhash -ldl

# Simulated tests link it with the simulator's.
$(O)/tests/sim/%: $(O)/tests/sim/%.o $(sim_o) $(core) $(swap) $(mm)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lzstd -lxxhash

# For the bench: what FUSE itself costs, and what is done with pages.
bench_programs := build/bench/empty_fs build/bench/pages build/bench/alloc

build/bench/pages: $(O)/tests/bench/pages.o
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lzstd

build/bench/empty_fs: $(O)/tests/bench/empty_fs.o
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(fuse_lib) -luring

## programs: the test programs too
programs: all $(unit) $(sim)

## check: unit and simulated tests (DEBUG=2 for full checking)
check: $(unit) $(sim)
	$(Q)tests/run.sh $(unit) $(sim)

# The simulated tests twice: with every check on, and preempted anywhere.
sim_checked := $(patsubst %.c,build/obj-debug2/%,$(wildcard tests/sim/test_*.c))
sim_preempt := $(patsubst %.c,build/obj-debug1-preempt/%,$(wildcard tests/sim/test_*.c))

check-unit: $(unit)
	$(Q)tests/run.sh $(unit)

## test: install what is missing, build, run all tests
test:
	$(Q)tools/deps
	$(Q)$(MAKE) $(jobs) programs
	$(Q)$(MAKE) $(jobs) $(sim_checked) DEBUG=2
	$(Q)$(MAKE) $(jobs) $(sim_preempt) DEBUG=1 PREEMPT=1
	$(Q)tests/run.sh $(unit) $(sim_checked) $(sim_preempt) $(mounts) $(faults)

## soak-kill: kill it a few hundred times under load (KILLS=150 in each test)
soak-kill: all
	$(Q)KILLS=$${KILLS:-150} TEST_TIMEOUT=$${TEST_TIMEOUT:-7200} tests/run.sh \
		tests/fault/kill9.sh tests/fault/kill9_under_load.sh

## soak: unit and simulated tests with new seeds until one fails (SECONDS=n: for so long)
soak:
	$(Q)$(MAKE) $(jobs) $(unit)
	$(Q)$(MAKE) $(jobs) $(sim_checked) DEBUG=2
	$(Q)$(MAKE) $(jobs) $(sim_preempt) DEBUG=1 PREEMPT=1
	$(Q)SOAK_SECONDS=$(SECONDS) tests/soak.sh $(unit) $(sim_checked) $(sim_preempt)

## demo: install what is missing, build, show the main job on real data
demo:
	$(Q)tools/deps
	$(Q)$(MAKE) $(jobs) all
	$(Q)tools/demo

## bench: measure against the bare directory, other file systems, tmpfs, zram ...
bench:
	$(Q)tools/deps
	$(Q)$(MAKE) $(jobs) bench-programs
	$(Q)tests/bench/run

bench-programs: all $(bench_programs)

## asan: all tests under address and undefined-behaviour checks
asan:
	$(Q)tools/deps
	$(Q)$(MAKE) --no-print-directory sanitized SAN=address,undefined DEBUG=1 SLOW=3

## tsan: all but the simulated tests under the thread checker
tsan:
	$(Q)tools/deps
	$(Q)$(MAKE) --no-print-directory sanitized SAN=thread DEBUG=1 SLOW=6

# Simulated threads run one at a time: there is nothing to find for the latter.
# SAN and SLOW are for tests/mount/lib.sh; SANITIZED names some tests only.
# On a host that is short of memory there is none for a sanitizer.
SANITIZED ?= $(unit) $(if $(filter thread,$(SAN)),,$(sim)) $(mounts) \
	     $(filter-out %/short_host.sh,$(faults))
sanitized: programs
	$(Q)SAN=$(SAN) SLOW=$(SLOW) PLIMSOLL=$(CURDIR)/$(PLIMSOLL) tests/run.sh $(SANITIZED)

# One input after the other, made by libFuzzer from those in tests/fuzz/corpus.
fuzz_targets := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SAN := fuzzer-no-link,address,undefined
FUZZ_RUNS ?= 400000

$(O)/tests/fuzz/fuzz_%: $(O)/tests/fuzz/fuzz_%.o $(fs_parsers) $(core) $(fs_out) $(swap) $(mm) $(real)
	@echo "  LINK    $@"
	$(Q)$(CC) -fsanitize=fuzzer,address,undefined $(cflags) $(CFLAGS) $(LDFLAGS) -o $@ $^ -luring -lzstd -lxxhash

fuzz-programs: $(fuzz_targets:%=$(O)/tests/fuzz/fuzz_%)

## fuzz: FUZZ_RUNS inputs to each of the parsers, under address checks
fuzz:
	$(Q)tools/deps
	$(Q)$(MAKE) fuzz-programs CC=clang SAN=$(FUZZ_SAN) DEBUG=1
	$(Q)tests/fuzz/run $(FUZZ_RUNS) build/obj-debug1-$(subst $(comma),-,$(FUZZ_SAN))-clang/tests/fuzz

## analyze: the lock analysis of clang over every file
analyze:
	$(Q)bad=0; for f in mm/*.c swap/*.c fs/*.c tools/*.c; do clang $(cflags) $(fuse_inc) -Wthread-safety -Werror -fsyntax-only $$f || bad=1; done; exit $$bad

## lint: formatting, layers, headers, manual pages, shell scripts, lock analysis
lint: analyze
	$(Q)bad=0; for h in mm/*.h swap/*.h fs/*.h tools/*.h; do $(CC) $(cflags) $(fuse_inc) -Werror -fsyntax-only -x c $$h || bad=1; done; exit $$bad
	$(Q)clang-format --dry-run -Werror $$(git ls-files '*.[ch]')
	$(Q)tools/layers.sh
	$(Q)groff -mdoc -ww -z man/*.[1-8]
	$(Q)shellcheck -x $$(git ls-files -- tools tests .ci | xargs grep -lE '^#!.*(sh|bash)')
	@echo lint: ok

## install: under DESTDIR and PREFIX (default /usr/local)
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)/sbin
	install $(PLIMSOLL) $(PLIMSOLLCTL) $(DESTDIR)$(PREFIX)/bin
	for m in man/*.[1-8]; do \
		install -m 644 $$m $(DESTDIR)$(PREFIX)/share/man/man$${m##*.}; done
	ln -sf $(PREFIX)/bin/plimsoll $(DESTDIR)/sbin/mount.fuse.plimsoll

## help: this list
help:
	@sed -n 's/^## *//p' $(MAKEFILE_LIST) | column -t -s:

## clean: remove what was built, but for build/deps
clean:
	$(Q)rm -rf build/obj* build/v-* build/logs build/plimsoll build/plimsollctl build/bench

-include $(patsubst %.o,%.d,$(swap) $(mm) $(real) $(fs) $(ctl) $(sim_o)) $(unit:%=%.d) $(sim:%=%.d) $(wildcard $(O)/tests/fuzz/*.d) $(bench_programs:build/bench/%=$(O)/tests/bench/%.d)
.PHONY: all programs check check-unit test soak soak-kill demo bench bench-programs asan tsan sanitized fuzz fuzz-programs analyze lint install help clean
.DEFAULT_GOAL := all
.SECONDARY:
