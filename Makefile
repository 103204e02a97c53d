# What cargo can't do alone. `make help` lists the targets.

CARGO  ?= cargo
PREFIX ?= /usr/local
TARGET := x86_64-unknown-linux-musl
BINARY := $(or $(CARGO_TARGET_DIR),target)/$(TARGET)/release/applianced

.PHONY: all run test test-real check audit install dist clean help

all: ## build the release binary (the default)
	@scripts/prepare build
	$(CARGO) build --locked --release

run: ## start an appliance of your own on ports 10080, 10443, … in the foreground; ^C ends it
	@scripts/run

test: ## install what the tests need, then run them all
	@scripts/test

test-real: ## run what is in tests/real, and the manual's pages against the release binary
	@scripts/test-real

check: ## format, lints, documentation, file sizes; the release binary is static and small
	@scripts/check

audit: ## known vulnerabilities, licenses and origins of all dependencies (needs cargo-deny)
	@scripts/audit

install: ## copy the release binary, if built, to $(DESTDIR)$(PREFIX)/bin
	@test -f $(BINARY) || { echo "make install: no $(BINARY); run make first" >&2; exit 1; }
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/applianced

dist: all ## pack the release binary into target/dist, with its checksum
	@scripts/dist $(BINARY)

clean: ## remove everything that was built
	$(CARGO) clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-10s %s\n' "$$name" "$$text"; done
