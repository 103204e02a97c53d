"""10,000 idle TLS connections: memory for each, and how others are served meanwhile."""

import time
from contextlib import ExitStack, contextmanager

from lib.patience import end, killed_after


@contextmanager
def held(bench, contender, count, kind="idle"):
    """So many connections that do nothing. The list is, at the end, how many were still good."""
    process = bench.begin(
        contender, "hold", connections=count, kind=kind, path=contender.path()
    )
    try:
        with killed_after(process, max(120, count / 100)):
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"{count} {kind} connections: {process.stderr.read()[-300:]}")
        good = []
        yield good
        good.append(int(process.communicate(timeout=120)[0]))
        if kind == "idle" and good != [count]:
            raise RuntimeError(f"only {good[0]} of {count} idle connections were still good")
    finally:
        end(process)


def others(bench, metric, contender, rep, connections=1):
    """Requests on kept connections and on new ones."""
    seconds = 1 if bench.quick else 2
    common = {"path": "/api/small", "secs": seconds, "connections": connections}
    bench.measure(f"{metric}.kept", contender, rep, "get", **common)
    bench.measure(f"{metric}.new", contender, rep, "handshake", **common)


def holders(bench, count=10000):
    """Names of those who can hold so many connections here."""
    names = bench.world.who()
    for name in names:
        if not bench.world.peers[name].holds(count):
            bench.problems.append(
                f"{name} needs more open files or ports for {count:,} connections than this machine has"
            )
    return [name for name in names if bench.world.peers[name].holds(count)]


def run(bench):
    world = bench.world
    for rep, name in bench.rounds(world.who(), 3):

        def one():
            contender = world.start(name)
            try:
                others(bench, "rest", contender, rep)
                time.sleep(1)
                before = contender.pss()
                with ExitStack() as stack:
                    stack.enter_context(held(bench, contender, 1000))
                    time.sleep(1)
                    each = (contender.pss() - before) / 1000
                    bench.record("idle.1000.pss", name, rep, each)
                    if not contender.holds(10000):
                        return
                    stack.enter_context(held(bench, contender, 9000))
                    time.sleep(1)
                    each = (contender.pss() - before) / 10000
                    bench.record("idle.10000.pss", name, rep, each)
                    others(bench, "idle", contender, rep)
            finally:
                world.stop(contender, at_once=True)

        bench.attempt(f"idle {name}", one)
