"""10,000 connections that stopped in the middle of a handshake or of a request head: are others served?"""

from sections.idle import held, holders, others


def run(bench):
    world = bench.world
    who = holders(bench)
    for kind in ("handshake",) if bench.quick else ("handshake", "head"):
        for rep, name in bench.rounds(who, 3):

            def one():
                contender = world.start(name)
                try:
                    others(bench, f"unstalled.{kind}", contender, rep)
                    with held(bench, contender, 10000, kind) as good:
                        others(bench, f"stalled.{kind}", contender, rep)
                    bench.record(f"stalled.{kind}.held", name, rep, good[0])
                finally:
                    world.stop(contender, at_once=True)

            bench.attempt(f"stalled {kind} {name}", one)
