"""What a request, a handshake and a MiB cost the release binary, in instructions and system calls.

`PROFILE.md` keeps the counts. curl asks and Python answers behind, so that nothing has to be built for
it: how fast they are changes no count. One connection does one thing after the other.
"""

import os
import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

from lib import counting, places
from lib.contender import output
from lib.world import World

TABLE = places.BENCH / "PROFILE.md"
# Times what the table says. Uploads are read in pieces that depend on who is faster.
MOST, MOST_UPLOADED = 1.05, 1.1

# The fewest of so many turns count: a read that finds less than is to come makes another one.
EXECUTED, CALLED = 2, 5
# On a busy machine a count can be larger for once: only what has grown in each of so many tries has grown.
TRIES = 3
# What a new connection's first reads find depends on who is faster: by so many calls a handshake may differ.
SLACK = 2
# How often it waits depends on that, too.
WAITS = {"epoll_pwait", "epoll_wait", "ppoll", "futex", "sched_yield"}

# `few` requests are subtracted from three times as many; each is so many `units` of what is counted.
Case = namedtuple("Case", "title path few units options")

CLOSE = ("-H", "Connection: close")
CASES = (
    Case("own answer", None, 50, 1, ()),
    Case("proxied GET", "/api/small", 50, 1, ()),
    Case("full handshake and own answer", None, 20, 1, (*CLOSE, "--no-sessionid")),
    Case("resumed handshake and own answer", None, 20, 1, CLOSE),
    Case("MiB uploaded", "/api/sink", 1, 8, ("-X", "POST", "-T", "{body}", "-H", "Expect:")),
    Case("MiB downloaded", f"/api/bytes/{8 << 20}", 1, 8, ()),
)

# All offer the same, so that a newer curl or OpenSSL asks for nothing else.
CURL = (
    *("curl", "--silent", "--show-error", "--insecure", "--http1.1", "--fail", "--max-time", "300"),
    *("--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "--curves", "X25519"),
    *("--write-out", "%{stderr}%{http_code}\n"),
)

HEADING = """# What a request costs

Counts of user-space instructions (valgrind's callgrind) and system calls (strace), of the release binary
on one kept TLS 1.3 connection, or a new one for each handshake: P-256, X25519, AES-128-GCM. Written by
`scripts/bench/profile --write`. `scripts/bench/profile --check`, a part of `make check`, fails when a
count has grown by more than 5 % and this table does not say so. They are for comparing with themselves:
valgrind shows a processor without SHA instructions and AVX-512. System calls are those that do
something, not those that wait. What depends on who is faster has more room: a handshake two system
calls, an upload's instructions 10 %.

Made with: {made_with}

Where one of these differs, system calls are compared and instructions only shown.

| for each | instructions | system calls |
| --- | --- | --- |
"""


def made_with():
    """What instructions depend on besides the source. Valgrind shows one of two processors."""
    flags = re.search(r"^flags\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    wide = flags and {"avx2", "aes", "pclmulqdq"} <= set(flags[1].split())
    processor = "a processor with AVX2" if wide else "a processor without AVX2"
    compiler = " ".join(output("rustc", "--version").split()[:2])
    return f"{output('valgrind', '--version')}, {compiler}, {processor}"


def ask(port, path, count, options=()):
    """So many requests, of which each must be answered with 200."""
    command = [*CURL, *options, *[f"https://127.0.0.1:{port}{path}"] * count]
    if "-T" in options:  # belongs to the first address alone
        body = options[options.index("-T") + 1]
        command += ["-T", body] * (count - 1)
    done = subprocess.run(
        command, capture_output=True, timeout=400, preexec_fn=places.on_client_core
    )
    said = done.stderr.decode(errors="replace").split()
    if done.returncode != 0 or said != ["200"] * count:
        raise RuntimeError(f"curl {path}: {' '.join(said)[-300:]}")


def answered(port, path):
    try:
        ask(port, path, 1)
    except RuntimeError:
        return False
    return True


def each(case, contender, counted, turns):
    """The count for one unit: what happens once, or with each connection, costs nothing."""
    body = contender.folder / "body"
    body.touch()
    os.truncate(body, case.units << 20)
    options = [option.format(body=body) for option in case.options]
    path = case.path or contender.path()

    def load(count):
        return lambda: ask(contender.port, path, count, options)

    load(case.few)()
    few = min(counted(load(case.few)) for _ in range(turns))
    many = min(counted(load(3 * case.few)) for _ in range(turns))
    return (many - few) / (2 * case.few * case.units)


def measure():
    """{title: (instructions, system calls)}"""
    backend = [sys.executable, places.BENCH / "lib" / "small_backend.py"]
    world = World(["applianced"], backend)
    if not world.peers:
        raise RuntimeError(f"no {places.binary()}: run make first")
    try:
        wrapped = {"wrap": counting.callgrind, "first": counting.hide_auxv}
        ours = world.start("applianced", ready=answered, **wrapped)

        def instructions(load):
            return counting.total(counting.instructions(ours, load))

        executed = [each(case, ours, instructions, EXECUTED) for case in CASES]
        world.stop(ours)
        ours = world.start("applianced", ready=answered)

        def calls(load):
            counts = counting.system_calls(ours, load, ours.folder)
            return sum(n for name, n in counts.items() if name not in WAITS)

        called = [each(case, ours, calls, CALLED) for case in CASES]
    finally:
        world.close()
    return {case.title: both for case, both in zip(CASES, zip(executed, called))}


def write():
    rows = [f"| {title} | {n:,.0f} | {calls:.2f} |\n" for title, (n, calls) in measure().items()]
    TABLE.write_text(HEADING.format(made_with=made_with()) + "".join(rows))
    print(TABLE.read_text(), end="")


def table():
    """What it was made with, and {title: (instructions, system calls)}."""
    text = TABLE.read_text()
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| ([\d.]+) \|$", text, re.MULTILINE)
    counts = {title: (float(n.replace(",", "")), float(calls)) for title, n, calls in rows}
    if set(counts) != {case.title for case in CASES}:
        raise RuntimeError(f"{TABLE} has other rows than are counted: scripts/bench/profile --write")
    return re.search(r"^Made with: (.*)$", text, re.MULTILINE)[1], counts


def check():
    """Compares with the table; 1 if something has grown, each time that it is counted."""
    maker, before = table()
    same = maker == made_with()
    if not same:
        print(f"  made with {maker}; here {made_with()}: instructions are only shown")
    for _ in range(TRIES):
        if not any([has_grown(title, before[title], now, same) for title, now in measure().items()]):
            return 0
    print("  If it is worth that: scripts/bench/profile --write, and say why where you commit it")
    return 1


def has_grown(title, before, now, same):
    """Shows a row, and judges it; instructions only if all is as where the table was made."""
    grown = False
    for what, was, value in zip(("instructions", "system calls"), before, now):
        judged = same or what == "system calls"
        loose = what == "system calls" and "handshake" in title
        print(f"  {value:12,.2f} {what} for each {title}, {100 * (value / was - 1):+.1f} %")
        most = MOST_UPLOADED if title == "MiB uploaded" and what == "instructions" else MOST
        if judged and value > was * most + SLACK * loose:
            print(f"    grown by more than {100 * (most - 1):.0f} %")
            grown = True
    return grown
