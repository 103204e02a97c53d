"""Small GETs over kept TLS connections, and how their cost grows with the number of connections."""

CONNECTIONS = (1, 64, 512, 4096)


def run(bench):
    world = bench.world
    up = world.start_all(world.who())
    for rep, name in bench.rounds([n for n in up if "own" in up[n].can], 10):
        path = up[name].own
        bench.measure("own.64", up[name], rep, "get", path=path, connections=64)
    for count in CONNECTIONS:
        bench.say(f"  {count} connections")
        for rep, name in bench.rounds(up, 6 if count == 4096 else 10):
            contender = up[name]
            path = "/api/small"
            bench.measure(f"get.{count}", contender, rep, "get", path=path, connections=count)
    world.stop(*up.values())
