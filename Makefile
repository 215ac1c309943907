# make help lists the targets; make V=1 shows the commands.

CC     ?= cc
CFLAGS ?= -O2 -g
DEBUG  ?= 0
PREFIX ?= /usr/local
VERSION := 0.1

# build/plimsoll is the plain build; each variant has a tree of its own, so
# that switching CC, DEBUG or SAN never mixes objects.
comma := ,
variant := $(if $(filter-out 0,$(DEBUG)),-debug$(DEBUG))$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(if $(findstring clang,$(CC)),-clang)
B := build$(if $(variant),/v$(variant))
O := build/obj$(variant)
Q := $(if $(V),,@)

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wpointer-arith -Wvla -Werror=implicit-function-declaration
cflags   := -std=gnu17 $(warnings) -I. -D_GNU_SOURCE -DDEBUG=$(DEBUG) \
	    -DPLIMSOLL_VERSION='"$(VERSION)"' -pthread \
	    $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
fuse_inc := -isystem build/deps/include/fuse3
fuse_lib := build/deps/lib/libfuse3.a -lnuma -ldl

# Reading order: what is under everything, frames, objects, cached pages,
# victims.
mm_core := bug fault vmstat errseq \
	   arena memblock zone watermark buddy pcp page_wait page_alloc \
	   slab mempool shrinker \
	   address_space xarray page_cache readahead writeback page_io \
	   lru reclaim kswapd oom sysctl mm
mm_real := os_posix page_io_uring
fs_core := text log space backing inode file cred dir request volume \
	   procfile control fs
fs_fuse := fuse_buffer fuse_notify fuse_ops fuse_session source options main
mm      := $(mm_core:%=$(O)/mm/%.o)
real    := $(mm_real:%=$(O)/mm/%.o)
fs      := $(fs_core:%=$(O)/fs/%.o) $(fs_fuse:%=$(O)/fs/%.o)

unit  := $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
sim_o := $(patsubst %.c,$(O)/%.o,$(wildcard tests/sim/*_sim.c))
sim   := $(patsubst %.c,$(O)/%,$(wildcard tests/sim/test_*.c))

## all: build plimsoll and plimsollctl
all: $(B)/plimsoll

$(O)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(cflags) $(CFLAGS) $(if $(filter fs/fuse_%,$<),$(fuse_inc)) -MMD -MP -c -o $@ $<

$(B)/plimsoll: $(fs) $(mm) $(real)
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(LDFLAGS) -o $@ $^ $(fuse_lib) -luring

# Unit tests link the core alone: no FUSE, no zstd.
$(O)/tests/unit/%: $(O)/tests/unit/%.o $(mm) $(real)
	@echo "  LINK    $@"
	$(Q)$(CC) $(cflags) $(LDFLAGS) -o $@ $^ -lcmocka -luring
