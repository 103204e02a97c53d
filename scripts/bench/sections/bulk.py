"""Large bodies through TLS 1.3 on one connection: speed, and the server's CPU for each GiB."""

# 4 x 256 MiB each; repetitions, and what a metric's name has after the direction.
SUITES = (("aes128", 6, ""), ("aes256", 4, ".aes256"), ("chacha20", 4, ".chacha20"))


def run(bench):
    world = bench.world
    up = world.start_all(world.who())
    size = 32 << 20 if bench.quick else 256 << 20
    for suite, repetitions, suffix in SUITES:
        for mode in ("upload", "download"):
            bench.say(f"  {mode} {suite}")
            for rep, name in bench.rounds(up, repetitions):

                def one():
                    bench.settle()
                    how = {"bytes": size, "count": 4, "path": "/api/small", "suite": suite}
                    result = bench.load(up[name], mode, **how)
                    gib, key = result["bytes"] / 2**30, mode + suffix
                    bench.record(f"{key}.cpu", name, rep, result["server_cpu"] / gib)
                    bench.record(f"{key}.rate", name, rep, gib * 1024 / result["secs"])

                bench.attempt(f"{mode} {suite} {name}", one)
    world.stop(*up.values())
