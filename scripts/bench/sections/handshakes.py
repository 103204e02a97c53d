"""Handshakes per second, each with one small request: full and resumed, both keys, both versions.

Everybody gives session tickets as he does by default: applianced one, the others two (TLS 1.3).
"""


def run(bench):
    world = bench.world
    for key in ("p256", "rsa"):
        up = world.start_all(world.who(), key)
        for version in ("1.3", "1.2"):
            for kind, resume in (("full", 0), ("resumed", 1)):
                bench.say(f"  {kind} TLS {version} {key}")
                for rep, name in bench.rounds(up, 6):
                    bench.measure(
                        f"hs.{kind}.{version.replace('.', '')}.{key}",
                        up[name],
                        rep,
                        "handshake",
                        path=up[name].path(),
                        connections=32,
                        tls=version,
                        resume=resume,
                    )
        world.stop(*up.values())
