"""A new certificate under load: when it is seen, and whom the change costs something."""

import json
import time

from lib.patience import end, killed_after


def run(bench):
    world = bench.world
    for rep, name in bench.rounds(world.who(), 5):

        def one():
            contender = world.start(name)
            try:
                swap(bench, contender, rep)
            finally:
                world.stop(contender)

        bench.attempt(f"swap {name}", one)


def swap(bench, contender, rep):
    seconds = 4 if bench.quick else 8
    load = bench.begin(contender, "swap", path=contender.path(), secs=seconds, at=2)
    try:
        with killed_after(load):
            if load.stdout.readline().strip() != "GO":
                raise RuntimeError(load.stderr.read()[-300:])
        ordered = time.monotonic_ns()
        contender.use(bench.world.certificates["p256-new"])
        contender.reload()
        load.stdin.write(f"{ordered}\n")
        load.stdin.flush()
        said, errors = load.communicate(timeout=60)
    finally:
        end(load)
    result = json.loads(said)
    name = contender.name
    failed = [result.get(f"{what}_failed", 0) for what in ("new", "kept", "probe", "upload")]
    bench.record("swap.first_new", name, rep, result["first_new_ms"])
    bench.record("swap.last_old", name, rep, result["last_old_ms"])
    bench.record("swap.failed", name, rep, sum(failed), what=errors.strip()[:300])
    bench.record("swap.reopened", name, rep, result.get("reopened", 0))
