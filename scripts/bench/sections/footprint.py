"""What it takes to be there: installed files, memory after the start, time to the first answer."""

import os
import time


def run(bench):
    world = bench.world
    for name in world.who():
        size = sum(os.stat(file).st_size for file in world.peers[name].files())
        bench.record("size", name, 0, size / 2**20)

    for rep, name in bench.rounds(world.who(), 3):

        def memory():
            contender = world.start(name, connections=1024)
            try:
                time.sleep(1)
                bench.record("start.pss", name, rep, contender.pss() / 1024)
            finally:
                world.stop(contender)

        bench.attempt(f"memory {name}", memory)

    for rep, name in bench.rounds(world.who(), 15):

        def start():
            contender = world.make(name, connections=1024)
            contender.configure()
            bench.startup(contender)  # what is made at the first start is there at the next
            bench.settle()
            bench.record("start.ms", name, rep, bench.startup(contender))

        bench.attempt(f"start {name}", start)

    for rep, name in bench.rounds([n for n in world.who() if hasattr(world.peers[n], "forget")], 5):

        def first():
            contender = world.make(name, connections=1024)
            contender.configure()
            contender.forget()
            bench.settle()
            bench.record("start.first.ms", name, rep, bench.startup(contender))

        bench.attempt(f"first boot {name}", first)
