"""Handshakes per second, each with one small request: full and resumed, both keys, both versions.

Everybody gives session tickets as he does by default: applianced one, the others two (TLS 1.3).
"""

from lib.contender import answers

HYBRID = "x25519mlkem768"


def hybrid(bench, up):
    """Full handshakes with a key exchange that is safe from quantum computers, by those who know it."""
    able = [name for name in up if answers(up[name].port, up[name].path(), "--group", HYBRID)]
    for name in sorted(set(up) - set(able)):
        bench.problems.append(f"{name} does not know X25519MLKEM768")
    for rep, name in bench.rounds(able, 6):
        how = {"path": up[name].path(), "connections": 32, "group": HYBRID}
        bench.measure("hs.hybrid", up[name], rep, "handshake", **how)


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
        if key == "p256":
            bench.say("  full TLS 1.3 p256, X25519MLKEM768")
            hybrid(bench, up)
        world.stop(*up.values())
