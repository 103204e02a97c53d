"""An appliance under attack, which alone is to be measured: clients, strangers and engines are machines of
their own in truth. So here the appliance has one processor to itself, and on the others honest clients go
first, and strangers and floods get what is left.

In: who stands by (engine, honest clients), what the kernel says of it, that it is afterwards what it was
before. Out: the attacks.
"""

import contextlib
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from lib import attacks
from lib.appliance import Appliance, free_port
from lib.memory_group import memory_group
from lib.report import expect

HERE = Path(__file__).parent
PASSWORD = "an honest password"
# What may stay: pages the allocator keeps, spare workers (four a port), connections kept to services.
MARGIN = {"rss_kb": 12 << 10, "descriptors": 80, "threads": 40}
SETTLE_SECONDS = 120
# Where some honest requests may fail, one in so many may, and any that begins so soon after the attack: an upload
# of which nothing has come is slow after a second and not before, so a burst of them has every permit for so long.
LOSSES = 20
BURST_SECONDS = 2
# What comes before the measurement at rest, when everything happens for the first time.
WARM_SECONDS = 2


class Siege:
    """`with Siege(binary, limits, password) as siege: …`; `limits` are commands to start the appliance with, in
    which `{own}` is a processor that it has to itself, `{all}` are all, and `{group}` is a control group that
    has SMALL_MEMORY. NotTried if there can be none."""

    def __init__(self, binary, limits, password):
        self.group, grouped = contextlib.ExitStack(), ""
        if "{group}" in limits:
            group = self.group.enter_context(memory_group(attacks.SMALL_MEMORY))
            grouped = f"sh -c 'echo $$ >{group}/cgroup.procs && exec \"$@\"' grouped"
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.processors = os.sched_getaffinity(0)
        own, others = min(self.processors), self.processors - {min(self.processors)}
        os.sched_setaffinity(0, others or self.processors)
        self.engine, self.password = Engine(idle=True), password
        services = {"speech": self.engine.port, "realtime": self.engine.port}
        self.appliance = Appliance(binary, services=services)
        self.appliance.settings["access_log"] = False
        wrapper = self.appliance.folder / "limited"
        limited = " ".join(limits).format(own=own, group=grouped, all=",".join(map(str, self.processors)))
        wrapper.write_text(f'#!/bin/sh\nexec {limited} "{self.appliance.binary}" "$@"\n')
        wrapper.chmod(0o755)
        (self.appliance.folder / "license-authority").symlink_to(
            Path(self.appliance.binary).parent / "license-authority"
        )
        self.appliance.binary = str(wrapper)

    def __enter__(self):
        self.engine.__enter__()
        self.appliance.__enter__()
        self.pid = self.appliance.process.pid
        if self.password:
            self.appliance.set_password(PASSWORD)
        secret = f"#{PASSWORD}" if self.password else ""
        url = self.appliance.url
        self.honest = {
            "management": HonestClient(url("https", "/v1/management/ping") + secret),
            "speech": HonestClient(url("speech", "/v2/jobs")),
            "plain": HonestClient(url("http", "/v1/management/ping") + secret),
            # Past the appliance: what the machine and the stand-in alone make of it.
            "direct": HonestClient(f"http://127.0.0.1:{self.engine.port}/v2/jobs"),
        }
        time.sleep(WARM_SECONDS)
        self.measure()
        time.sleep(attacks.SECONDS + 4)
        self.rest, self.before = self.measure(), kernel(self.pid)
        return self

    def __exit__(self, *error):
        for client in self.honest.values():
            client.ends()
        self.engine.__exit__()
        self.appliance.__exit__(*error)
        self.group.close()
        os.sched_setaffinity(0, self.processors)

    def measure(self):
        return {name: client.measure() for name, client in self.honest.items()}

    def told_at_rest(self):
        return "at rest: " + "; ".join(
            f"{name} {rest['count']}, p50 {rest['p50'] * 1000:.1f} ms, p99 {rest['p99'] * 1000:.1f} ms"
            for name, rest in self.rest.items()
        )

    def under(self, attack, count, may_fail=()):
        """Attacks, and tells what honest clients saw of it; each of them must have been answered, but for those
        of `may_fail`, of which some may be lost: see LOSSES."""
        self.measure()
        told = aside(attack, self, count)
        seen, most = self.measure(), kernel(self.pid)
        figures = []
        for name, now in seen.items():
            rest, faults = self.rest[name]["p99"], now["faults"]
            allowed, burst = (now["count"] // LOSSES, BURST_SECONDS) if name in may_fail else (0, 0)
            late = [f"after {seconds:.1f} s {fault}" for seconds, fault in faults if seconds >= burst]
            lost = name != "direct" and len(late) > allowed
            expect(not lost, f"{name}: {len(late)} of {now['count']} honest requests failed: {late[:3]}")
            expect(now["count"] > 0, f"{name}: not one honest request was answered")
            failed = f", {len(faults)} failed" if faults else ""
            figures.append(
                f"{name} {now['count']}{failed}, p50 {now['p50'] * 1000:.1f} ms, "
                f"p99 {now['p99'] * 1000:.1f} ms = {now['p99'] / rest:.1f} x rest"
            )
        told = f"{told}; " if told else ""
        return f"{told}{'; '.join(figures)}; then {most['rss_kb'] >> 10} MiB, {most['descriptors']} descriptors"

    def settles(self):
        return settled(self.pid, self.before)


class HonestClient:
    """Its process."""

    def __init__(self, url):
        command = [sys.executable, "-B", HERE / "honest.py", url]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self):
        """What it saw since it was asked last."""
        print("measure", file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def ends(self):
        self.process.stdin.close()
        self.process.wait(10)


class Engine:
    """The stand-in; it may die and come back on the same port. `idle`: it yields to everybody else."""

    def __init__(self, idle=False):
        self.port, self.idle = free_port(), idle

    def __enter__(self):
        command = [sys.executable, "-B", HERE / "attack_engine.py", str(self.port), *["idle"] * self.idle]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tell("start")
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)

    def tell(self, word):
        """`start` or `stop`, done when this returns."""
        print(word, file=self.process.stdin, flush=True)
        expect(self.process.stdout.readline() == "done\n", f"the engine did not {word}")


def aside(attack, *arguments):
    """Runs `attack` in a process that gets what the machine has left over; what it returned."""
    ours, theirs = multiprocessing.Pipe()

    def run():
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        try:
            theirs.send((attack(*arguments), None))
        except Exception as error:  # raised again by who waits
            theirs.send((None, error))

    # Forked, for it goes on with the siege as it stands.
    attacker = multiprocessing.get_context("fork").Process(target=run, daemon=True)
    attacker.start()
    theirs.close()
    try:
        told, error = ours.recv()
    except EOFError:
        raise RuntimeError("the attacker died") from None
    finally:
        attacker.kill()
        attacker.join()
    if error:
        raise error
    return told


def kernel(pid):
    """What a process has of the machine."""
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    return {
        "rss_kb": int(status["VmRSS"].split()[0]),
        "descriptors": len(os.listdir(proc / "fd")),
        "threads": int(status["Threads"]),
    }


def settled(pid, before):
    """Waits until memory, descriptors and threads are where they were, but for MARGIN."""
    limit = time.monotonic() + SETTLE_SECONDS
    while True:
        now = kernel(pid)
        if all(now[what] <= before[what] + MARGIN[what] for what in now):
            return ", ".join(f"{what} {before[what]} -> {now[what]}" for what in now)
        expect(time.monotonic() < limit, f"after {SETTLE_SECONDS} s still {now}, before {before}")
        time.sleep(0.2)
