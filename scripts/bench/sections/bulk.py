"""Large bodies through TLS, 4 x 256 MiB on one connection: speed, and the server's CPU for each GiB."""


def run(bench):
    world = bench.world
    up = world.start_all(world.who())
    size = 64 << 20 if bench.quick else 256 << 20
    for mode in ("upload", "download"):
        bench.say(f"  {mode}")
        for rep, name in bench.rounds(up, 6):

            def one():
                bench.settle()
                result = bench.load(up[name], mode, bytes=size, count=4, path="/api/small")
                gib = result["bytes"] / 2**30
                bench.record(f"{mode}.cpu", name, rep, result["server_cpu"] / gib)
                bench.record(f"{mode}.rate", name, rep, gib * 1024 / result["secs"])

            bench.attempt(f"{mode} {name}", one)
    world.stop(*up.values())
