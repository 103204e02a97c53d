"""Memory of very many idle TLS connections, and what is left of it when they have gone."""

import time

from sections.idle import held, holders

# As many have room in 20,000 descriptors if each takes two; they leave, and memory is looked at later.
GONE, GONE_SECONDS = 9000, 60
MOST = 50000


def run(bench):
    if bench.quick:  # To open so many takes minutes.
        gone(bench, 0, 1000)
        return
    for rep, name in bench.rounds(holders(bench, MOST), 1):
        bench.attempt(f"{MOST:,} idle {name}", lambda: most(bench, name, rep))
    for rep in range(2):
        gone(bench, rep, GONE)


def memory(bench, contender, count, rep):
    """What it has before it holds so many; what each connection takes is recorded."""
    before = contender.pss()
    with held(bench, contender, count):
        time.sleep(1)
        each = (contender.pss() - before) / count
        if not bench.quick:  # Section idle has that of 1,000.
            bench.record(f"idle.{count}.pss", contender.name, rep, each)
    return before


def most(bench, name, rep):
    contender = bench.world.start(name, connections=2 * MOST + 1000)
    try:
        memory(bench, contender, MOST, rep)
    finally:
        bench.world.stop(contender, at_once=True)


def gone(bench, rep, count):
    """One after another holds many; the minute of all is one. Shared pages are in both figures."""
    world = bench.world
    up = world.start_all(holders(bench, count))
    before = {}
    for name, contender in up.items():
        bench.say(f"  {count:,} come and go: {name}")
        found = bench.attempt(f"gone {name}", lambda: memory(bench, contender, count, rep))
        if found is not None:
            before[name] = found
    time.sleep(3 if bench.quick else GONE_SECONDS)
    for name, pss in before.items():
        left = (up[name].pss() - pss) / 1024
        bench.record(f"gone.{count}.pss", name, rep, left)
    world.stop(*up.values(), at_once=True)
