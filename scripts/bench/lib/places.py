"""Where things are, and on which core what runs."""

import os
import resource
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
TRIPLE = "x86_64-unknown-linux-musl"

# The load generator is for this machine: glibc's allocator keeps it ahead of the servers.
LOAD_TRIPLE = "x86_64-unknown-linux-gnu"
LOAD_TARGET = TARGET / "bench"
LOAD = LOAD_TARGET / LOAD_TRIPLE / "release" / "load"
BACKEND = LOAD.with_name("backend")
ENVOY = LOAD_TARGET / "envoy" / "envoy" / "_bin" / "envoy"

SERVER_CORE, CLIENT_CORE = 0, 1
# Where contenders have two cores. The load has two others, or the same ones if there are no others.
TWO_SERVER_CORES, TWO_CLIENT_CORES = {0, 1}, {2, 3} if (os.cpu_count() or 1) >= 4 else {0, 1}

# Where Debian keeps nginx and hitch, and an ordinary user's PATH does not look.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"


def binary():
    """What is measured: the release binary, or the one that APPLIANCED_BIN names."""
    return Path(os.environ.get("APPLIANCED_BIN", TARGET / TRIPLE / "release" / "applianced"))


def many_files():
    """50,000 connections are 100,000 descriptors for whoever has one to each side."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 131072
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def on_server_cores(count):
    os.sched_setaffinity(0, {SERVER_CORE} if count == 1 else TWO_SERVER_CORES)


def on_client_core():
    os.sched_setaffinity(0, {CLIENT_CORE})


def on_two_client_cores():
    os.sched_setaffinity(0, TWO_CLIENT_CORES)
