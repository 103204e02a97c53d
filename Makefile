# What cargo can't do alone. `make help` lists the targets.

CARGO  ?= cargo
PREFIX ?= /usr/local
TARGET := x86_64-unknown-linux-musl
BUILT  := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/release
BINARIES := $(BUILT)/applianced $(BUILT)/license-authority

.PHONY: all run vm test test-slow test-real vm-test bench check audit aarch64 install dist deb oci clean help

all: ## build the release binaries (the default)
	@scripts/prepare build
	$(CARGO) build --locked --release

run: ## start an appliance of your own on ports 10080, 10443, … in the foreground; ^C ends it
	@scripts/run

vm: ## build a bootable image and start it in QEMU with its console here; Control-A X ends it
	@scripts/vm/run

test: ## install what the tests need, run all but the slow ones, list what could not be tried here
	@scripts/test

test-slow: ## the tests that wait for the appliance's own long limits, which `make test` leaves out
	@scripts/test slow

test-real: ## run what is in tests/real, and the rules of src/manual.md against the release binary
	@scripts/test-real

vm-test: ## boot the image, try it over the serial line and the network, cut its power ten times
	@scripts/vm/test

bench: ## measure the release binary beside nginx, hitch, Envoy, HAProxy, Caddy: scripts/bench/RESULTS.md; an hour
	@scripts/bench/run

check: ## format, lints, documentation, file sizes; the release binaries are static, and small
	@scripts/check

audit: ## known vulnerabilities, licenses and origins of all dependencies (needs cargo-deny)
	@scripts/audit

aarch64: ## build the release binaries for 64-bit ARM and try one under QEMU's user emulation
	@scripts/aarch64

install: ## copy the release binaries, if built, and the manual pages below $(DESTDIR)$(PREFIX)
	@for binary in $(BINARIES); do \
		test -f $$binary || { echo "make install: no $$binary; run make first" >&2; exit 1; }; done
	install -d $(DESTDIR)$(PREFIX)/bin $(addprefix $(DESTDIR)$(PREFIX)/share/man/man,5 8)
	install -m 755 $(BINARIES) $(DESTDIR)$(PREFIX)/bin
	install -m 644 scripts/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 scripts/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8

dist: ## build and pack the release binaries, init scripts and papers into target/dist; reproducible
	@scripts/dist

deb: ## Debian packages of the release binaries into target/dist, by dpkg-deb alone; reproducible
	@scripts/deb

oci: ## container images of them into target/dist, without a container daemon; reproducible
	@scripts/oci

clean: ## remove everything that was built
	$(CARGO) clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done
