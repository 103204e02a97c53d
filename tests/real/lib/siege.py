"""An appliance under attack.

In: who stands by (engine, honest clients), what the kernel says of it, that it is afterwards what it was
before. Out: the attacks.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from lib.appliance import Appliance, free_port
from lib.report import expect

HERE = Path(__file__).parent
PASSWORD = "an honest password"
# What may stay: pages the allocator keeps, spare workers (four a port), connections kept to services.
MARGIN = {"rss_kb": 12 << 10, "descriptors": 80, "threads": 40}
SETTLE_SECONDS = 120


class Siege:
    """`with Siege(binary) as siege: …`; `limits` are words for prlimit."""

    def __init__(self, binary, limits=(), password=False):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.engine, self.password = Engine(), password
        services = {"speech": self.engine.port, "realtime": self.engine.port}
        self.appliance = Appliance(binary, services=services)
        self.appliance.settings["access_log"] = False
        if limits:
            wrapper = self.appliance.folder / "limited"
            wrapper.write_text(f'#!/bin/sh\nexec prlimit {" ".join(limits)} "{self.appliance.binary}" "$@"\n')
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
        self.honest = subprocess.Popen(
            [sys.executable, "-B", HERE / "honest.py",
             f"management={url('https', '/v1/management/ping')}{secret}",
             f"speech={url('speech', '/v2/jobs')}",
             f"plain={url('http', '/v1/management/ping')}{secret}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        time.sleep(3)  # not a condition: the length of the measurement at rest
        self.measure()
        time.sleep(3)
        self.rest, self.before = self.measure(), kernel(self.pid)
        return self

    def __exit__(self, *error):
        self.honest.stdin.close()
        self.honest.wait(10)
        self.engine.__exit__()
        self.appliance.__exit__(*error)

    def measure(self):
        self.honest.stdin.write("measure\n")
        self.honest.stdin.flush()
        return json.loads(self.honest.stdout.readline())

    def under(self, attack, *arguments, may_fail=()):
        """Attacks, and tells what honest clients saw of it; each of them must have been answered."""
        self.measure()
        told = attack(self, *arguments)
        seen, most = self.measure(), kernel(self.pid)
        figures = []
        for name, now in seen.items():
            ratio = now["p99"] / max(self.rest[name]["p99"], 1e-4)
            figures.append(f"{name} {now['count']} answered, p99 {now['p99'] * 1000:.0f} ms, {ratio:.1f} x rest")
            lost = name not in may_fail and now["faults"]
            expect(not lost, f"{name}: {now['faults']} of {now['count']} honest requests failed: {now['first']}")
            expect(now["count"] > 0, f"{name}: not one honest request was answered")
        told = f"{told}; " if told else ""
        return f"{told}{'; '.join(figures)}; then {most['rss_kb'] >> 10} MiB, {most['descriptors']} descriptors"

    def settles(self):
        return settled(self.pid, self.before)


class Engine:
    """The stand-in's process; it may die and come back on the same port."""

    def __init__(self):
        self.port = free_port()

    def __enter__(self):
        command = [sys.executable, "-B", HERE / "attack_engine.py", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        expect(self.process.stdout.readline() == "listening\n", "the engine did not start")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


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
