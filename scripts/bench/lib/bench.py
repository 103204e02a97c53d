"""One run: what was asked for, what runs, and every figure that was measured."""

import json
import statistics
import subprocess
import sys
import time

from lib.places import LOAD, SERVER_CORE, on_client_core
from lib.world import World


class Bench:
    def __init__(self, names, quick, most):
        self.world = World(names)
        self.quick, self.most = quick, 1 if quick else most
        self.records, self.problems = [], self.world.problems

    def say(self, text):
        print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)

    def record(self, metric, peer, rep, value, **detail):
        self.records.append(
            {"metric": metric, "peer": peer, "rep": rep, "value": round(value, 4), **detail}
        )

    def rounds(self, names, repetitions):
        """(repetition, name): all after one another in each round, and another one first in each."""
        names = list(names)
        for rep in range(min(repetitions, self.most or repetitions)):
            turn = rep % max(1, len(names))
            for name in names[turn:] + names[:turn]:
                yield rep, name

    def attempt(self, what, work):
        """A figure that can't be had is named in the report, and the run goes on."""
        try:
            return work()
        except Exception as error:
            self.problems.append(f"{what}: {str(error)[:400]}")
            self.say(f"PROBLEM {self.problems[-1]}")
            return None

    def settle(self):
        """Waits until both cores are at rest, for at most 30 s: what was measured before may go on."""
        if self.quick:
            return
        for _ in range(120):
            before = idle_ticks()
            time.sleep(0.25)
            if min(after - was for was, after in zip(before, idle_ticks())) >= 21:
                return
        self.problems.append("the machine did not come to rest within 30 s")
        self.say(self.problems[-1])

    def command(self, contender, mode, options):
        """`options` as the load generator takes them; it gets the processes to be watched, too."""
        words = [LOAD, mode, "--port", contender.port, "--backend", self.world.backend.pid]
        words += ["--pids", ",".join(map(str, contender.pids()))]
        for name, value in options.items():
            words += ["--" + name.replace("_", "-"), value]
        return [str(word) for word in words]

    def load(self, contender, mode, **options):
        """The load generator's answer, from the core that is not the server's."""
        command = self.command(contender, mode, options)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=180, preexec_fn=on_client_core
        )
        if done.returncode != 0:
            raise RuntimeError(f"load {mode}: {done.stderr[-300:]}")
        return json.loads(done.stdout)

    def begin(self, contender, mode, where=on_client_core, **options):
        """The load generator in the background, with its ends in our hands."""
        return subprocess.Popen(
            self.command(contender, mode, options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=where,
        )

    def measure(self, metric, contender, rep, mode, **options):
        """One slice of a closed loop: rate, latency and server CPU, as `metric`.rate and so on."""

        def one():
            self.settle()
            result = self.load(contender, mode, **options)
            self.keep(metric, contender.name, rep, result)

        self.attempt(f"{metric} {contender.name}", one)

    def keep(self, metric, name, rep, result):
        busy = result["server_cpu"] / result["secs"]
        detail = {"errors": result["errors"], "what": result["what"], "busy": round(busy, 3)}
        self.record(f"{metric}.rate", name, rep, result["n"] / result["secs"], **detail)
        if result["n"]:
            self.record(f"{metric}.p50", name, rep, result["p50_us"] / 1000)
            self.record(f"{metric}.p99", name, rep, result["p99_us"] / 1000)
            self.record(f"{metric}.cpu", name, rep, result["server_cpu"] / result["n"] * 1e6)

    def startup(self, contender):
        """Milliseconds from exec to the first answer."""
        options = {"path": contender.path(), "core": SERVER_CORE}
        words = [LOAD, "startup", "--port", contender.port]
        words += [word for name, value in options.items() for word in ("--" + name, value)]
        words = [str(word) for word in [*words, "--", *contender.command()]]
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=contender.folder,
            preexec_fn=on_client_core,
        )
        if done.returncode != 0:
            raise RuntimeError(f"start: {done.stderr[-300:]}")
        return json.loads(done.stdout)["ms"]


def idle_ticks():
    """Time that each of the first two cores had nothing to do, in hundredths of a second."""
    with open("/proc/stat") as stat:
        return [int(line.split()[4]) for line in stat.readlines()[1:3]]


def median(values):
    return statistics.median(values) if values else None
