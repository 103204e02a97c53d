"""Own answers and full handshakes on two cores, with two workers where a contender has such a setting.

On a machine with two cores the load, two processes of it, shares them: everybody bears the same.
"""

import json
import statistics

from lib.patience import COMMAND_SECONDS, end
from lib.places import on_two_client_cores


def together(bench, contender, mode, **options):
    """Answers a second of two load generators, and the server's CPU seconds for each answer."""
    both = []
    try:
        for _ in range(2):
            both.append(bench.begin(contender, mode, on_two_client_cores, **options))
        said = [process.communicate(timeout=COMMAND_SECONDS) for process in both]
    finally:
        for process in both:
            if process.poll() is None:
                end(process)
    if any(process.returncode for process in both):
        raise RuntimeError(f"load {mode}: {said[0][1][-200:]} {said[1][1][-200:]}")
    results = [json.loads(out) for out, _ in said]
    rate = sum(result["n"] / result["secs"] for result in results)
    busy = statistics.mean(result["server_cpu"] / result["secs"] for result in results)
    return rate, busy / rate, sum(result["errors"] for result in results)


def run(bench):
    world = bench.world
    up = world.start_all(world.who(), cores=2)
    for key, mode, connections in (("own", "get", 32), ("hs", "handshake", 16)):
        able = [name for name in up if mode == "handshake" or "own" in up[name].can]
        for rep, name in bench.rounds(able, 5):

            def one():
                bench.settle()
                how = {"path": up[name].path(), "connections": connections}
                rate, cpu, errors = together(bench, up[name], mode, **how)
                bench.record(f"two.{key}.rate", name, rep, rate, errors=errors)
                bench.record(f"two.{key}.cpu", name, rep, cpu * 1e6)

            bench.attempt(f"two cores {key} {name}", one)
    world.stop(*up.values())
