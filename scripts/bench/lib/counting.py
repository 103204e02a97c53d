"""Instructions by function (callgrind) and system calls (strace) of a running contender."""

import ctypes
import re
import signal
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path

from lib.patience import COMMAND_SECONDS, KILLED_SECONDS, end, killed_after

NAMED = re.compile(r"(c?fn|c?f[lie])=\((\d+)\)(?: (.*))?$")
COST = re.compile(r"[+*-]?\d* \d+$")

# Numbers of the kernel: prctl(2), seccomp(2), linux/filter.h, linux/seccomp.h.
SYS_PRCTL, EINVAL, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_GET_AUXV = 157, 22, 22, 38, 0x41555856
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL, FILTER = 0x7FFF0000, 0x00050000, 2


def hide_auxv():
    """prctl(PR_GET_AUXV) fails from here on. By it a program learns where the vDSO is, and valgrind 3.19
    doesn't map that; what else there is to learn it by, valgrind knows how to answer."""
    program = [
        (LOAD, 0, 0, 0),  # number of the call
        (IF_EQUAL, 0, 3, SYS_PRCTL),
        (LOAD, 0, 0, 16),  # its first argument
        (IF_EQUAL, 0, 1, PR_GET_AUXV),
        (RETURN, 0, 0, FAIL | EINVAL),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, FILTER, head):
        raise OSError(ctypes.get_errno(), "seccomp")


def callgrind(folder):
    """The command that a contender must run behind for `instructions`."""
    return ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/callgrind.out"]


def control(*arguments):
    command = ["callgrind_control", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=COMMAND_SECONDS)


def dumps(folder):
    return sorted(folder.glob("callgrind.out.*"), key=lambda file: int(file.suffix[1:]))


def read(file):
    """Of each function: instructions by itself, instructions with all it calls, and how often it is
    called, as three counters. "Callgrind Format Specification" in valgrind's manual; a name stands at
    the first use of its number."""
    names, own, inclusive, calls = {}, Counter(), Counter(), Counter()
    source, here, callee, called = "", None, None, False
    for line in file.read_text(errors="replace").splitlines():
        if match := NAMED.match(line):
            kind, number, name = match.groups()
            key = (kind.endswith("n"), number)  # functions and files are numbered apart
            if name:
                names[key] = name
            if kind == "fl":
                source = names[key]
            elif kind == "fn":
                here = short(names[key], source)
            elif kind == "cfn":
                callee = short(names[key], "")
        elif line.startswith("calls="):
            calls[callee] += int(line[6:].split()[0])
            called = True
        elif here and COST.match(line):
            cost = int(line.split()[1])
            inclusive[here] += cost
            if not called:
                own[here] += cost
            called = False
    return own, inclusive, calls


def total(file):
    """All instructions; the names of functions, which a stripped binary lacks, aren't needed."""
    for line in file.read_text(errors="replace").splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise RuntimeError(f"{file} has no totals: callgrind did not end writing it")


def short(name, source):
    # Assembler may lack symbols; the file tells then.
    if name.startswith("0x") and source.endswith((".s", ".S")):
        return Path(source).stem
    # The hash at the end of a mangled Rust name tells nothing; aws-lc prefixes all its names.
    return re.sub(r"^aws_lc_\d+_\d+_\d+_", "", re.sub(r"::h[0-9a-f]{16}$", "", name))


def instructions(contender, load):
    """What `load` makes a contender execute: a file for `read` or `total`."""
    pid = str(contender.process.pid)
    before = len(dumps(contender.folder))
    control("--zero", pid)
    load()
    control("--dump", pid)
    deadline = time.monotonic() + 30
    while len(dumps(contender.folder)) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    if len(dumps(contender.folder)) == before:
        raise RuntimeError(f"callgrind in {contender.name} wrote no counts within 30 s")
    return dumps(contender.folder)[-1]


def system_calls(contender, load, folder):
    """What `load` makes a contender call: a counter."""
    table = folder / "strace"
    command = ["strace", "-f", "-c", "-o", table]
    command += [word for pid in contender.pids() for word in ("-p", str(pid))]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        with killed_after(tracer):
            for _ in contender.pids():
                line = tracer.stderr.readline()
                if "attached" not in line:
                    raise RuntimeError(f"strace: {line}")
        load()
    finally:
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.communicate(timeout=KILLED_SECONDS)
        except subprocess.TimeoutExpired:
            end(tracer)
            raise RuntimeError(f"strace did not end within {KILLED_SECONDS} s") from None
    counts = Counter()
    for line in table.read_text().splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            counts[words[-1]] = int(words[3])
    return counts
