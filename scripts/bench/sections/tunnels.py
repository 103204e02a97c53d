"""WebSocket messages of 1 KiB there and back, one after another in each tunnel."""

TUNNELS = (1, 10, 50, 100, 200)


def run(bench):
    world = bench.world
    up = world.start_all(world.who("websocket"))
    for count in TUNNELS:
        bench.say(f"  {count} tunnels")
        for rep, name in bench.rounds(up, 5):
            path = "/api/ws"
            bench.measure(f"ws.{count}", up[name], rep, "tunnel", path=path, connections=count)
    world.stop(*up.values())
