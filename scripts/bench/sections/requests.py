"""GETs over kept TLS connections: how their cost grows with the number of connections, and with the body."""

# Connections, seconds until each has had its first answer, seconds that are measured.
CONNECTIONS = ((1, 0.3, 1), (64, 0.3, 1), (512, 1, 1), (4096, 2, 2))

# Bytes of the body, connections, seconds that are measured.
BODIES = ((1 << 10, 64, 1), (64 << 10, 16, 1), (16 << 20, 4, 2))


def run(bench):
    world = bench.world
    up = world.start_all(world.who())
    for rep, name in bench.rounds([n for n in up if "own" in up[n].can], 7):
        path = up[name].own
        bench.measure("own.64", up[name], rep, "get", path=path, connections=64)
    # Until each of thousands has had its answers, much time passes.
    for count, warm, seconds in CONNECTIONS[:3] if bench.quick else CONNECTIONS:
        bench.say(f"  {count} connections")
        for rep, name in bench.rounds(up, 5 if count == 4096 else 7):
            bench.measure(
                f"get.{count}",
                up[name],
                rep,
                "get",
                path="/api/small",
                connections=count,
                warm=warm,
                secs=seconds,
            )
    for size, count, seconds in BODIES:
        bench.say(f"  bodies of {size} bytes")
        for rep, name in bench.rounds(up, 5):
            how = {"path": f"/api/bytes/{size}", "connections": count, "secs": seconds}
            bench.measure(f"body.{size}", up[name], rep, "get", **how)
    world.stop(*up.values())
